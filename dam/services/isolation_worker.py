"""The loop of a worker process of ``isolation``, and how tasks and outcomes are laid out between it and the program.

Two sockets lead to a worker. Through its *line* come small calls, a message each, as many ahead as the program likes;
it may take back those that have not been begun. The worker *rings* by a message in the other direction. Outcomes go
through its *channel*, a stream, and large calls come through it.
"""

import os
import pickle
import resource
import socket
import struct
import time
import traceback
from contextlib import suppress

from dam.core.exceptions import OutcomeNotPicklable

TASK_HEADER = struct.Struct("!Q?Q")
"""The task's number; whether to ring when it is done; bytes of a call that comes through the channel, else 0."""

OUTCOME_HEADER = struct.Struct("!Q?d")
"""Bytes that follow; whether the worker ends after this outcome; seconds that the task took."""

RING = b"."
SMALL_BYTES = 1 << 15
"""Calls up to this size fit into the line. Of a larger outcome the worker tells when it begins to send it."""

GROWTH_DIVISOR = 4
"""A worker ends when what earlier tasks left behind takes more than this part of the memory limit."""

_MESSAGE_BYTES = TASK_HEADER.size + SMALL_BYTES


def work(line: socket.socket, channel: socket.socket, memory_bytes: int) -> None:
    """Answer task after task until nobody asks any more; an outcome is sent before the next task begins.

    The channel stays open until the process ends: its closing tells that the exit code is settled.
    """
    address_space = _AddressSpace()
    most = address_space.size() + memory_bytes // GROWTH_DIVISOR
    while message := _next(line):
        _, ring, size = TASK_HEADER.unpack_from(message)
        call = _read(channel, size) if size else memoryview(message)[TASK_HEADER.size :]
        began = time.monotonic()
        outcome = _outcome(call)
        last = address_space.size() > most
        _send(line, channel, OUTCOME_HEADER.pack(len(outcome), last, time.monotonic() - began) + outcome)
        if last:
            return
        if ring:
            line.send(RING)


def _next(line: socket.socket) -> bytes:
    """Return the next message, empty at the end; ring before waiting for it."""
    try:
        return line.recv(_MESSAGE_BYTES, socket.MSG_DONTWAIT)
    except BlockingIOError:
        line.send(RING)
        return line.recv(_MESSAGE_BYTES)


def _read(channel: socket.socket, size: int) -> bytearray:
    call = bytearray()
    while len(call) < size:
        part = channel.recv(size - len(call), socket.MSG_WAITALL)
        if not part:
            raise EOFError
        call += part
    return call


def _send(line: socket.socket, channel: socket.socket, outcome: bytes) -> None:
    """Send an outcome; of a large one the program must take a part before the rest can be sent."""
    at = 0
    if len(outcome) > SMALL_BYTES:
        at = channel.send(outcome[:1])
        line.send(RING)
    channel.sendall(memoryview(outcome)[at:])


def _outcome(task: bytes | bytearray | memoryview) -> bytes:
    """Return the pickled pair (whether it returned, what it returned or raised)."""
    try:
        fn, args, kwargs = pickle.loads(task)  # noqa: S301  written by our own parent
        value = fn(*args, **kwargs)
    except MemoryError:
        raise
    except BaseException as error:  # noqa: BLE001  whatever the task raises is its outcome
        return _pickled_error(error)
    try:
        return pickle.dumps((True, value), pickle.HIGHEST_PROTOCOL)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001  reduction methods of the value may raise anything
        return _not_picklable(f"a {type(value).__name__}", error)


def _pickled_error(error: BaseException) -> bytes:
    """Pickle the error with its traceback as a note, after trying that it can be read again."""
    error.add_note("".join(traceback.format_exception(error)))
    try:
        outcome = pickle.dumps((False, error), pickle.HIGHEST_PROTOCOL)
        pickle.loads(outcome)  # noqa: S301  written one line above
    except MemoryError:
        raise
    except Exception as problem:  # noqa: BLE001  reduction methods and constructors of the error may raise anything
        return _not_picklable(one_line(error), problem)
    return outcome


def _not_picklable(what: str, error: Exception) -> bytes:
    return pickle.dumps((False, OutcomeNotPicklable(what, one_line(error))), pickle.HIGHEST_PROTOCOL)


def one_line(error: BaseException) -> str:
    """Word an error even when its own ``__str__`` fails."""
    (first, *_) = traceback.TracebackException.from_exception(error, limit=0).format_exception_only()
    return " ".join(first.split())


class _AddressSpace:
    """What RLIMIT_AS counts of this process."""

    def __init__(self) -> None:
        self._page = resource.getpagesize()
        self._statm = -1
        with suppress(FileNotFoundError):
            self._statm = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)

    def size(self) -> int:
        """Return its bytes; 0 where the system doesn't tell."""
        return int(os.pread(self._statm, 64, 0).split(maxsplit=1)[0]) * self._page if self._statm >= 0 else 0
