"""Who takes files in: threads of this process, and other processes for folders with many small files."""

from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from dam.core.events import ImportedFile
from dam.core.exceptions import TaskFailed, WorkersUnavailable
from dam.core.waiting import is_done, result_of
from dam.services.file_storage import FileStorage
from dam.services.intake import Intake, Refused
from dam.services.isolation import IsolatedExecutor
from dam.services.reading_threads import ReadingThreads

THREADS = 2
TAKEN_HERE = 240  # so many files are read sooner than processes are started
_PRELOADED = ("dam.services.intake",)
_TIMEOUT_SECONDS = 24 * 3600  # small files, but of a disk that may be as slow as it likes

type Taken = list[ImportedFile | Refused]


@dataclass(frozen=True)
class IntakeProcesses:
    """A world's resource: how many processes may take its files in."""

    count: int


@dataclass(frozen=True, slots=True)
class Group:
    """Files that are being taken in together."""

    paths: Sequence[str]
    future: Future[Taken]

    @property
    def is_taken(self) -> bool:
        """Tell whether nobody has to wait for it."""
        return is_done(self.future)


class IntakePool:
    """Takes groups of files in, several at a time.

    A small file costs a dozen calls of the system and as much Python, which only one thread of a process runs at a
    time, while the database's side of it wants to run too. Large files keep a thread busy with hashing, which others
    needn't wait for. A context manager: leaving it by an exception gives up what is under way.
    """

    def __init__(self, intake: Intake, storage: FileStorage | None, processes: int) -> None:
        self._intake = intake
        self._storage = storage
        self._count = 0
        self._open = ExitStack()
        self._threads = self._open.enter_context(ReadingThreads(THREADS))
        self._elsewhere: Intake | None = None
        self._processes: IsolatedExecutor | None = None
        if processes:
            executor = IsolatedExecutor(jobs=processes, timeout_seconds=_TIMEOUT_SECONDS, preload=_PRELOADED)
            self._processes = self._open.enter_context(executor)

    def submit(self, paths: Sequence[str], *, are_small: bool) -> Group:
        """Begin to take files in."""
        self._count += len(paths)
        future = self._submitted_elsewhere(paths) if are_small and self._count > TAKEN_HERE else None
        if future is None:
            future = self._submitted_here(paths)
        return Group(paths, future)

    def result(self, group: Group) -> Taken:
        """Wait for a group. One whose process could not be started or died is taken in by a thread here."""
        try:
            return result_of(group.future)
        except (TaskFailed, WorkersUnavailable):
            return result_of(self._submitted_here(group.paths))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)

    def _submitted_here(self, paths: Sequence[str]) -> Future[Taken]:
        return self._threads.submit(self._intake.take, paths, self._threads.is_stopped)

    def _submitted_elsewhere(self, paths: Sequence[str]) -> Future[Taken] | None:
        """Give a group to the processes; None when there are none or they can't reach the storage."""
        if self._processes is None:
            return None
        if self._elsewhere is None:
            self._elsewhere = self._for_others()
        if self._elsewhere is None:
            self._processes = None
            return None
        return self._processes.submit(self._elsewhere.take, paths)

    def _for_others(self) -> Intake | None:
        if self._storage is None:
            return self._intake
        deposit = self._storage.deposit_elsewhere()
        return None if deposit is None else replace(self._intake, deposit=deposit)
