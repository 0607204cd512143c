"""What the type checker must see of systems and events. Nothing here runs: mypy reads it with everything else.

A wrong use bears an ignore, and strict mode complains of an ignore that is not needed.
"""

from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, assert_type

from sqlalchemy.orm import Session

from dam.core.components_markers import NeedsMetadataExtractionComponent
from dam.core.config import WorldConfig
from dam.core.events import Event, FilesImported, ImportResult, SourcesSeenAgain
from dam.core.exceptions import TaskFailed
from dam.core.stages import SystemStage
from dam.core.system_params import (
    EntityFailures,
    MarkedEntities,
    MarkedEntityList,
    Offload,
    Resource,
    ResourceParameter,
    WorldContext,
    WorldSession,
)
from dam.core.systems import listens_for, system
from dam.core.world import World
from dam.models import FilePropertiesComponent, ImageDimensionsComponent
from dam.services import ecs_service


class Storage:
    """A resource."""


class FolderStorage(Storage):
    """A special one."""


class CountedEvent(Event[int]):
    """An event that is answered with a number."""


@system(stage=SystemStage.METADATA_EXTRACTION)
def measure(
    session: WorldSession,
    config: WorldConfig,
    context: WorldContext,
    storage: Resource[Storage],
    folder: Resource[Path] | None,
    todo: MarkedEntityList[NeedsMetadataExtractionComponent],
    failures: EntityFailures,
) -> float:
    """See every parameter as what it is."""
    assert_type(session, Session)
    assert_type(config, WorldConfig)
    assert_type(context.session, Session)
    assert_type(storage, Storage)
    assert_type(folder, Path | None)
    assert_type(todo, Sequence[int])
    storage.missing  # type: ignore[attr-defined]  # noqa: B018 - a resource is of its own type
    folder.exists()  # type: ignore[union-attr]  # it may be missing
    todo.append(1)  # type: ignore[attr-defined]  # the list is for reading
    failures.record("1", "no")  # type: ignore[arg-type]  # entities are integers
    return 1.5


@system(stage=SystemStage.METADATA_EXTRACTION)
async def measure_written_out(
    storage: Annotated[Storage, ResourceParameter()],
    todo: Annotated[Sequence[int], MarkedEntities(NeedsMetadataExtractionComponent)],
    offload: Offload,
) -> None:
    """See the written-out forms and offloaded results as what they are."""
    assert_type(storage, Storage)
    assert_type(todo, Sequence[int])
    assert_type(await offload.map(float, todo), list[float | TaskFailed])
    assert_type(await offload.map(_length, ["a"]), list[int | TaskFailed])
    await offload.map(_length, todo)  # type: ignore[arg-type]  # these are no texts


def wrong_marker(todo: MarkedEntityList[FilePropertiesComponent]) -> None:  # type: ignore[type-var]  # it is no marker
    """Ask for what is no marker."""


@listens_for(CountedEvent)
def count(event: CountedEvent) -> int:
    """Answer."""
    return 7


def call_with_plain_values(session: Session, config: WorldConfig, context: WorldContext) -> None:
    """Call systems and handlers as ordinary functions."""
    failures = EntityFailures()
    assert_type(measure(session, config, context, FolderStorage(), None, [1, 2], failures), float)
    assert_type(measure(session, config, context, Storage(), Path(), (), failures), float)
    measure(session, config, context, "storage", None, [1], failures)  # type: ignore[arg-type]
    measure(session, config, context, Storage(), None, ["1"], failures)  # type: ignore[list-item]
    measure(session, config, context, Storage(), None)  # type: ignore[call-arg]
    assert_type(count(CountedEvent()), int)
    count(Event())  # type: ignore[arg-type]


async def dispatch(world: World, imported: FilesImported, again: SourcesSeenAgain) -> None:
    """See what handlers answer by the type of the event."""
    assert_type(await world.dispatch(CountedEvent()), list[int])
    assert_type(await world.dispatch(imported), list[list[ImportResult]])
    assert_type(await world.dispatch(again), list[None])
    await world.dispatch("event")  # type: ignore[arg-type]
    await world.execute_stage("stage")  # type: ignore[arg-type]


def resources(world: World) -> None:
    """See a resource as what it was asked for, and key and value held together."""
    world.resources.bind(Storage).to(FolderStorage())
    world.resources.bind(Executor).to(ThreadPoolExecutor())
    world.resources.bind(FolderStorage).to(Storage())  # type: ignore[arg-type]
    assert_type(world.resources.get(Storage), Storage)


def components(session: Session) -> None:
    """See a component as what was asked for, and its fields as keywords."""
    assert_type(ecs_service.get_component(session, 1, ImageDimensionsComponent), ImageDimensionsComponent | None)
    assert_type(
        ecs_service.get_components_of(session, [1], ImageDimensionsComponent), dict[int, list[ImageDimensionsComponent]]
    )
    ImageDimensionsComponent(1, 2, 3)  # type: ignore[call-arg]
    ImageDimensionsComponent(entity_id=1, width_pixels=2)  # type: ignore[call-arg]
    NeedsMetadataExtractionComponent(entity_id=1, version=2)  # type: ignore[call-arg]
    ecs_service.mark(session, [1], ImageDimensionsComponent)  # type: ignore[arg-type]


def _length(text: str) -> int:
    return len(text)
