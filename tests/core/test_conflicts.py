"""Deadlocks on PostgreSQL: whoever the database ends begins again, and both get through."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from dam.core.components_markers import NeedsMetadataExtractionComponent as Marker
from dam.core.config import WorldConfig
from dam.core.conflicts import CONFLICTS_IN_A_ROW, Patience, is_conflict
from dam.core.database import Database
from dam.core.events import Event
from dam.core.exceptions import EventHandlingError
from dam.core.system_params import MarkedEntityList, WorldSession
from dam.core.systems import listens_for, system
from dam.core.world import World
from dam.models import Entity
from dam.services import ecs_service
from tests.core.queues import STAGE, fill, left, work

PATIENCE_SECONDS = 120


@dataclass(frozen=True)
class BothWanted(Event[int]):
    """Two entities are to be locked, in this order."""

    order: tuple[int, int]


@pytest.fixture
def postgres_world(postgres_url: str, schema: None, tmp_path: Path) -> Iterator[World]:
    with World(WorldConfig(database_url=postgres_url, storage_path=tmp_path)) as world:
        yield world


class Crossing:
    """Locks two entities, and lets everybody take the first before anybody takes the second, once."""

    def __init__(self) -> None:
        self._barrier = threading.Barrier(2)
        self._crossed = threading.Event()
        self.calls = 0

    def lock(self, session: Session, order: tuple[int, int]) -> None:
        self.calls += 1
        for entity in order:
            session.execute(select(Entity.id).where(Entity.id == entity).with_for_update())
            if not self._crossed.is_set():
                self._barrier.wait(PATIENCE_SECONDS)
                self._crossed.set()


def test_handlers_that_lock_crosswise_both_get_through(postgres_world: World) -> None:
    crossing = Crossing()

    @listens_for(BothWanted)
    def lock(event: BothWanted, session: WorldSession) -> int:
        crossing.lock(session, event.order)
        ecs_service.create_entity(session)
        return event.order[0]

    postgres_world.register_system(lock)
    one, other = fill(postgres_world, 2)
    events = [BothWanted((one, other)), BothWanted((other, one))]
    with ThreadPoolExecutor(2) as threads:
        answers = list(threads.map(lambda event: asyncio.run(postgres_world.dispatch(event)), events))
    assert answers == [[one], [other]]
    assert crossing.calls >= 3
    with postgres_world.reading() as session:
        assert len(ecs_service.entities_with(session)) == 4, "what the victim wrote the first time was rolled back"


def test_a_chunk_that_loses_a_deadlock_is_done_again(postgres_world: World) -> None:
    crossing = Crossing()
    one, other = fill(postgres_world, 2)

    @system(stage=STAGE)
    def lock(session: WorldSession, todo: MarkedEntityList[Marker]) -> None:
        session.execute(text("SET LOCAL deadlock_timeout = '100ms'"))  # so that this one is the victim
        crossing.lock(session, (one, other))
        ecs_service.touch(session, todo)

    def interfere() -> None:
        with postgres_world.session() as session, session.begin():
            session.execute(text("SET LOCAL deadlock_timeout = '20s'"))
            crossing.lock(session, (other, one))

    postgres_world.register_system(lock)
    with ThreadPoolExecutor(1) as thread:
        interfering = thread.submit(interfere)
        work(postgres_world)
        interfering.result()
    assert crossing.calls >= 3
    assert left(postgres_world) == []


def test_a_conflict_that_does_not_end_is_an_error(postgres_world: World) -> None:
    calls = []

    @listens_for(BothWanted)
    def conflict(session: WorldSession) -> None:
        calls.append(1)
        session.execute(text("DO $$ BEGIN RAISE EXCEPTION 'again' USING ERRCODE = '40001'; END $$"))

    postgres_world.register_system(conflict)
    with pytest.raises(EventHandlingError, match="again"):
        asyncio.run(postgres_world.dispatch(BothWanted((1, 2))))
    assert len(calls) == CONFLICTS_IN_A_ROW + 1


def test_patience_is_renewed_when_something_gets_through(postgres_url: str) -> None:
    with (
        pytest.raises(OperationalError) as raised,
        closing(Database(postgres_url)) as database,
        database.session() as session,
    ):
        session.execute(text("DO $$ BEGIN RAISE EXCEPTION 'again' USING ERRCODE = '40P01'; END $$"))

    async def forgiven(patience: Patience) -> bool:
        return await patience.forgives(raised.value)

    patience = Patience()
    assert [asyncio.run(forgiven(patience)) for _ in range(CONFLICTS_IN_A_ROW + 1)][-2:] == [True, False]
    patience.renew()
    assert asyncio.run(forgiven(patience))


def test_other_errors_are_no_conflicts(session: Session) -> None:
    with pytest.raises(Exception, match="nowhere") as raised:
        session.execute(text("SELECT * FROM nowhere"))
    assert not is_conflict(raised.value)
    assert not is_conflict(ValueError())
