"""The installed program, run in a process of its own, as its users run it."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROGRAM = Path(sys.executable).with_name("dam-cli")


@dataclass(frozen=True)
class DamProgram:
    """``dam-cli`` with one database and one storage folder, whose parent is the current folder of its processes."""

    url: str
    storage: Path

    def run(
        self, *arguments: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end. ``env`` goes on top of the environment that names database and storage.

        The output is decoded with ``surrogateescape``, so any file name in it can be compared.
        """
        with self.start(*arguments, env=env, cwd=cwd) as process:
            try:
                stdout, stderr = process.communicate(timeout=timeout)
            finally:
                process.kill()  # nothing happens to one that has ended
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)

    def start(
        self, *arguments: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> subprocess.Popen[str]:
        """Start a command and return its process, a context manager, without waiting."""
        return subprocess.Popen(
            [PROGRAM, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="surrogateescape",
            cwd=cwd or self.storage.parent,
            env={**os.environ, "DATABASE_URL": self.url, "DAM_STORAGE_PATH": str(self.storage), **(env or {})},
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
