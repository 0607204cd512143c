"""The order in which things reach the disk, as the system calls tell it."""

import os
import re
from collections import defaultdict
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path

import pytest

from dam.core.file_operations import FileOperationsResource
from tests import tracing
from tests.cli_process import DamProgram
from tests.durability import processes, trees
from tests.forks import ForkServer
from tests.tracing import Call

# A single process takes the many files in, so that each call that syncs them all begins after those that ended before.
ADD = "import sys; from dam.cli import main; assert main(['add-asset', '-r', '--defer', '-j', '1', sys.argv[1]]) == 0"
HERE, ELSEWHERE = 6, 400  # so many files are stored by the program itself, and by processes that it starts
_MAY_BE_CONTENTS = re.compile("[0-9a-f]{64,}")


@pytest.fixture(params=[HERE, ELSEWHERE])
def files(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def calls(
    files: int, dam: DamProgram, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forks: ForkServer
) -> list[Call]:
    """Return the calls of a run that adds files to a storage that is in use."""
    (tmp_path / "first").write_text("first")
    assert processes.run_here(dam, "add-asset", "--defer", tmp_path / "first").status == 0
    monkeypatch.setenv("DATABASE_URL", dam.url)
    monkeypatch.setenv("DAM_STORAGE_PATH", str(dam.storage))
    tree = trees.small_files(tmp_path / "tree", files)
    return tracing.calls(
        forks, ADD, tree, only="write,pwrite64,sendto,fsync,fdatasync,syncfs,mkdir,rename,renameat2,fchmod,openat"
    )


def test_bytes_then_name_then_folder_then_rows(files: int, calls: list[Call], dam: DamProgram) -> None:
    when = When(calls)
    renames = [call for call in calls if call.name == "renameat2" and call.paths[-1].startswith(str(dam.storage))]
    assert len(renames) == files
    told = first_told(calls, dam, {Path(rename.paths[-1]).name for rename in renames})
    for rename in renames:
        temporary, final = rename.paths[-2:]
        written = when.all("write", temporary)[-1]
        synced = when.synced(temporary, after=written)
        [renamed] = when.all("renameat2", final)
        in_folders = [when.synced(folder, after=renamed) for folder in above(final, dam.storage)]
        assert written < synced < renamed < min(in_folders)
        assert max(in_folders) < told[Path(final).name]


def test_many_files_share_their_syncs_where_one_call_is_sure(
    files: int, calls: list[Call], dam: DamProgram, tmp_path: Path
) -> None:
    synced = [call.paths[0] for call in calls if call.name == "fsync"]
    alone = {path for path in synced if path.startswith(f"{dam.storage}/tmp/")}
    together = [call for call in calls if call.name == "syncfs"]
    if files == HERE or not is_sure(tmp_path):
        assert together == []
        assert len(alone) == files
    else:
        assert 0 < len(alone) < files
        assert len(together) >= 2


class When:
    """When calls were made: their places in the order of all, by name and path."""

    def __init__(self, calls: Sequence[Call]) -> None:
        self._places: dict[tuple[str, str], list[int]] = defaultdict(list)
        for place, call in enumerate(calls):
            for path in set(call.paths):
                self._places[call.name, path].append(place)
        self._together = [place for place, call in enumerate(calls) if call.name == "syncfs"]

    def all(self, name: str, path: str) -> list[int]:
        return self._places[name, path]

    def first(self, name: str, path: str, *, after: int) -> int:
        return next(place for place in self._places[name, path] if place > after)

    def synced(self, path: str, *, after: int) -> int:
        """Return when a file or folder was synced, by itself or with all others."""
        places = [*self._places["fsync", path], *self._together]
        return min(place for place in places if place > after)


def first_told(calls: Sequence[Call], dam: DamProgram, contents: AbstractSet[str]) -> dict[str, int]:
    """Return, for each content, when the database first heard of it."""
    if dam.url.startswith("sqlite"):
        log = f"{dam.url.removeprefix('sqlite:///')}-wal"
        said = [(place, call) for place, call in enumerate(calls) if call.name == "pwrite64" and call.paths[0] == log]
        assert When(calls).first("fdatasync", log, after=said[-1][0])
    else:
        said = [(place, call) for place, call in enumerate(calls) if call.name == "sendto"]
    told: dict[str, int] = {}
    for place, call in said:
        for digits in _MAY_BE_CONTENTS.findall(" ".join(call.paths)):
            for content in contents & {digits[start : start + 64] for start in range(len(digits) - 63)}:
                told.setdefault(content, place)
    return told


def is_sure(folder: Path) -> bool:
    """Say whether one call syncs all files of the file system that a folder is on."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        return FileOperationsResource().sync_file_system(fd)
    finally:
        os.close(fd)


def above(final: str, storage: Path) -> list[str]:
    """Return the folder of an object, and those whose names were new: that of its parent, and the storage's."""
    lower = Path(final).parent
    return [str(lower), str(lower.parent), str(storage)]
