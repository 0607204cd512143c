"""Where the bytes of an asset lie."""

from sqlalchemy.orm import Mapped, mapped_column

from dam.models.base import RepeatableComponent
from dam.models.types import FileNameText

LOCAL_CAS = "local_cas"
LOCAL_REFERENCE = "local_reference"


class FileLocationComponent(RepeatableComponent, kw_only=True, eq=False):
    """A place that holds the asset's bytes, under a name that somebody gave them.

    ``storage_type`` is ``local_cas`` (an object in the storage folder; the key is its SHA-256) or ``local_reference``
    (a file left where it was; the key is its absolute path). ``content_identifier`` is the SHA-256 in hex.
    """

    __tablename__ = "file_location"
    same_fact = ("storage_type", "physical_path_or_key", "contextual_filename")

    content_identifier: Mapped[str]
    storage_type: Mapped[str]
    physical_path_or_key: Mapped[str] = mapped_column(FileNameText)
    contextual_filename: Mapped[str] = mapped_column(FileNameText)
