"""The fork server as the tests see it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL
from typing import Any, Self

from tests.cli_process import DamProgram
from tests.durability.processes import lives

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Fork:
    """A process of the program, and the file that both its outputs go to."""

    pid: int
    output: Path


class ForkServer:
    """Starts the program in processes, each the leader of a group of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    @classmethod
    @contextmanager
    def started(cls) -> Iterator[Self]:
        """Start the server; it ends with the context."""
        command = [sys.executable, "-m", "tests.durability.fork_server"]
        with subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
        ) as process:
            yield cls(process)

    @contextmanager
    def running(self, dam: DamProgram, *arguments: str | Path, output: Path) -> Iterator[Fork]:
        """Start the program; what is left of its group in the end is killed."""
        environment = {"DATABASE_URL": dam.url, "DAM_STORAGE_PATH": str(dam.storage)}
        request = {"start": list(map(str, arguments)), "environment": environment, "output": str(output)}
        fork = Fork(self._ask(request), output)
        try:
            yield fork
        finally:
            if lives(fork.pid):
                os.killpg(fork.pid, SIGKILL)

    def has_ended(self, fork: Fork) -> bool:
        """Say whether the process has ended."""
        return bool(self._ask({"look": fork.pid}))

    def wait(self, fork: Fork) -> int:
        """Return the process's exit status, negative for a signal, when it ends."""
        return self._ask({"wait": fork.pid})

    def _ask(self, request: dict[str, Any]) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())
