import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import invariant
from tests.cli_process import PROGRAM, DamProgram
from tests.durability import processes, trees


def add(dam: DamProgram, *arguments: str | Path) -> dict[str, int]:
    done = processes.run_here(dam, "add-asset", "--json", "--defer", *arguments)
    assert done.status == 0, done.err
    return trees.balance(done.documents)


def object_of(dam: DamProgram, file: Path) -> Path:
    done = processes.run_here(dam, "add-asset", "--json", "--defer", file)
    name: str = done.documents[0]["sha256"]
    return dam.storage / name[:2] / name[2:4] / name


def overwrite(path: Path, data: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(data)


def test_an_empty_file_is_an_asset(dam: DamProgram, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()

    assert add(dam, tmp_path / "empty")["added"] == 1

    invariant.assert_complete(dam)
    found = processes.run_here(dam, "find-file-by-hash", "--file", tmp_path / "empty")
    assert found.status == 0


def test_objects_are_read_only(dam: DamProgram, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("content")

    assert object_of(dam, tmp_path / "file").stat().st_mode & 0o222 == 0


@pytest.mark.parametrize(
    "harm", [Path.unlink, lambda path: overwrite(path, b"bad bytes"), lambda path: overwrite(path, b"")]
)
def test_adding_a_file_again_repairs_its_object(dam: DamProgram, tmp_path: Path, harm: Callable[[Path], None]) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"the bytes")
    trees.let_age(tmp_path)
    harm(object_of(dam, file))

    add(dam, file)

    assert object_of(dam, file).read_bytes() == b"the bytes"
    invariant.assert_complete(dam)


def test_adding_a_copy_repairs_the_object(dam: DamProgram, tmp_path: Path) -> None:
    file, copy = tmp_path / "file", tmp_path / "copy"
    file.write_bytes(b"the bytes")
    copy.write_bytes(b"the bytes")
    overwrite(object_of(dam, file), b"bad bytes")

    add(dam, copy)

    invariant.assert_complete(dam)
    (aside,) = (dam.storage / "damaged").iterdir()
    assert aside.read_bytes() == b"bad bytes"


@pytest.mark.slow
def test_a_file_of_five_gigabytes_is_taken_in_flat_memory(dam: DamProgram, tmp_path: Path) -> None:
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(5 << 30)
        file.write(b"start")
        file.seek((5 << 30) - 3)
        file.write(b"end")

    command: list[str | Path] = [PROGRAM, "add-asset", "--json", large]  # as our child, to be told its memory
    with subprocess.Popen(command, env=dam.environment, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)

    assert process.returncode == 0
    assert usage.ru_maxrss < 300_000  # kilobytes
    assert object_of(dam, large).stat().st_size == 5 << 30
    invariant.assert_complete(dam)


def test_an_object_that_was_touched_is_compared_once_and_then_trusted_again(dam: DamProgram, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"the bytes")
    stored = object_of(dam, file)
    before = stored.stat().st_mtime_ns
    stored.touch()

    assert add(dam, file)["unchanged"] == 1

    assert stored.stat().st_mtime_ns == before
    assert not (dam.storage / "damaged").exists()
