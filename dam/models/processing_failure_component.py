"""What went wrong with an entity, kept where it can be listed and retried."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from dam.models.base import RepeatableComponent
from dam.models.types import UtcDateTime


class ProcessingFailureComponent(RepeatableComponent, kw_only=True, eq=False):
    """A system's last failure at this entity: why, after how many attempts, and when.

    ``marker`` is the table of the mark that the entity lost, which a retry sets again.
    """

    __tablename__ = "processing_failure"
    same_fact = ("system",)

    system: Mapped[str]
    marker: Mapped[str]
    error: Mapped[str]
    attempts: Mapped[int]
    failed_at: Mapped[datetime] = mapped_column(UtcDateTime)
