"""What a document says of itself."""

from sqlalchemy.orm import Mapped, mapped_column

from dam.models.base import SingleComponent


class DocumentPropertiesComponent(SingleComponent, kw_only=True, eq=False):
    """Pages and title of a document."""

    __tablename__ = "document_properties"

    page_count: Mapped[int | None] = mapped_column(default=None)
    title: Mapped[str | None] = mapped_column(default=None)
