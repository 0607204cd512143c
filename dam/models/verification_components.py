"""When the bytes of an asset were last found to be good."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from dam.models.base import RepeatableComponent, SingleComponent
from dam.models.types import FileNameText, UtcDateTime


class ObjectVerificationComponent(SingleComponent, kw_only=True, eq=False):
    """The asset's stored object was read whole at this moment, and its SHA-256 was its name."""

    __tablename__ = "object_verification"

    found_good_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class ReferenceVerificationComponent(RepeatableComponent, kw_only=True, eq=False):
    """The file that the asset refers to was read whole at this moment, and held the asset's bytes."""

    __tablename__ = "reference_verification"
    same_fact = ("physical_path",)
    indexed = ("found_good_at",)

    physical_path: Mapped[str] = mapped_column(FileNameText)
    found_good_at: Mapped[datetime] = mapped_column(UtcDateTime)
