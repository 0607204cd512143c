"""The program in processes that are interrupted, killed, or kept short of something."""

import io
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL
from typing import Any
from unittest.mock import patch

from dam.cli import main
from tests import needs
from tests.cli_process import PATIENCE_SECONDS, DamProgram
from tests.forks import NO_LIMITS, Fork


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


@dataclass(frozen=True)
class Fault:
    """A system call that fails or kills, as strace's ``inject`` says it; only about a path if one is given.

    Its ``when=`` counts the calls of each thread by itself.
    """

    call: str
    effect: str
    path: Path | None = None


@contextmanager
def started(
    dam: DamProgram,
    *arguments: str | Path,
    fault: Fault | None = None,
    rights_of_root: bool = True,
    limits: Mapping[str, int] = NO_LIMITS,
) -> Iterator[Fork]:
    """Start the program in a process group of its own, perhaps with a fault; see ``ForkServer.start``.

    What is left of the group in the end is killed.
    """
    traced = fault is not None
    with ExitStack() as stack:
        process = stack.enter_context(
            dam.start(*arguments, traced=traced, rights_of_root=rights_of_root, limits=limits)
        )
        try:
            if fault is not None:
                stack.enter_context(_disturbed(process.pid, fault))
            yield process
        finally:
            if lives(process.pid):
                os.killpg(process.pid, SIGKILL)


@contextmanager
def _disturbed(process: int, fault: Fault) -> Iterator[None]:
    """Have strace take hold of a process that waits for it; strace ends when the process does."""
    about = ["-P", str(fault.path)] if fault.path else []
    what = ["-e", f"trace={fault.call}", "-e", f"inject={fault.call}:{fault.effect}"]
    command = [needs.program("strace"), "-f", "-qq", "-o", os.devnull, *about, *what, "-p", str(process)]
    with subprocess.Popen(command):
        yield


def run(
    dam: DamProgram,
    *arguments: str | Path,
    fault: Fault | None = None,
    rights_of_root: bool = True,
    limits: Mapping[str, int] = NO_LIMITS,
) -> Ended:
    """Run the program to its end; see ``started``."""
    with started(dam, *arguments, fault=fault, rights_of_root=rights_of_root, limits=limits) as process:
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
    return Ended(process.wait(), out, err)


def run_here(dam: DamProgram, *arguments: str | Path) -> Ended:
    """Run the program to its end in the test's own process, which is much quicker; for what goes before and after."""
    out, err = io.StringIO(), io.StringIO()
    environment = {"DATABASE_URL": dam.url, "DAM_STORAGE_PATH": str(dam.storage)}
    with redirect_stdout(out), redirect_stderr(err), patch.dict(os.environ, environment):
        status = main([str(argument) for argument in arguments])
    return Ended(int(status), out.getvalue(), err.getvalue())


def wait_until_work_begins(dam: DamProgram, process: Fork) -> None:
    """Wait until the process has a place in the storage's temporary folder, or has ended."""
    known = staging_folders(dam)
    wait_for(lambda: process.poll() is not None or staging_folders(dam) != known)


def staging_folders(dam: DamProgram) -> set[Path]:
    """Return the places that processes have in the storage's temporary folder, dead ones too."""
    folder = dam.storage / "tmp"
    return {path for path in folder.iterdir() if path.is_dir()} if folder.is_dir() else set()


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something is true; fail when that takes too long."""
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
