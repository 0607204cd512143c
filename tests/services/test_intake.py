"""Reading and storing a group of files."""

import pickle
from itertools import count
from pathlib import Path

import pytest

from dam.core.events import ImportedFile
from dam.core.exceptions import ReadingStopped
from dam.core.file_operations import FileOperationsResource
from dam.services.file_storage import LocalFileStorage
from dam.services.intake import Intake, Refused

FILES = 5


@pytest.fixture
def intake(storage: LocalFileStorage) -> Intake:
    return Intake(deposit=storage, files=FileOperationsResource(), storage_type="local_cas", source_type="local_file")


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    for number in range(FILES):
        (tmp_path / f"{number}.txt").write_text(f"content {number}")
    return [str(tmp_path / f"{number}.txt") for number in range(FILES)]


def temporaries(storage: LocalFileStorage) -> list[str]:
    return [path.name for path in (storage.root / "tmp").glob("*/*") if path.name != "lock"]


def test_what_each_came_to_is_told_in_their_order(intake: Intake, paths: list[str], tmp_path: Path) -> None:
    paths.insert(2, str(tmp_path / "nowhere"))
    taken = intake.take(paths)
    assert [one.path for one in taken] == paths
    assert [type(one) for one in taken].count(ImportedFile) == FILES
    assert taken[2] == Refused(paths[2], "can't be read: No such file or directory")


@pytest.mark.parametrize("asked", [1, FILES])
def test_when_it_is_stopped_nothing_of_the_group_stays(
    intake: Intake, storage: LocalFileStorage, paths: list[str], asked: int
) -> None:
    times = count(1)
    with pytest.raises(ReadingStopped):
        intake.take(paths, lambda: next(times) >= asked)
    assert temporaries(storage) == []
    assert list(storage.objects()) == []


def test_pickled_it_adds_to_the_same_storage(intake: Intake, storage: LocalFileStorage, paths: list[str]) -> None:
    deposit = storage.deposit_elsewhere()
    assert deposit is not None
    assert deposit.publish([deposit.stage(paths[0])])
    elsewhere = Intake(
        deposit=deposit, files=intake.files, storage_type=intake.storage_type, source_type=intake.source_type
    )
    stored = {str(name) for name, _ in storage.objects()}
    taken = pickle.loads(pickle.dumps(elsewhere)).take(paths)
    assert stored < keys(taken) == {str(name) for name, _ in storage.objects()} == keys(intake.take(paths))
    assert temporaries(storage) == []


def keys(taken: list[ImportedFile | Refused]) -> set[str]:
    return {one.key for one in taken if isinstance(one, ImportedFile)}
