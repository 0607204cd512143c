"""Waiting that a signal can end, and work that it can't break."""

import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from types import FrameType
from typing import Any

STEP_SECONDS = 0.1


@contextmanager
def interruption_put_off(*, meanwhile: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Have Ctrl-C come after the block, which should end soon; ``meanwhile`` is called, and a second one comes at once.

    Python raises KeyboardInterrupt anywhere in the main thread, also between the taking of a lock and the statement
    that would see to its release: ``threading`` and ``concurrent.futures`` are full of such places, if only in
    ``Future.done()``. The thread that needs the lock next waits for ever then, and so does whoever waits for the
    thread. What shares such an object with another thread is to be used in a block of this. It does nothing in other
    threads, and when SIGINT raises nothing.
    """
    handler = signal.getsignal(signal.SIGINT)
    if not callable(handler) or threading.current_thread() is not threading.main_thread():
        yield
        return
    come = 0

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal come
        come += 1
        if come == 1:
            meanwhile()
        else:
            handler(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if come == 1:
            signal.raise_signal(signal.SIGINT)


def is_done(future: Future[Any]) -> bool:
    """Say whether a future has its result, as it would itself, but for Ctrl-C."""
    with interruption_put_off():
        return future.done()


def result_of[T](future: Future[T]) -> T:
    """Return a future's result, or raise its error, waiting in short steps.

    Python runs a signal's handler between two instructions: for a signal that arrives when the last one before an
    unbounded wait has been run, that is after the wait. Ctrl-C would then do nothing until a large file is read.
    """
    while True:
        with interruption_put_off():
            if future.done() or wait([future], timeout=STEP_SECONDS).done:
                return future.result()
