"""The program in processes that are interrupted, killed, or kept short of something."""

import io
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL
from typing import Any
from unittest.mock import patch

from dam.cli import main
from tests import needs
from tests.cli_process import PROGRAM, DamProgram

PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class Ended:
    """How a process ended, and what it printed."""

    status: int
    out: str
    err: str

    @property
    def documents(self) -> list[Any]:
        """The JSON documents on stdout, one a line."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def has_one_line_on_stderr(self) -> bool:
        """Whether there is a message and no traceback."""
        return self.err.count("\n") == 1 and "Traceback" not in self.err


@contextmanager
def started(dam: DamProgram, *arguments: str | Path, before: Sequence[str] = ()) -> Iterator[subprocess.Popen[str]]:
    """Start the program, under another one if ``before`` names it, in a process group of its own.

    What is left of the group in the end is killed.
    """
    with subprocess.Popen(
        [*before, PROGRAM, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="surrogateescape",
        cwd=dam.storage.parent,
        env={**os.environ, "DATABASE_URL": dam.url, "DAM_STORAGE_PATH": str(dam.storage)},
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            if lives(process.pid):
                os.killpg(process.pid, SIGKILL)


def run(dam: DamProgram, *arguments: str | Path, before: Sequence[str] = ()) -> Ended:
    """Run the program to its end."""
    with started(dam, *arguments, before=before) as process:
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
    return Ended(process.returncode, out, err)


def run_here(dam: DamProgram, *arguments: str | Path) -> Ended:
    """Run the program to its end in the test's own process, which is much quicker; for what goes before and after."""
    out, err = io.StringIO(), io.StringIO()
    environment = {"DATABASE_URL": dam.url, "DAM_STORAGE_PATH": str(dam.storage)}
    with redirect_stdout(out), redirect_stderr(err), patch.dict(os.environ, environment):
        status = main([str(argument) for argument in arguments])
    return Ended(int(status), out.getvalue(), err.getvalue())


def with_fault(fault: str, *, path: Path | None = None) -> list[str]:
    """Return what makes a system call fail or kill, as strace's ``inject`` says it; only about a path if one is given.

    Its ``when=`` counts the calls of each thread by itself.
    """
    # A signal can't be sent from where seccomp stops a process, which is the quicker way.
    quicker = [] if "signal=" in fault else ["--seccomp-bpf"]
    strace = [needs.program("strace"), "-f", "-qq", *quicker, "-o", os.devnull, *(["-P", str(path)] if path else [])]
    return [*strace, "-e", f"trace={fault.partition(':')[0]}", "-e", f"inject={fault}"]


def with_limit(**limits: int) -> list[str]:
    """Return what sets limits of the system (``fsize``, ``nofile``)."""
    return [needs.program("prlimit"), *(f"--{name}={value}" for name, value in limits.items())]


def without_rights_of_root() -> list[str]:
    """Return what makes root obey the modes of files like everybody else."""
    if os.geteuid() != 0:
        return []
    return [needs.program("setpriv"), "--bounding-set=-dac_override,-dac_read_search"]


def wait_until_work_begins(dam: DamProgram, process: subprocess.Popen[str]) -> None:
    """Wait until the process has a place in the storage's temporary folder, or has ended."""
    known = staging_folders(dam)
    wait_for(lambda: process.poll() is not None or staging_folders(dam) != known)


def staging_folders(dam: DamProgram) -> set[Path]:
    """Return the places that processes have in the storage's temporary folder, dead ones too."""
    folder = dam.storage / "tmp"
    return {path for path in folder.iterdir() if path.is_dir()} if folder.is_dir() else set()


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something is true; fail when it takes a minute."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def lives(group: int) -> bool:
    """Say whether any process of a group is alive."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
