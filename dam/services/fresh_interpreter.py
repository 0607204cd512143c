"""How a Python of our own is started in another process, without importing the program's ``__main__`` there."""

import json
import sys
from collections.abc import Callable


def command(function: Callable[..., object], *arguments: object) -> list[str]:
    """Return the command line that calls a module's function, with arguments that JSON knows."""
    boot = (
        "import json, sys; sys.path[:], *arguments = json.loads(sys.argv[1]); "
        f"from {function.__module__} import {function.__name__}; {function.__name__}(*arguments)"
    )
    return [sys.executable, "-c", boot, json.dumps([sys.path, *arguments])]
