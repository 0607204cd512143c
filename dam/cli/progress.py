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

    ``find_total`` runs in a thread of its own, so that nothing waits for it. When all is done but the command still
    runs, ``afterwards`` says what is left, if anything. Lines that are printed meanwhile go through ``above``.
    """

    def __init__(self, noun: str, find_total: Callable[[], int], *, afterwards: Callable[[], str] = lambda: "") -> None:
        self._noun = noun
        self._find_total = find_total
        self._afterwards = afterwards
        self._done = 0
        self._total: int | None = None
        self._started = time.monotonic()
        self._ended = threading.Event()
        self._line = threading.Lock()
        self.is_shown = sys.stderr is not None and sys.stderr.isatty()

    def __enter__(self) -> Self:
        if self.is_shown:
            threading.Thread(target=self._count, name="counting", daemon=True).start()
            threading.Thread(target=self._redraw, name="progress", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        with self._line:
            self._write("")

    def advance(self, count: int = 1) -> None:
        """Say that so many more are done."""
        self._done += count

    def reach(self, done: int) -> None:
        """Say that so many are done in all."""
        self._done = done

    def above[T](self, print_line: Callable[[T], object], text: T) -> None:
        """Print a line where the progress stands, which is drawn again below it."""
        with self._line:
            self._write("")
            print_line(text)

    def _redraw(self) -> None:
        while not self._ended.wait(REDRAW_SECONDS):
            text = self._text()
            with self._line:
                if not self._ended.is_set():
                    self._write(text)

    def _text(self) -> str:
        remark = self._afterwards() if self._done == self._total else ""
        return remark or state(self._noun, self._done, self._total, time.monotonic() - self._started)

    def _write(self, text: str) -> None:
        if self.is_shown:
            sys.stderr.write(CLEAR_LINE + text)
            sys.stderr.flush()

    def _count(self) -> None:
        self._total = self._find_total()


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
