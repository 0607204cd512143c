"""The line that says how far a long command is."""

import io

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


def test_on_a_terminal_the_line_is_drawn_and_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr("dam.cli.progress.REDRAW_SECONDS", 0)
    with Progress("files", lambda: 2) as progress:
        progress.advance()
        progress.above(lambda line: terminal.write(f"{line}\n"), "a note")
    written = terminal.getvalue()
    assert "1 of 2 files" in written or "1 files" in written
    assert "\r\x1b[Ka note\n" in written
    assert written.endswith("\r\x1b[K")


def test_in_a_pipe_there_is_nothing_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = io.StringIO()
    monkeypatch.setattr("sys.stderr", pipe)
    with Progress("files", lambda: 2) as progress:
        progress.advance()
    assert pipe.getvalue() == ""
