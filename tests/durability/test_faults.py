import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from tests import hostile, invariant, needs
from tests.cli_process import DamProgram
from tests.databases import SQLITE
from tests.durability import processes, trees
from tests.durability.processes import Ended, Fault

POSTGRES = pytest.mark.parametrize("database_url", ["postgres_url"], indirect=True)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return trees.small_files(tmp_path / "tree", 12)


@pytest.fixture
def in_use(dam: DamProgram, tmp_path: Path) -> DamProgram:
    """Return the program with a storage that has an object, so that what fails is the work and not its beginning."""
    (tmp_path / "first").write_text("first")
    assert processes.run_here(dam, "add-asset", "--defer", tmp_path / "first").status == 0
    return dam


def add(dam: DamProgram, path: Path, **how: Any) -> Ended:
    return processes.run(dam, "add-asset", "-r", "--json", "--defer", path, **how)


def assert_completes(dam: DamProgram, tree: Path) -> None:
    done = processes.run_here(dam, "add-asset", "-r", "--json", "--defer", tree)
    assert (done.status, done.err) == (0, "")
    assert trees.balance(done.documents)["failed"] == 0
    invariant.assert_complete(dam)


def assert_some_failed(ended: Ended, reason: str) -> dict[str, int]:
    """Fail unless some files, all of them for this reason, and only they were not added; return the summary."""
    summary = trees.balance(ended.documents)
    assert ended.status == 1
    assert summary["added"] == summary["found"] - summary["failed"]
    reasons = [outcome["reason"] for outcome in ended.documents[:-1] if outcome["status"] == "failed"]
    assert reasons
    assert all(reason in each for each in reasons)
    return summary


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault("fsync", "error=EIO:when=2"), "Input/output error"),
        (Fault("renameat2", "error=EIO:when=4"), "Input/output error"),
        (Fault("renameat2", "error=ENOSPC:when=6"), "No space left on device"),
    ],
)
def test_what_the_disk_refuses_is_that_files_failure(in_use: DamProgram, tree: Path, fault: Fault, reason: str) -> None:
    ended = add(in_use, tree, fault=fault)

    assert_some_failed(ended, reason)
    invariant.assert_holds(in_use)
    assert_completes(in_use, tree)


def test_a_write_that_fails_is_that_files_failure(in_use: DamProgram, tree: Path) -> None:
    # The thread that reads writes a file at a time; the one that prints writes only two lines.
    fault = Fault("write", "error=EDQUOT:when=5")
    ended = processes.run(in_use, "add-asset", "-r", "--defer", tree, fault=fault)

    assert (ended.status, ended.out) == (
        1,
        "12 files found: 11 added, 0 linked, 0 unchanged, 0 skipped, 1 failed.\n",
    )
    assert ended.err == f"Failed: {tree / '00' / '0004.bin'}: can't be stored: Disk quota exceeded\n"
    invariant.assert_holds(in_use)
    assert_completes(in_use, tree)


def test_a_file_that_cant_be_read_to_its_end_is_that_files_failure(in_use: DamProgram, tree: Path) -> None:
    bad = tree / "00" / "0005.bin"

    ended = add(in_use, tree, fault=Fault("pread64", "error=EIO", bad))

    assert assert_some_failed(ended, "Input/output error")["failed"] == 1
    assert f'"path": "{bad}", "status": "failed"' in ended.out
    assert_completes(in_use, tree)


@SQLITE
@pytest.mark.parametrize("fault", [Fault("fdatasync", "error=EIO:when=1"), Fault("pwrite64", "error=ENOSPC:when=3")])
def test_a_database_that_cant_be_written_is_one_line_and_status_2(in_use: DamProgram, tree: Path, fault: Fault) -> None:
    ended = add(in_use, tree, fault=fault)

    assert ended.status == 2
    assert ended.has_one_line_on_stderr, ended.err
    invariant.assert_holds(in_use)
    assert_completes(in_use, tree)


@pytest.mark.parametrize("call", ["fsync:2", "renameat2:1", "renameat2:7"])
def test_killed_at_this_very_call_nothing_is_lost(in_use: DamProgram, tree: Path, call: str) -> None:
    kill_at(in_use, tree, call)


@SQLITE
@pytest.mark.parametrize("call", ["fdatasync:1", "pwrite64:14"])
def test_killed_while_the_database_is_written_nothing_is_lost(in_use: DamProgram, tree: Path, call: str) -> None:
    kill_at(in_use, tree, call)


@POSTGRES
@pytest.mark.parametrize("call", ["sendto:26", "sendto:45", "sendto:70"])
def test_killed_while_the_server_is_told_nothing_is_lost(in_use: DamProgram, tree: Path, call: str) -> None:
    kill_at(in_use, tree, call)


def kill_at(dam: DamProgram, tree: Path, call: str) -> None:
    name, when = call.split(":")

    ended = add(dam, tree, fault=Fault(name, f"signal=SIGKILL:when={when}"))

    assert ended.status == -signal.SIGKILL
    invariant.assert_holds(dam)
    assert_completes(dam, tree)


def test_a_file_larger_than_the_system_allows_fails_and_the_others_are_taken(in_use: DamProgram, tree: Path) -> None:
    (tree / "huge").write_bytes(bytes(3_000_000))

    ended = add(in_use, tree, limits={"fsize": 2_000_000})

    assert assert_some_failed(ended, "File too large")["failed"] == 1
    assert_completes(in_use, tree)


@pytest.mark.parametrize("limit", [14, 24])
def test_too_few_descriptors_end_in_words_and_nothing_is_lost(in_use: DamProgram, tree: Path, limit: int) -> None:
    ended = add(in_use, tree, limits={"nofile": limit})

    assert "Traceback" not in ended.err
    if ended.status == 2:
        assert ended.has_one_line_on_stderr, ended.err
    else:
        assert (ended.status == 1) == (trees.balance(ended.documents)["failed"] > 0)
    invariant.assert_holds(in_use)
    assert_completes(in_use, tree)


def test_a_full_disk_fails_the_files_that_do_not_fit(dam: DamProgram, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    for number in range(8):
        (tree / str(number)).write_bytes(os.urandom(200_000))
    with small_disk(dam.storage, kilobytes=1000):
        ended = add(dam, tree)
        summary = trees.balance(ended.documents)
        assert ended.status == 1
        assert summary["added"] > 0
        assert summary["failed"] > 0
        assert {o["reason"] for o in ended.documents[:-1] if o["status"] == "failed"} == {
            "can't be stored: No space left on device"
        }
        invariant.assert_holds(dam)

        mount("-o", "remount,size=4000k", dam.storage)
        assert_completes(dam, tree)


def test_a_disk_that_turned_read_only_is_said_and_nothing_is_lost(dam: DamProgram, tree: Path) -> None:
    with small_disk(dam.storage, kilobytes=4000):
        assert processes.run_here(dam, "add-asset", "--defer", tree / "00" / "0000.bin").status == 0
        mount("-o", "remount,ro", dam.storage)

        ended = add(dam, tree)

        assert ended.status in {1, 2}
        assert "Read-only file system" in ended.out + ended.err
        assert "Traceback" not in ended.err
        mount("-o", "remount,rw", dam.storage)
        assert_completes(dam, tree)


def test_a_storage_that_may_not_be_written_to_is_said(in_use: DamProgram, tree: Path) -> None:
    folders = [in_use.storage, *(path for path in in_use.storage.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)

    ended = add(in_use, tree, rights_of_root=False)

    assert ended.status in {1, 2}
    assert "Permission denied" in ended.out + ended.err
    assert "Traceback" not in ended.err
    for folder in folders:
        folder.chmod(0o755)
    assert_completes(in_use, tree)


def test_unreadable_files_and_folders_are_named_and_the_others_are_taken(in_use: DamProgram, tree: Path) -> None:
    secret, closed = tree / "secret", tree / "closed"
    secret.write_text("secret")
    secret.chmod(0)
    closed.mkdir()
    (closed / "inside").write_text("inside")
    closed.chmod(0)

    ended = add(in_use, tree, rights_of_root=False)

    failed = {o["path"]: o["reason"] for o in ended.documents[:-1] if o["status"] == "failed"}
    assert failed.keys() == {str(secret), str(closed)}
    assert all("Permission denied" in reason for reason in failed.values())
    assert trees.balance(ended.documents)["added"] == 12
    invariant.assert_complete(in_use)


def test_a_storage_that_is_not_mounted_is_an_error_before_anything_is_written(
    in_use: DamProgram, tree: Path, tmp_path: Path
) -> None:
    in_use.storage.rename(tmp_path / "unmounted")
    before = rows(in_use)

    for command in ("add-asset", "-r", tree), ("verify-storage",), ("verify-storage", "--repair"):
        ended = processes.run_here(in_use, *command)
        assert ended.status == 2
        assert ended.has_one_line_on_stderr
        assert "is missing although the database knows objects" in ended.err

    assert not in_use.storage.exists()
    assert rows(in_use) == before
    (tmp_path / "unmounted").rename(in_use.storage)
    assert_completes(in_use, tree)


def rows(dam: DamProgram) -> list[object]:
    engine = create_engine(dam.url)
    with engine.connect() as connection:
        found = [connection.scalar(text(f"SELECT count(*) FROM {table}")) for table in ("entity", "file_location")]
    engine.dispose()
    return found


@contextmanager
def small_disk(folder: Path, *, kilobytes: int) -> Iterator[None]:
    hostile.need_root("only root mounts disks")
    folder.mkdir()
    mount("-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", folder)
    try:
        yield
    finally:
        subprocess.run([needs.program("umount"), folder], check=True)
        shutil.rmtree(folder)


def mount(*arguments: str | Path) -> None:
    done = subprocess.run([needs.program("mount"), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        needs.missing(f"disks can't be mounted: {done.stderr.strip()}")
