"""The program's ends of the processes behind ``isolation``: the server that forks workers, and the workers."""

import os
import pickle
import socket
import subprocess
from collections import deque
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf
from typing import Any

from dam.core.exceptions import OutcomeNotPicklable, WorkersUnavailable, described
from dam.services import fresh_interpreter
from dam.services.isolation_server import REQUEST, serve
from dam.services.isolation_worker import OUTCOME_HEADER, RING, SMALL_BYTES, TASK_HEADER

ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(1 << 25),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 27),
    "MALLOC_TOP_PAD_": str(1 << 20),
}
"""The cores belong to the workers, and a process with threads can't be forked safely. glibc's memory arenas reserve
64 MB of address space for each thread a decoder starts: 16 threads took 1.2 GB, with one arena 0.15 GB. Left to itself,
glibc gives a picture's memory back after each task and has it filled with zeros for the next: 17,500 page faults for a
photo of 12 megapixels, a fifth of its processor time."""

_REPORT_TEXT_BYTES = 1 << 16
_READ_BYTES = 1 << 16
_ENDS_OF_WORKER = 3


class ServerProcess:
    """The process that forks the workers, and the socket to it."""

    def __init__(self, *, memory_bytes: int, preload: Sequence[str]) -> None:
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = fresh_interpreter.command(serve, theirs.fileno(), os.getpid(), memory_bytes, preload)
        with theirs:
            try:
                self._process = subprocess.Popen(  # noqa: S603  our own interpreter and code
                    command,
                    env=os.environ | ENVIRONMENT,
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
            message, descriptors, _, _ = socket.recv_fds(self.control, _REPORT_TEXT_BYTES, _ENDS_OF_WORKER)
        except ConnectionError:
            return b"", []
        return message, descriptors

    def close(self, *, at_once: bool = False) -> None:
        """Have it kill its workers and end, and wait for it; at once it only ends, because it has none."""
        self.control.close()
        if at_once:
            self._process.kill()
        self._process.wait()


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """A pickled call and the future that waits for it; one that is ``suspected`` had its worker killed once."""

    future: Future[Any]
    call: bytes
    suspected: bool = False

    @property
    def is_small(self) -> bool:
        """Tell whether the call can be sent ahead."""
        return len(self.call) <= SMALL_BYTES

    def begin(self) -> bool:
        """Tell whether it is still wanted; from now on it can't be cancelled."""
        return self.future.running() or self.future.set_running_or_notify_cancel()

    def settle(self, outcome: bytes) -> None:
        """Give the future what the worker answered."""
        try:
            returned, value = pickle.loads(outcome)  # noqa: S301  written by our own worker
        except Exception as error:  # noqa: BLE001  constructors of the value may raise anything
            returned, value = False, OutcomeNotPicklable("what the task returned", described(error))
        if returned:
            self.future.set_result(value)
        else:
            self.future.set_exception(value)

    def give_up(self, end: BaseException) -> None:
        """Give the future the reason why the task is not done."""
        if isinstance(end, CancelledError):
            self.future.cancel()
        if self.begin():
            self.future.set_exception(end)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a worker says of a task: the pickled outcome, whether the worker ends after it, and what the task took."""

    pickled: bytes
    is_last: bool
    seconds: float


@dataclass(slots=True, eq=False)
class Worker:
    """A worker process: ``tasks`` holds the one it does and those in line, ``deadline`` is the first one's.

    One that is ``leaving`` gets no more tasks and is not listened to, until the server tells of its end.
    """

    pid: int
    channel: socket.socket
    line: socket.socket
    far_line: socket.socket
    tasks: deque[Task] = field(default_factory=deque)
    deadline: float = inf
    leaving: bool = False
    _sent: int = 0
    _inbox: bytearray = field(default_factory=bytearray)

    def __post_init__(self) -> None:
        for end in (self.channel, self.line, self.far_line):
            end.set_inheritable(False)
        self.channel.setblocking(False)
        self.line.setblocking(False)  # not the far end, whose worker would no longer wait either

    @property
    def is_midway(self) -> bool:
        """Tell whether a part of an outcome has arrived, which tells nobody when the rest comes."""
        return bool(self._inbox)

    def send(self, task: Task, *, ring_every: int, within: float) -> None:
        """Send a task; the worker rings when it has done so many, and when it has nothing in line.

        Raises BlockingIOError when the line is full; another OSError when the worker is gone or hasn't read a large
        call after so many seconds.
        """
        self._sent += 1
        header = TASK_HEADER.pack(id(task), self._sent % ring_every == 0, 0 if task.is_small else len(task.call))
        if task.is_small:
            self.line.send(header + task.call)
        else:
            self.line.send(header)
            self.channel.settimeout(within)
            self.channel.sendall(task.call)
            self.channel.setblocking(False)
        self.tasks.append(task)

    def take_back(self) -> Task | None:
        """Return the first task in line, which the worker will not do any more; None when it has begun all."""
        try:
            number, _, _ = TASK_HEADER.unpack_from(self.far_line.recv(TASK_HEADER.size, socket.MSG_DONTWAIT))
        except BlockingIOError:
            return None
        task = next((task for task in self.tasks if id(task) == number), None)
        if task is not None:
            self.tasks.remove(task)
        return task

    def answer(self) -> None:
        """Take note that it rang."""
        with suppress(OSError):  # a worker that was buried in the same turn
            self.line.recv(len(RING))

    def receive(self) -> bool:
        """Read some of what has arrived; return whether there may be more. Raises EOFError when it was all."""
        try:
            received = self.channel.recv(_READ_BYTES)
        except BlockingIOError:
            return False
        if not received:
            raise EOFError
        self._inbox += received
        return len(received) == _READ_BYTES

    def outcome(self) -> Outcome | None:
        """Remove and return an outcome that has arrived whole."""
        if len(self._inbox) < OUTCOME_HEADER.size:
            return None
        size, is_last, seconds = OUTCOME_HEADER.unpack_from(self._inbox)
        end = OUTCOME_HEADER.size + size
        if len(self._inbox) < end:
            return None
        pickled = bytes(self._inbox[OUTCOME_HEADER.size : end])
        del self._inbox[:end]
        return Outcome(pickled, is_last, seconds)

    def close(self) -> None:
        """Close its sockets."""
        for end in (self.channel, self.line, self.far_line):
            end.close()
