"""What went wrong with assets, listed and tried again."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from dam.core.components_markers import NeedsMetadataExtractionComponent
from dam.models import FilePropertiesComponent, ProcessingFailureComponent
from dam.services import ecs_service, failure_service

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
MARKER = NeedsMetadataExtractionComponent


@pytest.fixture
def failed(session: Session) -> int:
    """Return an asset at which a system has failed."""
    entity_id = ecs_service.create_entity(session)
    ecs_service.add_component(
        session, FilePropertiesComponent(entity_id=entity_id, original_filename="a.png", file_size_bytes=1)
    )
    _fail(session, entity_id, "extract", marker=MARKER.__tablename__)
    return entity_id


def _fail(session: Session, entity_id: int, system: str, *, marker: str) -> None:
    ecs_service.add_component(
        session,
        ProcessingFailureComponent(
            entity_id=entity_id, system=system, marker=marker, error="broken", attempts=2, failed_at=NOW
        ),
    )


def test_failures_are_listed_with_the_asset_s_name(session: Session, failed: int) -> None:
    assert failure_service.list_failures(session) == [
        failure_service.Failure(
            entity_id=failed, filename="a.png", system="extract", error="broken", attempts=2, failed_at=NOW
        )
    ]


def test_a_failure_of_an_asset_without_name_is_listed_too(session: Session) -> None:
    _fail(session, ecs_service.create_entity(session), "extract", marker=MARKER.__tablename__)
    assert [failure.filename for failure in failure_service.list_failures(session)] == [None]


def test_a_failed_asset_gets_its_mark_again_and_keeps_its_failure(session: Session, failed: int) -> None:
    assert failure_service.mark_failed_again(session) == 1
    assert ecs_service.entities_with(session, MARKER) == [failed]
    assert len(failure_service.list_failures(session)) == 1


def test_an_asset_that_failed_twice_is_one_asset(session: Session, failed: int) -> None:
    _fail(session, failed, "another", marker=MARKER.__tablename__)
    assert failure_service.mark_failed_again(session) == 1
    assert failure_service.failed_since(session, NOW) == 1


def test_a_mark_that_the_program_no_longer_knows_is_left_alone(session: Session) -> None:
    _fail(session, ecs_service.create_entity(session), "extract", marker="needs_something_else")
    assert failure_service.mark_failed_again(session) == 0


def test_only_failures_from_the_moment_on_are_counted(session: Session, failed: int) -> None:
    assert failure_service.failed_since(session, NOW) == 1
    assert failure_service.failed_since(session, NOW + timedelta(seconds=1)) == 0


def test_waiting_assets_are_counted(session: Session, failed: int) -> None:
    assert failure_service.waiting(session, MARKER) == 0
    failure_service.mark_failed_again(session)
    assert failure_service.waiting(session, MARKER) == 1
