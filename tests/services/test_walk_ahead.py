"""Another process goes on with a walk, with the same outcome."""

import os
from pathlib import Path

import pytest

from dam.core.exceptions import WalkerDied
from dam.core.resources import FileOperationsResource
from dam.core.world import World
from dam.services import ingestion
from dam.services.ingestion import LOOKED_UP_TOGETHER, Options, Outcome, Status
from dam.services.intake_pool import IntakeProcesses
from dam.services.source_walk import OwnFiles, Walk
from dam.services.walk_ahead import WalkAhead
from tests import hostile
from tests.core.queues import wait_until
from tests.forks import ForkServer
from tests.services.odd_files import PROGRAM, WATCHED, WatchedFolders

FOLDERS = 200  # at 0.05 s each, ten times as long as a process takes to start
LONG_AGO = (1_600_000_000, 1_600_000_000)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    for number in range(FOLDERS):
        folder = tree / f"{number:03}"
        folder.mkdir(parents=True)
        (folder / "file").write_text(str(number))
    return tree


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / PROGRAM).write_text(str(os.getpid()))
    monkeypatch.setenv(WATCHED, str(notes))
    return notes


def watched(tree: Path, own: OwnFiles | None = None) -> Walk:
    return Walk([tree], recursive=True, own=own or OwnFiles(), files=WatchedFolders())


def others(notes: Path) -> list[int]:
    """Return the processes that opened a folder, but for this one."""
    return [int(path.name) for path in notes.iterdir() if path.name not in {PROGRAM, str(os.getpid())}]


def is_alive(process: int) -> bool:
    return Path(f"/proc/{process}").exists()


def test_what_another_process_comes_upon_is_the_same(tree: Path, notes: Path) -> None:
    odd = tree / "199" / "odd"
    odd.mkdir()
    os.close(os.open(os.fsencode(odd) + b"/no \xff text\n", os.O_CREAT))
    os.mkfifo(odd / "fifo")
    (odd / "nowhere").symlink_to("nothing")
    (odd / "up").symlink_to(tree)
    hostile.write_deep(hostile.deep_folder(odd, length=5000), "leaf", b"123")
    (odd / "storage").mkdir()
    own = OwnFiles.at(storage=odd / "storage", database=odd / "dam.db")
    (odd / "dam.db-wal").touch()
    (notes / PROGRAM).unlink()
    expected = list(Walk([tree], recursive=True, own=own))
    (notes / PROGRAM).write_text(str(os.getpid()))

    with WalkAhead(watched(tree, own)) as walk:
        walk.hurry()
        found = list(walk)

    assert found == expected
    assert len(others(notes)) == 1


def test_without_hurry_no_process_is_started(tree: Path, notes: Path) -> None:
    (notes / PROGRAM).unlink()
    with WalkAhead(watched(tree)) as walk:
        assert len(list(walk)) == FOLDERS
    assert others(notes) == []


def test_a_walk_that_is_left_early_leaves_no_process(tree: Path, notes: Path) -> None:
    with WalkAhead(watched(tree)) as walk:
        walk.hurry()
        next(entry for entry in walk if others(notes))
        [process] = others(notes)
    assert not is_alive(process)


def test_a_process_that_is_killed_is_told_of(tree: Path, notes: Path) -> None:
    (tree / "199" / "deadly").mkdir()
    with WalkAhead(watched(tree)) as walk:
        walk.hurry()
        with pytest.raises(WalkerDied, match=r"ended too soon \(signal 9\); run the command again"):
            list(walk)


def test_a_bug_there_keeps_its_traceback(tree: Path, notes: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tree / "199" / "faulty").mkdir()
    with WalkAhead(watched(tree)) as walk:
        walk.hurry()
        with pytest.raises(WalkerDied, match="exit status 1"):
            list(walk)
    assert "RuntimeError: there is a bug" in capfd.readouterr().err


def test_where_no_process_can_be_started_the_walk_goes_on_here(tree: Path, forks: ForkServer) -> None:
    code = """if True:
        import os, resource, sys
        from dam.services.source_walk import OwnFiles, Walk
        from dam.services.walk_ahead import WalkAhead
        walk = Walk([sys.argv[1]], recursive=True, own=OwnFiles())
        most = os.dup(0) + 4  # three more than there are: two for listing a folder, but not all for a process
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        with WalkAhead(walk) as ahead:
            ahead.hurry()
            print(len(list(ahead)))
    """
    assert forks.run_python(code, tree) == f"{FOLDERS}\n"


def test_the_process_ends_when_the_program_is_killed(tree: Path, forks: ForkServer) -> None:
    code = """if True:
        import os, pathlib, signal, sys
        from dam.services.source_walk import OwnFiles, Walk
        from dam.services.walk_ahead import WalkAhead
        with WalkAhead(Walk([sys.argv[1]], recursive=True, own=OwnFiles())) as ahead:
            ahead.hurry()
            print(pathlib.Path(f"/proc/self/task/{os.getpid()}/children").read_text(), flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
    """
    with forks.start_python(code, tree) as program:
        process = int(program.communicate(timeout=60)[0])
    wait_until(lambda: not is_alive(process))


def take_in(world: World, tree: Path) -> list[Outcome]:
    outcomes: list[Outcome] = []
    ingestion.ingest(world, [str(tree)], Options(recursive=True, defer=True), outcomes.append)
    return outcomes


def test_files_that_have_not_changed_are_come_upon_by_another_process(world: World, tree: Path, notes: Path) -> None:
    world.resources.add(IntakeProcesses(2))
    world.resources.bind(FileOperationsResource).to(WatchedFolders())
    for number in range(LOOKED_UP_TOGETHER):
        (tree / f"{number:04}").write_text(f"first {number}")
    for path in tree.rglob("*"):
        os.utime(path, LONG_AGO)
    (notes / PROGRAM).unlink()

    added = take_in(world, tree)
    assert {outcome.status for outcome in added} == {Status.ADDED}
    assert others(notes) == []

    (notes / PROGRAM).write_text(str(os.getpid()))
    (tree / "150" / "file").write_text("changed")
    again = take_in(world, tree)

    changed = [outcome.path for outcome in again if outcome.status is not Status.UNCHANGED]
    assert changed == [str(tree / "150" / "file")]
    assert {outcome.path for outcome in again} == {outcome.path for outcome in added}
    assert len(others(notes)) == 1
