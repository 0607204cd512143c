"""What a file is called, how long it is and what kind it is."""

from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from dam.models.base import SingleComponent
from dam.models.types import FileNameText


class FilePropertiesComponent(SingleComponent, kw_only=True, eq=False):
    """The file as it was when it was first added: its name, its size in bytes, its type by content."""

    __tablename__ = "file_properties"

    original_filename: Mapped[str] = mapped_column(FileNameText)
    file_size_bytes: Mapped[int] = mapped_column(BigInteger)
    mime_type: Mapped[str | None] = mapped_column(default=None)
