"""Components in a real database: what it refuses, what goes with an entity, what values survive."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Double, Integer, LargeBinary, insert
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.orm import Session

from dam.core.components_markers import NeedsMetadataExtractionComponent
from dam.models import (
    AudioPropertiesComponent,
    ContentHashMD5Component,
    ContentHashSHA256Component,
    FileLocationComponent,
    FilePropertiesComponent,
    ImageDimensionsComponent,
    ImagePerceptualAHashComponent,
    ImagePerceptualDHashComponent,
    ImagePerceptualPHashComponent,
    OriginalSourceInfoComponent,
)
from dam.models.base import Component, RepeatableComponent, SingleComponent, fact_digest
from dam.models.types import UtcDateTime
from dam.services import ecs_service

KINDS = ecs_service.component_kinds()
SINGLE = [kind for kind in KINDS if issubclass(kind, SingleComponent)]
REPEATABLE = [kind for kind in KINDS if issubclass(kind, RepeatableComponent)]
NOW = datetime(2024, 6, 1, tzinfo=UTC)
HASHES: dict[type[Component], int] = {
    ContentHashSHA256Component: 32,
    ContentHashMD5Component: 16,
    ImagePerceptualPHashComponent: 8,
    ImagePerceptualAHashComponent: 8,
    ImagePerceptualDHashComponent: 8,
}


def _values(kind: type[Component], entity: int, **changes: Any) -> dict[str, Any]:
    """Return a value for each column that must have one."""
    values: dict[str, Any] = {"entity_id": entity}
    for column in kind.__table__.columns:
        if column.name in ("id", "entity_id", "fact_digest", "version") or column.nullable:
            continue
        values[column.name] = _value(column.type)
    return values | changes


def _value(column_type: object) -> object:
    if isinstance(column_type, LargeBinary):
        return bytes(column_type.length or 0)
    if isinstance(column_type, UtcDateTime):
        return NOW
    return 7 if isinstance(column_type, Integer | Double) else "text"


def _add(session: Session, kind: type[Component], entity: int, **changes: Any) -> None:
    session.add(kind(**_values(kind, entity, **changes)))
    session.flush()


def test_the_database_refuses_a_second_single_component(session: Session) -> None:
    entity = ecs_service.create_entity(session)
    for kind in SINGLE:
        _add(session, kind, entity)
        _refuses(session, kind, _values(kind, entity, **_distinct(kind)))


def test_the_database_refuses_the_same_fact_twice(session: Session) -> None:
    entity = ecs_service.create_entity(session)
    for kind in REPEATABLE:
        _add(session, kind, entity)
        _refuses(session, kind, _values(kind, entity))


def test_another_fact_or_another_entity_is_another_row(session: Session) -> None:
    one, other = ecs_service.create_entities(session, 2)
    for kind in REPEATABLE:
        _add(session, kind, one)
        _add(session, kind, other)
        for column in kind.same_fact:
            _add(session, kind, one, **{column: "another"})
        assert len(ecs_service.get_components(session, one, kind)) == 1 + len(kind.same_fact)


def test_all_components_go_with_their_entity_and_no_others(session: Session) -> None:
    doomed, spared = ecs_service.create_entities(session, 2)
    for kind in KINDS:
        _add(session, kind, doomed)
        _add(session, kind, spared, **_distinct(kind))
    ecs_service.delete_entity(session, doomed)
    for kind in KINDS:
        assert ecs_service.entities_with(session, kind) == [spared], kind
        assert not ecs_service.get_components(session, doomed, kind)


def test_the_database_refuses_a_component_of_nobody(session: Session) -> None:
    for kind in KINDS:
        _refuses(session, kind, _values(kind, 99))


def test_two_assets_never_share_a_sha256_and_may_share_an_md5(session: Session) -> None:
    one, other = ecs_service.create_entities(session, 2)
    for entity in (one, other):
        _add(session, ContentHashMD5Component, entity, hash_value=bytes(16))
    _add(session, ContentHashSHA256Component, one, hash_value=bytes(32))
    with pytest.raises(IntegrityError):
        _add(session, ContentHashSHA256Component, other, hash_value=bytes(32))


def test_a_hash_of_another_length_is_refused(session: Session) -> None:
    entity = ecs_service.create_entity(session)
    for kind, length in HASHES.items():
        _refuses(session, kind, {"entity_id": entity, "hash_value": bytes(length - 1)})
        _refuses(session, kind, {"entity_id": entity, "hash_value": bytes(length + 1)})


def test_a_file_may_be_larger_than_four_gigabytes(session: Session) -> None:
    entity = ecs_service.create_entity(session)
    _add(session, FilePropertiesComponent, entity, file_size_bytes=2**62)
    session.expire_all()
    [found] = ecs_service.get_components(session, entity, FilePropertiesComponent)
    assert found.file_size_bytes == 2**62


def test_what_a_file_does_not_say_is_null(session: Session) -> None:
    entity = ecs_service.create_entity(session)
    _add(session, AudioPropertiesComponent, entity)
    session.expire_all()
    [found] = ecs_service.get_components(session, entity, AudioPropertiesComponent)
    assert (found.duration_seconds, found.codec_name, found.channels) == (None, None, None)


def test_a_time_in_seconds_keeps_all_its_digits(session: Session) -> None:
    entity = ecs_service.create_entity(session)
    _add(session, AudioPropertiesComponent, entity, duration_seconds=0.1 + 0.2)
    session.expire_all()
    [found] = ecs_service.get_components(session, entity, AudioPropertiesComponent)
    assert found.duration_seconds == 0.1 + 0.2


def test_components_are_keyword_only_and_can_be_hashed() -> None:
    with pytest.raises(TypeError):
        ImageDimensionsComponent(1, 2, 3)  # type: ignore[call-arg]  # on purpose
    component = ImageDimensionsComponent(entity_id=1, width_pixels=2, height_pixels=3)
    assert hash(component) == hash(component)
    assert component != ImageDimensionsComponent(entity_id=1, width_pixels=2, height_pixels=3)


def test_a_repeatable_component_without_same_fact_is_refused() -> None:
    with pytest.raises(TypeError, match="needs same_fact"):

        class ForgetfulComponent(RepeatableComponent, kw_only=True, eq=False):
            __tablename__ = "forgetful"


def test_a_very_long_path_can_be_kept_and_told_apart(session: Session) -> None:
    entity = ecs_service.create_entity(session)
    path = "/folder" * 2000
    _add(session, OriginalSourceInfoComponent, entity, original_path=path)
    _add(session, OriginalSourceInfoComponent, entity, original_path=path + "x")
    with pytest.raises(IntegrityError):
        _add(session, OriginalSourceInfoComponent, entity, original_path=path)


@given(st.lists(st.text(st.characters(exclude_characters="\0", codec="utf-8")), max_size=3))
def test_facts_that_differ_in_where_a_value_ends_have_different_digests(values: list[str]) -> None:
    assert fact_digest(*values, "a", "b") != fact_digest(*values, "ab")
    assert fact_digest(*values, "a") == fact_digest(*values, "a")
    assert len(fact_digest(*values)) == 16


@given(st.lists(st.text(st.characters(exclude_characters="/", codec="utf-8")), min_size=2, max_size=2, unique=True))
def test_files_of_a_folder_lie_side_by_side_in_the_index_of_paths(names: list[str]) -> None:
    one, two = (OriginalSourceInfoComponent.digest_of("/folder/" + name) for name in names)
    elsewhere = OriginalSourceInfoComponent.digest_of("/folder/below/" + names[0])
    assert one[:4] == two[:4] != elsewhere[:4]
    assert len({one, two, elsewhere}) == 3
    assert {len(one), len(elsewhere)} == {16}


def test_fields_that_only_the_database_needs_are_not_shown() -> None:
    location = FileLocationComponent(
        entity_id=1, content_identifier="", storage_type="", physical_path_or_key="", contextual_filename=""
    )
    assert "fact_digest" not in repr(location)


def _refuses(session: Session, kind: type[Component], row: dict[str, Any]) -> None:
    with pytest.raises((IntegrityError, DataError)), session.begin_nested():
        session.execute(insert(kind), [row])


def _distinct(kind: type[Component]) -> dict[str, Any]:
    """Return what keeps a second row from breaking a unique constraint other than the one that is tested."""
    return {"hash_value": b"\x01" * 32} if kind is ContentHashSHA256Component else {}


def test_a_mark_has_no_value_but_its_version() -> None:
    assert set(NeedsMetadataExtractionComponent.__table__.columns.keys()) == {"entity_id", "version"}
