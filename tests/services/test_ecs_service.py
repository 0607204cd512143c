"""Entities and components: one at a time, and many at once with few statements."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from dam.core.components_markers import NeedsMetadataExtractionComponent
from dam.core.exceptions import EntityNotFound
from dam.models import (
    ContentHashMD5Component,
    Entity,
    FileLocationComponent,
    FilePropertiesComponent,
    FramePropertiesComponent,
    ImageDimensionsComponent,
)
from dam.services import ecs_service
from tests.services.statements import statements_to

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def _size(entity: int, width: int = 1, height: int = 1) -> dict[str, int]:
    return {"entity_id": entity, "width_pixels": width, "height_pixels": height}


def _location(entity: int, path: str) -> dict[str, Any]:
    return {
        "entity_id": entity,
        "content_identifier": "",
        "storage_type": "local_reference",
        "physical_path_or_key": path,
        "contextual_filename": path,
    }


def _entities_long_ago(session: Session, count: int) -> list[int]:
    entities = ecs_service.create_entities(session, count)
    session.execute(update(Entity).values(updated_at=LONG_AGO))
    return entities


def _touched(session: Session) -> list[int]:
    session.expire_all()
    return [one for one in ecs_service.entities_with(session) if session.get_one(Entity, one).updated_at > LONG_AGO]


def test_entities_are_made_one_or_many_at_a_time(session: Session) -> None:
    one = ecs_service.create_entity(session)
    many = ecs_service.create_entities(session, 3)
    assert many == sorted({*many} - {one})
    assert ecs_service.create_entities(session, 0) == []


def test_an_entity_that_is_not_there_is_none(session: Session) -> None:
    assert ecs_service.get_entity(session, 99) is None


def test_deleting_says_how_many_there_were(session: Session) -> None:
    entities = ecs_service.create_entities(session, 3)
    assert ecs_service.delete_entity(session, entities[0])
    assert not ecs_service.delete_entity(session, entities[0])
    assert ecs_service.delete_entities(session, entities) == 2
    assert ecs_service.get_entity(session, entities[1]) is None


def test_a_component_is_added_got_and_removed(session: Session) -> None:
    entity = ecs_service.create_entity(session)
    component = ImageDimensionsComponent(**_size(entity, 4, 3))
    ecs_service.add_component(session, component)
    assert ecs_service.get_component(session, entity, ImageDimensionsComponent) is component
    ecs_service.remove_component(session, component)
    assert ecs_service.get_component(session, entity, ImageDimensionsComponent) is None


def test_a_component_of_nobody_is_refused_by_name(session: Session) -> None:
    with pytest.raises(EntityNotFound, match="there is no asset 99"):
        ecs_service.add_component(session, ImageDimensionsComponent(**_size(99)))


def test_repeatable_components_come_oldest_first(session: Session) -> None:
    entity = ecs_service.create_entity(session)
    for path in ("/c", "/a", "/b"):
        ecs_service.add_component(session, FileLocationComponent(**_location(entity, path)))
    found = ecs_service.get_components(session, entity, FileLocationComponent)
    assert [one.physical_path_or_key for one in found] == ["/c", "/a", "/b"]
    assert ecs_service.get_component(session, entity, FileLocationComponent) is found[0]


def test_components_of_many_are_told_apart_by_entity(session: Session) -> None:
    one, two, bare = ecs_service.create_entities(session, 3)
    ecs_service.add_components(session, FileLocationComponent, [_location(one, "/a"), _location(one, "/b")])
    ecs_service.add_components(session, FileLocationComponent, [_location(two, "/a")])
    found = ecs_service.get_components_of(session, [two, one, bare], FileLocationComponent)
    assert {entity: len(components) for entity, components in found.items()} == {one: 2, two: 1}


def test_what_is_read_again_is_what_a_bulk_write_left(session: Session) -> None:
    entity = ecs_service.create_entity(session)
    held = ImageDimensionsComponent(**_size(entity, 1))
    ecs_service.add_component(session, held)
    ecs_service.merge_components(session, ImageDimensionsComponent, [_size(entity, 7)], replacing=["width_pixels"])
    assert ecs_service.get_component(session, entity, ImageDimensionsComponent) is held
    assert held.width_pixels == 7


def test_merging_adds_what_is_new_and_leaves_what_stands(session: Session) -> None:
    one, two = ecs_service.create_entities(session, 2)
    ecs_service.add_components(session, ImageDimensionsComponent, [_size(one, 1)])
    ecs_service.merge_components(session, ImageDimensionsComponent, [_size(one, 7), _size(two, 7)])
    found = ecs_service.get_components_of(session, [one, two], ImageDimensionsComponent)
    assert [found[entity][0].width_pixels for entity in (one, two)] == [1, 7]


def test_merging_replaces_only_the_fields_that_are_named(session: Session) -> None:
    entity = ecs_service.create_entity(session)
    ecs_service.add_components(session, ImageDimensionsComponent, [_size(entity, 1, 1)])
    rows = [_size(entity, 7, 7), _size(entity, 8, 8)]
    ecs_service.merge_components(session, ImageDimensionsComponent, rows, replacing=["height_pixels"])
    [found] = ecs_service.get_components(session, entity, ImageDimensionsComponent)
    assert (found.width_pixels, found.height_pixels) == (1, 8)


def test_merging_repeatable_components_knows_the_same_fact(session: Session) -> None:
    entity = ecs_service.create_entity(session)
    for _ in range(2):
        rows = [_location(entity, path) for path in ("/a", "/b", "/a")]
        ecs_service.merge_components(session, FileLocationComponent, rows)
    assert len(ecs_service.get_components(session, entity, FileLocationComponent)) == 2


def test_merging_may_go_by_another_order_first(session: Session) -> None:
    one, two = ecs_service.create_entities(session, 2)
    rows = [_location(one, "/b"), _location(two, "/a"), _location(one, "/a")]
    ecs_service.merge_components(session, FileLocationComponent, rows, first_by=["physical_path_or_key"])
    written = session.scalars(select(FileLocationComponent).order_by(FileLocationComponent.id)).all()
    assert [(row.physical_path_or_key, row.entity_id) for row in written] == [("/a", one), ("/a", two), ("/b", one)]


def test_adding_many_refuses_what_stands_already(session: Session) -> None:
    entity = ecs_service.create_entity(session)
    with pytest.raises(IntegrityError):
        ecs_service.add_components(session, FileLocationComponent, [_location(entity, "/a")] * 2)


def test_removing_from_many_says_how_many_and_touches_only_those(session: Session) -> None:
    entities = _entities_long_ago(session, 3)
    ecs_service.add_components(session, ImageDimensionsComponent, [_size(entity) for entity in entities[:2]])
    assert ecs_service.remove_components(session, entities[1:], ImageDimensionsComponent) == 1
    assert ecs_service.entities_with(session, ImageDimensionsComponent) == entities[:1]
    assert _touched(session) == [entities[1]]


def test_adding_and_removing_are_changes_of_the_entity(session: Session) -> None:
    added_to, _ = _entities_long_ago(session, 2)
    component = ImageDimensionsComponent(**_size(added_to))
    ecs_service.add_component(session, component)
    assert _touched(session) == [added_to]
    session.execute(update(Entity).values(updated_at=LONG_AGO))
    ecs_service.remove_component(session, component)
    assert _touched(session) == [added_to]


def test_touching_says_when(session: Session) -> None:
    one, other = _entities_long_ago(session, 2)
    ecs_service.touch(session, [one])
    session.expire_all()
    assert datetime.now(UTC) - session.get_one(Entity, one).updated_at < timedelta(minutes=1)
    assert session.get_one(Entity, other).updated_at == LONG_AGO


def test_the_kinds_that_entities_have_are_found_together(session: Session, engine: Engine) -> None:
    first, second, bare = ecs_service.create_entities(session, 3)
    ecs_service.add_components(session, ImageDimensionsComponent, [_size(first), _size(second)])
    ecs_service.add_components(session, FileLocationComponent, [_location(second, "/a"), _location(second, "/b")])
    ecs_service.mark(session, [first], NeedsMetadataExtractionComponent)
    assert ecs_service.kinds_of(session, [first]) == [ImageDimensionsComponent, NeedsMetadataExtractionComponent]
    with statements_to(engine) as statements:
        both = ecs_service.kinds_of(session, [first, second, bare])
    assert both == [FileLocationComponent, ImageDimensionsComponent, NeedsMetadataExtractionComponent]
    assert len(statements) == 1
    assert ecs_service.kinds_of(session, [bare]) == []
    assert ecs_service.kinds_of(session, []) == []


def test_entities_are_found_by_what_they_have_and_lack(session: Session) -> None:
    entities = ecs_service.create_entities(session, 6)
    ecs_service.add_components(session, ImageDimensionsComponent, [_size(entity) for entity in entities[:4]])
    ecs_service.add_components(session, FramePropertiesComponent, [{"entity_id": entity} for entity in entities[2:]])
    found = ecs_service.entities_with(session, ImageDimensionsComponent, FramePropertiesComponent)
    assert found == entities[2:4]
    assert ecs_service.entities_with(session, without=[ImageDimensionsComponent]) == entities[4:]
    assert (
        ecs_service.entities_with(session, ImageDimensionsComponent, without=[FramePropertiesComponent]) == entities[:2]
    )


def test_pages_join_without_gap_or_overlap(session: Session) -> None:
    entities = ecs_service.create_entities(session, 7)
    ecs_service.add_components(session, ImageDimensionsComponent, [_size(entity) for entity in entities])
    pages = []
    after = 0
    while page := ecs_service.entities_with(session, ImageDimensionsComponent, after=after, limit=3):
        pages.append(page)
        after = page[-1]
        ecs_service.delete_entities(session, page)
    assert pages == [entities[:3], entities[3:6], entities[6:]]


def test_an_entity_with_many_of_a_component_is_found_once(session: Session) -> None:
    entity = ecs_service.create_entity(session)
    ecs_service.add_components(session, FileLocationComponent, [_location(entity, path) for path in "abc"])
    assert ecs_service.entities_with(session, FileLocationComponent) == [entity]
    assert ecs_service.entities_by_attribute(session, FileLocationComponent, storage_type="local_reference") == [entity]


def test_filters_are_exists_and_nothing_that_reads_everything(session: Session, engine: Engine) -> None:
    with statements_to(engine) as seen:
        ecs_service.entities_with(session, ImageDimensionsComponent, FramePropertiesComponent, after=7, limit=3)
        ecs_service.entities_by_attribute(session, ImageDimensionsComponent, width_pixels=1)
    selects = [statement for statement in seen if "SELECT" in statement]
    assert [statement.count("EXISTS") for statement in selects] == [2, 1]
    assert not any(word in statement for statement in selects for word in ("JOIN", "INTERSECT", "DISTINCT"))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"width_pixels": 1}, [0, 1]),
        ({"width_pixels": 1, "height_pixels": 2}, [1]),
        ({"width_pixels": [1, 3]}, [0, 1, 2]),
        ({"width_pixels": ()}, []),
        ({"width_pixels": None}, []),
        ({}, [0, 1, 2]),
    ],
)
def test_entities_are_found_by_values(session: Session, values: dict[str, Any], expected: list[int]) -> None:
    entities = ecs_service.create_entities(session, 4)
    rows = [_size(entities[0], 1, 1), _size(entities[1], 1, 2), _size(entities[2], 3, 2)]
    ecs_service.add_components(session, ImageDimensionsComponent, rows)
    found = ecs_service.entities_by_attribute(session, ImageDimensionsComponent, **values)
    assert found == [entities[place] for place in expected]


def test_values_must_be_those_of_one_row(session: Session) -> None:
    entity = ecs_service.create_entity(session)
    rows = [_location(entity, "/a"), _location(entity, "/b") | {"storage_type": "local_cas"}]
    ecs_service.add_components(session, FileLocationComponent, rows)
    mixed: dict[str, Any] = {"physical_path_or_key": "/a", "storage_type": "local_cas"}
    assert ecs_service.entities_by_attribute(session, FileLocationComponent, **mixed) == []


def test_null_can_be_asked_for(session: Session) -> None:
    entity = ecs_service.create_entity(session)
    row = FilePropertiesComponent(entity_id=entity, original_filename="a", file_size_bytes=1)
    ecs_service.add_component(session, row)
    assert ecs_service.entities_by_attribute(session, FilePropertiesComponent, mime_type=None) == [entity]


def test_values_of_an_attribute_can_be_paged(session: Session) -> None:
    entities = ecs_service.create_entities(session, 3)
    ecs_service.add_components(session, ImageDimensionsComponent, [_size(entity) for entity in entities])
    found = ecs_service.entities_by_attribute(
        session, ImageDimensionsComponent, after=entities[0], limit=1, width_pixels=1
    )
    assert found == [entities[1]]


def test_marks_are_taken_away_again(session: Session) -> None:
    entities = ecs_service.create_entities(session, 3)
    ecs_service.mark(session, entities, NeedsMetadataExtractionComponent)
    ecs_service.unmark(session, entities[1:], NeedsMetadataExtractionComponent)
    assert ecs_service.entities_with(session, NeedsMetadataExtractionComponent) == entities[:1]


@pytest.mark.parametrize(
    "work",
    [
        lambda session, ids: ecs_service.create_entities(session, len(ids)),
        lambda session, ids: ecs_service.get_components_of(session, ids, ImageDimensionsComponent),
        lambda session, ids: ecs_service.add_components(
            session, FramePropertiesComponent, [{"entity_id": i} for i in ids]
        ),
        lambda session, ids: ecs_service.merge_components(
            session, ContentHashMD5Component, [{"entity_id": i, "hash_value": bytes(16)} for i in ids]
        ),
        lambda session, ids: ecs_service.remove_components(session, ids, ImageDimensionsComponent),
        lambda session, ids: ecs_service.mark(session, ids, NeedsMetadataExtractionComponent),
        lambda session, ids: ecs_service.unmark(session, ids, NeedsMetadataExtractionComponent),
        ecs_service.touch,
        ecs_service.delete_entities,
    ],
    ids=["create", "get", "add", "merge", "remove", "mark", "unmark", "touch", "delete"],
)
def test_many_take_as_few_statements_as_one(
    session: Session, engine: Engine, work: Callable[[Session, list[int]], object]
) -> None:
    one, *many = ecs_service.create_entities(session, 300)
    ecs_service.add_components(session, ImageDimensionsComponent, [_size(entity) for entity in (one, *many)])
    with statements_to(engine) as for_one:
        work(session, [one])
    with statements_to(engine) as for_many:
        work(session, many)
    assert len(for_many) == len(for_one)


def test_more_than_a_database_takes_at_once_is_no_trouble(session: Session) -> None:
    entities = ecs_service.create_entities(session, 1100)
    ecs_service.add_components(session, ImageDimensionsComponent, [_size(entity) for entity in entities])
    assert len(ecs_service.get_components_of(session, entities, ImageDimensionsComponent)) == 1100
    assert ecs_service.remove_components(session, entities, ImageDimensionsComponent) == 1100
    assert ecs_service.delete_entities(session, entities) == 1100
