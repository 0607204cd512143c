"""A storage in memory, for tests and for worlds that keep nothing."""

import errno
import hashlib
import io
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import BinaryIO, Self

from dam.core.exceptions import ObjectNotStored
from dam.core.file_operations import FileOperationsResource
from dam.services.content_id import ContentId
from dam.services.file_storage import ObjectState
from dam.services.publication import Outcome, Published
from dam.services.source_reading import digest_file, never
from dam.services.staging import StagedFile, open_source


class MemoryStorage:
    """Objects as bytes, gone with the storage; see FileStorage."""

    def __init__(self) -> None:
        self._files = FileOperationsResource()
        self._objects: dict[ContentId, bytes] = {}
        self._staged: dict[str, bytes] = {}
        self._numbers = count()
        self._spool: tempfile.TemporaryDirectory[str] | None = None

    def open(self) -> Self:
        """Do nothing yet; a world opens its resources with this."""
        return self

    def open_for_use(self, *, expect_objects: bool) -> None:
        """Do nothing: memory is always there."""

    def close(self) -> None:
        """Drop what was staged and not published, and the files that ``path_of`` made."""
        self._staged.clear()
        spool, self._spool = self._spool, None
        if spool is not None:
            spool.cleanup()

    def stage(self, source: int | str | Path, is_stopped: Callable[[], bool] = never) -> StagedFile:
        """Read a source, by path or descriptor; see ``FileStorage.stage``."""
        if isinstance(source, int):
            return self._stage(source, is_stopped)
        fd = open_source(source, self._files)
        try:
            return self._stage(fd, is_stopped)
        finally:
            os.close(fd)

    def publish(self, batch: Sequence[StagedFile]) -> list[Published | ObjectNotStored]:
        """Make staged files objects; one that is there already and damaged is replaced."""
        return [self._publish(staged) for staged in batch]

    def discard(self, staged: StagedFile) -> None:
        """Drop a staged file that is not wanted. One that is gone is no matter."""
        self._staged.pop(staged.temporary, None)

    def deposit_elsewhere(self) -> None:
        """Return nothing: no other process reaches this memory."""

    def contains(self, content_id: ContentId, size: int) -> bool:
        """Say whether there is an object of this name and length in bytes."""
        return content_id in self._objects and len(self._objects[content_id]) == size

    def contains_each(self, objects: Iterable[tuple[bytes, int]]) -> list[bool]:
        """Say of many, each by its SHA-256 and length, what ``contains`` says of one."""
        return [self.contains(ContentId(sha256), size) for sha256, size in objects]

    def check(self, content_id: ContentId, size: int) -> ObjectState:
        """Compare an object with its name and length in bytes."""
        if content_id not in self._objects:
            return ObjectState.MISSING
        if not self.contains(content_id, size):
            return ObjectState.WRONG_LENGTH
        sound = hashlib.sha256(self._objects[content_id]).digest() == content_id.sha256
        return ObjectState.FINE if sound else ObjectState.DAMAGED

    def open_object(self, content_id: ContentId) -> BinaryIO:
        """Open an object for reading. Raises FileNotFoundError."""
        if content_id not in self._objects:
            raise FileNotFoundError(str(content_id))
        return io.BytesIO(self._objects[content_id])

    def path_of(self, content_id: ContentId) -> str:
        """Return the path of a file with the object's bytes, if there is one; it lasts until the storage is closed."""
        if self._spool is None:
            self._spool = tempfile.TemporaryDirectory()
        path = Path(self._spool.name, str(content_id))
        if content_id in self._objects:
            path.write_bytes(self._objects[content_id])
        return str(path)

    def objects(self) -> Iterator[tuple[ContentId, int]]:
        """Give every object's name and length in bytes, in the order of names."""
        return ((content_id, len(self._objects[content_id])) for content_id in sorted(self._objects))

    def leftovers(self) -> Iterator[str]:
        """Give nothing: memory that a dead process left is no more."""
        return iter(())

    def others_are_adding(self) -> bool:
        """Say no: the memory is this process's own."""
        return False

    def _stage(self, source: int, is_stopped: Callable[[], bool]) -> StagedFile:
        with tempfile.TemporaryFile() as copy:
            digest = digest_file(source, copy_to=copy.fileno(), files=self._files, is_stopped=is_stopped)
            copy.seek(0)
            temporary = str(next(self._numbers))
            self._staged[temporary] = copy.read()
        return StagedFile(digest=digest, temporary=temporary, synced=True)

    def _publish(self, staged: StagedFile) -> Published | ObjectNotStored:
        content_id, data = ContentId(staged.digest.sha256), self._staged.pop(staged.temporary, None)
        if data is None:
            return ObjectNotStored(FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)))
        outcome = self._outcome(content_id, data)
        self._objects[content_id] = data
        return Published(content_id, len(data), outcome)

    def _outcome(self, content_id: ContentId, data: bytes) -> Outcome:
        if content_id not in self._objects:
            return Outcome.STORED
        return Outcome.PRESENT if self._objects[content_id] == data else Outcome.REPAIRED
