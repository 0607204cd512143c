"""Systems whose annotations are texts until somebody asks."""

from __future__ import annotations

from dam.core.components_markers import NeedsMetadataExtractionComponent
from dam.core.config import WorldConfig
from dam.core.events import Event
from dam.core.stages import SystemStage
from dam.core.system_params import MarkedEntityList, Resource, WorldSession
from dam.core.systems import listens_for, system


class Storage:
    """A resource."""


class CountedEvent(Event[int]):
    """An event that is answered with a number."""


@system(stage=SystemStage.METADATA_EXTRACTION)
def drain(
    session: WorldSession,
    config: WorldConfig,
    storage: Resource[Storage] | None,
    todo: MarkedEntityList[NeedsMetadataExtractionComponent],
) -> None:
    """Do nothing."""


@listens_for(CountedEvent)
async def count(event: CountedEvent, storage: Resource[Storage]) -> int:
    """Answer."""
    return 7


def needs_too_much(session: WorldSession, storage: Resource[Storage], lost: Nowhere) -> None:  # type: ignore[name-defined]  # noqa: F821 - on purpose
    """Ask for what is nowhere."""
