"""What runs in the other processes of ``isolation``: a server that forks workers on request.

The server is a fresh interpreter with one thread: it imports the modules to preload once and forks from there, so a
worker starts in a millisecond and shares their memory. Nothing of the program's ``__main__`` is imported.
"""

import ctypes
import gc
import importlib
import os
import resource
import signal
import socket
import struct
import sys
from collections.abc import Sequence
from contextlib import suppress
from selectors import EVENT_READ, DefaultSelector
from typing import NoReturn

from dam.services.isolation_worker import one_line, work

FORK = 0
"""The request for one more worker; any other number asks to kill the worker of that process id."""

REQUEST = struct.Struct("!q")
REPORT = struct.Struct("!qq")
"""From the server: process id and exit code as ``subprocess`` words it; with file descriptors, a new worker:
its channel, its line and the worker's own end of that, from which what it has not begun can be taken back."""

FAILURE = b"!"
"""How a report begins that goes on with text: why the server gives up."""

OUT_OF_MEMORY = 77
"""A worker's exit code when its task raised MemoryError: in such a state it can't be relied on to say more."""

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def serve(control_fd: int, parent_pid: int, memory_bytes: int, preload: Sequence[str]) -> NoReturn:
    """Fork workers as asked over the socket ``control_fd`` until it closes; then kill what is left and exit.

    What goes wrong, such as a module that can't be preloaded, is told to the other side as text.
    """
    _die_with(parent_pid)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with socket.socket(fileno=control_fd) as control:
        try:
            _import(preload)
            _Server(control, memory_bytes).run()
        except ConnectionError:
            os._exit(0)  # the parent is gone
        except Exception as error:  # noqa: BLE001  modules raise anything while imported; the parent raises it again
            _tell(control, FAILURE + one_line(error).encode())
    os._exit(0)


def _tell(control: socket.socket, last_words: bytes) -> None:
    """Send the last message, and wait until the other side has closed.

    To close with requests unread would reset the connection, and the message could be lost with it.
    """
    with suppress(ConnectionError):
        control.send(last_words)
        while control.recv(1 << 16):
            pass


def _import(names: Sequence[str]) -> None:
    for name in names:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()


class _Server:
    def __init__(self, control: socket.socket, memory_bytes: int) -> None:
        self._control = control
        self._memory_bytes = memory_bytes
        self._pids: set[int] = set()
        self._selector = DefaultSelector()
        self._woken, self._wakes = socket.socketpair()
        self._woken.setblocking(False)
        self._wakes.setblocking(False)

    def run(self) -> None:
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wakes.fileno(), warn_on_full_buffer=False)
        self._selector.register(self._control, EVENT_READ, self._obey)
        self._selector.register(self._woken, EVENT_READ, self._reap)
        try:
            while all(key.data() for key, _ in self._selector.select()):
                pass
        finally:
            self._end()

    def _obey(self) -> bool:
        request = self._control.recv(REQUEST.size)
        if not request:
            return False
        (pid,) = REQUEST.unpack(request)
        if pid == FORK:
            self._fork()
        elif pid in self._pids:
            _kill_group(pid)
        return True

    def _fork(self) -> None:
        channel, far_channel = socket.socketpair()
        line, far_line = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        server_pid = os.getpid()
        pid = os.fork()
        if pid == 0:
            for inherited in (channel, line, self._control, self._woken, self._wakes, self._selector):
                inherited.close()
            _run_worker(far_line, far_channel, server_pid, self._memory_bytes)
        far_channel.close()
        _make_group(pid)
        self._pids.add(pid)
        with channel, line, far_line:
            descriptors = [end.fileno() for end in (channel, line, far_line)]
            socket.send_fds(self._control, [REPORT.pack(pid, 0)], descriptors)

    def _reap(self) -> bool:
        self._woken.recv(4096)
        for pid in list(self._pids):
            if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                self._control.send(REPORT.pack(pid, self._bury(pid)))
        return True

    def _end(self) -> None:
        for pid in self._pids:
            _kill_group(pid)
        for pid in list(self._pids):
            self._bury(pid)

    def _bury(self, pid: int) -> int:
        """Kill what the worker left running, while its id can't belong to anybody else; return its exit code."""
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        _kill_group(pid)
        self._pids.remove(pid)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _run_worker(line: socket.socket, channel: socket.socket, server_pid: int, memory_bytes: int) -> NoReturn:
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _make_group(0)
        _die_with(server_pid)
        _limit_address_space(memory_bytes)
        work(line, channel, memory_bytes)
        code = 0
    except MemoryError:
        code = OUT_OF_MEMORY
    finally:
        os._exit(code)


def _make_group(pid: int) -> None:
    """Let the worker lead its own process group, so that programs a decoder starts are killed with it.

    Server and worker both do this, because either may come first.
    """
    os.setpgid(pid, 0)


def _kill_group(pid: int) -> None:
    os.killpg(pid, signal.SIGKILL)


def _die_with(parent_pid: int) -> None:
    """Ask the kernel to kill this process when its parent ends, however that happens."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent_pid:
            os._exit(1)


def _limit_address_space(memory_bytes: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = memory_bytes if hard == resource.RLIM_INFINITY else min(memory_bytes, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
