"""Marker components: persistent work queues of entities that a system has yet to look at."""

from typing import dataclass_transform

from sqlalchemy.orm import Mapped, mapped_column

from dam.models.base import SingleComponent


@dataclass_transform(kw_only_default=True, eq_default=False, field_specifiers=(mapped_column,))
class MarkerComponent(SingleComponent, kw_only=True, eq=False):
    """A mark without data. Marking twice is marking once.

    ``version`` counts the times an entity was marked while its mark stood, so that the mark made while somebody works
    on the entity outlives the end of that work.
    """

    __abstract__ = True

    version: Mapped[int] = mapped_column(default=0, init=False, repr=False)


class NeedsMetadataExtractionComponent(MarkerComponent, kw_only=True, eq=False):
    """The facts in the asset's file have not been read yet."""

    __tablename__ = "needs_metadata_extraction"
