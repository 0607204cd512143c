"""The order in which things reach the disk, as the system calls tell it."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests import tracing
from tests.cli_process import DamProgram
from tests.durability import processes, trees
from tests.forks import ForkServer
from tests.tracing import Call

ADD = "import sys; from dam.cli import main; assert main(['add-asset', '-r', '--defer', sys.argv[1]]) == 0"


@pytest.fixture
def calls(dam: DamProgram, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forks: ForkServer) -> list[Call]:
    """Return the calls of a run that adds files to a storage that is in use."""
    (tmp_path / "first").write_text("first")
    assert processes.run_here(dam, "add-asset", "--defer", tmp_path / "first").status == 0
    monkeypatch.setenv("DATABASE_URL", dam.url)
    monkeypatch.setenv("DAM_STORAGE_PATH", str(dam.storage))
    tree = trees.small_files(tmp_path / "tree", 6)
    return tracing.calls(
        forks, ADD, tree, only="write,pwrite64,sendto,fsync,fdatasync,mkdir,rename,renameat2,fchmod,openat"
    )


def test_bytes_then_name_then_folder_then_rows(calls: list[Call], dam: DamProgram) -> None:
    renames = [call for call in calls if call.name == "renameat2" and call.paths[-1].startswith(str(dam.storage))]
    told = first_told(calls, dam)
    assert len(renames) == 6
    for rename in renames:
        temporary, final = rename.paths[-2:]
        written = last(calls, "write", temporary)
        synced = first(calls, "fsync", temporary)
        renamed = calls.index(rename)
        in_folders = [first(calls, "fsync", folder, after=renamed) for folder in above(final, dam.storage)]
        assert written < synced < renamed < min(in_folders)
        assert max(in_folders) < told


def first_told(calls: Sequence[Call], dam: DamProgram) -> int:
    """Return when the database heard of the first row."""
    if not dam.url.startswith("sqlite"):
        return next(n for n, call in enumerate(calls) if call.name == "sendto" and "INSERT INTO" in "".join(call.paths))
    log = f"{dam.url.removeprefix('sqlite:///')}-wal"
    told = first(calls, "pwrite64", log)
    assert first(calls, "fdatasync", log, after=told)
    return told


def above(final: str, storage: Path) -> list[str]:
    """Return the folder of an object, and those whose names were new: that of its parent, and the storage's."""
    lower = Path(final).parent
    return [str(lower), str(lower.parent), str(storage)]


def first(calls: Sequence[Call], name: str, path: str, *, after: int = -1) -> int:
    return next(n for n, call in enumerate(calls) if n > after and call.name == name and path in call.paths)


def last(calls: Sequence[Call], name: str, path: str) -> int:
    return max(n for n, call in enumerate(calls) if call.name == name and path in call.paths)
