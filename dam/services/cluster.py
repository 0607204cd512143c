"""Tasks on a Dask cluster, each in an isolated process of a Dask worker, so that no file costs the worker its life."""

import asyncio
import logging
import pickle
import socket
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from concurrent import futures
from concurrent.futures import CancelledError, Executor, Future
from contextlib import suppress
from typing import Any, ParamSpec, TypeVar

from distributed import Client, KilledWorker, WorkerPlugin, get_worker

from dam.core.exceptions import ClusterUnavailable, described, os_reason
from dam.core.waiting import interruption_put_off
from dam.services.isolation import IsolatedExecutor

P = ParamSpec("P")
T = TypeVar("T")

CONNECT_SECONDS = 30
LOOK_SECONDS = 2.0
WITHOUT_WORKERS_SECONDS = 60.0
TRIES = 4
GIVEN_UP = frozenset({"scheduler-connection-lost", "scheduler-restart"})  # as Dask words it

logger = logging.getLogger(__name__)


class Isolation(WorkerPlugin):
    """Gives each Dask worker as many isolated processes as it has threads, for as long as it lives.

    Programs that ask for the same limits share them.
    """

    idempotent = True
    executor: IsolatedExecutor

    def __init__(self, *, timeout_seconds: float, memory_bytes: int, preload: Sequence[str]) -> None:
        self.name = f"dam-isolation-{timeout_seconds:g}-{memory_bytes}"
        self._timeout_seconds = timeout_seconds
        self._memory_bytes = memory_bytes
        self._preload = tuple(preload)

    def setup(self, worker: Any) -> None:
        """Make the worker's executor; it starts no process until the first task comes."""
        self.executor = IsolatedExecutor(
            jobs=worker.state.nthreads,
            timeout_seconds=self._timeout_seconds,
            memory_bytes=self._memory_bytes,
            preload=self._preload,
        )

    def teardown(self, worker: Any) -> None:  # noqa: ARG002 - the base's signature
        """End the processes."""
        self.executor.shutdown(cancel_futures=True)


def run_isolated(plugin: str, call: bytes) -> tuple[bool, Any]:
    """Run a pickled call (function, arguments, keywords) in a process of this Dask worker, in one of its threads.

    Return whether it returned, and what it returned or raised. Dask would log each exception, and a file that can't be
    read is no trouble of the cluster's.
    """
    worker: Any = get_worker()
    function, args, kwargs = pickle.loads(call)  # noqa: S301 - who may send tasks to a Dask worker may run anything
    try:
        return True, worker.plugins[plugin].executor.submit(function, *args, **kwargs).result()
    except CancelledError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever the task raises is its outcome
        return False, error


class ClusterExecutor(Executor):
    """Run functions on the Dask cluster whose scheduler is at ``place`` (HOST:PORT), each in an isolated process there.

    What a task returns or raises arrives as it does from ``IsolatedExecutor``. A task whose Dask worker dies is done by
    another one, up to the cluster's ``allowed-failures``. When that is over, when the scheduler is gone, and when the
    cluster has had no worker for ``patience_seconds``, futures fail with ``ClusterUnavailable``.
    """

    def __init__(self, place: str, isolation: Isolation, *, patience_seconds: float = WITHOUT_WORKERS_SECONDS) -> None:
        self._address = f"dask://{place}"
        self._patience_seconds = patience_seconds
        self._plugin = isolation.name
        self._lost: str | None = None
        self._client: Any = None
        try:
            self._client = _connected(place)
        except OSError as error:
            raise ClusterUnavailable(self._address, f"its scheduler does not answer: {os_reason(error)}") from error
        try:
            self._client.register_plugin(isolation)
        except Exception as error:
            self._client.close()
            raise ClusterUnavailable(self._address, described(error)) from error
        self._loop = self._client.loop.asyncio_loop
        self._pending: set[Any] = set()
        self._unfinished: weakref.WeakSet[Future[None]] = weakref.WeakSet()
        self._closed = threading.Event()
        threading.Thread(target=self._look_after_workers, name="cluster", daemon=True).start()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Queue a call on the cluster; raises at once what pickling it raises, RuntimeError after ``shutdown``."""
        if self._closed.is_set():
            raise RuntimeError("cannot schedule new futures after shutdown")
        call = pickle.dumps((fn, args, kwargs))
        future: Future[T] = Future()
        with interruption_put_off():
            there = self._sent(call)
            future.add_done_callback(lambda here: here.cancelled() and there.cancel())
            self._unfinished.add(asyncio.run_coroutine_threadsafe(self._carry(call, there, future), self._loop))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks and leave the cluster; its workers stay.

        Tasks are waited for, or given up with ``cancel_futures`` or without ``wait``: nobody would be there to take
        their results.
        """
        if self._closed.is_set():
            return
        self._closed.set()
        with suppress(Exception):  # a cluster that is gone has nothing left to cancel
            if cancel_futures or not wait:
                self._client.cancel(list(self._pending))
            futures.wait(list(self._unfinished))
        self._client.close(timeout=CONNECT_SECONDS)

    def _sent(self, call: bytes) -> Any:
        there = self._client.submit(run_isolated, self._plugin, call, pure=False)
        self._pending.add(there)
        return there

    async def _carry(self, call: bytes, there: Any, here: Future[T]) -> None:
        """Bring a task's outcome; send the task again when that is lost with the worker that had it.

        Dask's own executor waits for such an outcome for ever, or takes it for an error.
        """
        for tries_left in reversed(range(TRIES)):
            try:
                returned, outcome = await self._client.gather(there, asynchronous=True)
            except Exception as error:  # noqa: BLE001 - of Dask's, which are many: the task's own come as outcomes
                if tries_left and self._may_be_lost(error) and not here.cancelled():
                    self._pending.discard(there)
                    there = self._sent(call)
                    continue
                _set(here, ClusterUnavailable(self._address, self._lost or _worded(error)), returned=False)
            else:
                _set(here, outcome, returned=returned)
            break
        self._pending.discard(there)

    def _may_be_lost(self, error: Exception) -> bool:
        if self._closed.is_set() or self._lost or isinstance(error, KilledWorker):
            return False
        return getattr(error, "reason", None) not in GIVEN_UP and self._client.status == "running"

    def _look_after_workers(self) -> None:
        """Give the tasks up when nobody has been there to do them for long; Dask itself would wait for ever."""
        last_seen = time.monotonic()
        while not self._closed.wait(min(LOOK_SECONDS, self._patience_seconds)):
            if self._has_workers() or not self._pending:
                last_seen = time.monotonic()
            elif time.monotonic() - last_seen > self._patience_seconds:
                self._lost = f"it has had no workers for {self._patience_seconds:g} s"
                self._client.cancel(list(self._pending))

    def _has_workers(self) -> bool:
        try:
            return bool(self._client.ncores())
        except Exception:  # noqa: BLE001 - a scheduler that does not answer fails the tasks by itself
            return False


def _connected(place: str) -> Client:
    if not logger.isEnabledFor(logging.DEBUG):
        for name in ("distributed", "distributed.client"):  # what they report arrives here as an exception too
            logging.getLogger(name).setLevel(logging.CRITICAL)
    host, _, port = place.rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()  # Dask would try in vain for long
    return Client(f"tcp://{place}", timeout=CONNECT_SECONDS, set_as_default=False, name="dam")  # type: ignore[no-untyped-call]  # distributed leaves it untyped


def _worded(error: Exception) -> str:
    return "its scheduler gave the task up" if isinstance(error, CancelledError) else described(error)


def _set[R](future: Future[R], outcome: Any, *, returned: bool) -> None:
    if not future.set_running_or_notify_cancel():
        return
    if returned:
        future.set_result(outcome)
    else:
        future.set_exception(outcome)
