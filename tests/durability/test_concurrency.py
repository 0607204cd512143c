import threading
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from sqlalchemy import create_engine, text

from tests import invariant
from tests.cli_process import PATIENCE_SECONDS, DamProgram
from tests.durability import processes, trees
from tests.durability.processes import Ended


def add_at_once(dam: DamProgram, *commands: Sequence[str | Path]) -> list[Ended]:
    """Run a process for each folder, with options, all at the same time; what they print fits into a pipe."""
    with ExitStack() as stack:
        running = [
            stack.enter_context(processes.started(dam, "add-asset", "-r", "--json", *command)) for command in commands
        ]
        printed = [process.communicate(timeout=PATIENCE_SECONDS) for process in running]
        return [Ended(process.wait(), *outputs) for process, outputs in zip(running, printed, strict=True)]


def count(dam: DamProgram, table: str) -> int:
    engine = create_engine(dam.url)
    with engine.connect() as connection:
        found: int = connection.scalar(text(f"SELECT count(*) FROM {table}")) or 0
    engine.dispose()
    return found


def test_eight_processes_that_add_the_same_files_make_each_asset_once(dam: DamProgram, tmp_path: Path) -> None:
    tree = trees.small_files(tmp_path / "tree", 100, pictures=3)

    ended = add_at_once(dam, *[(tree,), (tree, "--defer")] * 4)

    assert [each.status for each in ended] == [0] * 8, [each.out + each.err for each in ended]
    summaries = [trees.balance(each.documents) for each in ended]
    assert sum(summary["added"] for summary in summaries) == 100
    assert all(summary["found"] == 100 for summary in summaries)
    assert [count(dam, table) for table in ("entity", "file_location", "original_source_info")] == [100, 100, 100]
    assert count(dam, "image_dimensions") == 3
    invariant.assert_complete(dam)


def test_six_processes_add_different_files_while_others_verify(dam: DamProgram, tmp_path: Path) -> None:
    folders = [trees.small_files(tmp_path / str(seed), 60, seed=seed) for seed in range(6)]
    done = threading.Event()
    read: list[Ended] = []

    def look() -> None:
        while not done.is_set():
            read.append(processes.run(dam, "verify-storage"))

    reader = threading.Thread(target=look)
    reader.start()
    try:
        ended = add_at_once(dam, *([folder] for folder in folders))
    finally:
        done.set()
        reader.join()

    assert [each.status for each in ended] == [0] * 6, [each.out + each.err for each in ended]
    assert [trees.balance(each.documents)["added"] for each in ended] == [60] * 6
    assert read
    assert [(each.out, each.err) for each in read if each.status] == []
    assert count(dam, "entity") == 360
    invariant.assert_complete(dam)
