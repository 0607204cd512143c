import os
import random
import signal
import stat
import time
from pathlib import Path

import pytest

from tests import invariant
from tests.cli_process import DamProgram
from tests.durability import processes, trees

KILLS = 15  # for each kind of database
ONE_RUN_SECONDS = 0.7  # about as long as the work takes that is interrupted


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return trees.small_files(tmp_path / "tree", 240, pictures=12)


def interrupt(dam: DamProgram, tree: Path, how: signal.Signals, *, after: float) -> processes.Ended:
    """Begin to add the tree, and send the program, workers and all, a signal some seconds after its work began."""
    with processes.started(dam, "add-asset", "-r", tree) as process:
        processes.wait_until_work_begins(dam, process)
        time.sleep(after)
        if process.poll() is None:
            os.killpg(process.pid, how) if how is signal.SIGINT else process.send_signal(how)
        out, err = process.communicate(timeout=processes.PATIENCE_SECONDS)
        processes.wait_for(lambda: not processes.lives(process.pid))
    return processes.Ended(process.returncode, out, err)


def kill_again_and_again(dam: DamProgram, tree: Path, kills: int, seed: int) -> None:
    before = invariant.seen(tree)
    moments = random.Random(seed)
    statuses = []
    for _ in range(kills):
        after = moments.uniform(0, ONE_RUN_SECONDS)
        statuses.append(interrupt(dam, tree, signal.SIGKILL, after=after).status)
        invariant.assert_holds(dam)
    assert -signal.SIGKILL in statuses

    done = processes.run_here(dam, "add-asset", "-r", "--json", tree)

    assert (done.status, done.err) == (0, "")
    assert trees.balance(done.documents)["found"] == sum(1 for each in before.values() if stat.S_ISREG(each.mode))
    assert all(outcome["entity_id"] for outcome in done.documents[:-1])
    invariant.assert_complete(dam)
    assert invariant.seen(tree) == before


def test_killed_at_any_moment_nothing_is_lost_and_the_next_run_completes(dam: DamProgram, tree: Path) -> None:
    kill_again_and_again(dam, tree, KILLS, seed=1)


@pytest.mark.slow
def test_killed_two_hundred_times_in_a_larger_tree_nothing_is_lost(dam: DamProgram, tmp_path: Path) -> None:
    tree = trees.small_files(tmp_path / "large tree", 3000, pictures=300)
    kill_again_and_again(dam, tree, 200, seed=2)


@pytest.mark.parametrize("after", [0, 0.1, 0.4])
def test_ctrl_c_ends_with_one_line_and_status_130(dam: DamProgram, tree: Path, after: float) -> None:
    ended = interrupt(dam, tree, signal.SIGINT, after=after)

    if ended.status != 0:  # it may have been done already
        assert ended.status == 130
        assert ended.has_one_line_on_stderr, ended.err
    invariant.assert_holds(dam)
    assert processes.run_here(dam, "add-asset", "-r", tree).status == 0
    invariant.assert_complete(dam)


def test_sigterm_ends_it_and_the_next_run_completes(dam: DamProgram, tree: Path) -> None:
    ended = interrupt(dam, tree, signal.SIGTERM, after=0.2)

    assert ended.status in {-signal.SIGTERM, 128 + signal.SIGTERM, 0}
    assert "Traceback" not in ended.err
    invariant.assert_holds(dam)
    assert processes.run_here(dam, "add-asset", "-r", tree).status == 0
    invariant.assert_complete(dam)


def test_when_nobody_reads_the_output_any_more_it_ends_quietly(dam: DamProgram, tmp_path: Path) -> None:
    tree = trees.small_files(tmp_path / "tree", 1200)
    with processes.started(dam, "add-asset", "-r", "--json", tree) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        process.wait(processes.PATIENCE_SECONDS)
        assert process.stderr is not None
        assert process.stderr.read() == ""

    assert process.returncode == 128 + signal.SIGPIPE
    invariant.assert_holds(dam)
    assert processes.run_here(dam, "add-asset", "-r", tree).status == 0
    invariant.assert_complete(dam)
