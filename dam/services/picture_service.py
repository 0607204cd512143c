"""What a person needs to know of a stored picture to tell it from its look-alikes."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import batched

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from dam.models import (
    Entity,
    FileLocationComponent,
    FilePropertiesComponent,
    ImageDimensionsComponent,
    OriginalSourceInfoComponent,
)
from dam.models.file_location_component import LOCAL_REFERENCE

_IDS_PER_STATEMENT = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture; ``entity_id`` is None for a file that is not in the library.

    ``paths`` are the places where the file was seen or still lies, without repetition, in order.
    """

    entity_id: int | None
    filename: str | None = None
    width_pixels: int | None = None
    height_pixels: int | None = None
    file_size_bytes: int | None = None
    paths: tuple[str, ...] = ()


def describe(session: Session, entity_ids: Iterable[int]) -> dict[int, Picture]:
    """Return the pictures by id; what is not known of one is None, an id that does not exist is left out."""
    pictures: dict[int, Picture] = {}
    for ids in batched(entity_ids, _IDS_PER_STATEMENT):
        paths = _paths(session, ids)
        for row in session.execute(_facts(ids)):
            pictures[row.id] = Picture(
                entity_id=row.id,
                filename=row.original_filename,
                width_pixels=row.width_pixels,
                height_pixels=row.height_pixels,
                file_size_bytes=row.file_size_bytes,
                paths=tuple(sorted(paths[row.id])),
            )
    return pictures


def _facts(ids: tuple[int, ...]) -> Select[int, str, int, int, int]:
    return (
        select(
            Entity.id,
            FilePropertiesComponent.original_filename,
            FilePropertiesComponent.file_size_bytes,
            ImageDimensionsComponent.width_pixels,
            ImageDimensionsComponent.height_pixels,
        )
        .outerjoin(FilePropertiesComponent, FilePropertiesComponent.entity_id == Entity.id)
        .outerjoin(ImageDimensionsComponent, ImageDimensionsComponent.entity_id == Entity.id)
        .where(Entity.id.in_(ids))
    )


def _paths(session: Session, ids: tuple[int, ...]) -> Mapping[int, set[str]]:
    source, location = OriginalSourceInfoComponent, FileLocationComponent
    seen = select(source.entity_id, source.original_path).where(source.entity_id.in_(ids))
    lying = select(location.entity_id, location.physical_path_or_key).where(
        location.entity_id.in_(ids), location.storage_type == LOCAL_REFERENCE
    )
    paths: dict[int, set[str]] = defaultdict(set)
    for entity_id, path in (*session.execute(seen), *session.execute(lying)):
        paths[entity_id].add(path)
    return paths
