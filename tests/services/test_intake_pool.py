"""Many small files are taken in by other processes, with the same outcome."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dam.core.config import WorldConfig
from dam.core.database import Database
from dam.core.resources import FileOperationsResource
from dam.core.world import World
from dam.core.world_registrar import register_core_systems
from dam.services import ingestion
from dam.services.content_id import ContentId
from dam.services.file_storage import FileStorage, LocalFileStorage
from dam.services.ingestion import Options, Outcome, Status
from dam.services.intake_pool import TAKEN_HERE, IntakeProcesses
from dam.services.memory_storage import MemoryStorage
from tests.services.odd_files import PROCESSES, PROGRAM, Telling

MANY = 3 * TAKEN_HERE


@pytest.fixture
def world(database: Database, tmp_path: Path) -> Iterator[World]:
    url = database.url.render_as_string(hide_password=False)
    world = World(WorldConfig(database_url=url, storage_path=tmp_path / "storage"))
    world.resources.add(IntakeProcesses(2))
    (tmp_path / PROCESSES).mkdir()
    (tmp_path / PROCESSES / PROGRAM).write_text(str(os.getpid()))
    with world:
        yield world


@pytest.fixture
def storage(world: World, tmp_path: Path) -> LocalFileStorage:
    storage = LocalFileStorage(tmp_path / "storage", Telling())
    storage.open_for_use(expect_objects=False)
    use(world, storage)
    return storage


def use(world: World, storage: FileStorage) -> None:
    world.resources.bind(FileStorage).to(storage)  # type: ignore[type-abstract]  # an interface is a key too
    register_core_systems(world)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    for number in range(MANY):
        (folder / f"{number:04}.txt").write_text(f"content {number}")
    return folder


def take_in(world: World, path: Path, options: Options | None = None) -> dict[str, Outcome]:
    outcomes: list[Outcome] = []
    ingestion.ingest(world, [str(path)], options or Options(recursive=True), outcomes.append)
    assert [outcome.path for outcome in outcomes] == sorted(outcome.path for outcome in outcomes)
    return {Path(outcome.path).name: outcome for outcome in outcomes}


def others(tmp_path: Path) -> set[int]:
    """Return the processes that opened a source, but for this one."""
    return {int(path.name) for path in (tmp_path / PROCESSES).iterdir() if path.name != PROGRAM} - {os.getpid()}


def assert_kept(storage: LocalFileStorage, path: Path, outcome: Outcome) -> None:
    assert (outcome.status, outcome.reason) == (Status.ADDED, None)
    assert outcome.sha256 is not None
    with storage.open_object(ContentId(outcome.sha256)) as kept:
        assert kept.read() == path.read_bytes()


def test_many_small_files_are_taken_in_by_others(
    world: World, storage: LocalFileStorage, source: Path, tmp_path: Path
) -> None:
    outcomes = take_in(world, source)

    for path in source.iterdir():
        assert_kept(storage, path, outcomes[path.name])
    assert len(others(tmp_path)) == 2
    assert list(storage.leftovers()) == []
    assert not any(Path(f"/proc/{process}").exists() for process in others(tmp_path))


def test_few_files_start_no_process(world: World, storage: LocalFileStorage, source: Path, tmp_path: Path) -> None:
    for number in range(TAKEN_HERE, MANY):
        (source / f"{number:04}.txt").unlink()
    assert len(take_in(world, source)) == TAKEN_HERE
    assert others(tmp_path) == set()
    assert len(list(storage.objects())) == TAKEN_HERE


def test_a_file_that_can_not_be_read_there_is_that_files_failure(
    world: World, storage: LocalFileStorage, source: Path, tmp_path: Path
) -> None:
    (source / "locked").write_text("x")
    outcomes = take_in(world, source)
    assert (outcomes["locked"].status, outcomes["locked"].reason) == (
        Status.FAILED,
        "can't be read: Permission denied",
    )
    assert len(list(storage.objects())) == MANY
    assert others(tmp_path)


def test_files_whose_process_dies_are_taken_in_all_the_same(
    world: World, storage: LocalFileStorage, source: Path, tmp_path: Path
) -> None:
    (source / "deadly").write_text("deadly")
    outcomes = take_in(world, source)
    for path in source.iterdir():
        assert_kept(storage, path, outcomes[path.name])
    assert len(others(tmp_path)) >= 2
    storage.close()
    assert list(storage.leftovers()) == []


def test_others_also_read_what_stays_where_it_is(world: World, source: Path, tmp_path: Path) -> None:
    use(world, LocalFileStorage(tmp_path / "storage"))
    world.resources.bind(FileOperationsResource).to(Telling())
    outcomes = take_in(world, source, Options(recursive=True, copy=False))
    assert {outcome.status for outcome in outcomes.values()} == {Status.ADDED}
    assert others(tmp_path)
    assert not (tmp_path / "storage").exists()


def test_without_a_way_to_the_storage_all_is_done_here(world: World, source: Path) -> None:
    storage = MemoryStorage()
    use(world, storage)
    outcomes = take_in(world, source)
    assert {outcome.status for outcome in outcomes.values()} == {Status.ADDED}
    assert len(list(storage.objects())) == MANY


def test_a_staging_folder_that_can_not_be_made_fails_each_file(
    world: World, storage: LocalFileStorage, source: Path
) -> None:
    temporary = storage.root / "tmp"
    for path in temporary.iterdir():
        path.unlink()
    temporary.rmdir()
    temporary.write_text("in the way")
    outcomes = take_in(world, source)
    assert {outcome.status for outcome in outcomes.values()} == {Status.FAILED}
    assert list(storage.objects()) == []
