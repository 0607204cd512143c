"""Where the bytes of assets can be read."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import batched

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from dam.models import FileLocationComponent, FilePropertiesComponent
from dam.models.file_location_component import LOCAL_CAS
from dam.services.ecs_service import BATCH
from dam.services.file_storage import ContentId, FileStorage


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A file that holds an asset's bytes, and what kind of file it is."""

    path: str
    mime_type: str | None
    filename: str
    size_bytes: int


def locate(session: Session, storage: FileStorage, entity_ids: Sequence[int]) -> dict[int, Content]:
    """Return, for each asset of known whereabouts, the stored object, or else the oldest reference to it."""
    found: dict[int, Content] = {}
    for ids in batched(entity_ids, BATCH):
        for location, properties in session.execute(_locations(ids)):
            earlier = found.get(location.entity_id)
            if earlier is not None and location.storage_type != LOCAL_CAS:
                continue
            found[location.entity_id] = Content(
                path=_path(storage, location),
                mime_type=properties.mime_type,
                filename=properties.original_filename,
                size_bytes=properties.file_size_bytes,
            )
    return found


def _locations(ids: Iterable[int]) -> Select[FileLocationComponent, FilePropertiesComponent]:
    location, properties = FileLocationComponent, FilePropertiesComponent
    return (
        select(location, properties)
        .join(properties, properties.entity_id == location.entity_id)
        .where(location.entity_id.in_(ids))
        .order_by(location.id)
    )


def _path(storage: FileStorage, location: FileLocationComponent) -> str:
    if location.storage_type == LOCAL_CAS:
        return storage.path_of(ContentId.parse(location.content_identifier))
    return location.physical_path_or_key
