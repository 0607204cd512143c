"""Systems over marked entities: chunks, marks, failures, and runs that are killed and go on."""

import threading
import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from dam.core.components_markers import NeedsMetadataExtractionComponent as Marker
from dam.core.config import WorldConfig
from dam.core.exceptions import StageExecutionError
from dam.core.system_params import EntityFailures, MarkedEntityList, WorldSession
from dam.core.systems import system
from dam.core.world import World
from dam.models import Entity, ImageDimensionsComponent
from dam.services import ecs_service
from tests.core.queues import STAGE, failures, fill, left, mark, somebody_waits, wait_until, work
from tests.forks import ForkServer


def _measure(session: WorldSession, todo: MarkedEntityList[Marker]) -> None:
    rows = [{"entity_id": entity, "width_pixels": 1, "height_pixels": 1} for entity in todo]
    ecs_service.add_components(session, ImageDimensionsComponent, rows)


def _goes_on(world: World) -> bool:
    work(world)
    return left(world) == []


@system(stage=STAGE)
def measure_the_rest(session: WorldSession, todo: MarkedEntityList[Marker]) -> None:
    """Go on where a killed process was."""
    _measure(session, todo)


def _measured(world: World) -> list[int]:
    with world.reading() as session:
        return ecs_service.entities_with(session, ImageDimensionsComponent)


def _failing_at(*bad: int) -> Callable[..., None]:
    @system(stage=STAGE, chunk_size=2)
    def judge(todo: MarkedEntityList[Marker], failed: EntityFailures) -> None:
        for entity in todo:
            if entity in bad:
                failed.record(entity, "no picture")

    return judge


def test_marked_entities_come_in_chunks_in_order_of_id(world: World) -> None:
    entities = fill(world, 7)
    chunks = []

    @system(stage=STAGE, chunk_size=3)
    def look(todo: MarkedEntityList[Marker]) -> None:
        chunks.append(list(todo))

    world.register_system(look)
    work(world)

    assert list(chain(*chunks)) == entities
    assert max(map(len, chunks)) <= 3
    assert left(world) == []


def test_a_system_without_work_is_not_called(world: World) -> None:
    @system(stage=STAGE)
    def look(todo: MarkedEntityList[Marker]) -> None:
        raise AssertionError

    world.register_system(look)
    work(world)


def test_each_chunk_is_a_transaction_of_its_own_with_a_session_of_its_own(world: World) -> None:
    entities = fill(world, 6)
    held: list[Entity] = []
    begun_with = []

    @system(stage=STAGE, chunk_size=2)
    def look(session: WorldSession, todo: MarkedEntityList[Marker]) -> None:
        begun_with.append((len(session.identity_map), left(world) == entities[entities.index(todo[0]) :]))
        held.extend(session.get_one(Entity, entity) for entity in todo)

    world.register_system(look)
    work(world)

    assert set(begun_with) == {(0, True)}
    assert len(begun_with) >= 3


def test_marks_and_results_of_a_chunk_stand_or_fall_together(world: World) -> None:
    entities = fill(world, 6)
    cause = RuntimeError("third chunk")

    @system(stage=STAGE, chunk_size=2)
    def measure(session: WorldSession, todo: MarkedEntityList[Marker]) -> None:
        _measure(session, todo)
        if todo[0] == entities[4]:
            raise cause

    world.register_system(measure)
    with pytest.raises(StageExecutionError) as caught:
        work(world)

    assert caught.value.original_exception is cause
    assert _measured(world) == entities[:4]
    assert left(world) == entities[4:]


def test_the_cause_of_what_a_system_raises_is_kept(world: World) -> None:
    fill(world, 1)
    origin = OSError("disk full")

    @system(stage=STAGE)
    def fail(todo: MarkedEntityList[Marker]) -> None:
        raise RuntimeError from origin

    world.register_system(fail)
    with pytest.raises(StageExecutionError) as caught:
        work(world)
    assert caught.value.original_exception.__cause__ is origin


def test_a_run_that_failed_goes_on_where_it_was(world: World) -> None:
    entities = fill(world, 6)
    worked_on: list[int] = []
    broken = [True]

    @system(stage=STAGE, chunk_size=2)
    def look(todo: MarkedEntityList[Marker]) -> None:
        if broken and len(worked_on) == 4:
            broken.pop()
            raise RuntimeError
        worked_on.extend(todo)

    world.register_system(look)
    with pytest.raises(StageExecutionError):
        work(world)
    work(world)

    assert worked_on == entities
    assert left(world) == []


def test_a_killed_process_loses_its_last_chunk_only(world: World, database_url: str, forks: ForkServer) -> None:
    entities = fill(world, 20)
    with forks.start_python("from tests.core import worker_process; worker_process.main()", database_url) as process:
        done = entities.index(int(process.stdout.readline()))
        process.kill()

    assert done >= 2
    assert _measured(world) == entities[:done]
    assert left(world) == entities[done:]
    world.register_system(measure_the_rest)
    wait_until(lambda: _goes_on(world))  # the server sees the death a moment later
    assert _measured(world) == entities


def test_a_commit_that_fails_keeps_the_marks_and_blames_its_system(world: World) -> None:
    [entity] = fill(world, 1)
    with world.database.engine.begin() as connection:
        connection.execute(
            text("CREATE TABLE promise (entity_id BIGINT REFERENCES entity (id) DEFERRABLE INITIALLY DEFERRED)")
        )

    @system(stage=STAGE)
    def promise(session: WorldSession, todo: MarkedEntityList[Marker]) -> None:
        session.execute(text("INSERT INTO promise VALUES (99)"))

    world.register_system(promise)
    with pytest.raises(StageExecutionError) as caught:
        work(world)

    assert caught.value.system is promise
    assert isinstance(caught.value.original_exception, IntegrityError)
    assert left(world) == [entity]


def test_a_mark_that_is_made_while_its_entity_is_worked_on_is_not_lost(world: World) -> None:
    [entity] = fill(world, 1)
    marking = threading.Thread(target=mark, args=(world, entity))
    chunks = []

    @system(stage=STAGE)
    def look(todo: MarkedEntityList[Marker]) -> None:
        chunks.append(list(todo))
        if len(chunks) == 1:
            marking.start()
            wait_until(lambda: not marking.is_alive() if world.database.is_sqlite else somebody_waits(world))

    world.register_system(look)
    work(world)
    marking.join()
    work(world)

    assert chunks == [[entity], [entity]]
    assert left(world) == []


def test_marks_that_are_made_behind_the_run_are_worked_on_too(world: World) -> None:
    first, second = fill(world, 2)
    chunks = []

    @system(stage=STAGE, chunk_size=1)
    def look(todo: MarkedEntityList[Marker]) -> None:
        chunks.append(list(todo))
        if todo[0] == second and len(chunks) == 2:
            mark(world, first)

    world.register_system(look)
    work(world)
    assert chunks == [[first], [second], [first]]


def test_one_bad_entity_does_not_stop_the_others(world: World) -> None:
    entities = fill(world, 5)
    world.register_system(_failing_at(entities[2]))
    work(world)
    assert [(failure.entity_id, failure.system) for failure in failures(world)] == [(entities[2], "judge")]
    assert left(world) == []


def test_an_entity_that_fails_again_has_more_attempts_and_one_record(world: World) -> None:
    [entity] = fill(world, 1)
    world.register_system(_failing_at(entity))
    work(world)
    mark(world, entity)
    work(world)
    assert [failure.attempts for failure in failures(world)] == [2]


def test_an_entity_that_is_mended_has_no_failure_any_more(world: World) -> None:
    [entity] = fill(world, 1)
    bad = [entity]

    @system(stage=STAGE)
    def judge(todo: MarkedEntityList[Marker], failed: EntityFailures) -> None:
        for one in set(todo) & set(bad):
            failed.record(one, "no picture")

    world.register_system(judge)
    work(world)
    assert len(failures(world)) == 1
    bad.clear()
    mark(world, entity)
    work(world)
    assert failures(world) == []


def test_failures_of_a_chunk_that_is_rolled_back_are_not_recorded(world: World) -> None:
    [entity] = fill(world, 1)

    @system(stage=STAGE)
    def judge(todo: MarkedEntityList[Marker], failed: EntityFailures) -> None:
        failed.record(entity, "no picture")
        raise RuntimeError

    world.register_system(judge)
    with pytest.raises(StageExecutionError):
        work(world)
    assert failures(world) == []
    assert left(world) == [entity]


def test_an_entity_that_its_system_deletes_is_done(world: World) -> None:
    entities = fill(world, 2)

    @system(stage=STAGE)
    def delete(session: WorldSession, todo: MarkedEntityList[Marker], failed: EntityFailures) -> None:
        if todo[0] == entities[0]:
            ecs_service.delete_entity(session, todo[0])
            failed.record(todo[0], "gone")

    world.register_system(delete)
    work(world)
    with world.reading() as session:
        assert ecs_service.entities_with(session) == entities[1:]


def test_workers_never_share_an_entity(config: WorldConfig) -> None:
    seen: list[list[int]] = [[], [], []]
    with World(config) as world:
        entities = fill(world, 60)
    workers = [threading.Thread(target=_work_slowly, args=(config, mine)) for mine in seen]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    with World(config) as world:
        assert left(world) == []
    assert sorted(chain(*seen)) == entities


def test_on_postgresql_workers_share_the_queue(postgres_url: str, schema: None, tmp_path: Path) -> None:
    config = WorldConfig(database_url=postgres_url, storage_path=tmp_path)
    together = threading.Barrier(2, timeout=10)

    @system(stage=STAGE, chunk_size=3)
    def look(todo: MarkedEntityList[Marker]) -> None:
        together.wait()

    def run() -> None:
        with World(config) as world:
            world.register_system(look)
            work(world)

    with World(config) as world:
        fill(world, 6)
        other = threading.Thread(target=run)
        other.start()
        world.register_system(look)
        work(world)
        other.join()
        assert left(world) == []


def _work_slowly(config: WorldConfig, seen: list[int]) -> None:
    @system(stage=STAGE, chunk_size=5)
    def look(todo: MarkedEntityList[Marker]) -> None:
        time.sleep(0.005)
        seen.extend(todo)

    with World(config) as world:
        world.register_system(look)
        work(world)
