"""Threads that read contents, in order and with a bounded number under way."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from types import TracebackType
from typing import Self

from dam.core.waiting import interruption_put_off, result_of

UNDER_WAY = 256


class ReadingThreads:
    """Threads that read contents; hashing and reading leave the interpreter free, so that all cores work.

    A context manager: leaving it by an exception tells what is under way to stop, so that nobody waits for it.
    """

    def __init__(self, count: int) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="reading")
        self._stopped = Event()

    def is_stopped(self) -> bool:
        """Say whether what is under way should stop."""
        return self._stopped.is_set()

    def submit[**P, R](self, do: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Do something as soon as a thread is free."""
        with interruption_put_off():
            return self._pool.submit(do, *args, **kwargs)

    def map[T, R](self, do: Callable[[T], R], items: Iterable[T]) -> Iterator[tuple[T, R]]:
        """Do something with each item and give both, in their order."""
        under_way: deque[tuple[T, Future[R]]] = deque()
        for item in items:
            under_way.append((item, self.submit(do, item)))
            if len(under_way) >= UNDER_WAY:
                yield _first(under_way)
        while under_way:
            yield _first(under_way)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with interruption_put_off():
            if kind is not None:
                self._stopped.set()
            self._pool.shutdown(wait=False, cancel_futures=kind is not None)
        self._pool.shutdown()  # to wait for the threads, which Ctrl-C may end


def _first[T, R](under_way: deque[tuple[T, Future[R]]]) -> tuple[T, R]:
    item, future = under_way.popleft()
    return item, result_of(future)
