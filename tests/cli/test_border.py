"""Errors at the border: what a person can mend is one line, a bug keeps its traceback."""

import pytest
import typer

from dam.cli import output
from dam.cli.border import UnusableInput, guarded
from dam.core.exceptions import DamError, EventHandlingError, StageExecutionError


def _raising(error: BaseException) -> int:
    raise error


def _system() -> None:
    """Stand for a system that failed."""


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (UnusableInput("x: no such file"), 2, "Error: x: no such file"),
        (UnusableInput("a\n\x1b"), 2, "Error: a\\x0a\\x1b"),
        (PermissionError(13, "Permission denied", "/root/x"), 2, "Error: /root/x: Permission denied"),
        (OSError(28, "No space left on device"), 2, "Error: No space left on device"),
        (typer.BadParameter("too large"), 2, "Error: Invalid value: too large"),
        (KeyboardInterrupt(), 130, "Interrupted. "),
        (output.OutputLost(OSError(28, "No space left on device")), 2, "Error: the output can't be written: No space"),
        (StageExecutionError("stage", _system, OSError(5, "Input/output error")), 2, "Error: stage stage: "),
        (EventHandlingError(object(), _system, UnusableInput("mend me")), 2, "Error: event object: "),
    ],
)
def test_what_can_be_mended_is_one_line(
    capsys: pytest.CaptureFixture[str], error: BaseException, status: int, line: str
) -> None:
    assert guarded(lambda: _raising(error)) == status
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(line)
    assert printed.err.count("\n") == 1


def test_what_fails_for_the_sake_of_an_interruption_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    def run() -> int:
        try:
            return _raising(KeyboardInterrupt())
        finally:
            _raising(AssertionError())  # as of SQLAlchemy about a connection whose closing was interrupted

    assert guarded(run) == 130
    assert capsys.readouterr().err.startswith("Interrupted. ")


def test_a_reader_that_is_gone_is_told_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(lambda: _raising(output.OutputLost(BrokenPipeError()))) == 141
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("wrap", [lambda bug: bug, lambda bug: StageExecutionError("stage", _system, bug)])
def test_a_bug_keeps_its_traceback(wrap: type[BaseException]) -> None:
    with pytest.raises((ZeroDivisionError, StageExecutionError)):
        guarded(lambda: _raising(wrap(ZeroDivisionError())))


@pytest.mark.parametrize(("answer", "status"), [(None, 0), (0, 0), (1, 1)])
def test_without_an_error_the_status_is_the_command_s(answer: int | None, status: int) -> None:
    assert guarded(lambda: answer) == status


def test_errors_of_the_border_are_the_program_s() -> None:
    assert issubclass(UnusableInput, DamError)
