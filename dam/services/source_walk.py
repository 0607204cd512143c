"""Walk over what a person asks to take in: files by name, in a fixed order, and why others are not taken."""

# ruff: noqa: PTH109, PTH116, PTH118, PTH119, PTH120, PTH121 - paths are strings here: many, and some too long for the system

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

from dam.core.exceptions import os_reason
from dam.core.file_operations import FileOperationsResource, kind_of

_DATABASE_COMPANIONS = ("-wal", "-shm", "-journal")  # SQLite's, beside the database
_TRUST_AFTER_NS = 2_000_000_000

type _Place = tuple[int, int]


@dataclass(slots=True)  # a frozen one, or a named tuple, takes twice as long to make
class WalkEntry:
    """A path that was come upon: to be read when neither ``skipped`` nor ``failed`` says why not.

    ``path`` is absolute, by the names as given and found, with surrogateescape; it may be longer than PATH_MAX. Of a
    file to be read there are its size and its ``stat_signature``.
    """

    path: str
    size_bytes: int = 0
    signature: str = ""
    skipped: str | None = None
    failed: str | None = None


@dataclass(frozen=True, slots=True)
class OwnFiles:
    """DAM's own folders and files, by device and inode, and the names that are its own in certain folders.

    Made after the storage and the database exist; SQLite's companions may come later.
    """

    folders: frozenset[_Place] = frozenset()
    files: frozenset[_Place] = frozenset()
    names: frozenset[tuple[_Place, str]] = frozenset()

    @classmethod
    def at(
        cls, *, storage: Path | str | None = None, database: Path | str | None = None, others: Iterable[Path | str] = ()
    ) -> "OwnFiles":
        """Find the storage folder, a SQLite database and other files of our own; one that is not there is no matter."""
        files = [os.path.realpath(path) for path in ([database] if database else []) + list(others)]
        named = {f"{files[0]}{end}" for end in ("", *_DATABASE_COMPANIONS)} if database else set()
        homes = {path: _place_at(os.path.dirname(path)) for path in named | set(files)}
        return cls(
            folders=frozenset(filter(None, [_place_at(storage)] if storage else [])),
            files=frozenset(filter(None, map(_place_at, files))),
            names=frozenset((home, os.path.basename(path)) for path, home in homes.items() if home),
        )

    def holds(self, path: str) -> bool:
        """Say whether a path really lies in a folder of our own, by way of any links."""
        if not self.folders:
            return False
        above = os.path.realpath(path)
        while (place := _place_at(above)) not in self.folders:
            if above == (above := os.path.dirname(above)):
                return False
        return place is not None


def stat_signature(found: os.stat_result) -> str:
    """Return what must be equal for a file to be held for unchanged: size, modification time (ns), inode, device."""
    return f"{found.st_size} {found.st_mtime_ns} {found.st_ino} {found.st_dev}"


def is_trustworthy(found: os.stat_result, read_at_ns: int) -> bool:
    """Say whether a later change to a file read at a moment (ns since the epoch) would show in its signature.

    A file modified less than two seconds before may be modified again without a new time; git calls it racy
    (https://git-scm.com/docs/racy-git). Neither is one trusted that was modified in the future.
    """
    return found.st_mtime_ns + _TRUST_AFTER_NS <= read_at_ns


class Walk:
    """A walk over paths: each is a file itself or a folder's files, and with ``recursive`` those of all folders below.

    The files of a folder come first, then its folders, each in the order of their names. Files behind symbolic links
    are taken, folders behind them are not, except those that were given. Memory holds the names of one folder and of
    the folders yet to enter; one or two descriptors are open at a time.

    It is iterated over once, or goes on ``step`` by step; between two steps it can be pickled, to go on elsewhere.
    """

    def __init__(
        self,
        roots: Iterable[Path | str],
        *,
        recursive: bool,
        own: OwnFiles,
        files: FileOperationsResource | None = None,
    ) -> None:
        self._roots = [_absolute(os.fspath(root)) for root in roots]
        self._roots.reverse()
        self._folders: list[str] = []
        self._recursive = recursive
        self._own = own
        self._files = files or FileOperationsResource()
        self._own_inodes = {inode for _, inode in own.files}
        self._own_names = {name for _, name in own.names}

    @property
    def is_over(self) -> bool:
        """Say whether all has been come upon."""
        return not (self._roots or self._folders)

    def __iter__(self) -> Iterator[WalkEntry]:
        while not self.is_over:
            yield from self.step()

    def step(self) -> Iterator[WalkEntry]:
        """Come upon what is in the next folder, or else upon the next of the paths that were given."""
        if not self._folders:
            yield from self._root(self._roots.pop())
            return
        below: list[str] = []
        yield from self._folder(self._folders.pop(), below)
        self._enter_later(below)

    def count(self) -> int:
        """Walk to the end, and return how many entries that makes; nothing but names is looked at, which is quick."""
        count = 0
        while not self.is_over:
            path = self._folders.pop() if self._folders else self._roots.pop()
            below: list[str] = []
            count += self._count(path, below)
            self._enter_later(below)
        return count

    def _enter_later(self, below: list[str]) -> None:
        if self._recursive:
            below.reverse()
            self._folders += below

    def _root(self, path: str) -> Iterator[WalkEntry]:
        try:
            found = self._files.stat(path)
        except OSError as error:
            yield _not_found(path, error)
            return
        if self._own.holds(path):
            yield WalkEntry(path, skipped="it lies in DAM's own storage")
        elif stat.S_ISDIR(found.st_mode):
            self._folders.append(path)
        else:
            home = _place_at(os.path.dirname(path))
            yield self._judged(path, os.path.basename(path), found, home)

    def _count(self, path: str, below: list[str]) -> int:
        try:
            fd = self._files.open_folder(path)
        except OSError:  # it is a file, or will be told of as one
            return 1
        try:
            entries, problem = _list(fd)
        finally:
            os.close(fd)
        below += [_inside(path, entry.name) for entry in entries if entry.is_dir(follow_symlinks=False)]
        return len(entries) - len(below) + (problem is not None)

    def _folder(self, path: str, below: list[str]) -> Iterator[WalkEntry]:
        """Give what is in one folder, and fill ``below`` with the folders in it, in order."""
        try:
            fd = self._files.open_folder(path)
        except OSError as error:
            yield WalkEntry(path, failed=f"can't be listed: {os_reason(error)}")
            return
        try:
            home = _place(os.fstat(fd))
            if home in self._own.folders:
                yield WalkEntry(path, skipped="it is DAM's own storage")
                return
            yield from self._listed(path, fd, home, below)
        finally:
            os.close(fd)

    def _listed(self, path: str, fd: int, home: _Place, below: list[str]) -> Iterator[WalkEntry]:
        entries, problem = _list(fd)
        prefix = _inside(path, "")
        own_inodes, own_names = self._own_inodes, self._own_names
        for entry in entries:  # one loop, because calls for each of many files would take as long as the system does
            name = entry.name
            if entry.is_dir(follow_symlinks=False):
                below.append(prefix + name)
                continue
            try:
                found = entry.stat()
            except OSError as error:
                yield _not_found(prefix + name, error)
                continue
            if entry.is_symlink():
                yield self._behind_link(prefix + name, name, found, home)
            elif stat.S_ISREG(found.st_mode) and found.st_ino not in own_inodes and name not in own_names:
                yield WalkEntry(prefix + name, found.st_size, stat_signature(found))
            else:
                yield self._judged(prefix + name, name, found, home)
        if problem:
            yield WalkEntry(path, failed=f"can't be listed whole: {os_reason(problem)}")

    def _behind_link(self, path: str, name: str, found: os.stat_result, home: _Place) -> WalkEntry:
        if stat.S_ISDIR(found.st_mode):
            return WalkEntry(path, skipped="a symbolic link to a folder")
        if self._own.holds(path):
            return WalkEntry(path, skipped="a symbolic link into DAM's own storage")
        return self._judged(path, name, found, home)

    def _judged(self, path: str, name: str, found: os.stat_result, home: _Place | None) -> WalkEntry:
        if not stat.S_ISREG(found.st_mode):
            return WalkEntry(path, skipped=kind_of(found.st_mode))
        if _place(found) in self._own.files or (home, name) in self._own.names:
            return WalkEntry(path, skipped="it is DAM's own database")
        return WalkEntry(path, found.st_size, stat_signature(found))


def _list(fd: int) -> tuple[list[os.DirEntry[str]], OSError | None]:
    """Return a folder's entries by name, and what cut the listing short, if anything did."""
    entries: list[os.DirEntry[str]] = []
    problem = None
    try:
        with os.scandir(fd) as listing:
            entries.extend(listing)
    except OSError as error:
        problem = error
    entries.sort(key=attrgetter("name"))
    return entries, problem


def _inside(folder: str, name: str) -> str:
    return folder + name if folder.endswith("/") else f"{folder}/{name}"


def _not_found(path: str, error: OSError) -> WalkEntry:
    return WalkEntry(path, failed=os_reason(error))


def _absolute(path: str) -> str:
    """Put the working folder before a relative path; names stay as given, ``..`` goes where that changes nothing."""
    joined = os.path.join(os.getcwd(), path)
    names = [name for name in joined.split("/") if name not in {"", "."}]
    kept = "/" + "/".join(names)
    return _without_parents(kept) if ".." in names else kept


def _without_parents(path: str) -> str:
    shorter = os.path.normpath(path)
    try:
        return shorter if os.path.samefile(path, shorter) else path
    except OSError:
        return path


def _place_at(path: Path | str) -> _Place | None:
    try:
        return _place(os.stat(path))
    except OSError:
        return None


def _place(found: os.stat_result) -> _Place:
    return found.st_dev, found.st_ino
