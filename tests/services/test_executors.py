"""Executors: the same promises on this machine and on a Dask cluster, whose workers may die."""

import os
import socket
import time
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from pathlib import Path

import pytest

from dam.core.config import ParserLimits
from dam.core.exceptions import (
    ClusterUnavailable,
    InvalidConfiguration,
    OutcomeNotPicklable,
    TaskFailed,
    TaskOutOfMemory,
    TaskTimedOut,
    WorkerCrashed,
)
from dam.services import executors
from tests.dask_cluster import PATIENCE_SECONDS, DaskCluster
from tests.durability import processes
from tests.forks import ForkServer
from tests.services import isolation_tasks as tasks

LIMITS = ParserLimits(timeout_seconds=10, memory_bytes=1 << 30)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, forks: ForkServer) -> Iterator[DaskCluster]:
    """Give a cluster of two workers."""
    with DaskCluster(tmp_path_factory.mktemp("dask"), workers=2, forks=forks) as cluster:
        yield cluster


@pytest.fixture(scope="module", params=["local", "dask"])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    """Run the test on both executors."""
    address = request.getfixturevalue("cluster").address if request.param == "dask" else None
    with executors.opened(LIMITS, jobs=2, address=address) as executor:
        yield executor


def test_results_come_back(executor: Executor) -> None:
    futures = [executor.submit(tasks.echo, number) for number in range(50)]
    assert [future.result() for future in futures] == list(range(50))


def test_an_exception_of_the_task_arrives_as_it_is(executor: Executor) -> None:
    error = executor.submit(os.stat, "/nowhere/at/all").exception()
    assert isinstance(error, FileNotFoundError)


def test_a_task_that_kills_its_process_fails_alone(executor: Executor) -> None:
    hostile = executor.submit(tasks.exit_at_once, 3)
    others = [executor.submit(tasks.echo, number) for number in range(10)]
    assert isinstance(hostile.exception(), WorkerCrashed)
    assert [future.result() for future in others] == list(range(10))


def test_a_task_has_a_memory_limit(executor: Executor) -> None:
    assert isinstance(executor.submit(tasks.take_bytes, 8, each=1 << 28).exception(), TaskOutOfMemory)


def test_an_outcome_that_does_not_travel_is_a_failure_of_its_task(executor: Executor) -> None:
    assert isinstance(executor.submit(tasks.fail_unreadably).exception(), OutcomeNotPicklable)


def test_a_task_that_can_not_be_sent_is_refused_at_once(executor: Executor) -> None:
    with pytest.raises(Exception, match=r"pickle|local object"):
        executor.submit(lambda: None)


@pytest.mark.parametrize("where", ["local", "dask"])
def test_a_task_has_a_time_limit(where: str, request: pytest.FixtureRequest) -> None:
    address = request.getfixturevalue("cluster").address if where == "dask" else None
    hasty = ParserLimits(timeout_seconds=2)
    with executors.opened(hasty, jobs=1, address=address) as executor:
        error = executor.submit(tasks.sleep, 60).exception()
        assert isinstance(error, TaskTimedOut)
        assert isinstance(error, TaskFailed)
        assert executor.submit(tasks.echo, 1).result() == 1


@pytest.mark.parametrize("where", ["local", "dask"])
def test_an_error_gives_the_tasks_up(where: str, request: pytest.FixtureRequest) -> None:
    address = request.getfixturevalue("cluster").address if where == "dask" else None
    begin = time.monotonic()
    futures: list[Future[float]] = []

    def interrupted() -> None:
        with executors.opened(LIMITS, jobs=1, address=address) as executor:
            futures.extend(executor.submit(tasks.sleep, 50) for _ in range(4))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert time.monotonic() - begin < 40
    assert all(future.done() for future in futures)


def test_no_file_costs_a_dask_worker_its_life(cluster: DaskCluster) -> None:
    with executors.opened(LIMITS, jobs=1, address=cluster.address) as executor:
        process = executor.submit(tasks.process_id).result()
        assert process not in (os.getpid(), *(worker.pid for worker in cluster.workers))
        hostile = [executor.submit(tasks.kill_itself, 11) for _ in range(8)]
        assert all(isinstance(future.exception(), WorkerCrashed) for future in hostile)
    assert all(worker.poll() is None for worker in cluster.workers)


def test_tasks_of_a_dask_worker_that_dies_are_done_by_another(cluster: DaskCluster) -> None:
    with executors.opened(LIMITS, jobs=1, address=cluster.address) as executor:
        futures = [executor.submit(tasks.sleep, 0.02) for _ in range(60)]
        futures[5].result()
        victim = cluster.workers.pop(0)
        victim.kill()
        cluster.add_worker()
        victim.wait()
        assert [future.result() for future in futures] == [0.02] * 60


def test_tasks_of_a_scheduler_that_dies_fail(tmp_path: Path, forks: ForkServer) -> None:
    with (
        DaskCluster(tmp_path, workers=0, forks=forks) as cluster,
        executors.opened(LIMITS, jobs=1, address=cluster.address) as executor,
    ):
        future = executor.submit(tasks.echo, 1)
        cluster.scheduler.kill()
        assert isinstance(future.exception(timeout=PATIENCE_SECONDS), ClusterUnavailable)


def test_tasks_that_nobody_is_there_to_do_fail_after_a_while(tmp_path: Path, forks: ForkServer) -> None:
    from dam.services.cluster import ClusterExecutor, Isolation  # which imports a library for half a second

    isolation = Isolation(timeout_seconds=10, memory_bytes=1 << 30, preload=())
    with (
        DaskCluster(tmp_path, workers=0, forks=forks) as cluster,
        ClusterExecutor(cluster.place, isolation, patience_seconds=0.2) as executor,
    ):
        error = executor.submit(tasks.echo, 1).exception(timeout=PATIENCE_SECONDS)
    assert isinstance(error, ClusterUnavailable)
    assert "no workers for 0.2 s" in str(error)


def test_a_task_that_costs_more_workers_than_the_cluster_allows_fails(tmp_path: Path, forks: ForkServer) -> None:
    with (
        DaskCluster(tmp_path, workers=1, allowed_failures=0, forks=forks) as cluster,
        executors.opened(LIMITS, jobs=1, address=cluster.address) as executor,
    ):
        started = tmp_path / "started"
        future = executor.submit(tasks.touch_and_sleep, started, 60)
        processes.wait_for(started.exists)
        cluster.workers[0].kill()
        assert isinstance(future.exception(timeout=PATIENCE_SECONDS), ClusterUnavailable)


def test_a_cluster_that_does_not_answer_is_said(unused_tcp_port: int) -> None:
    address = f"dask://127.0.0.1:{unused_tcp_port}"
    with pytest.raises(ClusterUnavailable, match=address), executors.opened(LIMITS, jobs=1, address=address):
        pass


@pytest.mark.parametrize("address", ["", "dask://", "dask://host", "tcp://host:1", "dask://host:x", "dask://a:1/b"])
def test_an_address_that_names_no_executor_is_refused(address: str) -> None:
    with (
        pytest.raises(InvalidConfiguration, match="dask://HOST:PORT"),
        executors.opened(LIMITS, jobs=1, address=address),
    ):
        pass


@pytest.fixture
def unused_tcp_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
