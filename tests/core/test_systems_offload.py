"""Offloaded work: what is held, what may be under way at once, and what is refused meanwhile."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar

import pytest
from sqlalchemy import select, text

from dam.core.components_markers import NeedsMetadataExtractionComponent as Marker
from dam.core.config import WorldConfig
from dam.core.exceptions import StageExecutionError, TaskFailed, WorkerCrashed, WorkersUnavailable
from dam.core.system_params import EntityFailures, MarkedEntityList, Offload, WorldSession
from dam.core.systems import system
from dam.core.world import World
from dam.models import Entity, ImageDimensionsComponent
from dam.services import ecs_service
from tests.core.queues import STAGE, failures, fill, left, mark, work

P = ParamSpec("P")
T = TypeVar("T")


def _crash_on_odd(number: int) -> int:
    if number % 2:
        raise WorkerCrashed(-9)
    return number


def test_on_sqlite_others_can_write_while_work_is_offloaded(sqlite_url: str, schema: None, tmp_path: Path) -> None:
    def write(_: int) -> None:
        with sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), timeout=0) as connection:
            connection.execute("UPDATE entity SET updated_at = created_at")
        connection.close()

    @system(stage=STAGE)
    async def look(session: WorldSession, todo: MarkedEntityList[Marker], offload: Offload) -> None:
        session.scalars(select(Entity)).all()
        await offload.map(write, todo)
        ecs_service.touch(session, todo)

    with World(WorldConfig(database_url=sqlite_url, storage_path=tmp_path)) as world:
        fill(world, 2)
        world.register_system(look)
        work(world)
        assert left(world) == []


def test_on_sqlite_a_mark_made_during_offloaded_work_is_not_lost(sqlite_url: str, schema: None, tmp_path: Path) -> None:
    with World(WorldConfig(database_url=sqlite_url, storage_path=tmp_path)) as world:
        [entity] = fill(world, 1)
        chunks = []

        @system(stage=STAGE)
        async def look(todo: MarkedEntityList[Marker], offload: Offload) -> None:
            chunks.append(list(todo))
            if len(chunks) == 1:
                await offload.map(lambda one: mark(world, one), todo)

        world.register_system(look)
        work(world)
        assert chunks == [[entity], [entity]]


def test_other_chunks_are_under_way_while_one_waits(world: World) -> None:
    entities = fill(world, 6)
    together = threading.Barrier(3, timeout=10)

    def wait(entity: int) -> int:
        together.wait()
        return entity

    @system(stage=STAGE, chunk_size=1)
    async def look(session: WorldSession, todo: MarkedEntityList[Marker], offload: Offload) -> None:
        await offload.map(wait, todo)
        ecs_service.touch(session, todo)

    with ThreadPoolExecutor(3) as executor:
        world.resources.bind(Executor).to(executor)
        world.register_system(look)
        work(world)
    assert left(world) == []
    assert len(entities) == 6


def test_a_chunk_that_breaks_stops_the_others_and_keeps_their_marks(world: World) -> None:
    entities = fill(world, 9)

    @system(stage=STAGE, chunk_size=3)
    async def look(session: WorldSession, todo: MarkedEntityList[Marker], offload: Offload) -> None:
        if todo[0] == entities[0]:
            await asyncio.sleep(0.05)
            raise RuntimeError("broken")
        await asyncio.sleep(10)

    world.register_system(look)
    with pytest.raises(StageExecutionError, match="RuntimeError: broken"):
        work(world)
    assert left(world) == entities


def test_when_several_chunks_break_none_is_swallowed(world: World, caplog: pytest.LogCaptureFixture) -> None:
    fill(world, 2)

    @system(stage=STAGE, chunk_size=1)
    async def look(todo: MarkedEntityList[Marker], offload: Offload) -> None:
        try:
            await asyncio.sleep(0.02)
        finally:
            raise RuntimeError(f"broken at {todo[0]}")

    world.register_system(look)
    with pytest.raises(StageExecutionError) as caught:
        work(world)
    said = str(caught.value) + caplog.text
    assert "broken at 1" in said
    assert "broken at 2" in said


def test_a_task_that_fails_can_become_a_failure_of_its_entity(world: World) -> None:
    entities = fill(world, 4)

    @system(stage=STAGE)
    async def look(todo: MarkedEntityList[Marker], offload: Offload, failed: EntityFailures) -> None:
        for entity, outcome in zip(todo, await offload.map(_crash_on_odd, todo), strict=True):
            if isinstance(outcome, TaskFailed):
                failed.record(entity, str(outcome))

    world.register_system(look)
    work(world)

    odd = [entity for entity in entities if entity % 2]
    assert [(one.entity_id, one.error) for one in failures(world)] == [
        (entity, "decoder crashed (signal 9)") for entity in odd
    ]


@pytest.mark.parametrize("how", ["add", "flush", "insert", "sql"])
def test_what_is_written_before_offloading_is_refused_and_not_lost_silently(world: World, how: str) -> None:
    fill(world, 1)

    @system(stage=STAGE)
    async def look(session: WorldSession, todo: MarkedEntityList[Marker], offload: Offload) -> None:
        row = {"entity_id": todo[0], "width_pixels": 1, "height_pixels": 1}
        if how in ("add", "flush"):
            session.add(ImageDimensionsComponent(**row))
        if how == "flush":
            session.flush()
        if how == "insert":
            ecs_service.add_components(session, ImageDimensionsComponent, [row])
        if how == "sql":
            session.execute(text("DELETE FROM entity"))
        await offload.map(abs, todo)

    world.register_system(look)
    with pytest.raises(StageExecutionError, match="must not write before it offloads"):
        work(world)


def test_a_database_in_memory_works_on_one_chunk_at_a_time(bare_world: World) -> None:
    bare_world.database.upgrade()
    fill(bare_world, 4)
    under_way = []

    @system(stage=STAGE, chunk_size=1)
    async def look(session: WorldSession, todo: MarkedEntityList[Marker], offload: Offload) -> None:
        under_way.append(len(todo))
        assert len(under_way) == 1
        await offload.map(abs, todo)
        await asyncio.sleep(0.001)
        under_way.pop()

    bare_world.register_system(look)
    work(bare_world)
    assert left(bare_world) == []


class Quitter(Executor):
    """Takes tasks and drops them, as a cluster may whose scheduler ends."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:  # noqa: ARG002 - as the base
        future: Future[T] = Future()
        future.cancel()
        return future


def test_work_that_the_executor_gives_up_is_an_error_and_keeps_the_marks(world: World) -> None:
    @system(stage=STAGE)
    async def look(todo: MarkedEntityList[Marker], offload: Offload) -> None:
        await offload.map(abs, todo)

    world.resources.bind(Executor).to(Quitter())
    entities = fill(world, 4)
    world.register_system(look)
    with pytest.raises(StageExecutionError) as raised:
        work(world)
    assert isinstance(raised.value.original_exception, WorkersUnavailable)
    assert left(world) == entities
