"""Where the objects are kept, each under the SHA-256 of its content: the interface, and the one on a local disk."""

# ruff: noqa: PTH100, PTH112, PTH123 - as in file_operations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import BinaryIO, Protocol, Self

from dam.core.exceptions import (
    InvalidContentId,
    NotARegularFile,
    ObjectNotStored,
    SourceUnreadable,
    StorageMissing,
    StorageNotWritable,
    UnknownStorageFormat,
)
from dam.core.file_operations import FOLDER_ON_THE_WAY, FileOperationsResource
from dam.services.content_id import ContentId
from dam.services.deposit import Deposit, LocalDeposit
from dam.services.publication import DAMAGED_FOLDER, Outcome, Publication, Published, drop, object_path, path_named
from dam.services.source_reading import never, sha256_of
from dam.services.staging import OBJECT_TIME_NS, StagedFile, StagingFolder

__all__ = [
    "ContentId",
    "FileStorage",
    "LocalFileStorage",
    "ObjectState",
    "Outcome",
    "Published",
    "StagedFile",
]

_MARKER = "dam-storage"
_FORMAT = "format 1\n"
_TEMPORARY = "tmp"
_NOT_OBJECTS = frozenset({_MARKER, _TEMPORARY, DAMAGED_FOLDER})


class ObjectState(Enum):
    """What a check of an object found."""

    FINE = "fine"
    MISSING = "missing"
    WRONG_LENGTH = "wrong length"
    DAMAGED = "damaged"


class FileStorage(Deposit, Protocol):
    """Objects by their content."""

    def open_for_use(self, *, expect_objects: bool) -> None:
        """Make ready for adding; ``expect_objects`` says that the database knows some. Raises StorageMissing."""

    def close(self) -> None:
        """Drop what was staged and not published."""

    def deposit_elsewhere(self) -> Deposit | None:
        """Return what adds objects from another process on this machine, for as long as this storage is open.

        It can be pickled. None when only this process can add.
        """

    def contains(self, content_id: ContentId, size: int) -> bool:
        """Say whether there is an object of this name and length in bytes, as far as that shows without reading it."""

    def contains_each(self, objects: Iterable[tuple[bytes, int]]) -> list[bool]:
        """Say of many, each by its SHA-256 and length, what ``contains`` says of one."""

    def check(self, content_id: ContentId, size: int) -> ObjectState:
        """Read an object whole and compare it with its name and length in bytes."""

    def open_object(self, content_id: ContentId) -> BinaryIO:
        """Open an object for reading. Raises FileNotFoundError."""

    def path_of(self, content_id: ContentId) -> str:
        """Return where the object can be read as a file; there need be none."""

    def objects(self) -> Iterator[tuple[ContentId, int]]:
        """Give every object's name and length in bytes, in the order of names."""

    def leftovers(self) -> Iterator[str]:
        """Give the files that are no objects: what dead processes left, and what stands among the objects."""

    def others_are_adding(self) -> bool:
        """Say whether another process is adding objects, whose rows may be about to come."""


class LocalFileStorage:
    """Objects as read-only files ``ab/cd/<SHA-256>`` in a folder; see FileStorage.

    Nothing is touched before ``open_for_use``. Beside the objects there are ``dam-storage``, which names the format,
    ``tmp`` and ``damaged``, where the bytes lie that a good copy took the place of.
    """

    def __init__(self, root: Path | str, files: FileOperationsResource | None = None) -> None:
        self._root = os.path.abspath(root)
        self._files = files or FileOperationsResource()
        self._staging = StagingFolder(f"{self._root}/{_TEMPORARY}", self._files)
        self._publication = Publication(self._root, self._files, self._staging.unsynced)

    @property
    def root(self) -> Path:
        """The storage's folder."""
        return Path(self._root)

    def open(self) -> Self:
        """Do nothing yet; a world opens its resources with this."""
        return self

    def open_for_use(self, *, expect_objects: bool) -> None:
        """Make sure that this is a storage, or make it one when the database expects nothing in it.

        Raises StorageMissing before anything is written when objects are expected and the folder is not a storage (a
        disk that is not mounted), StorageNotWritable when a new one can't be made, UnknownStorageFormat.
        """
        found = self._format()
        if found is None and expect_objects:
            raise StorageMissing(self._root)
        if found is None:
            self._make()
        elif found != _FORMAT:
            raise UnknownStorageFormat(self._root, found.strip())

    def close(self) -> None:
        """Drop what was staged and not published. Closing twice is closing once."""
        self._staging.close()

    def stage(self, source: int | str | Path, is_stopped: Callable[[], bool] = never) -> StagedFile:
        """Read a source, by path or descriptor, into a temporary file; see ``Stager.stage``.

        The first time, what dead processes left is cleared.
        """
        return self._staging.stager().stage(source, is_stopped)

    def publish(self, batch: Sequence[StagedFile]) -> list[Published | ObjectNotStored]:
        """Make staged files objects: sync and close each, then rename all, then sync each folder once.

        An object that is there already is compared byte for byte with what was just read. When it differs or can't be
        read, it is put aside in ``damaged`` and the good copy takes its place. The temporary files are gone afterwards.
        """
        return self._publication.of(batch)

    def discard(self, staged: StagedFile) -> None:
        """Drop a staged file that is not wanted. One that is gone is no matter."""
        self._staging.unsynced.discard(staged.temporary)
        drop(staged.temporary)

    def deposit_elsewhere(self) -> Deposit | None:
        """Return what adds objects by way of this process's staging folder; None when that can't be made."""
        try:
            return LocalDeposit(self._root, self._staging.stager().folder, self._files)
        except ObjectNotStored:
            return None

    def contains(self, content_id: ContentId, size: int) -> bool:
        """Say whether there is an object of this name and length, and nobody wrote to it since. Does not read it."""
        return self.contains_each([(content_id.sha256, size)])[0]

    def contains_each(self, objects: Iterable[tuple[bytes, int]]) -> list[bool]:
        """Say of many, each by its SHA-256 and length, what ``contains`` says of one."""
        try:
            root = os.open(self._root, FOLDER_ON_THE_WAY)
        except OSError:
            return [False for _ in objects]
        contained = []
        try:
            for sha256, size in objects:  # an object of a class for each would take half as long as the system does
                try:
                    found = os.stat(path_named(".", sha256.hex()), dir_fd=root)
                except OSError:
                    contained.append(False)
                else:
                    contained.append(found.st_size == size and found.st_mtime_ns == OBJECT_TIME_NS)
        finally:
            os.close(root)
        return contained

    def check(self, content_id: ContentId, size: int) -> ObjectState:
        """Read an object whole and compare it with its name and length in bytes."""
        try:
            fd = self._files.open_regular(object_path(self._root, content_id))
        except FileNotFoundError:
            return ObjectState.MISSING
        except (OSError, NotARegularFile):
            return ObjectState.DAMAGED
        try:
            return _state(fd, content_id, size)
        finally:
            os.close(fd)

    def open_object(self, content_id: ContentId) -> BinaryIO:
        """Open an object for reading. Raises FileNotFoundError."""
        return os.fdopen(self._files.open_regular(object_path(self._root, content_id)), "rb")

    def path_of(self, content_id: ContentId) -> str:
        """Return the path of an object, which need not exist."""
        return object_path(self._root, content_id)

    def objects(self) -> Iterator[tuple[ContentId, int]]:
        """Give every object's name and length in bytes, in the order of names."""
        return ((found, size) for _, found, size in self._files_among_objects() if found is not None)

    def leftovers(self) -> Iterator[str]:
        """Give the paths of what dead processes left in ``tmp``, then of strange files among the objects."""
        yield from self._staging.leftovers()
        yield from (path for path, found, _ in self._files_among_objects() if found is None)

    def others_are_adding(self) -> bool:
        """Say whether another process has a place for temporary files."""
        return self._staging.others_are_staging()

    def _format(self) -> str | None:
        """Return what the marker says, None when there is none."""
        try:
            with open(f"{self._root}/{_MARKER}", "rb") as marker:
                return marker.read(1000).decode("utf-8", "replace")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise StorageNotWritable(self._root, error) from error

    def _make(self) -> None:
        try:
            self._files.make_folder(self._root)
            with self._staging.alone():
                if self._format() is None:
                    self._write_marker()
        except OSError as error:
            raise StorageNotWritable(self._root, error) from error

    def _write_marker(self) -> None:
        temporary = f"{self._root}/{_TEMPORARY}/{_MARKER}"
        with open(temporary, "wb") as marker:
            marker.write(_FORMAT.encode())
            marker.flush()
            self._files.sync_file(marker.fileno())
        self._files.rename_new(temporary, f"{self._root}/{_MARKER}")
        self._files.sync_folder(self._root)

    def _files_among_objects(self) -> Iterator[tuple[str, ContentId | None, int]]:
        """Give path, name and length of every file where objects may be; no name when it is none."""
        if not os.path.isdir(self._root):
            return
        for upper in _entries(self._root):
            if upper.name not in _NOT_OBJECTS:
                yield from self._files_below(upper)

    def _files_below(self, folder: os.DirEntry[str]) -> Iterator[tuple[str, ContentId | None, int]]:
        if not folder.is_dir(follow_symlinks=False):
            yield folder.path, None, 0
            return
        for entry in _entries(folder.path):
            if entry.is_dir(follow_symlinks=False):
                yield from self._files_below(entry)
            else:
                yield entry.path, self._name_of(entry), entry.stat(follow_symlinks=False).st_size

    def _name_of(self, entry: os.DirEntry[str]) -> ContentId | None:
        """Return the name of an object that is a file in its place."""
        try:
            content_id = ContentId.parse(entry.name)
        except InvalidContentId:
            return None
        in_place = entry.path == object_path(self._root, content_id) and entry.is_file(follow_symlinks=False)
        return content_id if in_place else None


def _entries(folder: str) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as listing:
        return sorted(listing, key=lambda entry: entry.name)


def _state(fd: int, content_id: ContentId, size: int) -> ObjectState:
    if os.fstat(fd).st_size != size:
        return ObjectState.WRONG_LENGTH
    try:
        sha256 = sha256_of(fd)
    except SourceUnreadable:
        return ObjectState.DAMAGED
    return ObjectState.FINE if sha256 == content_id.sha256 else ObjectState.DAMAGED
