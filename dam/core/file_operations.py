"""The durable file primitives that a world owns: opening safely, syncing, publishing without overwriting, cloning."""

# ruff: noqa: PTH100, PTH102, PTH108, PTH112, PTH120 - paths are strings here: many, and some too long for the system

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property

from dam.core.exceptions import NotARegularFile

_PATH_MAX = 4096  # linux/limits.h, with the closing zero byte; a system with a smaller one says ENAMETOOLONG
_MOST_BYTES_A_CHARACTER = 4
_READ_SAFELY = os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
_NO_ACCESS_TIME = getattr(os, "O_NOATIME", 0)
_FOLDER = os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY
FOLDER_ON_THE_WAY = _FOLDER | getattr(os, "O_PATH", 0)
"""How a folder is opened that only leads to others: it need not be readable."""

_FICLONE = 0x40049409  # linux/fs.h: _IOW(0x94, 9, int)
_AT_FDCWD = -100
_RENAME_NOREPLACE = 1

type _Renameat2 = Callable[[str, str], int]  # returns the error number
type _SyncFileSystem = Callable[[int], bool]


class FileOperationsResource:
    """What the program does to files that has to be safe, durable, or true for paths of any length.

    Errors of the operating system pass as OSError unless named otherwise.
    """

    def __reduce__(self) -> tuple[type["FileOperationsResource"], tuple[()]]:
        """Travel to another process as a new one of the same kind: what was found in the C library stays here."""
        return type(self), ()

    def open_regular(self, path: str) -> int:
        """Open a file with content for reading and return its descriptor; symbolic links are followed.

        Never waits for a FIFO's other end and never opens a device. The access time is left alone where the system
        lets us. A path longer than PATH_MAX is walked in pieces. Raises NotARegularFile.
        """
        if len(path) * _MOST_BYTES_A_CHARACTER < _PATH_MAX:
            return _opened_regular(path, None)
        with self._within_reach(path) as (folder, name):
            return _opened_regular(name, folder)

    def open_folder(self, path: str) -> int:
        """Open a folder for listing and return its descriptor; as ``open_regular``."""
        with self._within_reach(path) as (folder, name):
            return _open_quietly(name, _FOLDER, folder)

    def stat(self, path: str) -> os.stat_result:
        """Return what a path of any length leads to, symbolic links followed."""
        with self._within_reach(path) as (folder, name):
            return os.stat(name, dir_fd=folder)

    def write_all(self, fd: int, data: bytes | memoryview) -> None:
        """Write every byte, going on after short writes."""
        written = os.write(fd, data)
        if written == len(data):
            return
        rest = memoryview(data)[written:]
        while rest:
            rest = rest[os.write(fd, rest) :]

    def sync_file(self, fd: int) -> None:
        """Wait until a file's content and length are on the disk.

        After an error the kernel may hold lost pages for clean ones, so the same descriptor must not be tried again.
        """
        os.fsync(fd)

    def close_written(self, fd: int) -> None:
        """Close a file that was written to; some file systems say only now that they could not write it.

        The descriptor is gone whatever comes of it, so it must not be closed again.
        """
        os.close(fd)

    def sync_and_close(self, fd: int) -> None:
        """Sync once with ``sync_file``, and close once with ``close_written`` whatever comes of that."""
        try:
            self.sync_file(fd)
        except BaseException:
            with suppress(OSError):
                self.close_written(fd)
            raise
        self.close_written(fd)

    def sync_folder(self, path: str) -> None:
        """Wait until the names in a folder are on the disk."""
        fd = os.open(path, _FOLDER)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def sync_file_system(self, fd: int) -> bool:
        """Wait until all that was written to the file system of an open file is on the disk; False if that is not sure.

        Raises OSError when anything could not be written since ``fd`` was opened; syncing each file tells which.
        """
        return self._sync_file_system is not None and self._sync_file_system(fd)

    def make_folder(self, path: str) -> None:
        """Make a folder and the parents it lacks, each durable in its own parent; one that is there is left alone."""
        if os.path.isdir(path):
            return
        parent = os.path.dirname(os.path.abspath(path))
        self.make_folder(parent)
        if make_folder_entry(path):
            self.sync_folder(parent)

    def rename_new(self, temporary: str, final: str) -> None:
        """Give a file its final name, or raise FileExistsError and leave both alone when the name is taken.

        One atomic renameat2(RENAME_NOREPLACE); where the kernel or the file system lacks it, a hard link and an
        unlink, which differ only in that a crash between the two leaves the temporary name too. Durable after
        ``sync_folder`` of the final folder.
        """
        if self._renameat2 is None or not _renamed_new(self._renameat2, temporary, final):
            os.link(temporary, final)
            os.unlink(temporary)

    def clone(self, source: int, target: int) -> bool:
        """Share a file's blocks with an empty target on the same file system; False where that can't be done."""
        try:
            fcntl.ioctl(target, _FICLONE, source)
        except OSError:
            return False
        return True

    @cached_property
    def _renameat2(self) -> _Renameat2 | None:
        return _find_renameat2()

    @cached_property
    def _sync_file_system(self) -> _SyncFileSystem | None:
        from dam.core.file_system_sync import find_sync_file_system  # as renameat2

        return find_sync_file_system()

    @contextmanager
    def _within_reach(self, path: str) -> Iterator[tuple[int | None, str]]:
        """Give a folder's descriptor and a path below it that the system takes; None for a path that it takes whole."""
        raw = os.fsencode(path)
        if len(raw) < _PATH_MAX:
            yield None, path
            return
        folder, rest = _walk_down(raw)
        try:
            yield folder, os.fsdecode(rest or b".")
        finally:
            os.close(folder)


def make_folder_entry(path: str) -> bool:
    """Make one folder; False when somebody else has. Raises FileExistsError when something else has the name."""
    try:
        os.mkdir(path)
    except FileExistsError:
        if not os.path.isdir(path):
            raise
        return False
    return True


def kind_of(mode: int) -> str:
    """Name what a mode says a path is, for people."""
    kinds: list[tuple[Callable[[int], bool], str]] = [
        (stat.S_ISREG, "a regular file"),
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISFIFO, "a FIFO"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a character device"),
        (stat.S_ISBLK, "a block device"),
    ]
    return next((name for holds, name in kinds if holds(mode)), "a special file")


def _demand_regular(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise NotARegularFile(kind_of(found.st_mode))


def _opened_regular(name: str, folder: int | None) -> int:
    _demand_regular(os.stat(name, dir_fd=folder))
    fd = _open_quietly(name, _READ_SAFELY, folder)
    try:
        _demand_regular(os.fstat(fd))
    except BaseException:
        os.close(fd)
        raise
    return fd


def _open_quietly(name: str, flags: int, folder: int | None) -> int:
    """Open without touching the access time where that is ours to decide: the owner's and root's right."""
    try:
        return os.open(name, flags | _NO_ACCESS_TIME, dir_fd=folder)
    except PermissionError as error:
        if error.errno != errno.EPERM:
            raise
        return os.open(name, flags, dir_fd=folder)


def _walk_down(path: bytes) -> tuple[int, bytes]:
    """Open the folders of a long path piece by piece; return the last one's descriptor and what is left of the path."""
    folder = os.open(b"/" if path.startswith(b"/") else b".", _FOLDER)
    rest = path.lstrip(b"/")
    try:
        while len(rest) >= _PATH_MAX:
            piece, rest = _split(rest)
            folder = _step(folder, piece)
    except BaseException:
        os.close(folder)
        raise
    return folder, rest


def _split(path: bytes) -> tuple[bytes, bytes]:
    end = path.rfind(b"/", 0, _PATH_MAX)
    if end < 0:
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
    return path[:end], path[end:].lstrip(b"/")


def _step(folder: int, piece: bytes) -> int:
    below = os.open(piece, FOLDER_ON_THE_WAY, dir_fd=folder)
    os.close(folder)
    return below


def _find_renameat2() -> _Renameat2 | None:
    """Look for the call in the C library; it is Linux's own (glibc 2.28, musl 1.2)."""
    import ctypes  # only adding files needs it, and it would cost every command's start

    library = ctypes.CDLL(None, use_errno=True)
    try:
        call = library.renameat2
    except AttributeError:
        return None
    call.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)

    def rename(temporary: str, final: str) -> int:
        done = call(_AT_FDCWD, os.fsencode(temporary), _AT_FDCWD, os.fsencode(final), _RENAME_NOREPLACE)
        return 0 if done == 0 else ctypes.get_errno()

    return rename


def _renamed_new(renameat2: _Renameat2, temporary: str, final: str) -> bool:
    """Rename without replacing; False where this kernel or file system can't."""
    number = renameat2(temporary, final)
    if number in {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}:
        return False
    if number:
        raise OSError(number, os.strerror(number), temporary, None, final)
    return True
