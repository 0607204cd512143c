"""A world: its database, resources and scheduler open and close together."""

from pathlib import Path

import pytest
from sqlalchemy import text

from dam.core.config import WorldConfig
from dam.core.exceptions import InvalidDatabaseUrl
from dam.core.resources import FileOperationsResource
from dam.core.world import World
from dam.services import ecs_service


class Lamp:
    """Knows whether it shines."""

    shines = False

    def open(self) -> None:
        self.shines = True

    def close(self) -> None:
        self.shines = False


class BrokenLamp(Lamp):
    """Does not go out."""

    def close(self) -> None:
        raise RuntimeError("stuck")


def test_resources_open_and_close_with_the_world(tmp_path: Path) -> None:
    lamp = Lamp()
    world = World(WorldConfig(database_url="sqlite://", storage_path=tmp_path))
    world.resources.add(lamp)
    assert not lamp.shines
    with world:
        assert lamp.shines
    assert not lamp.shines


def test_resources_close_when_the_work_fails(tmp_path: Path) -> None:
    lamp = Lamp()
    world = World(WorldConfig(database_url="sqlite://", storage_path=tmp_path))
    world.resources.add(lamp)
    with pytest.raises(KeyboardInterrupt), world:
        raise KeyboardInterrupt
    assert not lamp.shines


def test_the_database_is_given_back_even_when_a_resource_does_not_close(config: WorldConfig) -> None:
    world = World(config).open()
    world.resources.add(BrokenLamp())
    with world.reading() as session:
        session.execute(text("SELECT 1"))
    with pytest.raises(RuntimeError, match="stuck"):
        world.close()
    assert world.database.engine.pool.status().count("Connections in pool: 0") == 1


def test_every_world_has_the_file_operations(bare_world: World) -> None:
    assert bare_world.resources.has(FileOperationsResource)


def test_worlds_are_apart(config: WorldConfig, tmp_path: Path) -> None:
    other = WorldConfig(name="other", database_url=f"sqlite:///{tmp_path / 'other.db'}", storage_path=tmp_path)
    with World(config) as world, World(other) as second:
        second.database.upgrade()
        with world.session() as session:
            ecs_service.create_entity(session)
            session.commit()
        with second.reading() as session:
            assert ecs_service.entities_with(session) == []
        assert (world.name, second.name) == ("default", "other")


def test_a_world_without_a_usable_address_is_none(tmp_path: Path) -> None:
    with pytest.raises(InvalidDatabaseUrl):
        World(WorldConfig(database_url="nonsense", storage_path=tmp_path))
