"""The line that says how far a long command is."""

import io
import time

import pytest

from dam.cli.progress import Progress, state


@pytest.mark.parametrize(
    ("done", "total", "seconds", "shown"),
    [
        (0, None, 0.0, "0 files, 0.0/s"),
        (5, None, 1.0, "5 files, 5.0/s"),
        (1200, 5000, 15.0, "1,200 of 5,000 files, 80/s, 0:48 left"),
        (10, 100_010, 10.0, "10 of 100,010 files, 1.0/s, 27:46:40 left"),
        (3, 2, 1.0, "3 of 2 files, 3.0/s"),
    ],
)
def test_the_state_has_rate_and_time_left(done: int, total: int | None, seconds: float, shown: str) -> None:
    assert state("files", done, total, seconds) == shown


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _use_terminal(monkeypatch: pytest.MonkeyPatch) -> _Terminal:
    """Put a terminal in the place of stderr; a fixture could not, because pytest puts its own there after it."""
    terminal = _Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    return terminal


def _wait_for(text: str, terminal: _Terminal) -> None:
    deadline = time.monotonic() + 20
    while text not in terminal.getvalue():
        assert time.monotonic() < deadline, terminal.getvalue()
        time.sleep(0.01)


def test_on_a_terminal_the_line_is_drawn_and_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _use_terminal(monkeypatch)
    with Progress("files", lambda: 2) as progress:
        progress.advance()
        _wait_for("1 of 2 files", terminal)
        progress.above(terminal.write, "a note\n")
    assert "\r\x1b[Ka note\n" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\x1b[K")


def test_when_all_is_done_it_says_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _use_terminal(monkeypatch)
    with Progress("files", lambda: 1, afterwards=lambda: "tidying up") as progress:
        progress.reach(1)
        _wait_for("tidying up", terminal)


def test_in_a_pipe_there_is_nothing_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = io.StringIO()
    monkeypatch.setattr("sys.stderr", pipe)
    with Progress("files", lambda: 2) as progress:
        progress.advance()
    assert pipe.getvalue() == ""
