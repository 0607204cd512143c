"""The program inside the test's own process: much quicker than a process of its own, and the same border."""

import asyncio
import hashlib
import json
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dam.cli import main
from dam.core.config import read_settings
from dam.core.stages import SystemStage
from dam.core.world import World
from dam.core.world_registrar import register_core_systems
from dam.services.content_id import ContentId
from dam.services.file_storage import FileStorage, LocalFileStorage


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it printed."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)

    @property
    def documents(self) -> list[Any]:
        """The JSON documents on stdout, one a line."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def is_one_error_line(self) -> bool:
        """Whether there is nothing but one line that says what is wrong."""
        return self.out == "" and self.err.startswith("Error: ") and self.err.count("\n") == 1


class Program:
    """``dam-cli`` on the database that the environment names, with this storage."""

    def __init__(self, capsys: pytest.CaptureFixture[str], storage: Path) -> None:
        self.storage = LocalFileStorage(storage)
        self._capsys = capsys

    def __call__(self, *arguments: str | Path) -> Done:
        """Run a command."""
        self._capsys.readouterr()
        status = main([str(argument) for argument in arguments])
        captured = self._capsys.readouterr()
        return Done(int(status), captured.out, captured.err)

    def add(self, *paths: Path) -> list[int]:
        """Take files in without reading their facts, and return their assets."""
        done = self("add-asset", "--defer", "--json", *paths)
        assert done.status == 0, done.err
        return [line["entity_id"] for line in done.documents[:-1]]

    def add_with_facts(self, *paths: Path) -> None:
        """Take files in and read their facts here, which spares starting worker processes."""
        self.add(*paths)
        with World(read_settings().world_config()) as world:
            world.resources.bind(FileStorage).to(self.storage)  # type: ignore[type-abstract]  # an interface is a key too
            with ThreadPoolExecutor(1) as executor:
                world.resources.bind(Executor).to(executor)
                register_core_systems(world)
                asyncio.run(world.execute_stage(SystemStage.METADATA_EXTRACTION))

    def object_of(self, file: Path) -> Path:
        """Return where the storage keeps the bytes of this file."""
        return Path(self.storage.path_of(ContentId(hashlib.sha256(file.read_bytes()).digest())))
