"""Worlds for the tests of the core."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dam.core.config import WorldConfig
from dam.core.world import World


@pytest.fixture
def config(database_url: str, schema: None, tmp_path: Path) -> WorldConfig:
    """Return the configuration of a world on the test's database, with the schema."""
    return WorldConfig(database_url=database_url, storage_path=tmp_path / "storage")


@pytest.fixture
def world(config: WorldConfig) -> Iterator[World]:
    """Give an open world on the test's database, with the schema."""
    with World(config) as world:
        yield world


@pytest.fixture
def bare_world(tmp_path: Path) -> Iterator[World]:
    """Give an open world whose database is never asked for anything."""
    with World(WorldConfig(database_url="sqlite://", storage_path=tmp_path)) as world:
        yield world
