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
    except KeyboardInterrupt:
        return 130
    status: int = command().main(arguments, prog_name="dam-cli", standalone_mode=False)
    return status


def __getattr__(name: str) -> Any:
    """Give the Typer application under the name ``app``, imported when it is asked for."""
    if name == "app":
        from dam.cli.application import app

        return app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
