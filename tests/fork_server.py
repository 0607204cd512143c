"""Starts the program as a process of its own without the time to import it: the imports are done once, here.

Run as ``python -m tests.fork_server DESCRIPTOR`` with a Unix socket. Every message is a JSON document and is answered
by a number: ``{"arguments": [...], "environment": {...}, "folder": PATH}``, which comes with the descriptors of the
three standard streams, by the process's id, which leads a group of its own and with ``"traced": true`` waits for
a tracer and obeys ``"limits": {"nofile": 14}``; ``{"look": PROCESS}`` by its status,
negative for a signal, or 1000 while it runs.
"""

import importlib
import io
import json
import os
import pkgutil
import resource
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

import dam.cli.commands
from dam.cli import main

RUNNING = 1000
MESSAGE_BYTES = 1 << 20
LIBRARIES = (
    "alembic.command",
    "asyncio",
    "logging.config",
    "numpy",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite.pysqlite",
)


def serve(connection: socket.socket) -> bool:
    """Answer until the connection closes; True in each process that is to be the program."""
    _import_all()
    connection.send(b"ready")
    while True:
        message, descriptors, _, _ = socket.recv_fds(connection, MESSAGE_BYTES, 3)
        if not message:
            return False
        request = json.loads(message)
        answer = _status_of(request["look"]) if "look" in request else os.fork()
        if answer == 0 and "look" not in request:
            connection.close()
            _become(request, descriptors)
            return True
        for descriptor in descriptors:
            os.close(descriptor)
        connection.send(str(answer).encode())


def _import_all() -> None:
    for module in pkgutil.iter_modules(dam.cli.commands.__path__, "dam.cli.commands."):
        importlib.import_module(module.name)
    for name in LIBRARIES:
        importlib.import_module(name)
    from sqlalchemy.orm import configure_mappers

    configure_mappers()


def _status_of(process: int) -> int:
    ended, status = os.waitpid(process, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else RUNNING


def _become(request: dict[str, Any], descriptors: list[int]) -> None:
    """Take on what a process started by itself has: group, folder, environment, arguments, streams."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = ["dam-cli", *request["arguments"]]
    for name, limit in request["limits"].items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{name.upper()}"), (limit, limit))
    if request["traced"]:
        _wait_for_tracer()
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdin = sys.__stdin__ = open(0, encoding="utf-8", closefd=False)  # type: ignore[misc]  # noqa: SIM115
    sys.stdout = sys.__stdout__ = _output(1)  # type: ignore[misc]  # final by its type, but not in another process
    sys.stderr = sys.__stderr__ = _output(2)  # type: ignore[misc]  # as above


def _wait_for_tracer() -> None:
    while "TracerPid:\t0\n" in Path("/proc/self/status").read_text():
        time.sleep(0.001)
    time.sleep(0.02)  # until the tracer has said what it wants


def _output(descriptor: int) -> Any:
    if "PYTHONUNBUFFERED" in os.environ:
        return io.TextIOWrapper(io.FileIO(descriptor, "w", closefd=False), encoding="utf-8", write_through=True)
    buffering = 1 if descriptor == 2 or os.isatty(descriptor) else -1
    return open(descriptor, "w", buffering, encoding="utf-8", closefd=False)


if __name__ == "__main__" and serve(socket.socket(fileno=int(sys.argv[1]))):
    sys.exit(main())
