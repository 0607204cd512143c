from pathlib import Path

import pytest

from tests.cli_process import DamProgram
from tests.durability import processes
from tests.durability.processes import Ended


@pytest.fixture
def files(dam: DamProgram, tmp_path: Path) -> Path:
    """Return a folder of three files that are stored."""
    folder = tmp_path / "files"
    folder.mkdir()
    for name in ("one", "two", "three"):
        (folder / name).write_text(name)
    assert processes.run_here(dam, "add-asset", "--defer", folder).status == 0
    return folder


def verify(dam: DamProgram, *options: str) -> Ended:
    return processes.run_here(dam, "verify-storage", *options)


def objects(dam: DamProgram) -> list[Path]:
    return sorted(dam.storage.glob("??/??/*"))


def flip_a_bit(path: Path) -> None:
    data = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(bytes([data[0] ^ 1]) + data[1:])


def test_nothing_wrong_is_status_0_and_one_line(dam: DamProgram, files: Path) -> None:
    done = verify(dam)

    assert (done.status, done.err) == (0, "")
    assert done.out == "3 objects, 0 references: 3 of 3 due were read (11 B); nothing is wrong.\n"


def test_what_is_wrong_is_a_line_each_and_status_1(dam: DamProgram, files: Path) -> None:
    gone, bad, _ = objects(dam)
    gone.unlink()
    flip_a_bit(bad)

    done = verify(dam)

    assert done.status == 1
    missing, damaged, summary = done.out.splitlines()
    assert missing.startswith(f"Missing: {gone} (asset ")
    assert damaged.startswith(f"Damaged: {bad} (asset ")
    assert summary.endswith("; 1 missing, 1 damaged.")


def test_json_is_a_line_for_each_finding_and_the_summary(dam: DamProgram, files: Path) -> None:
    gone = objects(dam)[0]
    gone.unlink()

    finding, last = verify(dam, "--json").documents

    assert finding.keys() == {"problem", "path", "entity_id", "sha256", "detail", "repaired_from"}
    assert (finding["problem"], finding["path"], finding["sha256"]) == ("missing", str(gone), gone.name)
    assert last["summary"] | {"objects": 3, "due": 3, "good": 2, "missing": 1, "repaired": 0} == last["summary"]


def test_a_repair_tells_where_the_bytes_came_from_and_still_is_status_1(dam: DamProgram, files: Path) -> None:
    for path in objects(dam):
        flip_a_bit(path)

    done = verify(dam, "--repair")

    assert done.status == 1
    assert all(f"repaired from {files / name})" in done.out for name in ("one", "two", "three"))
    assert done.out.endswith("3 damaged, 3 repaired.\n")
    assert verify(dam).status == 0


def test_the_store_can_be_read_in_parts(dam: DamProgram, files: Path) -> None:
    assert "0 of 3 due were read" in verify(dam, "--limit-time", "0s").out
    assert "3 of 3 due were read" in verify(dam, "--older-than", "1d", "--limit-time", "1h").out
    assert "0 of 0 due were read" in verify(dam, "--older-than", "1d").out
    assert "3 of 3 due were read" in verify(dam, "--since", "1d").out


def test_a_strange_duration_is_wrong_usage(dam: DamProgram) -> None:
    done = verify(dam, "--since", "yesterday")

    assert (done.status, done.out) == (2, "")
    assert done.err == "Error: 'yesterday' is no duration; write for example 30d, 12h, 45m or 1h30m\n"


def test_when_an_object_was_found_good_is_shown_with_its_asset(dam: DamProgram, files: Path) -> None:
    verify(dam)

    done = processes.run_here(dam, "find-file-by-hash", "--json", "--file", files / "one")

    (verification,) = done.documents[0]["assets"][0]["components"]["ObjectVerificationComponent"]
    assert verification["found_good_at"].endswith("+00:00")
