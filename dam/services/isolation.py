"""Tasks in worker processes that can do no harm: each has a time limit and a memory limit, and fails alone.

Libraries were tried first. A ``ProcessPoolExecutor`` fails every pending future when one worker dies and has no time
limits. Pebble 5.2 has them and is as quick, but an idle worker killed from outside, or an exception that can't be
unpickled, breaks its pool for all tasks that follow, and its workers outlive a parent that is killed while they work.
"""

import pickle
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, Future
from functools import partial
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

from dam.core.waiting import interruption_put_off
from dam.services.isolation_dispatch import Dispatcher
from dam.services.isolation_processes import Task

P = ParamSpec("P")
T = TypeVar("T")


class IsolatedExecutor(Executor):
    """Run functions in at most ``jobs`` worker processes, started when needed and replaced when they die.

    A task has ``timeout_seconds`` from its start in a worker, which is killed when they are over, and the whole address
    space of a worker is limited to ``memory_bytes``. The future then fails with a ``TaskFailed`` that says which; other
    tasks don't notice. An exception of the task itself arrives as it is, its traceback added as a note. A task whose
    worker is killed by somebody else, or by the system when memory is short, runs once more, alone, before it fails.

    Short tasks are sent ahead, so that a worker needn't wait for the next one, nor the program be woken for each; a
    worker with nothing to do gets those in line at another. What was sent ahead can't be cancelled any more.

    Functions are found by module and name, so they can't live in ``__main__``, which workers never import. The modules
    named in ``preload`` are imported once and shared by all workers. Workers have no terminal: what a library prints
    is lost. Whatever kills this process ends the workers too.

    When workers can't be started at all, every future fails with ``WorkersUnavailable``.
    """

    def __init__(
        self, *, jobs: int, timeout_seconds: float = 20, memory_bytes: int = 1 << 30, preload: Sequence[str] = ()
    ) -> None:
        self._new_dispatcher = partial(
            Dispatcher, jobs=jobs, timeout_seconds=timeout_seconds, memory_bytes=memory_bytes, preload=tuple(preload)
        )
        self._lock = threading.Lock()
        self._closed = False
        self._dispatcher: Dispatcher | None = None

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Queue a call; tasks start in the order in which they came.

        Raises at once what pickling the call raises, and RuntimeError after ``shutdown``.
        """
        return self._queued([_task(fn, args, kwargs)])[0]

    def submit_all[A, R](self, function: Callable[[A], R], inputs: Iterable[A]) -> list[Future[R]]:
        """Queue a call for each input, as ``submit`` does, at less cost: nobody is woken in between."""
        return self._queued([_task(function, (value,), {}) for value in inputs])

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks, and end the workers when those taken are done.

        With ``cancel_futures`` nothing is waited for: queued tasks are cancelled, running ones are killed and their
        futures raise ``concurrent.futures.CancelledError``. When ``wait`` is true, no process is left on return.
        A second call may still cancel.
        """
        with interruption_put_off():
            with self._lock:
                self._closed = True
                dispatcher = self._dispatcher
            if dispatcher is not None:
                dispatcher.close(cancel=cancel_futures)
        if dispatcher is not None and wait:
            dispatcher.join()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Shut down; when an error or an interrupt ends the block, without doing the rest."""
        self.shutdown(cancel_futures=kind is not None)

    def _queued(self, tasks: list[Task]) -> list[Future[Any]]:
        with interruption_put_off(), self._lock:
            if self._closed:
                raise RuntimeError("cannot schedule new futures after shutdown")
            self._started_dispatcher().add(tasks)
        return [task.future for task in tasks]

    def _started_dispatcher(self) -> Dispatcher:
        if self._dispatcher is None:
            self._dispatcher = self._new_dispatcher()
            self._dispatcher.start()
        return self._dispatcher


def _task(function: Callable[..., object], args: tuple[object, ...], kwargs: dict[str, Any]) -> Task:
    return Task(Future(), pickle.dumps((function, args, kwargs), pickle.HIGHEST_PROTOCOL))
