"""A Dask cluster of real processes on this machine, for tests."""

import json
import os
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.forks import Fork, ForkServer

PATIENCE_SECONDS = 120


class DaskCluster:
    """A scheduler and its workers, each a process of its own with one task at a time; all end with the context.

    They come from a fork server, this one or one of their own, because importing the library is most of their start.
    """

    def __init__(
        self, folder: Path, *, workers: int, allowed_failures: int = 5, forks: ForkServer | None = None
    ) -> None:
        self._forks = forks
        self._folder = folder
        self._processes = ExitStack()
        self._settings = {
            "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": str(allowed_failures),
            "DASK_DISTRIBUTED__WORKER__MEMORY__PAUSE": "false",
        }
        self._count = workers
        self.scheduler: Fork
        self.workers: list[Fork] = []
        self.place = ""

    @property
    def address(self) -> str:
        """Return what ``--executor`` takes."""
        return f"dask://{self.place}"

    def __enter__(self) -> Self:
        self._forks = self._forks or self._processes.enter_context(ForkServer.started())
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
        self._processes.close()

    def add_worker(self) -> None:
        """Start one more worker, without a nanny that would start it again, and without waiting for it."""
        options = ("--nthreads", "1", "--no-nanny", "--host", "127.0.0.1", "--local-directory", str(self._folder))
        self.workers.append(self._run("worker", f"tcp://{self.place}", *options))

    def _run(self, command: str, *arguments: str) -> Fork:
        module = f"distributed.cli.dask_{command}"
        code = f"import dask.config, {module}; dask.config.refresh(); {module}.main()"
        with (self._folder / "dask.log").open("ab") as log:
            assert self._forks is not None
            process = self._forks.start_python(
                code,
                *arguments,
                "--no-dashboard",
                environment=os.environ | self._settings,
                modules=["dask.config", "distributed.cli.dask_scheduler", "distributed.cli.dask_worker"],
                stderr=log.fileno(),
            )
        return self._processes.enter_context(process)

    def _described(self, file: Path) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline and self.scheduler.poll() is None:
            if file.exists() and (text := file.read_text()).endswith("}"):
                description: dict[str, Any] = json.loads(text)
                return description
            time.sleep(0.02)
        raise RuntimeError((self._folder / "dask.log").read_text())
