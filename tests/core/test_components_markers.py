"""Markers: a queue in the database, in which an entity stands once."""

import dataclasses

from sqlalchemy.orm import Session

from dam.core.components_markers import NeedsMetadataExtractionComponent as Marker
from dam.models.base import SingleComponent
from dam.services import asset_service, ecs_service


def test_a_marker_is_a_single_component_without_data() -> None:
    assert issubclass(Marker, SingleComponent)
    assert [field.name for field in dataclasses.fields(Marker) if field.init] == ["entity_id"]


def test_a_marker_shows_no_fields(session: Session) -> None:
    entity = ecs_service.create_entity(session)
    ecs_service.mark(session, [entity], Marker)
    [mark] = ecs_service.get_components(session, entity, Marker)
    assert asset_service.fields_of(mark) == {}


def test_marking_twice_is_marking_once(session: Session) -> None:
    entity = ecs_service.create_entity(session)
    ecs_service.mark(session, [entity, entity], Marker)
    ecs_service.mark(session, [entity], Marker)
    assert len(ecs_service.get_components(session, entity, Marker)) == 1


def test_a_mark_that_is_made_anew_has_another_version(session: Session) -> None:
    entity = ecs_service.create_entity(session)
    versions = []
    for _ in range(3):
        ecs_service.mark(session, [entity], Marker)
        versions += [mark.version for mark in ecs_service.get_components(session, entity, Marker)]
    assert versions == [0, 1, 2]


def test_a_marked_entity_that_is_deleted_leaves_no_mark(session: Session) -> None:
    entity = ecs_service.create_entity(session)
    ecs_service.mark(session, [entity], Marker)
    ecs_service.delete_entity(session, entity)
    assert ecs_service.get_components(session, entity, Marker) == []
