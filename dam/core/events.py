"""What the program tells its handlers, and what they answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class Event[Answer]:
    """The base of all events. ``Answer`` is what a handler may return, so ``dispatch`` is typed by the event."""


class ImportStatus(StrEnum):
    """What taking a file in came to."""

    ADDED = "added"
    LINKED = "linked"
    UNCHANGED = "unchanged"


class ImportedFile(NamedTuple):
    """A file whose bytes are safe and known; the rows about it are still to be written.

    ``key`` is where the bytes lie (a SHA-256 in hex, or a path); ``seen_stat`` is as in OriginalSourceInfoComponent;
    ``has_facts`` says whether a reader may find more in the file.
    """

    path: str
    filename: str
    size_bytes: int
    sha256: bytes
    md5: bytes
    mime_type: str | None
    storage_type: str
    key: str
    source_type: str
    seen_at: datetime
    seen_stat: str | None
    has_facts: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportResult:
    """The asset that a file became or turned out to be."""

    entity_id: int
    status: ImportStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesImported(Event[list[ImportResult]]):
    """A batch of files has been read and stored. Answered with a result for each, in their order."""

    files: Sequence[ImportedFile]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcesSeenAgain(Event[None]):
    """Files that were read before were met again, unchanged by their stat; ``sources`` are ids of their source rows."""

    sources: Sequence[int]
    seen_at: datetime
