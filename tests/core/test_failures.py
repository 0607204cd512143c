"""Failures: what went wrong with single entities, kept in the database."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from dam.core import failures
from dam.core.components_markers import NeedsMetadataExtractionComponent as Marker
from dam.models import ProcessingFailureComponent
from dam.services import ecs_service


def extract() -> None:
    """Stand for the system."""


def paint() -> None:
    """Stand for another system."""


def _settle(session: Session, worked_on: list[int], reasons: Mapping[int, str]) -> None:
    failures.settle(session, extract, Marker, dict.fromkeys(worked_on, 0), reasons)


def _recorded(session: Session) -> list[ProcessingFailureComponent]:
    return list(session.scalars(select(ProcessingFailureComponent).order_by(ProcessingFailureComponent.id)))


def test_a_failure_says_system_mark_reason_and_when(session: Session) -> None:
    entity = ecs_service.create_entity(session)
    _settle(session, [entity], {entity: "no such file"})
    [failure] = _recorded(session)
    assert (failure.entity_id, failure.system, failure.error) == (entity, "extract", "no such file")
    assert (failure.marker, failure.attempts) == ("needs_metadata_extraction", 1)
    assert datetime.now(UTC) - failure.failed_at < timedelta(minutes=1)


def test_failing_again_counts_the_attempts_and_keeps_the_last_reason(session: Session) -> None:
    entity = ecs_service.create_entity(session)
    for reason in ("first", "second", "third"):
        _settle(session, [entity], {entity: reason})
    assert [(failure.attempts, failure.error) for failure in _recorded(session)] == [(3, "third")]


def test_what_goes_well_later_is_no_failure_any_more(session: Session) -> None:
    mended, broken = ecs_service.create_entities(session, 2)
    _settle(session, [mended, broken], {mended: "no", broken: "no"})
    _settle(session, [mended], {})
    assert [failure.entity_id for failure in _recorded(session)] == [broken]


def test_a_failure_of_another_system_stays(session: Session) -> None:
    entity = ecs_service.create_entity(session)
    failures.settle(session, paint, Marker, {entity: 0}, {entity: "no"})
    _settle(session, [entity], {})
    assert [failure.system for failure in _recorded(session)] == ["paint"]


def test_an_entity_that_is_gone_leaves_no_failure(session: Session) -> None:
    entity = ecs_service.create_entity(session)
    ecs_service.delete_entity(session, entity)
    _settle(session, [entity], {entity: "no"})
    assert _recorded(session) == []


def test_an_entity_beside_the_chunk_may_fail_again_and_again(session: Session) -> None:
    given, other = ecs_service.create_entities(session, 2)
    _settle(session, [given], {other: "no"})
    _settle(session, [given], {other: "no"})
    assert [(failure.entity_id, failure.attempts) for failure in _recorded(session)] == [(other, 2)]


@pytest.mark.parametrize(
    ("reason", "kept"),
    [
        ("two\nlines\tand  spaces", "two lines and spaces"),
        ("zero\0byte", "zerobyte"),
        ("name \udcff of no text", "name \\udcff of no text"),
        ("x" * 5000, "x" * 1000),
    ],
)
def test_a_reason_is_one_line_that_every_database_can_hold(session: Session, reason: str, kept: str) -> None:
    entity = ecs_service.create_entity(session)
    _settle(session, [entity], {entity: reason})
    assert [failure.error for failure in _recorded(session)] == [kept]
