"""The program's ends of the processes behind ``isolation``: the server that forks workers, and the workers."""

import json
import os
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf
from typing import Any

from dam.core.exceptions import WorkersUnavailable
from dam.services.isolation_server import OUTCOME_HEADER, REQUEST, TASK_HEADER

_BOOT = (
    "import json, sys; sys.path[:], *arguments = json.loads(sys.argv[1]); "
    "from dam.services.isolation_server import serve; serve(*arguments)"
)

_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
"""The cores belong to the workers, and a process with threads can't be forked safely. glibc's memory arenas reserve
64 MB of address space for each thread a decoder starts: 16 threads took 1.2 GB, with one arena 0.15 GB."""

_REPORT_TEXT_BYTES = 1 << 16
_READ_BYTES = 1 << 18


class ServerProcess:
    """The process that forks the workers, and the socket to it."""

    def __init__(self, *, memory_bytes: int, preload: Sequence[str]) -> None:
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        arguments = json.dumps([sys.path, theirs.fileno(), os.getpid(), memory_bytes, preload])
        with theirs:
            try:
                self._process = subprocess.Popen(  # noqa: S603  our own interpreter and code
                    [sys.executable, "-c", _BOOT, arguments],
                    env=os.environ | _ENVIRONMENT,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,  # a key pressed in the terminal is for the program alone
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            except OSError as error:
                self.control.close()
                raise WorkersUnavailable(str(error)) from error

    def request(self, number: int) -> None:
        """Ask for one more worker, or for the end of the one with this process id."""
        with suppress(ConnectionError):  # ``receive`` tells of its end
            self.control.send(REQUEST.pack(number))

    def receive(self) -> tuple[bytes, list[int]]:
        """Return a report, empty when the server has ended, and the file descriptors that came with it."""
        try:
            message, descriptors, _, _ = socket.recv_fds(self.control, _REPORT_TEXT_BYTES, 1)
        except ConnectionError:
            return b"", []
        return message, descriptors

    def close(self, *, at_once: bool = False) -> None:
        """Have it kill its workers and end, and wait for it; at once it only ends, because it has none."""
        self.control.close()
        if at_once:
            self._process.kill()
        self._process.wait()


@dataclass(frozen=True, slots=True)
class Task:
    """A pickled call and the future that waits for it; one that is ``suspected`` had its worker killed once."""

    future: Future[Any]
    call: bytes
    suspected: bool = False


@dataclass(slots=True, eq=False)
class Worker:
    """A worker process: ``tasks`` holds the one it does and perhaps the next in line, ``deadline`` is the first one's.

    One that is ``leaving`` gets no more tasks and is not listened to, until the server tells of its end.
    """

    pid: int
    channel: socket.socket
    tasks: deque[Task] = field(default_factory=deque)
    deadline: float = inf
    leaving: bool = False
    _inbox: bytearray = field(default_factory=bytearray)

    def __post_init__(self) -> None:
        self.channel.set_inheritable(False)
        self.channel.setblocking(False)

    def send(self, call: bytes, *, within: float) -> None:
        """Send a call; raises OSError when the worker is gone or hasn't read it all after so many seconds."""
        self.channel.settimeout(within)
        self.channel.sendall(TASK_HEADER.pack(len(call)) + call)
        self.channel.setblocking(False)

    def receive(self) -> None:
        """Read some of what has arrived; raises BlockingIOError when it is nothing, EOFError when it was all."""
        received = self.channel.recv(_READ_BYTES)
        if not received:
            raise EOFError
        self._inbox += received

    def outcome(self) -> tuple[bytes, bool] | None:
        """Remove and return an outcome that has arrived whole, and whether the worker ends after it."""
        if len(self._inbox) < OUTCOME_HEADER.size:
            return None
        size, last = OUTCOME_HEADER.unpack_from(self._inbox)
        end = OUTCOME_HEADER.size + size
        if len(self._inbox) < end:
            return None
        outcome = bytes(self._inbox[OUTCOME_HEADER.size : end])
        del self._inbox[:end]
        return outcome, last
