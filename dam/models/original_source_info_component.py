"""Where an asset came from."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from dam.models.base import RepeatableComponent, fact_digest
from dam.models.types import FileNameText, UtcDateTime

LOCAL_FILE = "local_file"
REFERENCED_FILE = "referenced_file"


class OriginalSourceInfoComponent(RepeatableComponent, kw_only=True, eq=False):
    """A path at which the asset was seen, and when it was first and last seen there.

    ``source_type`` is ``local_file`` (copied from there) or ``referenced_file`` (left there). ``seen_stat`` is
    the file's size, modification time, inode and device at the moment it was read, by which the next run knows it as
    unchanged without reading it; NULL when they can't be trusted (modified within two seconds of being read).
    """

    __tablename__ = "original_source_info"
    same_fact = ("original_path",)
    indexed = ("fact_digest",)

    original_filename: Mapped[str] = mapped_column(FileNameText)
    original_path: Mapped[str] = mapped_column(FileNameText)
    source_type: Mapped[str]
    first_seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    seen_stat: Mapped[str | None] = mapped_column(default=None, repr=False)

    @classmethod
    def digest_of(cls, *values: object) -> bytes:
        """Return 4 bytes that stand for the folder and 12 for the whole path.

        The files of a folder, which are mostly added and looked for together, thus lie side by side in the index. With
        nothing but the path's digest each would have a page to itself in a large library.
        """
        (path,) = map(str, values)
        folder, _, _ = path.rpartition("/")
        return fact_digest(folder, size=4) + fact_digest(path, size=12)
