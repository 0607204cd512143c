import asyncio
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from sqlalchemy.orm import Session

from dam.core.config import ParserLimits, WorldConfig
from dam.core.exceptions import WorkerCrashed
from dam.core.system_params import EntityFailures, Offload
from dam.models import (
    FileLocationComponent,
    FilePropertiesComponent,
    ImageDimensionsComponent,
    ImagePerceptualPHashComponent,
)
from dam.models.file_location_component import LOCAL_REFERENCE
from dam.services import ecs_service
from dam.services.examination_task import ExaminationTask
from dam.services.isolation import IsolatedExecutor
from dam.services.memory_storage import MemoryStorage
from dam.systems.metadata_systems import extract_metadata
from tests import media

LARGE_PICTURE = 7000  # pixels a side: nearly 200 million bytes decoded, more than the small workers below can hold


@pytest.fixture
def config(tmp_path: Path) -> WorldConfig:
    return WorldConfig(database_url="sqlite://", storage_path=tmp_path / "storage", limits=ParserLimits())


@pytest.fixture
def small_workers() -> Iterator[Executor]:
    with IsolatedExecutor(jobs=1, memory_bytes=288 << 20) as executor:
        yield executor


def referenced(session: Session, path: Path, mime_type: str) -> int:
    entity_id = ecs_service.create_entity(session)
    name = path.name
    ecs_service.add_component(
        session,
        FilePropertiesComponent(entity_id=entity_id, original_filename=name, file_size_bytes=1, mime_type=mime_type),
    )
    ecs_service.add_component(
        session,
        FileLocationComponent(
            entity_id=entity_id,
            content_identifier="0" * 64,
            storage_type=LOCAL_REFERENCE,
            physical_path_or_key=str(path),
            contextual_filename=name,
        ),
    )
    return entity_id


def extract(session: Session, config: WorldConfig, todo: list[int], executor: Executor | None = None) -> dict[int, str]:
    """Call the system with plain values and return the failures."""
    failures = EntityFailures()
    asyncio.run(extract_metadata(session, config, MemoryStorage(), Offload(executor), todo, failures))
    return failures.reasons


def picture(path: Path, side: int) -> Path:
    Image.new("RGB", (side, side), "green").save(path, compress_level=1)
    return path


def test_the_facts_of_a_picture_become_components(session: Session, config: WorldConfig, tmp_path: Path) -> None:
    entity_id = referenced(session, picture(tmp_path / "a.png", 16), "image/png")
    assert extract(session, config, [entity_id]) == {}
    assert ecs_service.get_component(session, entity_id, ImageDimensionsComponent) is not None
    assert ecs_service.get_component(session, entity_id, ImagePerceptualPHashComponent) is not None


def test_reading_facts_again_replaces_them(session: Session, config: WorldConfig, tmp_path: Path) -> None:
    entity_id = referenced(session, picture(tmp_path / "a.png", 16), "image/png")
    extract(session, config, [entity_id])
    picture(tmp_path / "a.png", 24)
    extract(session, config, [entity_id])
    dimensions = ecs_service.get_component(session, entity_id, ImageDimensionsComponent)
    assert dimensions is not None
    session.refresh(dimensions)
    assert dimensions.width_pixels == 24


def test_an_asset_without_a_place_is_reported(session: Session, config: WorldConfig) -> None:
    entity_id = ecs_service.create_entity(session)
    assert list(extract(session, config, [entity_id])) == [entity_id]


def test_a_missing_file_is_reported_and_the_others_are_read(
    session: Session, config: WorldConfig, tmp_path: Path
) -> None:
    gone = referenced(session, tmp_path / "gone.png", "image/png")
    there = referenced(session, picture(tmp_path / "a.png", 16), "image/png")
    assert list(extract(session, config, [gone, there])) == [gone]
    assert ecs_service.get_component(session, there, ImageDimensionsComponent) is not None


def test_a_picture_too_large_for_a_worker_keeps_its_size(
    session: Session, config: WorldConfig, tmp_path: Path, small_workers: Executor
) -> None:
    large = tmp_path / "a.png"
    large.write_bytes(media.black_png(LARGE_PICTURE, LARGE_PICTURE))
    entity_id = referenced(session, large, "image/png")
    reasons = extract(session, config, [entity_id], small_workers)
    assert "ran out of memory" in reasons[entity_id]
    dimensions = ecs_service.get_component(session, entity_id, ImageDimensionsComponent)
    assert dimensions is not None
    assert dimensions.width_pixels == LARGE_PICTURE


class Fragile(Executor):
    """Does each task here, unless the pixels of a certain file are among what is asked: no worker survives those."""

    def __init__(self, deadly: Path) -> None:
        self._deadly = str(deadly)
        self.files: list[int] = []

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        [plain] = args
        tasks = [ExaminationTask(*task) for task in plain]
        self.files.append(len(tasks))
        if any(task.path == self._deadly and "pixels" in task.readers for task in tasks):
            future.set_exception(WorkerCrashed(-11))
        else:
            future.set_result(fn(*args, **kwargs))
        return future


def test_of_files_that_share_a_worker_only_the_one_that_ends_it_loses_facts(
    session: Session, config: WorldConfig, tmp_path: Path
) -> None:
    paths = [picture(tmp_path / name, 16) for name in ("a.png", "deadly.png", "b.png")]
    executor = Fragile(paths[1])
    good, deadly, other = (referenced(session, path, "image/png") for path in paths)

    reasons = extract(session, config, [good, deadly, other], executor)

    assert executor.files == [3, 1, 1, 1, 1, 1]
    assert list(reasons) == [deadly]
    assert "crashed" in reasons[deadly]
    assert ecs_service.entities_with(session, ImageDimensionsComponent) == [good, deadly, other]
    assert ecs_service.entities_with(session, ImagePerceptualPHashComponent) == [good, other]
