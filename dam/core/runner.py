"""Runs coroutines so that Ctrl-C ends them in order."""

import asyncio
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self

from dam.core.waiting import interruption_put_off


class Runner:
    """Runs coroutines one after another. Ctrl-C cancels the one that runs, and is raised when that has ended.

    ``asyncio.Runner`` does so only once it runs: before, while it makes its loop, and while it closes, Ctrl-C leaves
    warnings on stderr of what was never awaited, or a CancelledError that nobody expects. A context manager.
    """

    def __init__(self) -> None:
        self._runner = asyncio.Runner()

    def run[**P, R](self, function: Callable[P, Coroutine[Any, Any, R]], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a coroutine function, and return or raise what it does."""
        task: asyncio.Task[R] | None = None
        interrupted = False

        def interrupt() -> None:
            nonlocal interrupted
            interrupted = True
            if task is not None and not task.done():
                task.cancel()
                task.get_loop().call_soon_threadsafe(lambda: None)  # so that it does not wait for anything else first

        async def main() -> R:
            nonlocal task
            task = asyncio.current_task()
            if interrupted:
                raise asyncio.CancelledError
            return await function(*args, **kwargs)

        with interruption_put_off(meanwhile=interrupt):
            return self._runner.run(main())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with interruption_put_off():
            self._runner.close()
