"""Facts: what a file's readers found out becomes components."""

import dataclasses
from datetime import UTC, datetime

import pytest
from sqlalchemy.orm import Session

from dam.core.components_markers import NeedsMetadataExtractionComponent
from dam.models import (
    AudioPropertiesComponent,
    FramePropertiesComponent,
    ImageDimensionsComponent,
    ImagePerceptualDHashComponent,
    ProcessingFailureComponent,
)
from dam.services import asset_service, ecs_service, fact_service
from dam.services.facts import AudioProperties, Fact, Facts, FrameProperties, ImageDimensions, PerceptualHashes

SIZE = ImageDimensions(width_pixels=4, height_pixels=3)
HASHES = PerceptualHashes(phash=b"pppppppp", ahash=b"aaaaaaaa", dhash=b"dddddddd")


@pytest.mark.parametrize("fact", fact_service.components_of_facts(), ids=lambda fact: fact.__name__)
def test_a_component_has_the_fields_of_its_fact(fact: type[Fact]) -> None:
    component = fact_service.components_of_facts()[fact]
    own = {field.name for field in dataclasses.fields(component)} - {"entity_id"}
    assert own == set(fact._fields)


def test_facts_of_many_entities_are_written(session: Session) -> None:
    one, other = ecs_service.create_entities(session, 2)
    audio = AudioProperties(duration_seconds=1.5, codec_name="opus", channels=2)
    fact_service.write_facts(session, {one: Facts(found=(SIZE, HASHES)), other: Facts(found=(audio, SIZE))})
    assert ecs_service.entities_with(session, ImageDimensionsComponent) == [one, other]
    [dhash] = ecs_service.get_components(session, one, ImagePerceptualDHashComponent)
    assert dhash.hash_value == b"dddddddd"
    [sound] = ecs_service.get_components(session, other, AudioPropertiesComponent)
    assert asset_service.fields_of(sound) == audio._asdict()


def test_later_facts_take_the_place_of_earlier_ones_whole(session: Session) -> None:
    entity = ecs_service.create_entity(session)
    for fact in (FrameProperties(frame_count=7, nominal_frame_rate=25.0), FrameProperties(frame_count=8)):
        fact_service.write_facts(session, {entity: Facts(found=(fact,))})
    session.expire_all()
    [frames] = ecs_service.get_components(session, entity, FramePropertiesComponent)
    assert (frames.frame_count, frames.nominal_frame_rate) == (8, None)


def test_no_facts_write_nothing(session: Session) -> None:
    entity = ecs_service.create_entity(session)
    fact_service.write_facts(session, {entity: Facts(problems=("no",))})
    assert fact_service.without_facts(session, [entity]) == {entity}


def test_entities_without_facts_are_those_of_which_nothing_is_known_or_awaited(session: Session) -> None:
    sized, hashed, failed, waiting, bare = ecs_service.create_entities(session, 5)
    fact_service.write_facts(session, {sized: Facts(found=(SIZE,)), hashed: Facts(found=(HASHES,))})
    ecs_service.add_component(
        session,
        ProcessingFailureComponent(
            entity_id=failed, system="s", marker="m", error="no", attempts=1, failed_at=datetime.now(UTC)
        ),
    )
    ecs_service.mark(session, [waiting], NeedsMetadataExtractionComponent)
    assert fact_service.without_facts(session, [sized, hashed, failed, waiting, bare]) == {bare}
    assert fact_service.without_facts(session, []) == set()
