"""The thread behind ``isolation``: hands queued tasks to workers, keeps their time, and settles the futures."""

import pickle
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from dataclasses import replace
from functools import partial
from math import inf
from selectors import EVENT_READ, DefaultSelector
from typing import Any

from dam.core.exceptions import (
    OutcomeNotPicklable,
    TaskFailed,
    TaskOutOfMemory,
    TaskTimedOut,
    WorkerCrashed,
    WorkersUnavailable,
    described,
)
from dam.services.isolation_processes import ServerProcess, Task, Worker
from dam.services.isolation_server import FAILURE, FORK, OUT_OF_MEMORY, REPORT

_AHEAD_BYTES = 1 << 16
"""A task of this size fits into an empty socket's buffer, so sending it doesn't block. A worker with one task in line
was busy 90 % of the time with 5 ms tasks on a machine with more to do, with none 82 %, with four 89 %."""

_DEATHS_IN_A_ROW = 3
"""So often the server may end with no task answered in between; then something is broken, not a file."""


class Dispatcher(threading.Thread):
    """The queue, the workers and the loop between them.

    ``add`` and ``close`` are called from other threads; all else happens in this one.
    """

    def __init__(self, *, jobs: int, timeout_seconds: float, memory_bytes: int, preload: Sequence[str]) -> None:
        super().__init__(name="isolation", daemon=True)
        self._jobs = jobs
        self._timeout_seconds = timeout_seconds
        self._memory_bytes = memory_bytes
        self._preload = preload
        self._queue: deque[Task] = deque()
        self._closing = self._cancelling = self._rung = False
        self._bell, self._button = socket.socketpair()
        self._selector = DefaultSelector()
        self._server: ServerProcess | None = None
        self._server_deaths = 0
        self._workers: dict[int, Worker] = {}
        self._workers_to_come = 0
        self._end: BaseException | None = None

    def add(self, task: Task) -> None:
        """Queue a task, or fail it when the workers can't be started."""
        self._queue.append(task)
        if self._end is None:
            self._ring()
        else:
            self._clear_queue(self._end)

    def close(self, *, cancel: bool) -> None:
        """End when the queue is done, or at once when it is cancelled."""
        self._closing = True
        self._cancelling |= cancel
        self._ring()

    def join(self, timeout: float | None = None) -> None:
        """Wait for the end; not for a thread whose start a signal interrupted, which finds that it is closed."""
        with suppress(RuntimeError):
            super().join(timeout)

    def run(self) -> None:
        """Work until closed; whatever ends it, no future is left waiting."""
        end: BaseException = CancelledError()
        self._selector.register(self._bell, EVENT_READ, self._listen)
        try:
            while not self._finished():
                self._step()
        except WorkersUnavailable as error:
            end = error
        except BaseException as error:
            end = error
            raise
        finally:
            self._finish(end)

    def _ring(self) -> None:
        """Wake the loop, once until it listens."""
        if not self._rung:
            self._rung = True
            with suppress(OSError):  # it has ended, and closed its bell
                self._button.send(b".")

    def _listen(self) -> None:
        self._bell.recv(1)
        self._rung = False

    def _finished(self) -> bool:
        if self._cancelling:
            return True
        return self._closing and not self._queue and not any(worker.tasks for worker in self._workers.values())

    def _step(self) -> None:
        self._give_tasks()
        self._ask_for_workers()
        for key, _ in self._selector.select(self._seconds_to_deadline()):
            key.data()
        self._kill_overdue()

    def _give_tasks(self) -> None:
        while self._queue and (worker := self._taker(self._queue[0])):
            task = self._queue.popleft()
            if task.future.running() or task.future.set_running_or_notify_cancel():
                self._give(worker, task)

    def _taker(self, task: Task) -> Worker | None:
        """Return an idle worker; with much to do, one with nothing in line, so that it needn't wait for us later.

        A large task is not sent ahead: until the worker reads it, it would block us. A suspected one runs alone.
        """
        running = [worker.tasks[0] for worker in self._workers.values() if worker.tasks]
        if running and (task.suspected or any(other.suspected for other in running)):
            return None
        staying = (worker for worker in self._workers.values() if not worker.leaving)
        worker = min(staying, key=lambda worker: len(worker.tasks), default=None)
        if worker is None or not worker.tasks:
            return worker
        much = len(self._queue) > self._jobs == len(self._workers)
        return worker if much and len(worker.tasks) == 1 and len(task.call) <= _AHEAD_BYTES else None

    def _give(self, worker: Worker, task: Task) -> None:
        """Send a task to a worker; one that has died meanwhile leaves it to the next."""
        worker.tasks.append(task)
        try:
            worker.send(task.call, within=self._timeout_seconds)
        except OSError:
            self._queue.appendleft(worker.tasks.pop())
            self._dismiss(worker)
            return
        if len(worker.tasks) == 1:
            self._start_clock(worker)

    def _start_clock(self, worker: Worker) -> None:
        worker.deadline = time.monotonic() + self._timeout_seconds if worker.tasks else inf

    def _ask_for_workers(self) -> None:
        needed = len(self._queue) - self._workers_to_come
        allowed = self._jobs - len(self._workers) - self._workers_to_come
        for _ in range(min(needed, allowed)):
            self._running_server().request(FORK)
            self._workers_to_come += 1

    def _running_server(self) -> ServerProcess:
        if self._server is None:
            self._server = ServerProcess(memory_bytes=self._memory_bytes, preload=self._preload)
            self._selector.register(self._server.control, EVENT_READ, partial(self._hear_server, self._server))
        return self._server

    def _seconds_to_deadline(self) -> float | None:
        deadline = min((worker.deadline for worker in self._workers.values()), default=inf)
        return None if deadline == inf else max(0.0, deadline - time.monotonic())

    def _kill_overdue(self) -> None:
        now = time.monotonic()
        for worker in self._workers.values():
            if worker.deadline <= now:
                worker.tasks.popleft().future.set_exception(TaskTimedOut(self._timeout_seconds))
                self._take_back(worker)
                self._dismiss(worker)

    def _take_back(self, worker: Worker) -> None:
        """Put what a worker has not begun to the front of the queue."""
        self._queue.extendleft(reversed(worker.tasks))
        worker.tasks.clear()
        worker.deadline = inf

    def _dismiss(self, worker: Worker) -> None:
        """Give the worker no more tasks and have it killed; the server tells when it is gone."""
        self._retire(worker)
        if self._server is not None:
            self._server.request(worker.pid)

    def _retire(self, worker: Worker) -> None:
        if not worker.leaving:
            worker.leaving = True
            self._selector.unregister(worker.channel)

    def _hear_server(self, server: ServerProcess) -> None:
        message, descriptors = server.receive()
        if not message:
            self._bury_server(server)
        elif message.startswith(FAILURE):
            raise WorkersUnavailable(message.removeprefix(FAILURE).decode())
        elif descriptors:
            self._welcome(REPORT.unpack(message)[0], *descriptors)
        else:
            self._bury(*REPORT.unpack(message))

    def _welcome(self, pid: int, descriptor: int) -> None:
        worker = Worker(pid, socket.socket(fileno=descriptor))
        self._selector.register(worker.channel, EVENT_READ, partial(self._hear, worker))
        self._workers[pid] = worker
        self._workers_to_come -= 1

    def _hear(self, worker: Worker) -> bool:
        """Take what the worker has sent; return whether there may be more."""
        try:
            worker.receive()
        except BlockingIOError:
            return False
        except (EOFError, OSError):
            self._dismiss(worker)
            return False
        while worker.tasks and (outcome := worker.outcome()):
            self._take(worker, *outcome)
        return True

    def _take(self, worker: Worker, outcome: bytes, last: bool) -> None:
        _settle(worker.tasks.popleft().future, outcome)
        self._server_deaths = 0
        self._start_clock(worker)
        if last:
            self._take_back(worker)
            self._retire(worker)

    def _bury(self, pid: int, exit_code: int) -> None:
        """Forget a worker that has ended, after hearing its last words, and judge the task it was at."""
        worker = self._workers.pop(pid)
        while self._hear(worker):
            pass
        self._retire(worker)
        worker.channel.close()
        if worker.tasks:
            task = worker.tasks.popleft()
            self._take_back(worker)
            self._judge(task, exit_code)

    def _judge(self, task: Task, exit_code: int) -> None:
        """Fail a task whose worker died at it, unless it was killed for the first time.

        No decoder ends like that, and we kill only what is overdue: it was somebody else, or the system, which is out
        of memory. That may be for all that ran at the time, so the task gets a second run, with nothing beside it.
        """
        if exit_code == -signal.SIGKILL and not task.suspected:
            self._queue.appendleft(replace(task, suspected=True))
        else:
            task.future.set_exception(_cause_of_death(exit_code))

    def _bury_server(self, server: ServerProcess) -> None:
        """Its workers have died with it; the next task starts another, unless this goes on and on."""
        self._selector.unregister(server.control)
        server.close()
        self._server = None
        self._workers_to_come = 0
        for pid in list(self._workers):
            self._bury(pid, -signal.SIGKILL)
        self._server_deaths += 1
        if self._server_deaths >= _DEATHS_IN_A_ROW:
            raise WorkersUnavailable("the process that starts them ends again and again")

    def _finish(self, end: BaseException) -> None:
        self._end = end
        if self._server is not None:
            self._server.close(at_once=not self._workers)
        for worker in self._workers.values():
            worker.channel.close()
            for task in worker.tasks:
                task.future.set_exception(end)
        self._workers.clear()
        self._selector.close()
        self._bell.close()
        self._button.close()
        self._clear_queue(end)

    def _clear_queue(self, end: BaseException) -> None:
        with suppress(IndexError):
            while True:
                _give_up(self._queue.popleft().future, end)


def _settle(future: Future[Any], outcome: bytes) -> None:
    try:
        returned, value = pickle.loads(outcome)  # noqa: S301  written by our own worker
    except Exception as error:  # noqa: BLE001  constructors of the value may raise anything
        returned, value = False, OutcomeNotPicklable("what the task returned", described(error))
    if returned:
        future.set_result(value)
    else:
        future.set_exception(value)


def _give_up(future: Future[Any], end: BaseException) -> None:
    if isinstance(end, CancelledError):
        future.cancel()
    if future.running() or future.set_running_or_notify_cancel():
        future.set_exception(end)


def _cause_of_death(exit_code: int) -> TaskFailed:
    return TaskOutOfMemory() if exit_code == OUT_OF_MEMORY else WorkerCrashed(exit_code)
