"""Tests of the executor that runs tasks in worker processes with limits; all processes are real."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, wait
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from dam.core.exceptions import (
    OutcomeNotPicklable,
    TaskFailed,
    TaskOutOfMemory,
    TaskTimedOut,
    WorkerCrashed,
    WorkersUnavailable,
)
from dam.services.isolation import IsolatedExecutor
from tests.forks import ForkServer
from tests.services import isolation_tasks as tasks

PROJECT = Path(__file__).parents[2]
LIMIT = 1.0  # on a busy machine even a short task may take a while
MEGABYTE = 1 << 20
PRELOADED = ("tests.services.isolation_tasks", "colorsys")

OPENING = """
import pathlib, sys
from dam.services.isolation import IsolatedExecutor
from tests.services import isolation_tasks as tasks
executor = IsolatedExecutor(jobs=2, timeout_seconds=60)
"""
WORKING_PARENT = f"""{OPENING}
futures = [executor.submit(tasks.touch_and_sleep, pathlib.Path(path), 60) for path in sys.argv[1:]]
[future.result() for future in futures]
"""
FORGETFUL_PARENT = f"""{OPENING}
executor.submit(tasks.echo, 1).result()
executor.submit(tasks.sleep, 60)
"""
INTERRUPTED = """
from dam.core.waiting import result_of
from dam.services.isolation import IsolatedExecutor
from tests.interruptions import interrupted_everywhere

def asked():
    return result_of(executor.submit(abs, -1))

def begun():
    with IsolatedExecutor(jobs=1) as new:
        new.submit(abs, -1)

with IsolatedExecutor(jobs=1) as executor:
    asked()
    print(interrupted_everywhere(asked, then=asked))
print(interrupted_everywhere(begun))
"""


@pytest.fixture(scope="module")
def executor() -> Iterator[IsolatedExecutor]:
    """Two workers for all tests, with a time limit that none of their tasks reaches."""
    with IsolatedExecutor(jobs=2, timeout_seconds=30, memory_bytes=256 * MEGABYTE, preload=PRELOADED) as executor:
        yield executor


@pytest.fixture(scope="module")
def hasty() -> Iterator[IsolatedExecutor]:
    """One worker with little time for a task, for all tests."""
    with IsolatedExecutor(jobs=1, timeout_seconds=LIMIT, preload=PRELOADED) as executor:
        yield executor


def test_tasks_come_back_in_the_order_of_their_futures(executor: IsolatedExecutor) -> None:
    assert list(executor.map(tasks.echo, range(300))) == list(range(300))


def test_tasks_run_in_other_processes_at_most_jobs_of_them(executor: IsolatedExecutor) -> None:
    futures = [executor.submit(tasks.process_id) for _ in range(100)]
    pids = {future.result() for future in futures}
    assert os.getpid() not in pids
    assert 1 <= len(pids) <= 2


def test_tasks_run_at_the_same_time(executor: IsolatedExecutor, tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    futures = [executor.submit(tasks.meet, one, other), executor.submit(tasks.meet, other, one)]
    assert [future.result() for future in futures] == [None, None]


def test_no_more_workers_are_started_than_tasks_need() -> None:
    with IsolatedExecutor(jobs=8) as executor:
        assert len({executor.submit(tasks.process_id).result() for _ in range(20)}) == 1


@pytest.mark.parametrize("size", [0, 100_000, 2_000_000])
def test_arguments_and_results_of_any_size_pass(executor: IsolatedExecutor, size: int) -> None:
    value = os.urandom(size)
    assert [future.result() for future in [executor.submit(tasks.echo, value) for _ in range(4)]] == [value] * 4


def test_large_and_small_calls_and_results_may_follow_one_another(executor: IsolatedExecutor) -> None:
    values = [bytes(size) for size in (0, 1_000_000, 1, 2, 30_000, 100_000, 32_000, 3, 400_000, 4) * 5]
    assert [future.result() for future in executor.submit_all(tasks.echo, values)] == values


def test_many_tasks_are_taken_at_once(executor: IsolatedExecutor) -> None:
    assert [future.result() for future in executor.submit_all(tasks.echo, range(300))] == list(range(300))
    assert executor.submit_all(tasks.echo, []) == []


def test_what_a_task_raises_arrives_with_its_traceback(executor: IsolatedExecutor) -> None:
    error = executor.submit(tasks.fail, "no header").exception()
    assert isinstance(error, ValueError)
    assert str(error) == "no header"
    assert "in fail" in error.__notes__[0]


def test_leaving_the_interpreter_is_an_exception_like_others(executor: IsolatedExecutor) -> None:
    assert isinstance(executor.submit(tasks.leave).exception(), SystemExit)


def test_a_task_that_holds_the_interpreter_times_out_and_the_next_ones_run(hasty: IsolatedExecutor) -> None:
    hanging = hasty.submit(tasks.hold_the_interpreter)
    others = [hasty.submit(tasks.echo, n) for n in range(20)]
    error = hanging.exception()
    assert isinstance(error, TaskTimedOut)
    assert str(error) == "timed out after 1 s"
    assert [future.result() for future in others] == list(range(20))


def test_the_clock_starts_with_the_task_not_with_its_submission(hasty: IsolatedExecutor) -> None:
    futures = [hasty.submit(tasks.sleep, LIMIT / 4) for _ in range(5)]
    assert [future.result() for future in futures] == [LIMIT / 4] * 5


def test_tasks_in_a_line_have_their_time_each(hasty: IsolatedExecutor) -> None:
    lengthen_lines(hasty)
    futures = hasty.submit_all(tasks.sleep, [LIMIT / 6] * 12)
    _until(lambda: _has_left_the_queue(futures[-1]))
    assert [future.result() for future in futures] == [LIMIT / 6] * 12


def test_a_task_that_hangs_in_a_line_fails_alone_and_in_time(hasty: IsolatedExecutor) -> None:
    lengthen_lines(hasty)
    begin = time.monotonic()
    futures = hasty.submit_all(tasks.sleep, [0, 0, 0, 30, 0, 0, 0])
    _until(lambda: _has_left_the_queue(futures[-1]))
    assert [type(future.exception()) for future in futures] == [type(None)] * 3 + [TaskTimedOut] + [type(None)] * 3
    assert time.monotonic() - begin < LIMIT + 3


def test_a_worker_that_dies_with_tasks_in_line_fails_only_its_own(hasty: IsolatedExecutor) -> None:
    lengthen_lines(hasty)
    futures = hasty.submit_all(tasks.sleep_or_exit, [0.2, 0, -1, 0, 0, -1, 0])
    _until(lambda: _has_left_the_queue(futures[-1]))
    failed = [isinstance(future.exception(), WorkerCrashed) for future in futures]
    assert failed == [False, False, True, False, False, True, False]


def test_tasks_in_line_are_done_when_their_worker_is_killed_from_outside(
    hasty: IsolatedExecutor, tmp_path: Path
) -> None:  # fmt: skip
    lengthen_lines(hasty)
    pid = hasty.submit(tasks.process_id).result()
    futures = hasty.submit_all(tasks.sleep_and_tell, [LIMIT / 2, 0, 0, 0])
    _until(lambda: _has_left_the_queue(futures[-1]))
    os.kill(pid, signal.SIGKILL)
    assert pid not in [future.result() for future in futures]


def test_a_task_is_not_blamed_for_the_death_of_a_worker_that_had_not_begun_it(hasty: IsolatedExecutor) -> None:
    pid = hasty.submit(tasks.process_id).result()
    os.kill(pid, signal.SIGSTOP)
    _until(lambda: _stat(pid)[0] == "T")
    future = hasty.submit(tasks.process_id)
    _until(lambda: _has_left_the_queue(future))
    os.kill(pid, signal.SIGABRT)
    os.kill(pid, signal.SIGCONT)
    assert future.result() != pid


def test_no_worker_keeps_tasks_in_line_while_another_has_none(executor: IsolatedExecutor) -> None:
    lengthen_lines(executor)
    futures = executor.submit_all(tasks.sleep_and_tell, [0.4, 0] * 6)
    _until(lambda: _has_left_the_queue(futures[-2]))
    long = [future.result() for future in futures[::2]]
    assert max(long.count(pid) for pid in long) < len(long) - 1


def test_a_timeout_is_kept_to_within_a_fraction_of_a_second(hasty: IsolatedExecutor) -> None:
    hasty.submit(tasks.echo, 0).result()
    begin = time.monotonic()
    assert isinstance(hasty.submit(tasks.sleep, 30).exception(), TaskTimedOut)
    assert LIMIT <= time.monotonic() - begin < LIMIT + 3


@pytest.mark.parametrize("count", [1, 3_000], ids=["at once", "bit by bit"])
def test_a_task_over_the_memory_limit_fails_alone(executor: IsolatedExecutor, count: int) -> None:
    failing = executor.submit(tasks.take_bytes, count, each=300 * MEGABYTE // count)
    others = [executor.submit(tasks.take_bytes, 1, each=100 * MEGABYTE) for _ in range(2)]
    error = failing.exception()
    assert isinstance(error, TaskOutOfMemory)
    assert str(error) == "ran out of memory"
    assert [future.result() for future in others] == [100 * MEGABYTE] * 2


def test_what_earlier_tasks_leaked_does_not_fail_later_ones(executor: IsolatedExecutor) -> None:
    futures = [executor.submit(tasks.keep_bytes, 80 * MEGABYTE) for _ in range(10)]
    assert len({future.result() for future in futures}) > 2


@pytest.mark.parametrize(
    ("fatal", "argument", "reason"),
    [
        (tasks.exit_at_once, 3, "decoder crashed (exit status 3)"),
        (tasks.exit_at_once, 0, "decoder crashed (exit status 0)"),
        (tasks.kill_itself, signal.SIGSEGV, "decoder crashed (signal 11)"),
        (tasks.kill_itself, signal.SIGABRT, "decoder crashed (signal 6)"),
        (tasks.kill_itself, signal.SIGKILL, "decoder crashed (signal 9)"),
    ],
)
def test_a_worker_that_dies_fails_its_own_task_only(
    executor: IsolatedExecutor, fatal: Callable[[int], None], argument: int, reason: str
) -> None:
    before = [executor.submit(tasks.echo, n) for n in range(20)]
    failing = executor.submit(fatal, argument)
    after = [executor.submit(tasks.echo, n) for n in range(20)]
    error = failing.exception()
    assert isinstance(error, WorkerCrashed)
    assert str(error) == reason
    assert [future.result() for future in before + after] == list(range(20)) * 2


def test_an_invalid_memory_access_is_a_crash(executor: IsolatedExecutor) -> None:
    assert str(executor.submit(tasks.read_address_zero).exception()) == "decoder crashed (signal 11)"


def test_every_second_task_may_crash(executor: IsolatedExecutor) -> None:
    futures = [executor.submit(tasks.exit_at_once, 1) if n % 2 else executor.submit(tasks.echo, n) for n in range(20)]
    assert [isinstance(future.exception(), WorkerCrashed) for future in futures] == [False, True] * 10


def test_a_task_whose_worker_is_killed_from_outside_runs_once_more(executor: IsolatedExecutor, tmp_path: Path) -> None:
    unlucky = executor.submit(tasks.sleep_the_first_time, tmp_path / "pid")
    first = _number_in(tmp_path / "pid")
    os.kill(first, signal.SIGKILL)
    assert unlucky.result(timeout=20) != first


def test_a_task_whose_worker_was_killed_runs_alone(executor: IsolatedExecutor, tmp_path: Path) -> None:
    beside = executor.submit(tasks.meet, tmp_path / "begun", tmp_path / "end")
    unlucky: Future[Any] = executor.submit(tasks.sleep_the_first_time, tmp_path / "pid")
    after: Future[Any] = executor.submit(tasks.echo, 1)
    os.kill(_number_in(tmp_path / "pid"), signal.SIGKILL)
    assert wait([unlucky, after], timeout=0.3).not_done == {unlucky, after}
    (tmp_path / "end").touch()
    assert [beside.result(), unlucky.exception(), after.result()] == [None, None, 1]


def test_an_idle_worker_killed_from_outside_is_replaced(executor: IsolatedExecutor) -> None:
    pid = executor.submit(tasks.process_id).result()
    os.kill(pid, signal.SIGKILL)
    assert [executor.submit(tasks.echo, n).result() for n in range(10)] == list(range(10))


def test_a_killed_server_is_replaced_and_the_running_tasks_run_once_more(
    executor: IsolatedExecutor, tmp_path: Path
) -> None:
    beside = executor.submit(tasks.sleep_the_first_time, tmp_path / "pid")
    first = _number_in(tmp_path / "pid")
    assert executor.submit(tasks.kill_the_server_the_first_time, tmp_path / "killed").result(timeout=20) == "done"
    assert beside.result(timeout=20) != first


def test_a_task_that_kills_the_server_again_has_failed(executor: IsolatedExecutor) -> None:
    assert isinstance(executor.submit(tasks.kill_the_server).exception(timeout=20), WorkerCrashed)
    assert executor.submit(tasks.echo, 1).result() == 1


def test_programs_that_a_task_started_die_with_its_worker(hasty: IsolatedExecutor, tmp_path: Path) -> None:
    failing = hasty.submit(tasks.start_a_program, tmp_path / "pid")
    assert isinstance(failing.exception(), TaskTimedOut)
    pid = _number_in(tmp_path / "pid")
    _until(lambda: not _exists(pid))


@pytest.mark.parametrize(
    ("task", "words"),
    [
        (tasks.return_a_function, "a function can't be sent between processes"),
        (tasks.fail_with_a_function, "ValueError: <function"),
        (tasks.fail_unreadably, "Unreadable: header is broken at 7 can't be sent between processes"),
        (tasks.make_unreadable, "what the task returned can't be sent between processes: TypeError"),
    ],
)
def test_an_outcome_that_cannot_be_sent_is_that_tasks_failure(
    executor: IsolatedExecutor, task: Callable[[], object], words: str
) -> None:
    error = executor.submit(task).exception()
    assert isinstance(error, OutcomeNotPicklable)
    assert words in str(error)
    assert executor.submit(tasks.echo, 1).result() == 1


def test_a_call_that_cannot_be_sent_is_refused_at_once(executor: IsolatedExecutor) -> None:
    with pytest.raises((AttributeError, TypeError)):
        executor.submit(tasks.echo, threading.Lock())


def test_a_function_that_workers_cannot_import_fails_its_future(executor: IsolatedExecutor) -> None:
    module = type(sys)("nowhere_to_be_found")
    exec("def function(): pass", module.__dict__)
    sys.modules[module.__name__] = module
    try:
        error = executor.submit(module.function).exception()
    finally:
        del sys.modules[module.__name__]
    assert isinstance(error, ModuleNotFoundError)


def test_workers_cannot_be_started_when_a_module_to_preload_is_missing() -> None:
    with IsolatedExecutor(jobs=1, preload=["dam.no_such_module"]) as executor:
        first = executor.submit(tasks.echo, 1).exception()
        second = executor.submit(tasks.echo, 1).exception()
    assert isinstance(first, WorkersUnavailable)
    assert not isinstance(first, TaskFailed)
    assert isinstance(second, WorkersUnavailable)
    assert str(first) == (
        "worker processes can't be started: ModuleNotFoundError: No module named 'dam.no_such_module'"
    )


def test_preloaded_modules_are_there_for_the_tasks(executor: IsolatedExecutor) -> None:
    assert executor.submit(tasks.is_imported, "colorsys").result()
    assert not executor.submit(tasks.is_imported, "wave").result()


def test_a_cancelled_task_does_not_run(executor: IsolatedExecutor, tmp_path: Path) -> None:
    more_than_are_sent_ahead = 300
    running = [executor.submit(tasks.wait_for, tmp_path / "end") for _ in range(more_than_are_sent_ahead)]
    queued = executor.submit(tasks.touch_and_sleep, tmp_path / "ran", 0)
    assert queued.cancel()
    (tmp_path / "end").touch()
    assert [future.result() for future in running] == [None] * more_than_are_sent_ahead
    assert executor.submit(tasks.echo, 1).result() == 1
    assert not (tmp_path / "ran").exists()


def test_shutdown_waits_for_the_queued_tasks() -> None:
    executor = IsolatedExecutor(jobs=2)
    futures = [executor.submit(tasks.sleep, 0.01) for _ in range(20)]
    executor.shutdown()
    assert all(future.done() and not future.exception() for future in futures)


def test_shutdown_leaves_no_process() -> None:
    with IsolatedExecutor(jobs=2) as executor:
        pids = {future.result() for future in [executor.submit(tasks.process_id) for _ in range(20)]}
        pids.add(executor.submit(tasks.parent_process_id).result())
    assert not any(_exists(pid) for pid in pids)


def test_shutdown_without_waiting_still_finishes_the_tasks(tmp_path: Path) -> None:
    executor = IsolatedExecutor(jobs=1)
    future = executor.submit(tasks.wait_for, tmp_path / "end")
    executor.shutdown(wait=False)
    assert not future.done()
    (tmp_path / "end").touch()
    assert future.result() is None
    executor.shutdown()


def test_a_cancelling_shutdown_kills_what_runs(tmp_path: Path) -> None:
    executor = IsolatedExecutor(jobs=1)
    running = executor.submit(tasks.touch_and_sleep, tmp_path / "pid", 30)
    queued = [executor.submit(tasks.sleep, 30) for _ in range(10)]
    pid = _number_in(tmp_path / "pid")
    begin = time.monotonic()
    executor.shutdown(cancel_futures=True)
    assert time.monotonic() - begin < 15
    assert not _exists(pid)
    with pytest.raises(CancelledError):
        running.result(timeout=0)
    assert all(isinstance(_raised(future), CancelledError) for future in queued)
    assert all(future.cancelled() for future in queued[1:])


def test_an_error_in_the_block_kills_what_runs() -> None:
    begin = time.monotonic()
    with suppress(KeyboardInterrupt), IsolatedExecutor(jobs=1) as executor:
        running = executor.submit(tasks.sleep, 30)
        raise KeyboardInterrupt
    assert time.monotonic() - begin < 10
    assert isinstance(_raised(running), CancelledError)


def test_nothing_of_a_finished_task_is_kept(executor: IsolatedExecutor) -> None:
    futures = [executor.submit(tasks.echo, n) for n in range(20)]
    wait(futures)
    executor.submit(tasks.echo, 1).result()
    kept = [weakref.ref(future) for future in futures]
    futures.clear()
    _until(lambda: not any(reference() for reference in kept))


def test_an_idle_executor_uses_no_processor_time(executor: IsolatedExecutor) -> None:
    executor.submit(tasks.echo, 1).result()
    before = time.process_time()
    time.sleep(0.2)
    assert time.process_time() - before < 0.05


def test_nothing_is_taken_after_shutdown() -> None:
    executor = IsolatedExecutor(jobs=1)
    executor.shutdown()
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(tasks.echo, 1)
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit_all(tasks.echo, [1])


def test_an_executor_that_was_never_used_starts_nothing() -> None:
    threads = threading.active_count()
    with IsolatedExecutor(jobs=2):
        assert threading.active_count() == threads


def test_futures_can_be_awaited(executor: IsolatedExecutor) -> None:
    async def all_of_them() -> list[object]:
        return await asyncio.gather(*(asyncio.wrap_future(executor.submit(tasks.echo, n)) for n in range(20)))

    assert asyncio.run(all_of_them()) == list(range(20))


def test_tasks_are_taken_from_many_threads(executor: IsolatedExecutor) -> None:
    futures: list[Future[object]] = []

    def submit_some() -> None:
        futures.extend(executor.submit(tasks.echo, n) for n in range(50))

    threads = [threading.Thread(target=submit_some) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(int(str(future.result())) for future in futures) == sorted([*range(50)] * 4)


def test_workers_see_neither_terminal_nor_descriptors_of_the_program(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with (tmp_path / "database").open("wb") as held, IsolatedExecutor(jobs=1) as executor:
        os.set_inheritable(held.fileno(), True)
        descriptors = executor.submit(tasks.open_descriptors).result()
        executor.submit(tasks.print_something).result()
        assert executor.submit(tasks.read_input).result() == b""
    sockets = [name for name in descriptors if name.startswith("socket:")]
    files = sorted(Path(name).name for name in descriptors if name not in sockets)
    assert files == ["null", "null", "null", "statm"]
    assert len(sockets) == 2
    assert capfd.readouterr() == ("", "")


def test_workers_have_one_thread_a_library_no_core_dumps_and_ignore_interrupts(executor: IsolatedExecutor) -> None:
    assert executor.submit(tasks.surroundings).result() == {
        "threads": {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
        "core": (0, 0),
        "interrupt": True,
    }


def test_a_killed_parent_leaves_no_process_behind(tmp_path: Path) -> None:
    paths = [tmp_path / "first", tmp_path / "second"]
    parent = subprocess.Popen([sys.executable, "-c", WORKING_PARENT, *paths], cwd=PROJECT)
    workers = [_number_in(path) for path in paths]
    family = [*workers, _parent_of(workers[0])]
    assert all(_exists(pid) for pid in family)
    parent.kill()
    parent.wait()
    _until(lambda: not any(_exists(pid) for pid in family))


def test_wherever_a_call_is_interrupted_the_next_is_answered_and_all_ends(forks: ForkServer) -> None:
    asked, begun = map(int, forks.run_python(INTERRUPTED).split())
    assert min(asked, begun) > 50


def test_a_program_that_forgets_to_shut_down_ends_all_the_same() -> None:
    begin = time.monotonic()
    subprocess.run([sys.executable, "-c", FORGETFUL_PARENT], cwd=PROJECT, check=True)
    assert time.monotonic() - begin < 20


def test_the_main_module_is_not_imported_again(tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text(
        "import os, sys\n"
        f"sys.path.insert(0, {str(PROJECT)!r})\n"
        "print('main runs')\n"
        "from dam.services.isolation import IsolatedExecutor\n"
        "with IsolatedExecutor(jobs=1) as executor:\n"
        "    print(executor.submit(os.path.basename, 'a/b').result())\n"
    )
    result = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert result.stdout == "main runs\nb\n"


def lengthen_lines(executor: IsolatedExecutor) -> None:
    """Let it learn that tasks are short, so that it sends many ahead."""
    for future in executor.submit_all(tasks.echo, range(100)):
        future.result()


def _has_left_the_queue(future: Future[Any]) -> bool:
    return future.running() or future.done()


def _raised(future: Future[Any]) -> BaseException | None:
    try:
        return future.exception(timeout=0)
    except CancelledError as error:
        return error


def _number_in(path: Path) -> int:
    """Return what a task wrote, when it has written it."""
    _until(lambda: path.exists() and path.read_text() != "")
    return int(path.read_text())


def _until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _parent_of(pid: int) -> int:
    return int(_stat(pid)[1])


def _exists(pid: int) -> bool:
    """Tell whether the process lives; one that only waits for its parent to notice does not."""
    try:
        return _stat(pid)[0] != "Z"
    except FileNotFoundError:
        return False
