"""The entity: an integer that components speak of."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from dam.models.base import Base, BigId
from dam.models.types import UtcDateTime


class Entity(Base, kw_only=True, eq=False):
    """An id that is never given out twice, when it was made, and when a component of it last changed."""

    __tablename__ = "entity"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(BigId, primary_key=True, init=False)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
