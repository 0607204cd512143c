"""A storage that is ready for use, and a world that can take files in, for tests that need no special ones."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dam.core.config import WorldConfig
from dam.core.database import Database
from dam.core.world import World
from dam.core.world_registrar import register_core_systems
from dam.services.file_storage import FileStorage, LocalFileStorage


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[LocalFileStorage]:
    storage = LocalFileStorage(tmp_path / "storage")
    storage.open_for_use(expect_objects=False)
    yield storage
    storage.close()


@pytest.fixture
def world(database: Database, storage: LocalFileStorage) -> Iterator[World]:
    url = database.url.render_as_string(hide_password=False)
    world = World(WorldConfig(database_url=url, storage_path=storage.root))
    world.resources.bind(FileStorage).to(storage)  # type: ignore[type-abstract]  # an interface is a key too
    register_core_systems(world)
    with world:
        yield world
