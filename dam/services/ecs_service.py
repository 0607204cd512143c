"""Entities and components: one at a time, and many at once without a loop over queries."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import batched
from operator import itemgetter
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    CursorResult,
    Integer,
    Select,
    Table,
    delete,
    exists,
    insert,
    literal,
    literal_column,
    select,
    union_all,
    update,
)
from sqlalchemy.orm import Session

from dam.core.components_markers import MarkerComponent
from dam.core.exceptions import EntityNotFound
from dam.models import Entity
from dam.models.base import Base, Component, RepeatableComponent
from dam.models.types import UtcDateTime
from dam.services.bulk_rows import write_rows

BATCH = 1000


def component_kinds() -> list[type[Component]]:
    """Return all component classes, markers included, by name."""
    kinds = [mapper.class_ for mapper in Base.registry.mappers]
    return sorted((kind for kind in kinds if issubclass(kind, Component)), key=lambda kind: kind.__name__)


def kinds_of(session: Session, entity_ids: Iterable[int]) -> list[type[Component]]:
    """Return the kinds of components that any of these entities has, by name, without asking for each of them."""
    kinds = component_kinds()
    found: set[int] = set()
    for ids in batched(entity_ids, BATCH // len(kinds)):  # all of them are named once for each kind
        numbers: list[Select[int]] = [
            select(literal_column(str(number), Integer)).where(exists().where(_table(kind).c.entity_id.in_(ids)))
            for number, kind in enumerate(kinds)
        ]
        found.update(session.scalars(union_all(*numbers)))
    return [kinds[number] for number in sorted(found)]


def create_entity(session: Session) -> int:
    """Make an entity and return its id."""
    return create_entities(session, 1)[0]


def create_entities(session: Session, count: int) -> list[int]:
    """Make entities and return their ids, ascending."""
    if count == 0:
        return []
    now = literal(datetime.now(UTC), UtcDateTime)
    # The database counts, so that no row travels there.
    numbers = select(literal(1).label("number")).cte(recursive=True)
    numbers = numbers.union_all(select(numbers.c.number + 1).where(numbers.c.number < count))
    made = insert(_table(Entity)).from_select(["created_at", "updated_at"], select(now, now).select_from(numbers))
    return sorted(session.scalars(made.returning(Entity.id)))


def get_entity(session: Session, entity_id: int) -> Entity | None:
    """Return the entity, or None when there is none of this id."""
    return session.get(Entity, entity_id)


def delete_entity(session: Session, entity_id: int) -> bool:
    """Delete the entity with all its components; say whether there was one."""
    return delete_entities(session, [entity_id]) == 1


def delete_entities(session: Session, entity_ids: Iterable[int]) -> int:
    """Delete entities with all their components; return how many there were."""
    return sum(_run(session, delete(Entity).where(Entity.id.in_(ids))) for ids in batched(entity_ids, BATCH))


def touch(session: Session, entity_ids: Iterable[int]) -> None:
    """Write down that components of these entities changed now."""
    for ids in batched(sorted(entity_ids), BATCH):
        # An UPDATE alone locks in any order, so that two of them can wait for each other. SQLite ignores the lock.
        if session.get_bind().dialect.name != "sqlite":
            in_order = select(Entity.id).where(Entity.id.in_(ids)).order_by(Entity.id)
            session.execute(in_order.with_for_update(key_share=True))
        session.execute(update(Entity).where(Entity.id.in_(ids)).values(updated_at=datetime.now(UTC)))


def add_component(session: Session, component: Component) -> None:
    """Add a component to the entity that it names.

    Raises ``EntityNotFound`` for an unknown entity; the database raises IntegrityError for a second single component or
    a repeatable one that says the same again.
    """
    if get_entity(session, component.entity_id) is None:
        raise EntityNotFound(component.entity_id)
    session.add(component)
    session.flush()
    touch(session, [component.entity_id])


def add_components(session: Session, kind: type[Component], rows: Sequence[Mapping[str, Any]]) -> None:
    """Add many components of one kind, each given as its fields with ``entity_id``, the same fields in all.

    The database raises IntegrityError as in ``add_component``, and for an unknown entity too.
    """
    write_rows(session, ("add", kind), lambda: insert(_table(kind)), _with_fact_digest(kind, rows))


def merge_components(
    session: Session,
    kind: type[Component],
    rows: Sequence[Mapping[str, Any]],
    *,
    replacing: Iterable[str] = (),
    first_by: Iterable[str] = (),
) -> None:
    """Add many components of one kind; where a row of the same fact stands, only its ``replacing`` fields change.

    They are written in the order of their facts, so that of two who write the same one waits for the other, and not
    both for each other; ``first_by`` names columns that go before in that order, as those of a large index do whose
    pages are then each changed once. All rows have the same fields.
    """
    fields = tuple(sorted(replacing))
    ordered = sorted(_with_fact_digest(kind, rows), key=itemgetter(*first_by, *_key_of_fact(kind)))
    write_rows(session, ("merge", kind, fields), lambda: _merging(session, kind, fields), ordered)


def add_components_unless_refused(session: Session, kind: type[Component], rows: Sequence[Mapping[str, Any]]) -> int:
    """Add many components of one kind, but those that any constraint of uniqueness refuses; return how many were added.

    Waits for another process that is about to add the same. All rows have the same fields.
    """
    adding = _with_fact_digest(kind, rows)
    return write_rows(session, ("add new", kind), lambda: _upsert(session, kind).on_conflict_do_nothing(), adding)


def get_component[C: Component](session: Session, entity_id: int, kind: type[C]) -> C | None:
    """Return the entity's component of this kind, the oldest of a repeatable one, or None."""
    return session.scalars(_of(kind).where(kind.entity_id == entity_id).limit(1)).first()


def get_components[C: Component](session: Session, entity_id: int, kind: type[C]) -> list[C]:
    """Return the entity's components of this kind, oldest first."""
    return get_components_of(session, [entity_id], kind).get(entity_id, [])


def get_components_of[C: Component](session: Session, entity_ids: Iterable[int], kind: type[C]) -> dict[int, list[C]]:
    """Return the components of this kind of many entities, by entity; those that have none are not in it."""
    found: dict[int, list[C]] = defaultdict(list)
    for ids in batched(entity_ids, BATCH):
        for component in session.scalars(_of(kind).where(kind.entity_id.in_(ids))):
            found[component.entity_id].append(component)
    return dict(found)


def remove_component(session: Session, component: Component) -> None:
    """Remove one component."""
    session.delete(component)
    session.flush()
    touch(session, [component.entity_id])


def remove_components(session: Session, entity_ids: Iterable[int], kind: type[Component]) -> int:
    """Remove all components of this kind from many entities; return how many there were."""
    removed: list[int] = []
    for ids in batched(sorted(entity_ids), BATCH):
        removed += session.scalars(delete(kind).where(kind.entity_id.in_(ids)).returning(kind.entity_id))
    touch(session, set(removed))
    return len(removed)


def entities_with(
    session: Session,
    *kinds: type[Component],
    without: Sequence[type[Component]] = (),
    after: int = 0,
    limit: int | None = None,
) -> list[int]:
    """Return entities that have all of these components and none of those, in order of id.

    For the next page, pass the last id of this one as ``after``.
    """
    having = [_has(kind) for kind in kinds]
    lacking = [~_has(kind) for kind in without]
    return _page(session, [*having, *lacking], after=after, limit=limit)


def entities_by_attribute(
    session: Session, kind: type[Component], *, after: int = 0, limit: int | None = None, **values: object
) -> list[int]:
    """Return entities that have a component of this kind with all of these field values, in order of id.

    A value that is a list, tuple or set means any of its members; for the next page see ``entities_with``.
    """
    conditions = [_matches(getattr(kind, name), value) for name, value in values.items()]
    return _page(session, [_has(kind, *conditions)], after=after, limit=limit)


def mark(session: Session, entity_ids: Iterable[int], marker: type[MarkerComponent]) -> None:
    """Mark entities; marking twice is marking once, and a mark made while the entity is worked on is not lost.

    On PostgreSQL it waits for a worker that holds one of the marks, so mark before touching the entities otherwise.
    """
    rows = [{"entity_id": entity_id, "version": 0} for entity_id in sorted(set(entity_ids))]
    write_rows(session, ("mark", marker), lambda: _marking(session, marker), rows)


def unmark(session: Session, entity_ids: Iterable[int], marker: type[MarkerComponent]) -> None:
    """Remove marks, whoever made them."""
    for ids in batched(entity_ids, BATCH):
        session.execute(delete(marker).where(marker.entity_id.in_(ids)))


def _of[C: Component](kind: type[C]) -> Select[C]:
    order = [kind.id] if issubclass(kind, RepeatableComponent) else [kind.entity_id]
    # Writing many at once goes past the objects that the session holds, so that those must be read anew.
    return select(kind).order_by(*order).execution_options(populate_existing=True)


def _has(kind: type[Component], *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(kind.entity_id == Entity.id, *conditions)


def _matches(column: Any, value: object) -> ColumnElement[bool]:
    condition: ColumnElement[bool] = column.in_(value) if isinstance(value, list | tuple | set) else column == value
    return condition


def _page(session: Session, conditions: Sequence[ColumnElement[bool]], *, after: int, limit: int | None) -> list[int]:
    # EXISTS lets the database stop at the page's end; a join or an intersection works through the whole library.
    statement = select(Entity.id).where(Entity.id > after, *conditions).order_by(Entity.id).limit(limit)
    return list(session.scalars(statement))


def _table(kind: type[Base]) -> Table:
    """Return the table, to insert into: what the ORM does for each row of a class takes longer than the database."""
    return cast("Table", kind.__table__)


def _merging(session: Session, kind: type[Component], replacing: Sequence[str]) -> Any:
    statement, key = _upsert(session, kind), _key_of_fact(kind)
    if not replacing:
        return statement.on_conflict_do_nothing(index_elements=key)
    return statement.on_conflict_do_update(
        index_elements=key, set_={name: statement.excluded[name] for name in replacing}
    )


def _marking(session: Session, marker: type[MarkerComponent]) -> Any:
    return _upsert(session, marker).on_conflict_do_update(
        index_elements=["entity_id"], set_={"version": marker.version + 1}
    )


def _upsert(session: Session, kind: type[Component]) -> Any:
    """Return an INSERT that knows ON CONFLICT, which the two databases word alike; only theirs is imported."""
    if session.get_bind().dialect.name == "sqlite":
        from sqlalchemy.dialects.sqlite import insert as insert_into_sqlite

        return insert_into_sqlite(_table(kind))
    from sqlalchemy.dialects.postgresql import insert as insert_into_postgresql

    return insert_into_postgresql(_table(kind))


def _key_of_fact(kind: type[Component]) -> Sequence[str]:
    return ("entity_id", "fact_digest") if issubclass(kind, RepeatableComponent) else ("entity_id",)


def _with_fact_digest(kind: type[Component], rows: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Return rows with what stands for their facts, if they are of a kind that has it and don't have it yet."""
    if not issubclass(kind, RepeatableComponent) or not rows or "fact_digest" in rows[0]:
        return rows
    return [{**row, "fact_digest": kind.digest_of(*(row[column] for column in kind.same_fact))} for row in rows]


def _run(session: Session, statement: Any) -> int:
    result = session.execute(statement)
    return result.rowcount if isinstance(result, CursorResult) else 0
