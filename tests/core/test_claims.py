"""Claims: who works on what, and which marks are cleared."""

import asyncio
import fcntl
import os
from contextlib import closing

import pytest
from sqlalchemy.orm import Session

from dam.core import claims
from dam.core.components_markers import NeedsMetadataExtractionComponent as Marker
from dam.core.database import Database
from dam.services import ecs_service


def _marked(session: Session, count: int) -> list[int]:
    entities = ecs_service.create_entities(session, count)
    ecs_service.mark(session, entities, Marker)
    return entities


def test_a_claim_takes_the_next_marks_in_order_of_id(session: Session) -> None:
    entities = _marked(session, 5)
    assert list(claims.claim(session, Marker, after=entities[0], limit=3)) == entities[1:4]


def test_a_claim_of_an_empty_queue_is_empty(session: Session) -> None:
    assert claims.claim(session, Marker, after=-1, limit=3) == {}


def test_clearing_leaves_the_marks_of_others(session: Session) -> None:
    entities = _marked(session, 3)
    claims.clear(session, Marker, claims.claim(session, Marker, after=-1, limit=2))
    assert ecs_service.entities_with(session, Marker) == entities[2:]


def test_clearing_leaves_a_mark_that_was_made_anew(session: Session) -> None:
    _, second = _marked(session, 2)
    claimed = claims.claim(session, Marker, after=-1, limit=2)
    ecs_service.mark(session, [second], Marker)
    claims.clear(session, Marker, claimed)
    assert ecs_service.entities_with(session, Marker) == [second]


def test_on_postgresql_marks_that_another_holds_are_passed_over(postgres_url: str, schema: None) -> None:
    with closing(Database(postgres_url)) as database, database.session() as one, database.session() as other:
        entities = _marked(one, 4)
        one.commit()
        claims.claim(one, Marker, after=-1, limit=2)
        assert list(claims.claim(other, Marker, after=-1, limit=4)) == entities[2:]


def test_on_sqlite_the_right_to_drain_is_waited_for(sqlite_url: str, schema: None) -> None:
    async def drain() -> None:
        async with asyncio.timeout(0.2), claims.draining(database):
            pass

    with closing(Database(sqlite_url)) as database:
        assert database.file is not None
        holder = os.open(claims.lock_file(database.file), os.O_RDWR | os.O_CREAT)
        fcntl.flock(holder, fcntl.LOCK_EX)
        with pytest.raises(TimeoutError):
            asyncio.run(drain())
        os.close(holder)
        asyncio.run(drain())


def test_on_sqlite_nothing_else_than_the_named_files_is_left_beside_the_database(sqlite_url: str, schema: None) -> None:
    async def drain(session: Session) -> None:
        async with claims.draining(database):
            _marked(session, 1)
            session.commit()
            assert database.file is not None
            assert set(database.file.parent.glob("dam.db*")) <= set(claims.own_files(database.file))

    with closing(Database(sqlite_url)) as database, database.session() as session:
        asyncio.run(drain(session))


@pytest.mark.parametrize(("marked", "share"), [(0, 8), (64, 8), (65, 9), (160, 20), (161, 20)])
def test_a_share_is_the_less_the_less_is_left(session: Session, marked: int, share: int) -> None:
    _marked(session, marked)
    assert claims.fair_share(session, Marker, after=-1, most=20) == share


def test_a_share_is_never_more_than_allowed(session: Session) -> None:
    assert claims.fair_share(session, Marker, after=-1, most=3) == 3


def test_marks_that_were_passed_do_not_count_for_a_share(session: Session) -> None:
    entities = _marked(session, 160)
    assert claims.fair_share(session, Marker, after=entities[79], most=20) == 10
