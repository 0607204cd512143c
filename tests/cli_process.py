"""The program, run in processes of its own, as its users run it."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.forks import NO_LIMITS, Fork, ForkServer

PROGRAM = Path(sys.executable).with_name("dam-cli")
PATIENCE_SECONDS = 120


@dataclass(frozen=True)
class DamProgram:
    """``dam-cli`` with one database and one storage folder, whose parent is the current folder of its processes.

    The processes come from ``forks``, so they spare the time to import the program.
    """

    url: str
    storage: Path
    forks: ForkServer

    @property
    def environment(self) -> dict[str, str]:
        """What its processes find in their environment."""
        return {**os.environ, "DATABASE_URL": self.url, "DAM_STORAGE_PATH": str(self.storage)}

    def run(
        self, *arguments: str | Path, env: Mapping[str, str] | None = None, timeout: float = PATIENCE_SECONDS
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end. ``env`` goes on top of the environment that names database and storage.

        The output is decoded with ``surrogateescape``, so any file name in it can be compared.
        """
        with self.start(*arguments, env=env) as process:
            try:
                stdout, stderr = process.communicate(timeout=timeout)
            finally:
                process.kill()  # nothing happens to one that has ended
        return subprocess.CompletedProcess(process.args, process.wait(), stdout, stderr)

    def start(
        self,
        *arguments: str | Path,
        env: Mapping[str, str] | None = None,
        stderr: int | None = None,
        traced: bool = False,
        rights_of_root: bool = True,
        limits: Mapping[str, int] = NO_LIMITS,
    ) -> Fork:
        """Start a command and return its process, a context manager, without waiting; see ``ForkServer.start``."""
        environment = {**self.environment, **(env or {})}
        return self.forks.start(
            list(map(str, arguments)),
            environment=environment,
            folder=self.storage.parent,
            stderr=stderr,
            traced=traced,
            rights_of_root=rights_of_root,
            limits=limits,
        )

    def json(self, *arguments: str | Path) -> Any:
        """Run a command with ``--json`` and return its one document; a status above 1 fails the test."""
        return json.loads(self._json_output(*arguments))

    def json_lines(self, *arguments: str | Path) -> list[Any]:
        """Run a command with ``--json`` and return its documents, one a line; a status above 1 fails the test."""
        return [json.loads(line) for line in self._json_output(*arguments).splitlines()]

    def _json_output(self, *arguments: str | Path) -> str:
        done = self.run(*arguments, "--json")
        assert done.returncode <= 1, done.stderr
        return done.stdout
