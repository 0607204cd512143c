import os
import random
import signal
import time
from pathlib import Path

import pytest

from tests import invariant
from tests.cli_process import PATIENCE_SECONDS, DamProgram
from tests.durability import processes, trees

KILLS = 15  # for each kind of database


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return trees.small_files(tmp_path / "tree", 600, pictures=4)


def interrupt(dam: DamProgram, tree: Path, how: signal.Signals, *, after: float) -> processes.Ended:
    """Begin to add the tree, and send the program, workers and all, a signal some seconds after its work began."""
    with processes.started(dam, "add-asset", "-r", tree) as process:
        processes.wait_until_work_begins(dam, process)
        time.sleep(after)
        if process.poll() is None:
            os.killpg(process.pid, how) if how is signal.SIGINT else process.send_signal(how)
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
        processes.wait_for(lambda: not processes.lives(process.pid))
    return processes.Ended(process.wait(), out, err)


def kill(dam: DamProgram, tree: Path, *, after: float) -> int:
    """Begin to add the tree, kill the program some seconds after its work began, and return its status.

    Its workers see to it themselves that they end.
    """
    with processes.started(dam, "add-asset", "-r", tree) as process:
        processes.wait_until_work_begins(dam, process)
        time.sleep(after)
        process.kill()
        status = process.wait()
        processes.wait_for(lambda: not processes.lives(process.pid))
    return status


def seconds_from_its_beginning(dam: DamProgram, tree: Path) -> float:
    """Add the tree, and return what that took after the work began."""
    with processes.started(dam, "add-asset", "-r", tree) as process:
        processes.wait_until_work_begins(dam, process)
        began = time.monotonic()
        assert process.wait(PATIENCE_SECONDS) == 0
        return time.monotonic() - began


def kill_again_and_again(dam: DamProgram, tree: Path, *, kills: int, files: int) -> None:
    moments = random.Random(kills)
    statuses = set()
    seconds = seconds_from_its_beginning(dam, trees.small_files(tree / "whole", files, seed=kills, pictures=1))
    for number in range(kills):
        trees.small_files(tree / f"{number}", files, seed=number, pictures=number % 4 == 0)
        before = invariant.seen(tree)
        statuses.add(kill(dam, tree, after=moments.uniform(0, seconds)))
        assert invariant.seen(tree) == before
        invariant.assert_holds(dam)
    assert -signal.SIGKILL in statuses

    done = processes.run_here(dam, "add-asset", "-r", "--json", tree)

    assert (done.status, done.err) == (0, "")
    assert trees.balance(done.documents)["found"] == (kills + 1) * files
    assert all(outcome["entity_id"] for outcome in done.documents[:-1])
    assert invariant.seen(tree) == before
    invariant.assert_complete(dam)


def test_killed_at_any_moment_nothing_is_lost_and_the_next_run_completes(dam: DamProgram, tmp_path: Path) -> None:
    kill_again_and_again(dam, tmp_path / "tree", kills=KILLS, files=30)


def test_killed_while_other_processes_take_files_in_nothing_is_lost(dam: DamProgram, tmp_path: Path) -> None:
    kill_again_and_again(dam, tmp_path / "tree", kills=4, files=500)


@pytest.mark.slow
def test_killed_many_more_times_nothing_is_lost(dam: DamProgram, tmp_path: Path) -> None:
    kill_again_and_again(dam, tmp_path / "tree", kills=150, files=60)


@pytest.mark.parametrize("after", [0, 0.2])
def test_ctrl_c_ends_with_one_line_and_status_130(dam: DamProgram, tree: Path, after: float) -> None:
    ended = interrupt(dam, tree, signal.SIGINT, after=after)

    if ended.status != 0:  # it may have been done already
        assert ended.status == 130
        assert ended.has_one_line_on_stderr, ended.err
    invariant.assert_holds(dam)
    assert processes.run_here(dam, "add-asset", "-r", tree).status == 0
    invariant.assert_complete(dam)


@pytest.mark.parametrize("copy", [True, False])
def test_ctrl_c_does_not_wait_for_the_end_of_a_large_file(dam: DamProgram, tmp_path: Path, *, copy: bool) -> None:
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(1 << 40)
    with processes.started(dam, "add-asset", large, *([] if copy else ["--no-copy"])) as process:
        processes.wait_for(lambda: str(large) in open_files(process.pid))
        interrupted_at = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE_SECONDS)
        took = time.monotonic() - interrupted_at

    assert (process.returncode, err.count("\n")) == (130, 1)
    assert took < 15
    assert list((dam.storage / "tmp").glob("*/*")) == []


def test_sigterm_ends_it_and_the_next_run_completes(dam: DamProgram, tree: Path) -> None:
    ended = interrupt(dam, tree, signal.SIGTERM, after=0.2)

    assert ended.status in {-signal.SIGTERM, 128 + signal.SIGTERM, 0}
    assert "Traceback" not in ended.err
    invariant.assert_holds(dam)
    assert processes.run_here(dam, "add-asset", "-r", tree).status == 0
    invariant.assert_complete(dam)


def test_when_nobody_reads_the_output_any_more_it_ends_quietly(dam: DamProgram, tmp_path: Path) -> None:
    tree = trees.small_files(tmp_path / "tree", 500)  # whose lines do not fit into a pipe
    with processes.started(dam, "add-asset", "-r", "--json", tree) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        process.wait(PATIENCE_SECONDS)
        assert process.stderr is not None
        assert process.stderr.read() == ""

    assert process.returncode == 128 + signal.SIGPIPE
    invariant.assert_holds(dam)
    assert processes.run_here(dam, "add-asset", "-r", tree).status == 0
    invariant.assert_complete(dam)


def open_files(process: int) -> list[str]:
    """Return what the process has open; nothing when it ends meanwhile."""
    try:
        return [str(each.readlink()) for each in Path(f"/proc/{process}/fd").iterdir()]
    except FileNotFoundError:
        return []
