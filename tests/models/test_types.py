"""Column types: what goes in comes out, whatever the operating system calls a file."""

import math
import os
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.exc import StatementError
from sqlalchemy.orm import Session

from dam.models import (
    AudioPropertiesComponent,
    DocumentPropertiesComponent,
    FileLocationComponent,
    FilePropertiesComponent,
    ObjectVerificationComponent,
)
from dam.models.types import escape_file_name, unescape_file_name
from dam.services import ecs_service

ODD_NAMES = [
    b"plain.jpg",
    "Ünïcödé 🏔.jpg".encode(),
    b"latin-1 \xe9\xff.jpg",
    b"new\nline\tand\x01control",
    b"back\\slash \\xff \\\\xff",
    b"\\",
    b"half \xf0\x9f and \xed\xb3\xbf surrogate",
    b"a" * 255,
    b"\xff" * 255,
    b" ",
    b"'; DROP TABLE entity; --",
    b"%s%(x)s:name?",
]


@given(st.binary(max_size=255))
def test_any_bytes_survive_the_way_into_text_and_back(raw: bytes) -> None:
    name = os.fsdecode(raw)
    text = escape_file_name(name)
    assert text.encode("utf-8").decode("utf-8") == text
    assert os.fsencode(unescape_file_name(text)) == raw


@given(st.binary(max_size=20), st.binary(max_size=20))
def test_different_names_are_different_texts(one: bytes, other: bytes) -> None:
    texts = {escape_file_name(os.fsdecode(name)) for name in (one, other)}
    assert len(texts) == len({one, other})


def test_a_name_that_is_text_without_backslash_reads_as_it_is() -> None:
    assert escape_file_name("Straße 7.jpg") == "Straße 7.jpg"
    assert escape_file_name("\udcff\\") == r"\xff\\"


def test_any_file_name_survives_the_way_into_the_database_and_is_found_by(session: Session) -> None:
    for raw in ODD_NAMES:
        entity = ecs_service.create_entity(session)
        name = os.fsdecode(raw)
        ecs_service.add_component(
            session, FilePropertiesComponent(entity_id=entity, original_filename=name, file_size_bytes=1)
        )
        session.expire_all()
        [found] = ecs_service.get_components(session, entity, FilePropertiesComponent)
        assert os.fsencode(found.original_filename) == raw
        assert ecs_service.entities_by_attribute(session, FilePropertiesComponent, original_filename=name) == [entity]


def test_rows_written_together_keep_odd_names_too(session: Session) -> None:
    entity = ecs_service.create_entity(session)
    rows = [
        {
            "entity_id": entity,
            "content_identifier": "",
            "storage_type": "local_reference",
            "physical_path_or_key": "/" + os.fsdecode(raw),
            "contextual_filename": os.fsdecode(raw),
        }
        for raw in ODD_NAMES
    ]
    ecs_service.merge_components(session, FileLocationComponent, rows * 2)
    names = session.scalars(select(FileLocationComponent.contextual_filename)).all()
    assert sorted(os.fsencode(name) for name in names) == sorted(ODD_NAMES)


def test_a_moment_comes_back_in_utc(session: Session) -> None:
    noon = datetime(2024, 6, 1, 12, 0, 0, 123456, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    entity = ecs_service.create_entity(session)
    ecs_service.add_component(session, ObjectVerificationComponent(entity_id=entity, found_good_at=noon))
    session.expire_all()
    [found] = ecs_service.get_components(session, entity, ObjectVerificationComponent)
    assert found.found_good_at == noon
    assert found.found_good_at.tzinfo is UTC


def test_a_moment_without_time_zone_is_refused(session: Session) -> None:
    entity = ecs_service.create_entity(session)
    naive = datetime(2024, 6, 1)  # noqa: DTZ001 - on purpose
    with pytest.raises(StatementError, match="a moment needs a time zone"):
        ecs_service.add_component(session, ObjectVerificationComponent(entity_id=entity, found_good_at=naive))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_is_refused(session: Session, value: float) -> None:
    entity = ecs_service.create_entity(session)
    with pytest.raises(ValueError, match="not a number that can be kept"):
        ecs_service.merge_components(
            session, AudioPropertiesComponent, [{"entity_id": entity, "duration_seconds": value}]
        )


def test_a_text_with_nul_is_refused(session: Session) -> None:
    entity = ecs_service.create_entity(session)
    with pytest.raises(StatementError, match="must not hold NUL"):
        ecs_service.add_component(session, DocumentPropertiesComponent(entity_id=entity, title="a\0b"))


def test_a_size_beyond_32_bits_is_kept(session: Session) -> None:
    entity = ecs_service.create_entity(session)
    huge = FilePropertiesComponent(entity_id=entity, original_filename="x", file_size_bytes=2**63 - 1)
    ecs_service.add_component(session, huge)
    session.expire_all()
    [found] = ecs_service.get_components(session, entity, FilePropertiesComponent)
    assert found.file_size_bytes == 2**63 - 1
