"""Several processes that import the same files, mark them again and read their facts, all at the same time."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from dam.core.components_markers import NeedsMetadataExtractionComponent as Marker
from dam.core.config import WorldConfig
from dam.core.database import Database
from dam.core.events import FilesImported, ImportedFile
from dam.core.stages import SystemStage
from dam.core.system_params import MarkedEntityList, WorldSession
from dam.core.systems import system
from dam.core.world import World
from dam.models import ContentHashSHA256Component, FileLocationComponent, ImageDimensionsComponent
from dam.services import ecs_service, fact_service
from dam.services.facts import Facts, ImageDimensions
from dam.systems.ingestion_systems import record_imported_files
from tests.made_assets import made_file

FILES = 250
ROUNDS = 8
STAGE = SystemStage.METADATA_EXTRACTION


@system(stage=STAGE, chunk_size=16)
def measure(session: WorldSession, todo: MarkedEntityList[Marker]) -> None:
    """Write facts as extraction does, without reading a file."""
    facts = Facts(found=(ImageDimensions(width_pixels=1, height_pixels=1),))
    fact_service.write_facts(session, dict.fromkeys(todo, facts))


def test_imports_marks_and_workers_do_not_get_into_each_others_way(
    database_url: str, schema: None, tmp_path: Path
) -> None:
    picture = tmp_path / "picture"
    picture.touch()
    files = [made_file(picture, number) for number in range(FILES)]
    config = WorldConfig(database_url=database_url, storage_path=tmp_path)
    together = threading.Barrier(2)
    busy = [_import(files, together), _import(files[::-1], together), _mark_again, _work]
    with ThreadPoolExecutor(len(busy)) as threads:
        for done in [threads.submit(_in_world, config, one) for one in busy]:
            done.result(timeout=120)
    _in_world(config, _work)
    with closing(Database(database_url)) as database, database.reading() as session:
        entities = ecs_service.entities_with(session)
        assert len(entities) == FILES
        for kind in (ContentHashSHA256Component, FileLocationComponent, ImageDimensionsComponent):
            found = ecs_service.get_components_of(session, entities, kind)
            assert [len(rows) for rows in found.values()] == [1] * FILES
        assert ecs_service.entities_with(session, Marker) == []


def _in_world(config: WorldConfig, do: Callable[[World], None]) -> None:
    """Do something often, in a world of its own, as a process of its own would."""
    with World(config) as world:
        world.register_system(record_imported_files)
        world.register_system(measure)
        for _ in range(ROUNDS):
            do(world)


def _import(files: list[ImportedFile], together: threading.Barrier) -> Callable[[World], None]:
    def do(world: World) -> None:
        together.wait(60)
        asyncio.run(world.dispatch(FilesImported(files=files)))

    return do


def _mark_again(world: World) -> None:
    with world.session() as session, session.begin():
        ecs_service.mark(session, ecs_service.entities_with(session), Marker)


def _work(world: World) -> None:
    asyncio.run(world.execute_stage(STAGE))
