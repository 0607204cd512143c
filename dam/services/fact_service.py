"""Writes what a file's readers found out into the components that keep it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from dam.core.components_markers import NeedsMetadataExtractionComponent
from dam.models import (
    AudioPropertiesComponent,
    DocumentPropertiesComponent,
    Entity,
    FramePropertiesComponent,
    ImageCaptureComponent,
    ImageDimensionsComponent,
    ImagePerceptualAHashComponent,
    ImagePerceptualDHashComponent,
    ImagePerceptualPHashComponent,
    ProcessingFailureComponent,
)
from dam.models.base import Component, SingleComponent
from dam.services import ecs_service
from dam.services.facts import (
    AudioProperties,
    DocumentProperties,
    Fact,
    Facts,
    FrameProperties,
    ImageCapture,
    ImageDimensions,
    PerceptualHashes,
)


def components_of_facts() -> dict[type[Fact], type[SingleComponent]]:
    """Return the component that keeps each kind of fact; their fields bear the same names."""
    return {
        ImageDimensions: ImageDimensionsComponent,
        FrameProperties: FramePropertiesComponent,
        AudioProperties: AudioPropertiesComponent,
        ImageCapture: ImageCaptureComponent,
        DocumentProperties: DocumentPropertiesComponent,
    }


def components_of_hashes() -> dict[str, type[SingleComponent]]:
    """Return the component that keeps each perceptual hash."""
    return {
        "phash": ImagePerceptualPHashComponent,
        "ahash": ImagePerceptualAHashComponent,
        "dhash": ImagePerceptualDHashComponent,
    }


def write_facts(session: Session, facts: Mapping[int, Facts]) -> None:
    """Write the facts of many entities, in place of earlier ones of the same kind."""
    rows: dict[type[SingleComponent], list[dict[str, Any]]] = defaultdict(list)
    for entity_id, found in facts.items():
        for fact in found.found:
            for kind, fields in _rows_of(fact):
                rows[kind].append({"entity_id": entity_id, **fields})
    for kind, kind_rows in rows.items():
        ecs_service.merge_components(session, kind, kind_rows, replacing=kind_rows[0].keys() - {"entity_id"})
    ecs_service.touch(session, [entity_id for entity_id, found in facts.items() if found.found])


def without_facts(session: Session, entity_ids: Iterable[int]) -> set[int]:
    """Return those of the entities that have neither a fact nor a recorded failure to find any, nor wait for it."""
    kinds: list[type[Component]] = [
        *components_of_facts().values(),
        *components_of_hashes().values(),
        ProcessingFailureComponent,
        NeedsMetadataExtractionComponent,  # marking again would wait for the worker that may hold the mark
    ]
    lacking = [~exists().where(kind.entity_id == Entity.id) for kind in kinds]
    return set(session.scalars(select(Entity.id).where(Entity.id.in_(list(entity_ids)), *lacking)))


def _rows_of(fact: Fact) -> Iterable[tuple[type[SingleComponent], dict[str, Any]]]:
    fields = fact._asdict()
    if isinstance(fact, PerceptualHashes):
        return [(kind, {"hash_value": fields[name]}) for name, kind in components_of_hashes().items()]
    return [(components_of_facts()[type(fact)], fields)]
