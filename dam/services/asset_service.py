"""Assets: taking files in as rows, finding them, and telling everything known about them."""

import dataclasses
from collections.abc import Iterator, Sequence
from itertools import batched
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from dam.core.components_markers import NeedsMetadataExtractionComponent
from dam.core.events import ImportedFile, ImportResult, ImportStatus
from dam.models import (
    ContentHashMD5Component,
    ContentHashSHA256Component,
    FileLocationComponent,
    FilePropertiesComponent,
    OriginalSourceInfoComponent,
)
from dam.models.base import Component
from dam.services import ecs_service, fact_service

LOOKED_UP_TOGETHER = 256
WRITTEN_TOGETHER = 256
ASKED_FIRST = 16


class _Told(NamedTuple):
    """A file's asset, and what stands for the facts that it lies there and came from there."""

    entity: int
    file: ImportedFile
    location: bytes
    source: bytes


def record_files(session: Session, files: Sequence[ImportedFile]) -> list[ImportResult]:
    """Write the rows about files whose bytes are safe; return what each came to, in their order.

    Content that is known is linked: the same entity, with what is new about where it lies and came from. Processes
    that record the same content at the same time end with one entity.
    """
    known = _probably_known(session, [file.sha256 for file in files])
    created = _create_missing(session, files, known)
    entity_of = {**known, **created}
    told = [_told(entity_of[file.sha256], file) for file in files]
    _mark_those_without_facts(session, told, set(created.values()))
    said_before = _facts_said(session, set(known.values()))
    statuses = _statuses(told, set(created.values()), said_before)
    _write_rows(session, told)
    results = [ImportResult(entity_id=one.entity, status=status) for one, status in zip(told, statuses, strict=True)]
    ecs_service.touch(session, {result.entity_id for result in results if result.status is ImportStatus.LINKED})
    return results


def find_by_sha256(session: Session, digest: bytes) -> list[int]:
    """Return the asset of this content, or nothing."""
    return ecs_service.entities_by_attribute(session, ContentHashSHA256Component, hash_value=digest)


def find_by_md5(session: Session, digest: bytes) -> list[int]:
    """Return the assets with this MD5, which may be several."""
    return ecs_service.entities_by_attribute(session, ContentHashMD5Component, hash_value=digest)


def has_stored_objects(session: Session, storage_type: str) -> bool:
    """Say whether any asset's bytes are said to lie in this kind of storage."""
    statement = select(FileLocationComponent.id).where(FileLocationComponent.storage_type == storage_type).limit(1)
    return session.scalar(statement) is not None


def components_of(session: Session, entity_ids: Sequence[int]) -> dict[int, dict[str, list[Component]]]:
    """Return everything known of these assets: for each, the components by the names of their classes."""
    found: dict[int, dict[str, list[Component]]] = {entity_id: {} for entity_id in entity_ids}
    for kind in ecs_service.kinds_of(session, entity_ids):
        for entity_id, components in ecs_service.get_components_of(session, entity_ids, kind).items():
            found[entity_id][kind.__name__] = list(components)
    return found


def fields_of(component: Component) -> dict[str, Any]:
    """Return what a component says, by field, without the ids that only the database needs."""
    shown = (field.name for field in dataclasses.fields(component) if field.repr)
    return {name: getattr(component, name) for name in shown if name not in ("id", "entity_id")}


def _probably_known(session: Session, digests: Sequence[bytes]) -> dict[bytes, int]:
    """Return the entities of these contents, or of none when none is known of a few that stand for all.

    Adding those that are new finds the others, too, and to look for each first is half as much work again.
    """
    few = digests[:: max(1, len(digests) // ASKED_FIRST)]
    known = _entities_of(session, few)
    return _entities_of(session, digests) if known and len(few) < len(digests) else known


def _entities_of(session: Session, digests: Sequence[bytes]) -> dict[bytes, int]:
    kind = ContentHashSHA256Component
    found = {}
    for some in batched(sorted(digests), LOOKED_UP_TOGETHER):
        rows = session.execute(select(kind.hash_value, kind.entity_id).where(kind.hash_value.in_(some)))
        found.update({row.hash_value: row.entity_id for row in rows})
    return found


def _create_missing(session: Session, files: Sequence[ImportedFile], known: dict[bytes, int]) -> dict[bytes, int]:
    """Make an entity for each content that is not known; those that turn out to be known join ``known``."""
    missing = list(dict.fromkeys(file.sha256 for file in files if file.sha256 not in known))
    candidates = dict(zip(missing, ecs_service.create_entities(session, len(missing)), strict=True))
    # In the order of the digests, so that of two who add the same ones, one waits for the other, and not both.
    rows = [{"entity_id": entity, "hash_value": digest} for digest, entity in sorted(candidates.items())]
    if ecs_service.add_components_unless_refused(session, ContentHashSHA256Component, rows) == len(rows):
        return candidates
    actual = _entities_of(session, missing)
    lost = [entity for digest, entity in candidates.items() if actual[digest] != entity]
    ecs_service.delete_entities(session, lost)
    known |= {digest: entity for digest, entity in actual.items() if candidates[digest] != entity}
    return {digest: entity for digest, entity in candidates.items() if actual[digest] == entity}


def _told(entity: int, file: ImportedFile) -> _Told:
    location = FileLocationComponent.digest_of(file.storage_type, file.key, file.filename)
    return _Told(entity, file, location, OriginalSourceInfoComponent.digest_of(file.path))


def _mark_those_without_facts(session: Session, told: Sequence[_Told], created: set[int]) -> None:
    wanting = {one.entity for one in told if one.file.has_facts}
    known = wanting - created
    lacking = fact_service.without_facts(session, known) if known else set()
    ecs_service.mark(session, (wanting & created) | lacking, NeedsMetadataExtractionComponent)


def _facts_said(session: Session, entities: set[int]) -> set[tuple[type[Component], int, bytes]]:
    said: set[tuple[type[Component], int, bytes]] = set()
    if not entities:
        return said
    for kind in (FileLocationComponent, OriginalSourceInfoComponent):
        rows = session.execute(select(kind.entity_id, kind.fact_digest).where(kind.entity_id.in_(entities)))
        said |= {(kind, row.entity_id, row.fact_digest) for row in rows}
    return said


def _statuses(
    told: Sequence[_Told], created: set[int], said: set[tuple[type[Component], int, bytes]]
) -> list[ImportStatus]:
    statuses = []
    for entity, _, location, source in told:
        facts: set[tuple[type[Component], int, bytes]] = {
            (FileLocationComponent, entity, location),
            (OriginalSourceInfoComponent, entity, source),
        }
        if entity in created:
            created.remove(entity)
            statuses.append(ImportStatus.ADDED)
        else:
            statuses.append(ImportStatus.UNCHANGED if facts <= said else ImportStatus.LINKED)
        said |= facts
    return statuses


def _write_rows(session: Session, told: Sequence[_Told]) -> None:
    for kind, rows in _rows(told):
        replacing = ("source_type", "last_seen_at", "seen_stat") if kind is OriginalSourceInfoComponent else ()
        first_by = ("hash_value",) if kind is ContentHashMD5Component else ()
        ecs_service.merge_components(session, kind, rows, replacing=replacing, first_by=first_by)


def _rows(told: Sequence[_Told]) -> Iterator[tuple[type[Component], list[dict[str, Any]]]]:
    """Give the MD5s of all files, for their index, and the other rows a part at a time, which is less to hold."""
    yield ContentHashMD5Component, [{"entity_id": e, "hash_value": f.md5} for e, f, _, _ in told]
    for some in batched(told, WRITTEN_TOGETHER):
        yield FilePropertiesComponent, [_properties(e, f) for e, f, _, _ in some]
        yield FileLocationComponent, [_location(e, f, digest) for e, f, digest, _ in some]
        yield OriginalSourceInfoComponent, [_source(e, f, digest) for e, f, _, digest in some]


def _properties(entity: int, file: ImportedFile) -> dict[str, Any]:
    return {
        "entity_id": entity,
        "original_filename": file.filename,
        "file_size_bytes": file.size_bytes,
        "mime_type": file.mime_type,
    }


def _location(entity: int, file: ImportedFile, digest: bytes) -> dict[str, Any]:
    return {
        "entity_id": entity,
        "content_identifier": file.sha256.hex(),
        "storage_type": file.storage_type,
        "physical_path_or_key": file.key,
        "contextual_filename": file.filename,
        "fact_digest": digest,
    }


def _source(entity: int, file: ImportedFile, digest: bytes) -> dict[str, Any]:
    return {
        "entity_id": entity,
        "original_filename": file.filename,
        "original_path": file.path,
        "source_type": file.source_type,
        "first_seen_at": file.seen_at,
        "last_seen_at": file.seen_at,
        "seen_stat": file.seen_stat,
        "fact_digest": digest,
    }
