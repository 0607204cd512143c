"""Starts the program as a process of its own without the time to import it: the imports are done once, here.

Run as ``python -m tests.fork_server DESCRIPTOR`` with a Unix socket. Every message is a JSON document and is answered
by a number: ``{"arguments": [...], "environment": {...}, "folder": PATH}``, which comes with the descriptors of the
three standard streams, by the process's id, which leads a group of its own; ``{"look": PROCESS}`` by its status,
negative for a signal, or 1000 while it runs. A process with ``"code": TEXT`` runs that in the place of the program,
after the server has imported ``"modules": [...]``; with ``"traced": true`` it waits for a tracer, with
``"rights_of_root": false`` it obeys the modes of files; and it obeys ``"limits": {"nofile": 14}``.
"""

import atexit
import ctypes
import gc
import importlib
import io
import json
import os
import pkgutil
import resource
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import dam.cli.commands
from dam.cli import main

RUNNING = 1000
PR_CAPBSET_DROP, CAPABILITY_VERSION = 24, 0x20080522  # linux/prctl.h, linux/capability.h
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2
MESSAGE_BYTES = 1 << 20
LIBRARIES = (
    "alembic.command",
    "asyncio",
    "logging.config",
    "numpy",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite.pysqlite",
)


def serve(connection: socket.socket) -> Callable[[], int] | None:
    """Answer until the connection closes; in each process that is to be a program, return that."""
    _import_all()
    connection.send(b"ready")
    while True:
        message, descriptors, _, _ = socket.recv_fds(connection, MESSAGE_BYTES, 3)
        if not message:
            return None
        request = json.loads(message)
        for name in request.get("modules", []):
            importlib.import_module(name)
        answer = _status_of(request["look"]) if "look" in request else os.fork()
        if answer == 0 and "look" not in request:
            connection.close()
            _become(request, descriptors)
            return partial(_run, request["code"]) if request.get("code") else main
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
    gc.collect()
    gc.freeze()  # so that no process copies what it shares with the others only to look for garbage in it


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
    for name, limit in request.get("limits", {}).items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{name.upper()}"), (limit, limit))
    if not request.get("rights_of_root", True):
        _obey_modes_of_files()
    if request.get("traced"):
        _wait_for_tracer()
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdin = sys.__stdin__ = open(0, encoding="utf-8", closefd=False)  # type: ignore[misc]  # noqa: SIM115
    sys.stdout = sys.__stdout__ = _output(1)  # type: ignore[misc]  # final by its type, but not in another process
    sys.stderr = sys.__stderr__ = _output(2)  # type: ignore[misc]  # as above


def _run(code: str) -> int:
    exec(compile(code, "<code>", "exec"), {"__name__": "__main__"})
    return 0


def _obey_modes_of_files() -> None:
    """Give up what lets root pass over the modes of files, here and in all programs that this one starts."""
    libc = ctypes.CDLL(None, use_errno=True)
    for right in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
        libc.prctl(PR_CAPBSET_DROP, right, 0, 0, 0)
    header = struct.pack("=Ii", CAPABILITY_VERSION, 0)
    held = ctypes.create_string_buffer(24)
    libc.capget(header, held)
    sets = [number & ~(1 << CAP_DAC_OVERRIDE | 1 << CAP_DAC_READ_SEARCH) for number in struct.unpack("=6I", held.raw)]
    if libc.capset(header, struct.pack("=6I", *sets)) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def _wait_for_tracer() -> None:
    while "TracerPid:\t0\n" in Path("/proc/self/status").read_text():
        time.sleep(0.001)
    time.sleep(0.02)  # until the tracer has said what it wants


def _output(descriptor: int) -> Any:
    if "PYTHONUNBUFFERED" in os.environ:
        return io.TextIOWrapper(io.FileIO(descriptor, "w", closefd=False), encoding="utf-8", write_through=True)
    buffering = 1 if descriptor == 2 or os.isatty(descriptor) else -1
    return open(descriptor, "w", buffering, encoding="utf-8", closefd=False)


def _end(status: int) -> NoReturn:
    """End as the interpreter would, but leave it to the system to clear the memory away, which is quicker."""
    threading._shutdown()  # type: ignore[attr-defined]  # what waits for threads, and for those of the executors
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            status = 120  # the interpreter's own for this
    os._exit(status)


if __name__ == "__main__" and (program := serve(socket.socket(fileno=int(sys.argv[1])))):
    _end(program())
