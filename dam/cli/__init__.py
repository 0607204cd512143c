"""The command line: parse, call, render. Importing this costs nothing; the program starts in ``main``."""

import gc
from collections.abc import Sequence
from typing import Any


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program with these arguments, or those of the process, and return its exit status."""
    if arguments is None:
        # What is imported stays: looking for garbage in it takes a tenth of the start. ``program`` ends this.
        gc.disable()
    try:
        from dam.cli.application import command

        status: int = command().main(arguments, prog_name="dam-cli", standalone_mode=False)
        if arguments is None:
            _pass_over_interruptions()
    except KeyboardInterrupt:  # before the program could see to it, or after
        return 130
    return status


def _pass_over_interruptions() -> None:
    """Let Ctrl-C change nothing any more: all is done and said, and only the interpreter has still to end."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)


def __getattr__(name: str) -> Any:
    """Give the Typer application under the name ``app``, imported when it is asked for."""
    if name == "app":
        from dam.cli.application import app

        return app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
