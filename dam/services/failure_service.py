"""What went wrong with assets: lists it, and has it tried again."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from dam.core.components_markers import MarkerComponent
from dam.models import FilePropertiesComponent, ProcessingFailureComponent
from dam.services import ecs_service


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A system's last failure at an asset, after so many attempts."""

    entity_id: int
    filename: str | None
    system: str
    error: str
    attempts: int
    failed_at: datetime


def list_failures(session: Session) -> list[Failure]:
    """Return all failures, by asset and system."""
    failure, properties = ProcessingFailureComponent, FilePropertiesComponent
    statement = (
        select(failure, properties.original_filename)
        .outerjoin(properties, properties.entity_id == failure.entity_id)
        .order_by(failure.entity_id, failure.system)
    )
    return [
        Failure(
            entity_id=row.entity_id,
            filename=filename,
            system=row.system,
            error=row.error,
            attempts=row.attempts,
            failed_at=row.failed_at,
        )
        for row, filename in session.execute(statement)
    ]


def mark_failed_again(session: Session) -> int:
    """Mark every asset that failed as it was marked before; return how many assets that are.

    The failures stay, counting attempts, until the assets are worked on and don't fail. Those that are marked already
    are left to whoever may be working on them.
    """
    markers = {kind.__tablename__: kind for kind in ecs_service.component_kinds() if issubclass(kind, MarkerComponent)}
    failure = ProcessingFailureComponent
    wanted: dict[str, list[int]] = defaultdict(list)
    for entity_id, marker in session.execute(select(failure.entity_id, failure.marker)):
        wanted[marker].append(entity_id)
    known = {markers[name]: entities for name, entities in wanted.items() if name in markers}
    for kind, entities in known.items():
        marked = select(kind.entity_id).join(failure, failure.entity_id == kind.entity_id)
        ecs_service.mark(session, set(entities).difference(session.scalars(marked)), kind)
    return len({entity_id for entities in known.values() for entity_id in entities})


def failed_since(session: Session, moment: datetime) -> int:
    """Return how many assets failed at this moment or later."""
    failure = ProcessingFailureComponent
    statement = select(func.count(failure.entity_id.distinct())).where(failure.failed_at >= moment)
    return session.scalar(statement) or 0


def waiting(session: Session, marker: type[MarkerComponent]) -> int:
    """Return how many assets bear this mark."""
    return session.scalar(select(func.count()).select_from(marker)) or 0
