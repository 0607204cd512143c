"""Entities: ids that are never given out twice."""

from contextlib import closing
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from dam.core.database import Database
from dam.services import ecs_service


def test_an_id_is_never_given_out_again(session: Session) -> None:
    entities = ecs_service.create_entities(session, 3)
    ecs_service.delete_entities(session, entities)
    assert ecs_service.create_entity(session) > entities[-1]


def test_an_id_is_not_given_out_again_after_a_restart(database: Database, database_url: str) -> None:
    with database.session() as session:
        entity = ecs_service.create_entity(session)
        ecs_service.delete_entity(session, entity)
        session.commit()
    database.close()
    with closing(Database(database_url)) as again, again.session() as session:
        assert ecs_service.create_entity(session) > entity


def test_an_entity_knows_when_it_was_made(session: Session) -> None:
    before = datetime.now(UTC)
    entity = ecs_service.get_entity(session, ecs_service.create_entity(session))
    assert entity is not None
    assert before <= entity.created_at <= datetime.now(UTC)
    assert entity.updated_at == entity.created_at
