"""Keeps, in the database, what went wrong with single entities."""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from dam.core.components_markers import MarkerComponent
from dam.models import Entity, ProcessingFailureComponent


def settle(
    session: Session,
    function: Callable[..., object],
    marker: type[MarkerComponent],
    worked_on: Mapping[int, int],
    reasons: Mapping[int, str],
) -> None:
    """Record the entities that failed, counting attempts, and forget earlier failures of those that did not."""
    system = function.__name__
    earlier = {row.entity_id: row for row in _recorded(session, system, worked_on.keys() | reasons.keys())}
    mended = [entity_id for entity_id in earlier if entity_id not in reasons]
    if mended:
        session.execute(
            delete(ProcessingFailureComponent).where(
                ProcessingFailureComponent.system == system, ProcessingFailureComponent.entity_id.in_(mended)
            )
        )
    if not reasons:
        return
    existing = set(session.scalars(select(Entity.id).where(Entity.id.in_(reasons))))
    for entity_id in sorted(existing):
        _record(session, earlier.get(entity_id), entity_id, system, marker.__tablename__, reasons[entity_id])
    session.flush()


def _recorded(session: Session, system: str, entities: AbstractSet[int]) -> list[ProcessingFailureComponent]:
    statement = select(ProcessingFailureComponent).where(
        ProcessingFailureComponent.system == system, ProcessingFailureComponent.entity_id.in_(entities)
    )
    return list(session.scalars(statement))


def _record(
    session: Session, earlier: ProcessingFailureComponent | None, entity_id: int, system: str, marker: str, reason: str
) -> None:
    error = _storable(reason)
    now = datetime.now(UTC)
    if earlier is not None:
        earlier.error, earlier.marker, earlier.failed_at = error, marker, now
        earlier.attempts += 1
        return
    session.add(
        ProcessingFailureComponent(
            entity_id=entity_id, system=system, marker=marker, error=error, attempts=1, failed_at=now
        )
    )


def _storable(reason: str) -> str:
    """Return a reason as one line that every database can hold: a file's name in it may be no text."""
    text = reason.replace("\0", "").encode("utf-8", "backslashreplace").decode("utf-8")
    return " ".join(text.split())[:1000]
