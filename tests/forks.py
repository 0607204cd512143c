"""Processes of the program that start quickly; see ``fork_server``."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from tests.fork_server import MESSAGE_BYTES, RUNNING

ROOT = Path(__file__).parents[1]
LOOK_SECONDS = 0.002
LOOKS_GROW = 1.1  # so that an end is noticed late by a tenth of what the process took
NO_LIMITS: Mapping[str, int] = MappingProxyType({})


class ForkServer:
    """Starts processes; may be asked by several threads."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    @classmethod
    @contextmanager
    def started(cls) -> Iterator[Self]:
        """Start the server; it ends with the context."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-m", "tests.fork_server", str(theirs.fileno())]
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}  # a process with threads should not fork
        with subprocess.Popen(command, cwd=ROOT, env=environment, pass_fds=[theirs.fileno()], start_new_session=True):
            theirs.close()
            with ours:
                assert ours.recv(16) == b"ready"
                yield cls(ours)

    def start(
        self,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        folder: Path,
        code: str | None = None,
        modules: Sequence[str] = (),
        stderr: int | None = None,
        traced: bool = False,
        rights_of_root: bool = True,
        limits: Mapping[str, int] = NO_LIMITS,
    ) -> "Fork":
        """Start the program, or that of ``code``, with pipes for its outputs and nothing to read.

        A descriptor for ``stderr`` goes in the place of that pipe, which is empty then. ``traced`` waits for a tracer.
        Without the rights of root it obeys the modes of files, whoever starts it. ``limits`` are the system's
        (``nofile``, ``fsize``).
        """
        request = {
            "arguments": list(arguments),
            "environment": dict(environment),
            "folder": str(folder),
            "code": code,
            "modules": list(modules),
            "traced": traced,
            "rights_of_root": rights_of_root,
            "limits": dict(limits),
        }
        out, written_out = os.pipe()
        err, written_err = os.pipe()
        nothing = os.open(os.devnull, os.O_RDONLY)
        try:
            streams = [nothing, written_out, written_err if stderr is None else stderr]
            return Fork(self, self.ask(request, streams), ["dam-cli", *arguments], out, err)
        finally:
            for descriptor in (nothing, written_out, written_err):
                os.close(descriptor)

    def start_python(
        self,
        code: str,
        *arguments: str | Path,
        environment: Mapping[str, str] = os.environ,
        modules: Sequence[str] = (),
        stderr: int | None = None,
        traced: bool = False,
    ) -> "Fork":
        """Start a Python program in the project's folder, which finds these and most other modules imported."""
        return self.start(
            list(map(str, arguments)),
            environment=environment,
            folder=ROOT,
            code=code,
            modules=modules,
            stderr=stderr,
            traced=traced,
        )

    def run_python(self, code: str, *arguments: str | Path) -> str:
        """Run a Python program to its end and return what it prints; fail with its errors."""
        with self.start_python(code, *arguments) as process:
            out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        return out

    def run_on(self, streams: Sequence[int], request: dict[str, Any]) -> int:
        """Run the program on these streams, which are closed here, and return its status."""
        try:
            process = self.ask(request, streams)
        finally:
            for descriptor in streams:
                os.close(descriptor)
        pauses = _pauses()
        while (status := self.ask({"look": process})) == RUNNING:
            time.sleep(next(pauses))
        return status

    def ask(self, request: dict[str, Any], descriptors: Sequence[int] = ()) -> int:
        """Send a request and return the answer."""
        message = json.dumps(request).encode()
        assert len(message) < MESSAGE_BYTES
        with self._lock:
            socket.send_fds(self._connection, [message], descriptors)
            return int(self._connection.recv(64))


class Fork:
    """A process of the program, used as a ``subprocess.Popen`` with pipes is; the leader of a group of its own."""

    def __init__(self, server: ForkServer, pid: int, args: Sequence[str], out: int, err: int) -> None:
        self.pid = pid
        self.args = args
        self.returncode: int | None = None
        self.stdout = os.fdopen(out, encoding="utf-8", errors="surrogateescape")
        self.stderr = os.fdopen(err, encoding="utf-8", errors="surrogateescape")
        self._server = server
        self._lock = threading.Lock()

    def poll(self) -> int | None:
        """Return the exit status, negative for a signal, None while it runs."""
        with self._lock:
            if self.returncode is None:
                status = self._server.ask({"look": self.pid})
                self.returncode = None if status == RUNNING else status
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit status when there is one. Raises ``subprocess.TimeoutExpired``."""
        deadline = None if timeout is None else time.monotonic() + timeout
        pauses = _pauses()
        while (status := self.poll()) is None:
            if deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(list(self.args), timeout or 0)
            time.sleep(next(pauses))
        return status

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Return what it prints until it ends. Raises ``subprocess.TimeoutExpired``."""
        texts = ["", ""]

        def read(number: int, stream: Any) -> None:
            texts[number] = stream.read()

        threads = [
            threading.Thread(target=read, args=(number, stream), daemon=True)
            for number, stream in enumerate((self.stdout, self.stderr))
            if not stream.closed
        ]
        for thread in threads:
            thread.start()
        self.wait(timeout)
        for thread in threads:
            thread.join(timeout)
            if thread.is_alive():
                raise subprocess.TimeoutExpired(list(self.args), timeout or 0)
        return texts[0], texts[1]

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it unless it has ended."""
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Wait for its end; kill it first when the test has failed, as one may that waited for that end in vain."""
        if kind is not None:
            self.kill()
        self.stdout.close()
        self.stderr.close()
        self.wait()


def _pauses() -> Iterator[float]:
    return (min(LOOK_SECONDS * LOOKS_GROW**number, 0.05) for number in count())
