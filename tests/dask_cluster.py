"""A Dask cluster of real processes on this machine, for tests."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).parents[1]
PATIENCE_SECONDS = 120


class DaskCluster:
    """A scheduler and its workers, each a process of its own with one task at a time; all end with the context."""

    def __init__(self, folder: Path, *, workers: int, allowed_failures: int = 5) -> None:
        self._folder = folder
        self._settings = {
            "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": str(allowed_failures),
            "DASK_DISTRIBUTED__WORKER__MEMORY__PAUSE": "false",
        }
        self._count = workers
        self.scheduler: subprocess.Popen[bytes]
        self.workers: list[subprocess.Popen[bytes]] = []
        self.place = ""

    @property
    def address(self) -> str:
        """Return what ``--executor`` takes."""
        return f"dask://{self.place}"

    def __enter__(self) -> Self:
        file = self._folder / "scheduler.json"
        self.scheduler = self._run("scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(file))
        self.place = self._described(file)["address"].removeprefix("tcp://")
        for _ in range(self._count):
            self.add_worker()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in [*self.workers, self.scheduler]:
            process.kill()
            process.wait(PATIENCE_SECONDS)

    def add_worker(self) -> None:
        """Start one more worker, without a nanny that would start it again, and without waiting for it."""
        options = ("--nthreads", "1", "--no-nanny", "--host", "127.0.0.1", "--local-directory", str(self._folder))
        self.workers.append(self._run("worker", f"tcp://{self.place}", *options))

    def _run(self, *command: str) -> subprocess.Popen[bytes]:
        with (self._folder / "dask.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "dask", *command, "--no-dashboard"],
                cwd=ROOT,
                env=os.environ | self._settings,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _described(self, file: Path) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline and self.scheduler.poll() is None:
            if file.exists() and (text := file.read_text()).endswith("}"):
                description: dict[str, Any] = json.loads(text)
                return description
            time.sleep(0.02)
        raise RuntimeError((self._folder / "dask.log").read_text())
