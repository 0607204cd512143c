"""Staged files become objects, in batches: synced, renamed without overwriting, their folders synced."""

# ruff: noqa: PTH105, PTH108, PTH116, PTH119, PTH120 - as in file_operations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from secrets import token_hex

from dam.core.exceptions import NotARegularFile, ObjectNotStored
from dam.core.file_operations import FileOperationsResource, make_folder_entry
from dam.services.content_id import ContentId
from dam.services.shared_sync import SharedSync
from dam.services.staging import OBJECT_TIME_NS, StagedFile, UnsyncedFiles

DAMAGED_FOLDER = "damaged"
_SYNCS_AT_ONCE = 8
_COMPARED_BYTES = 1024 * 1024


class Outcome(Enum):
    """What publishing an object came to: it is new, it was there, or it took the place of a damaged one."""

    STORED = "stored"
    PRESENT = "present"
    REPAIRED = "repaired"


@dataclass(frozen=True, slots=True)
class Published:
    """An object that is under its final name, and still will be after a crash; ``size`` in bytes."""

    content_id: ContentId
    size: int
    outcome: Outcome


class Publication:
    """What one process publishes in one storage folder.

    With a ``shared`` sync, for one thread that publishes files in the order in which it staged them.
    """

    def __init__(
        self, root: str, files: FileOperationsResource, unsynced: UnsyncedFiles, shared: SharedSync | None = None
    ) -> None:
        self._root = root
        self._files = files
        self._unsynced = unsynced
        self._shared = shared
        self._durable_folders = bytearray(1 << 16)  # 1 for each ab/cd whose own name, and that of ab, is on the disk

    def of(self, batch: Sequence[StagedFile]) -> list[Published | ObjectNotStored]:
        """Publish a batch; see ``FileStorage.publish``."""
        lost = self._synced([staged.temporary for staged in batch if not staged.synced])
        with self._watching() as since:
            placed = [lost.get(staged.temporary) or self._placed(staged) for staged in batch]
            unsafe = self._synced_folders(placed, since)
        return [self._settled(staged, each, unsafe) for staged, each in zip(batch, placed, strict=True)]

    def _synced(self, temporaries: Sequence[str]) -> dict[str, OSError]:
        """Sync files and return the failures; none is left open, also when it is interrupted."""
        try:
            first = self._unsynced.descriptor_of(temporaries[0]) if temporaries else None
            if self._is_covered(len(temporaries), first):
                return _failures_one_by_one(self._unsynced.close_synced, temporaries)
            return _failures(self._unsynced.sync, temporaries)
        finally:
            for temporary in temporaries:
                self._unsynced.discard(temporary)

    def _synced_folders(self, placed: Sequence[Published | OSError], since: int | None) -> dict[str, OSError]:
        """Sync the folders of objects, in which nothing was changed before ``since`` was opened."""
        folders = dict.fromkeys(
            folder for each in placed if isinstance(each, Published) for folder in self._folders_of(each.content_id)
        )
        if self._is_covered(len(folders), since):
            return {}
        return _failures(self._files.sync_folder, list(folders))

    def _is_covered(self, count: int, fd: int | None) -> bool:
        return self._shared is not None and fd is not None and self._shared.covers(count, fd)

    @contextmanager
    def _watching(self) -> Iterator[int | None]:
        """Give a descriptor that is told what goes wrong on the file system from now on, where that is asked."""
        if self._shared is None:
            yield None
            return
        try:
            fd = self._files.open_folder(self._root)
        except OSError:
            yield None
            return
        try:
            yield fd
        finally:
            os.close(fd)

    def _placed(self, staged: StagedFile) -> Published | OSError:
        content_id = ContentId(staged.digest.sha256)
        try:
            return Published(content_id, staged.digest.size, self._place(staged.temporary, content_id))
        except OSError as error:
            return error

    def _place(self, temporary: str, content_id: ContentId) -> Outcome:
        final = object_path(self._root, content_id)
        if not self._durable_folders[_number(content_id)]:
            _make_folders(final)
        try:
            self._files.rename_new(temporary, final)
        except FileExistsError:
            return self._beside(temporary, final)
        return Outcome.STORED

    def _beside(self, temporary: str, final: str) -> Outcome:
        """Keep the object that is there when it has the bytes that were just read, or else put it aside."""
        if self._is_same(temporary, final):
            _stamp(final)
            os.unlink(temporary)
            return Outcome.PRESENT
        self._put_aside(final)
        os.replace(temporary, final)
        return Outcome.REPAIRED

    def _is_same(self, temporary: str, final: str) -> bool:
        good = self._files.open_regular(temporary)
        try:
            return self._has_bytes_of(good, final)
        finally:
            os.close(good)

    def _has_bytes_of(self, good: int, final: str) -> bool:
        """Compare an object with a good copy; one that can't be read is not the same."""
        try:
            found = self._files.open_regular(final)
        except (OSError, NotARegularFile):
            return False
        try:
            return _are_equal(good, found)
        finally:
            os.close(found)

    def _put_aside(self, final: str) -> None:
        """Give a damaged object a second name in ``damaged``, so that its first is never missing."""
        folder = f"{self._root}/{DAMAGED_FOLDER}"
        self._files.make_folder(folder)
        aside = f"{folder}/{os.path.basename(final)}.{token_hex(4)}"
        try:
            os.link(final, aside)
        except OSError:
            self._files.rename_new(final, aside)
        self._files.sync_folder(folder)

    def _folders_of(self, content_id: ContentId) -> Sequence[str]:
        """Return the folders that must be synced before an object is durable: its own, and those above that are new.

        Also when the object was there before: whoever put it there may not have come that far.
        """
        name = content_id.sha256[:2].hex()
        upper = f"{self._root}/{name[:2]}"
        lower = f"{upper}/{name[2:]}"
        return (lower,) if self._durable_folders[_number(content_id)] else (lower, upper, self._root)

    def _settled(
        self, staged: StagedFile, placed: Published | OSError, unsafe: dict[str, OSError]
    ) -> Published | ObjectNotStored:
        if isinstance(placed, OSError):
            drop(staged.temporary)
            return ObjectNotStored(placed)
        for folder in self._folders_of(placed.content_id) if unsafe else ():
            if folder in unsafe:
                return ObjectNotStored(unsafe[folder])
        self._durable_folders[_number(placed.content_id)] = 1
        return placed


def object_path(root: str, content_id: ContentId) -> str:
    """Return where a storage folder keeps an object."""
    return path_named(root, str(content_id))


def path_named(root: str, name: str) -> str:
    """Return where a storage folder keeps the object of a name, which is a SHA-256 in hexadecimal."""
    return f"{root}/{name[:2]}/{name[2:4]}/{name}"


def _make_folders(final: str) -> None:
    """Make the two folders of an object but not the storage's, so that one that went away is not made anew."""
    lower = os.path.dirname(final)
    try:
        make_folder_entry(lower)
    except FileNotFoundError:
        make_folder_entry(os.path.dirname(lower))
        make_folder_entry(lower)


def drop(temporary: str) -> None:
    """Remove a temporary file if that can be done; the next run clears what is left."""
    with suppress(OSError):
        os.unlink(temporary)


def _stamp(final: str) -> None:
    """Give an object that proved right the time of objects again, if it lost that and we may."""
    with suppress(OSError):
        if os.stat(final).st_mtime_ns != OBJECT_TIME_NS:
            os.utime(final, ns=(OBJECT_TIME_NS, OBJECT_TIME_NS))


def _number(content_id: ContentId) -> int:
    return content_id.sha256[0] << 8 | content_id.sha256[1]


def _are_equal(one: int, other: int) -> bool:
    """Compare two files, the first of which must be readable; the lengths first."""
    if os.fstat(one).st_size != os.fstat(other).st_size:
        return False
    offset = 0
    while expected := os.pread(one, _COMPARED_BYTES, offset):
        if not _has_at(other, expected, offset):
            return False
        offset += len(expected)
    return True


def _has_at(fd: int, expected: bytes, offset: int) -> bool:
    try:
        return os.pread(fd, len(expected), offset) == expected
    except OSError:
        return False


def _failures[T](do: Callable[[T], object], items: Sequence[T]) -> dict[T, OSError]:
    """Do something with each item, several at once because the disk serves many syncs as quickly as one."""
    threads = min(_SYNCS_AT_ONCE, len(items))
    if threads < 2:
        return _failures_one_by_one(do, items)
    with ThreadPoolExecutor(threads) as pool:
        shares = [items[start::threads] for start in range(threads)]
        parts = pool.map(lambda share: _failures_one_by_one(do, share), shares)
        return {item: error for part in parts for item, error in part.items()}


def _failures_one_by_one[T](do: Callable[[T], object], items: Iterable[T]) -> dict[T, OSError]:
    failed = {}
    for item in items:
        try:
            do(item)
        except OSError as error:
            failed[item] = error
    return failed
