import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import invariant
from tests.cli_process import DamProgram
from tests.durability import processes, trees

ROOT = Path(__file__).parents[2]


@pytest.fixture
def moving(tmp_path: Path) -> Iterator[Path]:
    """Give a folder whose files change all the time."""
    folder = tmp_path / "moving"
    folder.mkdir()
    command = [sys.executable, "-m", "tests.durability.moving_sources", str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield folder
        finally:
            process.kill()


def test_a_source_that_moves_gives_a_content_that_it_had_or_a_named_failure(dam: DamProgram, moving: Path) -> None:
    for _ in range(3):
        done = processes.run_here(dam, "add-asset", "-r", "--json", "--defer", moving)

        summary = trees.balance(done.documents)
        assert done.status == (1 if summary["failed"] else 0)
        assert all(outcome["reason"] for outcome in done.documents[:-1] if outcome["status"] == "failed")
    contents = [path.read_bytes() for path in dam.storage.glob("??/??/*")]
    assert [sorted(set(content)) for content in contents if len(set(content)) > 1] == []
    assert len(contents) > 1
    invariant.assert_complete(dam)
