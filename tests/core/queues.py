"""Marked entities for the tests of the core: fills a world's queue, works on it, and looks at what is left."""

import asyncio
import time
from collections.abc import Callable

from sqlalchemy import select, text

from dam.core.components_markers import NeedsMetadataExtractionComponent
from dam.core.stages import SystemStage
from dam.core.world import World
from dam.models import ProcessingFailureComponent
from dam.services import ecs_service

STAGE = SystemStage.METADATA_EXTRACTION


def fill(world: World, count: int) -> list[int]:
    """Make marked entities and return their ids."""
    with world.session() as session:
        entities = ecs_service.create_entities(session, count)
        ecs_service.mark(session, entities, NeedsMetadataExtractionComponent)
        session.commit()
    return entities


def mark(world: World, *entities: int) -> None:
    """Mark entities in a transaction of its own."""
    with world.session() as session:
        ecs_service.mark(session, entities, NeedsMetadataExtractionComponent)
        session.commit()


def left(world: World) -> list[int]:
    """Return the entities that are marked now, as another connection sees it."""
    with world.reading() as session:
        return ecs_service.entities_with(session, NeedsMetadataExtractionComponent)


def work(world: World) -> None:
    """Run the stage."""
    asyncio.run(world.execute_stage(STAGE))


def failures(world: World) -> list[ProcessingFailureComponent]:
    """Return the recorded failures by entity."""
    with world.reading() as session:
        statement = select(ProcessingFailureComponent).order_by(ProcessingFailureComponent.entity_id)
        return list(session.scalars(statement))


def somebody_waits(world: World) -> bool:
    """Say whether a connection waits for a lock of another (PostgreSQL only)."""
    with world.reading() as session:
        return bool(session.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")))


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until something comes true, or fail after ten seconds."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.005)
