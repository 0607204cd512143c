"""The thread behind ``isolation``: hands queued tasks to workers, keeps their time, and settles the futures."""

import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import replace
from functools import partial
from math import inf
from selectors import EVENT_READ, DefaultSelector

from dam.core.exceptions import (
    TaskFailed,
    TaskOutOfMemory,
    TaskTimedOut,
    WorkerCrashed,
    WorkersUnavailable,
)
from dam.services.isolation_processes import Outcome, ServerProcess, Task, Worker
from dam.services.isolation_server import FAILURE, FORK, OUT_OF_MEMORY, REPORT

_AHEAD_SECONDS = 0.05
"""So much work, as tasks took of late, may be in a worker's line, which rings when half of it is done: one turn of this
thread for each task cost 0.2 to 0.7 ms of processor time in both processes, most of it for being woken."""

_MOST_AHEAD = 64
_SHARE_OF_LAST = 0.2
_LOOK_SECONDS = 0.05
"""How late it may be noticed that a task in line has begun; its time counts from then."""

_SOON_SECONDS = 0.001

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
        self._pace_seconds = _AHEAD_SECONDS
        self._end: BaseException | None = None

    def add(self, tasks: Sequence[Task]) -> None:
        """Queue tasks, or fail them when the workers can't be started."""
        self._queue.extend(tasks)
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
        self._level_lines()
        self._give_tasks()
        self._ask_for_workers()
        for key, _ in self._selector.select(self._seconds_to_wait()):
            key.data()
        for worker in list(self._workers.values()):
            if worker.tasks and not worker.leaving:
                self._hear(worker)
        self._kill_overdue()

    def _level_lines(self) -> None:
        """Take back half of what is in line elsewhere when a worker has nothing to do."""
        if self._queue or all(worker.tasks or worker.leaving for worker in self._workers.values()):
            return
        for worker in self._workers.values():
            for _ in range(len(worker.tasks) // 2):
                task = worker.take_back()
                if task is not None:
                    self._queue.append(task)

    def _give_tasks(self) -> None:
        ahead = max(1, min(_MOST_AHEAD, int(_AHEAD_SECONDS / self._pace_seconds)))
        share = (len(self._queue) + sum(map(_tasks_of, self._workers.values()))) // self._jobs
        ring_every = (1 + max(1, min(ahead, share))) // 2
        while self._queue and (worker := self._taker(self._queue[0], ahead)):
            task = self._queue.popleft()
            if task.begin() and not self._give(worker, task, ring_every=ring_every):
                self._queue.appendleft(task)
                break

    def _taker(self, task: Task, ahead: int) -> Worker | None:
        """Return an idle worker; when all are there, one with few tasks in line.

        A large call is for an idle worker: until that reads it, it would block us. A suspected one runs alone.
        """
        workers = self._workers.values()
        worker = min((each for each in workers if not each.leaving), key=_tasks_of, default=None)
        if any(each.tasks and (task.suspected or each.tasks[0].suspected) for each in workers):
            return None
        if worker is None or not worker.tasks:
            return worker
        may_wait = task.is_small and worker.tasks[0].is_small and len(workers) == self._jobs
        return worker if may_wait and len(worker.tasks) <= ahead else None

    def _give(self, worker: Worker, task: Task, *, ring_every: int) -> bool:
        """Send a task to a worker; return False when it is full, or has died meanwhile and leaves it to the next."""
        try:
            worker.send(task, ring_every=ring_every, within=self._timeout_seconds)
        except BlockingIOError:
            return False
        except OSError:
            self._dismiss(worker)
            return False
        if len(worker.tasks) == 1:
            self._start_clock(worker)
        return True

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

    def _seconds_to_wait(self) -> float | None:
        """Return the time to the next deadline; those who do one task after another are looked at in between."""
        workers = self._workers.values()
        deadline = min((worker.deadline for worker in workers), default=inf)
        if deadline == inf:
            return None
        seconds = max(0.0, deadline - time.monotonic())
        if any(worker.is_midway for worker in workers):
            return min(seconds, _SOON_SECONDS)
        return min(seconds, _LOOK_SECONDS) if any(len(worker.tasks) > 1 for worker in workers) else seconds

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
            self._selector.unregister(worker.line)

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

    def _welcome(self, pid: int, *descriptors: int) -> None:
        channel, line, far_line = (socket.socket(fileno=descriptor) for descriptor in descriptors)
        worker = Worker(pid, channel, line, far_line)
        self._selector.register(line, EVENT_READ, worker.answer)
        self._workers[pid] = worker
        self._workers_to_come -= 1

    def _hear(self, worker: Worker) -> None:
        """Take what the worker has sent."""
        try:
            while worker.receive():
                pass
        except (EOFError, OSError):
            self._dismiss(worker)
        while worker.tasks and (outcome := worker.outcome()):
            self._take(worker, outcome)

    def _take(self, worker: Worker, outcome: Outcome) -> None:
        worker.tasks.popleft().settle(outcome.pickled)
        self._pace_seconds += (outcome.seconds - self._pace_seconds) * _SHARE_OF_LAST
        self._server_deaths = 0
        self._start_clock(worker)
        if outcome.is_last:
            self._take_back(worker)
            self._retire(worker)

    def _bury(self, pid: int, exit_code: int) -> None:
        """Forget a worker that has ended, after hearing its last words, and judge the task it was at."""
        worker = self._workers.pop(pid)
        self._retire(worker)
        self._hear(worker)
        not_begun = list(iter(worker.take_back, None))
        worker.close()
        self._queue.extendleft(reversed(not_begun))
        if worker.tasks:
            self._judge(worker.tasks.popleft(), exit_code)

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
            worker.close()
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
                self._queue.popleft().give_up(end)


def _tasks_of(worker: Worker) -> int:
    return len(worker.tasks)


def _cause_of_death(exit_code: int) -> TaskFailed:
    return TaskOutOfMemory() if exit_code == OUT_OF_MEMORY else WorkerCrashed(exit_code)
