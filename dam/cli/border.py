"""Where errors become text and an exit status."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Any, TypeGuard

from typer.exceptions import TyperException

from dam.cli import output
from dam.core.exceptions import DamError, EventHandlingError, StageExecutionError, os_reason, stems_from_interruption

AGAIN_SECONDS = 0.01  # enough to be out of what was being destroyed


class ExitStatus(IntEnum):
    """What the program's exit status says."""

    DONE = 0
    NOTHING_FOUND = 1
    SOME_FAILED = 1
    UNUSABLE = 2
    INTERRUPTED = 130
    NOBODY_READS = 141


class UnusableInput(DamError):
    """What the person asks for can't be done; the text says why."""


def guarded(run: Callable[[], int | None]) -> int:
    """Run the program and return its exit status; an error that a person can mend is one line on stderr.

    A bug passes, with its traceback.
    """
    output.prepare()
    try:
        with _no_interruption_lost():
            status = run() or ExitStatus.DONE
            output.finish()
    except output.OutputLost as error:
        return _output_lost(error.cause)
    except KeyboardInterrupt:
        return _interrupted()
    except TyperException as error:
        output.note(_usage_error(error))
        return ExitStatus.UNUSABLE
    except Exception as error:
        if stems_from_interruption(error):
            _log_in_full(error)
            return _interrupted()
        if not _can_be_mended(error):
            raise
        return _failed(error)
    return _interrupted() if status == ExitStatus.INTERRUPTED else status


@contextmanager
def _no_interruption_lost() -> Iterator[None]:
    """Have Ctrl-C come again when Python can only print it, because it came while an object was being destroyed."""
    before = sys.unraisablehook

    def hook(unraisable: Any) -> None:
        if isinstance(unraisable.exc_value, KeyboardInterrupt):
            import signal
            import threading

            # A signal ends the waiting of the thread to which it is sent, and of no other.
            again = threading.Timer(AGAIN_SECONDS, signal.pthread_kill, [threading.main_thread().ident, signal.SIGINT])
            again.daemon = True
            again.start()
        else:
            before(unraisable)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before


def _interrupted() -> int:
    output.note("Interrupted. What was reported as done is safe; run the command again for the rest.")
    return ExitStatus.INTERRUPTED


def _output_lost(cause: OSError) -> int:
    output.give_up()
    if isinstance(cause, BrokenPipeError):
        return ExitStatus.NOBODY_READS
    output.note(f"Error: the output can't be written: {os_reason(cause)}")
    return ExitStatus.UNUSABLE


def _can_be_mended(error: BaseException) -> TypeGuard[DamError | OSError]:
    while isinstance(error, StageExecutionError | EventHandlingError):
        error = error.original_exception
    return isinstance(error, DamError | OSError)


def _failed(error: DamError | OSError) -> int:
    _log_in_full(error)
    output.note(f"Error: {output.visible(_wording(error))}")
    return ExitStatus.UNUSABLE


def _log_in_full(error: Exception) -> None:
    import logging

    logging.getLogger(__name__).debug("the error in full:", exc_info=error)


def _wording(error: DamError | OSError) -> str:
    if isinstance(error, DamError):
        return str(error)
    return f"{error.filename}: {os_reason(error)}" if isinstance(error.filename, str) else os_reason(error)


def _usage_error(error: TyperException) -> str:
    message = f"Error: {output.visible(error.format_message())}"
    context = getattr(error, "ctx", None)
    return message if context is None else f"{message} (see {context.command_path} --help)"
