"""Reads the facts of new assets beside their ingestion, so that neither waits for the other."""

import threading
import time
from concurrent.futures import Executor
from types import TracebackType
from typing import Self

from dam.core.runner import Runner
from dam.core.stages import SystemStage
from dam.core.waiting import interruption_put_off
from dam.core.world import World
from dam.services import examination_task

_SHORT_SECONDS = 0.1
_PAUSE_SECONDS = 1.0


class ExtractionLane:
    """A thread that runs METADATA_EXTRACTION whenever it is woken, and once more at the end.

    A run costs as much as several quick files, so after a short one it waits for more of them to come.

    Leaving the context waits for that last run and raises what went wrong in any; leaving it by an exception gives the
    work up, and the marks stay for the next run.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._woken = threading.Event()
        self._closing = threading.Event()
        self._given_up = False
        self._prepared = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="extraction", daemon=True)

    def prepare(self) -> None:
        """Have a worker process started, because there will be work; what it is asked comes to nothing."""
        if not self._prepared and self._world.resources.has(Executor):
            self._prepared = True
            self._world.resources.get(Executor).submit(examination_task.warm_up)

    def wake(self) -> None:
        """Say that there are new marks; raises what went wrong in an earlier run."""
        if self._error is not None:
            raise self._error
        with interruption_put_off():
            self._woken.set()

    def __enter__(self) -> Self:
        with interruption_put_off():
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._give_up()
            return
        try:
            self._finish()
        except BaseException:
            self._give_up()
            raise
        if self._error is not None:
            raise self._error

    def _finish(self) -> None:
        with interruption_put_off():
            self._closing.set()
            self._woken.set()
        while self._thread.is_alive():
            self._thread.join(timeout=1)

    def _give_up(self) -> None:
        with interruption_put_off():
            self._given_up = True
            self._closing.set()
            self._woken.set()
        if self._world.resources.has(Executor):
            self._world.resources.get(Executor).shutdown(wait=False, cancel_futures=True)
        self._thread.join()

    def _run(self) -> None:
        try:
            with Runner() as runner:
                is_last = False
                while not is_last:
                    self._woken.wait()
                    self._woken.clear()
                    is_last = self._closing.is_set()  # asked before the run: it reads all that was marked before that
                    if self._given_up:
                        return
                    began = time.monotonic()
                    runner.run(self._world.execute_stage, SystemStage.METADATA_EXTRACTION)
                    if time.monotonic() - began < _SHORT_SECONDS:
                        self._closing.wait(_PAUSE_SECONDS)
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits for this one
            self._error = error
