"""The storage's temporary folder: one folder a process, cleared by the next one when its owner is dead."""

# ruff: noqa: PTH102, PTH108, PTH112, PTH114, PTH208 - as in file_operations

import errno
import fcntl
import os
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from secrets import token_hex
from threading import Lock
from types import TracebackType
from typing import NamedTuple

from dam.core.exceptions import ObjectNotStored, SourceUnreadable
from dam.core.file_operations import FileOperationsResource, make_folder_entry
from dam.services.source_reading import Digest, digest_file, never

_LOCK = "lock"
_SYNC_AT_ONCE_BYTES = 1024 * 1024
_HELD_OPEN = 2048  # more than are staged at once
OBJECT_TIME_NS = 10**18  # every object's modification time (in September 2001), by which a later write to it shows


class StagedFile(NamedTuple):
    """A content that was read, and the temporary file that holds it; ``synced`` when that is on the disk already."""

    digest: Digest
    temporary: str
    synced: bool = False

    def without_head(self) -> "StagedFile":
        """Return it without the first bytes, of which many would take much memory."""
        sha256, md5, size, _, seen_stat = self.digest
        return StagedFile(Digest(sha256, md5, size, b"", seen_stat), self.temporary, self.synced)


class UnsyncedFiles:
    """Staged files that are not on the disk yet, each held open by the descriptor that wrote it.

    That one is told of every error of writing the file back; one opened later is not, when the kernel has forgotten the
    file meanwhile (fsync(2), ERRORS). There are at most as many as the process can spare.
    """

    def __init__(self, files: FileOperationsResource) -> None:
        self._files = files
        self._limit = _spare_descriptors()
        self._open: dict[str, int] = {}
        self._adding = Lock()

    def add(self, temporary: str, fd: int) -> bool:
        """Take over a file's descriptor, or say False when no more can be spared."""
        with self._adding:
            if len(self._open) >= self._limit:
                return False
            self._open[temporary] = fd
            return True

    def sync(self, temporary: str) -> None:
        """Sync a file and close it. Raises OSError, also for one that is not here or no more."""
        self._files.sync_and_close(self._taken_out(temporary))

    def close_synced(self, temporary: str) -> None:
        """Close a file that is on the disk by now. Raises OSError as ``sync`` does."""
        self._files.close_written(self._taken_out(temporary))

    def descriptor_of(self, temporary: str) -> int | None:
        """Return a file's descriptor, which stays ours; None for one that is not here."""
        return self._open.get(temporary)

    def discard(self, temporary: str) -> None:
        """Close a file that is not wanted. One that is not here is no matter."""
        fd = self._open.pop(temporary, None)
        if fd is not None:
            with suppress(OSError):
                self._files.close_written(fd)

    def close(self) -> None:
        """Close all of them."""
        for temporary in list(self._open):
            self.discard(temporary)

    def _taken_out(self, temporary: str) -> int:
        fd = self._open.pop(temporary, None)
        if fd is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), temporary)
        return fd


@dataclass(frozen=True)
class Stager:
    """Copies sources into a staging folder that somebody else keeps; several threads may do so at once."""

    folder: str
    files: FileOperationsResource
    unsynced: UnsyncedFiles
    _mark: str = field(default_factory=token_hex)
    _numbers: Iterator[int] = field(default_factory=count)

    def stage(self, source: int | str | Path, is_stopped: Callable[[], bool] = never) -> StagedFile:
        """Read a source, by path or by descriptor, into a temporary file that is read-only from the start.

        Raises NotARegularFile, SourceUnreadable, SourceChanged, ObjectNotStored, and ReadingStopped soon after
        ``is_stopped`` says so, and then leaves no file.
        """
        if isinstance(source, int):
            return self._stage(source, is_stopped)
        fd = open_source(source, self.files)
        try:
            return self._stage(fd, is_stopped)
        finally:
            os.close(fd)

    def _stage(self, source: int, is_stopped: Callable[[], bool]) -> StagedFile:
        temporary, copy = self._new_file()
        try:
            return self._filled(source, temporary, copy, is_stopped)
        except BaseException:
            self.unsynced.discard(temporary)
            with suppress(OSError):
                os.unlink(temporary)
            raise

    def _filled(self, source: int, temporary: str, copy: int, is_stopped: Callable[[], bool]) -> StagedFile:
        try:
            digest = digest_file(source, copy_to=copy, files=self.files, is_stopped=is_stopped)
            with _Storing():
                os.utime(copy, ns=(OBJECT_TIME_NS, OBJECT_TIME_NS))
        except BaseException:
            with suppress(OSError):
                self.files.close_written(copy)
            raise
        synced = digest.size >= _SYNC_AT_ONCE_BYTES or not self.unsynced.add(temporary, copy)
        if synced:
            with _Storing():
                self.files.sync_and_close(copy)
        return StagedFile(digest=digest, temporary=temporary, synced=synced)

    def _new_file(self) -> tuple[str, int]:
        path = f"{self.folder}/{self._mark}-{next(self._numbers)}"
        with _Storing():
            return path, os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)


class StagingFolder:
    """A process's place in the storage's temporary folder, made when it is first needed.

    Whoever makes one clears those whose owners are dead: an owner holds a lock that the system gives back.
    """

    def __init__(self, parent: str, files: FileOperationsResource) -> None:
        self.unsynced = UnsyncedFiles(files)
        self._parent = parent
        self._files = files
        self._stager: Stager | None = None
        self._lock: int | None = None
        self._making = Lock()

    def stager(self) -> Stager:
        """Return what stages files here. Raises ObjectNotStored when the folder can't be made."""
        with self._making:
            if self._stager is None:
                with _Storing():
                    self._stager = Stager(self._make(), self._files, self.unsynced)
            return self._stager

    def close(self) -> None:
        """Remove the folder with what is left in it. Closing twice is closing once."""
        with self._making:
            stager, self._stager = self._stager, None
            lock, self._lock = self._lock, None
        self.unsynced.close()
        if stager is not None:
            shutil.rmtree(stager.folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)

    def leftovers(self) -> Iterator[str]:
        """Give the files that dead processes left, in order."""
        for name in _names(self._parent):
            path = f"{self._parent}/{name}"
            if name != _LOCK and _is_abandoned(path):
                inside = [f"{path}/{each}" for each in _names(path) if each != _LOCK]
                yield from inside if os.path.isdir(path) else [path]

    def others_are_staging(self) -> bool:
        """Say whether another process that is alive has a place here."""
        own = self._stager.folder if self._stager else None
        folders = (f"{self._parent}/{name}" for name in _names(self._parent) if name != _LOCK)
        return any(folder != own and not _is_abandoned(folder) for folder in folders)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold off every other process that would make or clear a staging folder; what stands there is cleared first.

        The storage's own folder must exist.
        """
        make_folder_entry(self._parent)
        lock = os.open(f"{self._parent}/{_LOCK}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._clear()
            yield
        finally:
            os.close(lock)

    def _make(self) -> str:
        with self.alone():
            folder = f"{self._parent}/{os.getpid()}-{token_hex(4)}"
            os.mkdir(folder)
            self._lock = os.open(f"{folder}/{_LOCK}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        return folder

    def _clear(self) -> None:
        for name in _names(self._parent):
            path = f"{self._parent}/{name}"
            if name != _LOCK and _is_abandoned(path):
                _remove(path)


def open_source(path: str | Path, files: FileOperationsResource) -> int:
    """Open a source for reading and return its descriptor. Raises NotARegularFile and SourceUnreadable."""
    try:
        return files.open_regular(os.fspath(path))
    except OSError as error:
        raise SourceUnreadable(error) from error


def _spare_descriptors() -> int:
    """Return how many descriptors the process can do without: a quarter of what it may have."""
    may_have, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _HELD_OPEN if may_have == resource.RLIM_INFINITY else min(_HELD_OPEN, may_have // 4)


class _Storing:
    """Turns what the system says while a copy is written into ObjectNotStored."""

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, OSError):
            raise ObjectNotStored(error) from error


def _is_abandoned(path: str) -> bool:
    """Say whether nobody alive holds a staging folder's lock; one without a lock was abandoned while it was made."""
    try:
        fd = os.open(f"{path}/{_LOCK}", os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(fd)
    return True


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
        return
    with suppress(OSError):
        os.unlink(path)


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
