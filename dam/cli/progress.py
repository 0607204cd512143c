"""One line on a terminal that says how far a long command is; nothing when stderr is no terminal."""

import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

REDRAW_SECONDS = 0.2
CLEAR_LINE = "\r\x1b[K"


class Progress:
    """Counts what is done, and shows it with the rate and, once the total is known, the time left.

    ``find_total`` runs in a thread of its own, so that nothing waits for it. Lines that are printed meanwhile go
    through ``above``.
    """

    def __init__(self, noun: str, find_total: Callable[[], int]) -> None:
        self._noun = noun
        self._find_total = find_total
        self.is_shown = sys.stderr is not None and sys.stderr.isatty()
        self._done = 0
        self._total: int | None = None
        self._started = self._drawn = time.monotonic()

    def __enter__(self) -> Self:
        if self.is_shown:
            threading.Thread(target=self._count, name="counting", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clear()

    def advance(self, count: int = 1) -> None:
        """Say that so many more are done."""
        self.reach(self._done + count)

    def reach(self, done: int) -> None:
        """Say that so many are done in all."""
        self._done = done
        now = time.monotonic()
        if self.is_shown and now - self._drawn >= REDRAW_SECONDS:
            self._drawn = now
            sys.stderr.write(CLEAR_LINE + state(self._noun, done, self._total, now - self._started))
            sys.stderr.flush()

    def above[T](self, print_line: Callable[[T], object], text: T) -> None:
        """Print a line where the progress stood, which is drawn again below it."""
        self._clear()
        print_line(text)

    def _clear(self) -> None:
        if self.is_shown:
            sys.stderr.write(CLEAR_LINE)
            sys.stderr.flush()
            self._drawn = 0.0

    def _count(self) -> None:
        try:
            self._total = self._find_total()
        except OSError:
            self._total = None  # the work itself will say what is wrong


def state(noun: str, done: int, total: int | None, seconds: float) -> str:
    """Return how far the work is: ``1,200 of 5,000 files, 80/s, 0:48 left``."""
    rate = done / seconds if seconds > 0 else 0.0
    of_total = f" of {total:,}" if total is not None else ""
    left = f", {_clock((total - done) / rate)} left" if total is not None and rate > 0 and total >= done else ""
    return f"{done:,}{of_total} {noun}, {rate:,.{0 if rate >= 10 else 1}f}/s{left}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
