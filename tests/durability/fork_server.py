"""Starts the program as a process of its own without the time to import it: the imports are done once, here.

Run as ``python -m tests.durability.fork_server``; every line on stdin is a JSON document and is answered by a line:
``{"start": [argument, …], "environment": {…}, "output": FILE}`` by the process's id, which leads a group of its own,
``{"wait": PROCESS}`` by its status, negative for a signal, ``{"look": PROCESS}`` by 1 if it has ended and 0 if not.
"""

import importlib
import json
import os
import sys
from typing import Any

from dam.cli import main

PRELOADED = (
    "dam.cli.commands.add_asset",
    "sqlalchemy.dialects.sqlite.pysqlite",
    "sqlalchemy.dialects.postgresql.psycopg",
)


def serve() -> None:
    """Answer until stdin closes."""
    for module in PRELOADED:
        importlib.import_module(module)
    for line in sys.stdin:
        request = json.loads(line)
        sys.stdout.write(f"{_answer(request)}\n")
        sys.stdout.flush()


def _answer(request: dict[str, Any]) -> int:
    if "look" in request:
        return int(os.waitid(os.P_PID, request["look"], os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None)
    return _wait(request["wait"]) if "wait" in request else _start(request)


def _wait(process: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def _start(request: dict[str, Any]) -> int:
    process = os.fork()
    if process == 0:
        os.setsid()
        os.environ.update(request["environment"])
        _redirect(os.devnull, [0], os.O_RDONLY)
        _redirect(request["output"], [1, 2], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        status = main(request["start"])
        sys.stdout.flush()
        os._exit(status)
    return process


def _redirect(path: str, descriptors: list[int], flags: int) -> None:
    opened = os.open(path, flags, 0o644)
    for descriptor in descriptors:
        os.dup2(opened, descriptor)
    os.close(opened)


if __name__ == "__main__":
    serve()
