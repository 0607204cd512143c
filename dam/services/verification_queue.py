"""What is to be verified, and when it was last found good."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from heapq import merge
from itertools import batched
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, exists, func, literal, or_, select, true, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session

from dam.core.database import Database
from dam.models import (
    ContentHashSHA256Component,
    Entity,
    FileLocationComponent,
    FilePropertiesComponent,
    ObjectVerificationComponent,
    ReferenceVerificationComponent,
)
from dam.models.file_location_component import LOCAL_CAS, LOCAL_REFERENCE
from dam.models.types import UtcDateTime
from dam.services import ecs_service
from dam.services.content_id import ContentId

PAGE = 2000
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """An object that the database names, and its length in bytes; ``found_good_at`` is None when it never was."""

    entity_id: int
    content_id: ContentId
    size: int
    found_good_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A file, by its absolute path, that an asset's bytes were left in."""

    entity_id: int
    content_id: ContentId
    size: int
    path: str
    found_good_at: datetime | None = None


type Subject = StoredObject | Reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Which contents are due: not found good since a moment, of assets that were changed after another, if given."""

    good_before: datetime
    changed_since: datetime | None = None


def stored_objects(database: Database, *, page_size: int = PAGE) -> Iterator[StoredObject]:
    """Give every object that the database names, in the order of names, a page in memory at a time."""
    sha256 = ContentHashSHA256Component
    last = b""
    rows = _objects().rows.order_by(sha256.hash_value).limit(page_size)
    while page := _page(database, rows.where(sha256.hash_value > last)):
        yield from map(_object, page)
        last = page[-1].hash_value


def due(database: Database, window: Window, *, page_size: int = PAGE) -> Iterator[Subject]:
    """Give the objects and references that are due, longest unverified first, a page of each in memory at a time.

    What is recorded as good while this goes on does not come again.
    """
    lines = (_waiting(database, line, window, page_size) for line in _lines())
    yield from merge(*lines, key=lambda subject: subject.found_good_at or _NEVER)


def count_due(session: Session, window: Window) -> int:
    """Return how many objects and references are due."""
    return sum(_count(session, line.rows.where(*_changed(window), _is_due(line, window))) for line in _lines())


def count_references(session: Session) -> int:
    """Return how many references the database names."""
    return _count(session, _references().rows)


def known_contents(session: Session, content_ids: Sequence[ContentId]) -> set[ContentId]:
    """Return those of these contents that the database names a stored object of."""
    known: set[ContentId] = set()
    for ids in batched(content_ids, ecs_service.BATCH):
        digests = [content_id.sha256 for content_id in ids]
        rows = session.execute(_objects().rows.where(ContentHashSHA256Component.hash_value.in_(digests)))
        known |= {_object(row).content_id for row in rows}
    return known


def record_good(session: Session, subjects: Iterable[Subject], moment: datetime) -> None:
    """Write down that these were found good at this moment."""
    objects, references = [], []
    for subject in subjects:
        if isinstance(subject, StoredObject):
            objects.append({"entity_id": subject.entity_id, "found_good_at": moment})
        else:
            row = {"entity_id": subject.entity_id, "physical_path": subject.path, "found_good_at": moment}
            references.append(row)
    ecs_service.merge_components(session, ObjectVerificationComponent, objects, replacing=["found_good_at"])
    ecs_service.merge_components(session, ReferenceVerificationComponent, references, replacing=["found_good_at"])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """A kind of subjects: all their rows, the key that orders those never verified, and that of the others' record."""

    rows: Select[*tuple[Any, ...]]
    key: InstrumentedAttribute[int]
    record_key: InstrumentedAttribute[int]
    found_good_at: InstrumentedAttribute[datetime]
    subject: Callable[[Row[*tuple[Any, ...]]], Subject]


def _lines() -> tuple[_Line, _Line]:
    return _objects(), _references()


def _objects() -> _Line:
    sha256, properties, verification = ContentHashSHA256Component, FilePropertiesComponent, ObjectVerificationComponent
    is_stored = exists().where(
        FileLocationComponent.entity_id == sha256.entity_id, FileLocationComponent.storage_type == LOCAL_CAS
    )
    rows = (
        select(sha256.entity_id, sha256.hash_value, properties.file_size_bytes, verification.found_good_at)
        .add_columns(sha256.entity_id.label("key"), verification.entity_id.label("record_key"))
        .join(properties, properties.entity_id == sha256.entity_id)
        .outerjoin(verification, verification.entity_id == sha256.entity_id)
        .where(is_stored)
    )
    return _Line(
        rows=rows,
        key=sha256.entity_id,
        record_key=verification.entity_id,
        found_good_at=verification.found_good_at,
        subject=_object,
    )


def _references() -> _Line:
    sha256, properties, location = ContentHashSHA256Component, FilePropertiesComponent, FileLocationComponent
    verification = ReferenceVerificationComponent
    is_its = and_(
        verification.entity_id == location.entity_id, verification.physical_path == location.physical_path_or_key
    )
    rows = (
        select(sha256.entity_id, sha256.hash_value, properties.file_size_bytes, verification.found_good_at)
        .add_columns(location.id.label("key"), verification.id.label("record_key"))
        .add_columns(location.physical_path_or_key.label("path"))
        .join(properties, properties.entity_id == sha256.entity_id)
        .join(location, location.entity_id == sha256.entity_id)
        .outerjoin(verification, is_its)
        .where(location.storage_type == LOCAL_REFERENCE)
    )
    return _Line(
        rows=rows,
        key=location.id,
        record_key=verification.id,
        found_good_at=verification.found_good_at,
        subject=_reference,
    )


def _object(row: Row[*tuple[Any, ...]]) -> StoredObject:
    return StoredObject(
        entity_id=row.entity_id,
        content_id=ContentId(row.hash_value),
        size=row.file_size_bytes,
        found_good_at=row.found_good_at,
    )


def _reference(row: Row[*tuple[Any, ...]]) -> Reference:
    return Reference(
        entity_id=row.entity_id,
        content_id=ContentId(row.hash_value),
        size=row.file_size_bytes,
        path=row.path,
        found_good_at=row.found_good_at,
    )


def _waiting(database: Database, line: _Line, window: Window, page_size: int) -> Iterator[Subject]:
    """Give those that were never found good, by their key, then the others, by when they were."""
    wanted = line.rows.where(*_changed(window)).limit(page_size)
    never = wanted.where(line.found_good_at.is_(None)).order_by(line.key)
    last = -1
    while page := _page(database, never.where(line.key > last)):
        yield from map(line.subject, page)
        last = page[-1].key
    verified = wanted.where(line.found_good_at < window.good_before).order_by(line.found_good_at, line.record_key)
    position: ColumnElement[bool] = true()
    while page := _page(database, verified.where(position)):
        yield from map(line.subject, page)
        after = literal(page[-1].found_good_at, UtcDateTime()), literal(page[-1].record_key)
        position = tuple_(line.found_good_at, line.record_key) > tuple_(*after)


def _changed(window: Window) -> list[ColumnElement[bool]]:
    if window.changed_since is None:
        return []
    changed = exists().where(
        Entity.id == ContentHashSHA256Component.entity_id, Entity.updated_at >= window.changed_since
    )
    return [changed]


def _is_due(line: _Line, window: Window) -> ColumnElement[bool]:
    return or_(line.found_good_at.is_(None), line.found_good_at < window.good_before)


def _page(database: Database, rows: Select[*tuple[Any, ...]]) -> Sequence[Row[*tuple[Any, ...]]]:
    with database.reading() as session:
        return session.execute(rows).all()


def _count(session: Session, rows: Select[*tuple[Any, ...]]) -> int:
    return session.scalar(select(func.count()).select_from(rows.subquery())) or 0
