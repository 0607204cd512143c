"""Waiting that a signal can end."""

from concurrent.futures import Future, wait

STEP_SECONDS = 0.5


def result_of[T](future: Future[T]) -> T:
    """Return a future's result, or raise its error, waiting in short steps.

    Python runs a signal's handler between two instructions: for a signal that arrives when the last one before an
    unbounded wait has been run, that is after the wait. Ctrl-C would then do nothing until a large file is read.
    """
    while not future.done():
        wait([future], timeout=STEP_SECONDS)
    return future.result()
