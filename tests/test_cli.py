"""The commands as their users see them: what they print, on which stream, and how they end."""

import hashlib
import os
import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import imagehash
import pytest
from PIL import Image
from sqlalchemy import text

from dam.core.database import SCHEMA_REVISION, Database
from tests import hostile
from tests.cli_program import Done, Program
from tests.databases import SQLITE

BLOCKS = 8
BRIGHT = 0x6A35_9C3A_C596_A35C  # which of the 64 blocks are bright: half of them, in no regular order
HASHES: dict[str, Callable[[Image.Image], Any]] = {
    "phash": imagehash.phash,
    "ahash": imagehash.average_hash,
    "dhash": imagehash.dhash,
}
# Two contents with one MD5, found by X. Wang and H. Yu (EUROCRYPT 2005).
COLLIDING = [
    bytes.fromhex(
        "d131dd02c5e6eec4693d9a0698aff95c2fcab58712467eab4004583eb8fb7f8955ad340609f4b30283e488832571415a"
        "085125e8f7cdc99fd91dbdf280373c5bd8823e3156348f5bae6dacd436c919c6dd53e2b487da03fd02396306d248cda0"
        "e99f33420f577ee8ce54b67080a80d1ec69821bcb6a8839396f9652b6ff72a70"
    ),
    bytes.fromhex(
        "d131dd02c5e6eec4693d9a0698aff95c2fcab50712467eab4004583eb8fb7f8955ad340609f4b30283e4888325f1415a"
        "085125e8f7cdc99fd91dbd7280373c5bd8823e3156348f5bae6dacd436c919c6dd53e23487da03fd02396306d248cda0"
        "e99f33420f577ee8ce54b67080280d1ec69821bcb6a8839396f965ab6ff72a70"
    ),
]
OUTCOME_KEYS = {"path", "status", "entity_id", "sha256", "reason"}
COUNTS = ("found", "added", "linked", "unchanged", "skipped", "failed")


@pytest.fixture
def program(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, database_url: str, tmp_path: Path
) -> Program:
    """Return the program on an empty database of each kind."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("DAM_STORAGE_PATH", str(tmp_path / "storage"))
    return Program(capsys, tmp_path / "storage")


@pytest.fixture
def alone(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Program:
    """Return the program for what has nothing to do with a database; its own would be in the test's home."""
    return Program(capsys, tmp_path / "storage")


@pytest.fixture
def cli(program: Program, schema: None) -> Program:
    """Return the program on a database with the schema."""
    return program


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Return an empty folder for the files to add."""
    folder = tmp_path / "files"
    folder.mkdir()
    return folder


def _create_dummy_image(path: Path, *, flipped: int = 0, scale: int = 8) -> Path:
    """Make a small PNG of 8 by 8 blocks, each bright or dark, with the first ``flipped`` of them the other way.

    Two of them differ in exactly so many bits of their aHash as in flipped blocks. ``scale`` is the side of a block in
    pixels: another scale gives other bytes of the same picture.
    """
    image = Image.new("L", (BLOCKS, BLOCKS))
    bits = BRIGHT ^ ((1 << flipped) - 1)
    image.putdata([200 if bits >> number & 1 else 55 for number in range(BLOCKS * BLOCKS)])
    image.resize((BLOCKS * scale, BLOCKS * scale), Image.Resampling.NEAREST).save(path)
    return path


def _distances(one: Path, other: Path) -> dict[str, int]:
    """Return the distances by the library that everybody compares with."""
    with Image.open(one) as first, Image.open(other) as second:
        return {name: int(of(first) - of(second)) for name, of in HASHES.items()}


def _write(path: Path, content: bytes | str = "content") -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def _summary(**counts: int) -> dict[str, dict[str, int]]:
    return {"summary": {name: counts.get(name, 0) for name in COUNTS}}


# --- the program as a whole


def test_version_is_that_of_the_package(alone: Program) -> None:
    done = alone("--version")
    assert (done.status, done.err) == (0, "")
    assert re.fullmatch(r"dam-cli \d+\.\d+\.\d+\n", done.out)


def test_help_lists_the_commands_but_not_the_hidden_one(alone: Program) -> None:
    done = alone("--help")
    assert done.status == 0
    for name in ("setup-db", "add-asset", "find-file-by-hash", "find-similar-images", "process-pending"):
        assert name in done.out
    assert "placeholder" not in done.out


def test_without_a_command_the_help_goes_to_stderr(alone: Program) -> None:
    done = alone()
    assert (done.status, done.out) == (2, "")
    assert "add-asset" in done.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["no-such-command"],
        ["add-asset"],
        ["add-asset", "--no-such-option", "x"],
        ["add-asset", "missing"],
        ["process-pending", "--jobs", "0"],
        ["find-file-by-hash"],
        ["find-file-by-hash", "0" * 64, "--file", "x"],
        ["find-file-by-hash", "0" * 63],
        ["find-file-by-hash", "g" * 64],
        ["find-file-by-hash", "0" * 64, "--hash-type", "md5"],
        ["find-file-by-hash", "0" * 40, "--hash-type", "sha1"],
        ["find-file-by-hash", "--file", "missing"],
        ["find-file-by-hash", "--file", "."],
        ["find-similar-images"],
        ["find-similar-images", "x.png", "--entity", "1"],
        ["find-similar-images", "missing.png"],
        ["find-similar-images", "x.png", "--phash-threshold", "65"],
        ["find-similar-images", "x.png", "--ahash-threshold", "-1"],
        ["find-similar-images", "x.png", "--dhash-threshold", "some"],
        ["find-similar-images", "x.png", "--match", "most"],
        ["find-similar-images", "x.png", "--limit", "0"],
        ["find-similar-images", "x.png", "--report", "x.png"],
        ["find-duplicate-images", "--report", "x"],
    ],
)
def test_wrong_usage_is_one_line_and_touches_no_database(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: list[str]
) -> None:
    database = tmp_path / "never.db"
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{database}")
    done = Program(capsys, tmp_path / "storage")(*arguments)
    assert done.status == 2
    assert done.is_one_error_line, done
    assert not database.exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://dam:sesame@host/dam"),
        ("DATABASE_URL", "postgresql://dam:sesame@host:port/dam"),
        ("DATABASE_URL", "postgresql://dam:sesame@localhost:1/dam"),
        ("DATABASE_URL", "sesame"),
        ("DAM_LOG_LEVEL", "sesame"),
        ("DAM_WORLDS", "sesame"),
        ("DAM_WORLDS", '{"one": {"database_url": "postgresql://dam:sesame@host/dam"}}'),
        ("DAM_WORLD", "elsewhere"),
    ],
)
def test_a_wrong_setting_is_one_line_without_its_value(
    alone: Program, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    done = alone("list-failures")
    assert done.status == 2
    assert done.is_one_error_line, done
    assert "sesame" not in done.err


def test_each_world_has_a_database_of_its_own(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, files: Path
) -> None:
    worlds = ", ".join(
        f'"{name}": {{"database_url": "sqlite:///{tmp_path}/{name}.db", "storage_path": "{tmp_path}/{name}"}}'
        for name in ("home", "work")
    )
    monkeypatch.setenv("DAM_WORLDS", f"{{{worlds}}}")
    program = Program(capsys, tmp_path / "home")
    note = _write(files / "note.txt")

    assert program("--world", "home", "add-asset", "--defer", note).status == 0
    assert program("-w", "home", "find-file-by-hash", "-f", note).status == 0
    assert program("-w", "work", "find-file-by-hash", "-f", note).status == 1
    assert program("-w", "none", "find-file-by-hash", "-f", note).is_one_error_line


# --- setup-db


def test_setup_db_makes_the_schema_once(program: Program) -> None:
    first, second = program("setup-db"), program("setup-db")
    assert (first.status, second.status) == (0, 0)
    assert "is set up" in first.out
    assert "was up to date" in second.out


def test_setup_db_answers_in_json(program: Program) -> None:
    first, second = program("setup-db", "--json").document, program("setup-db", "--json").document
    assert (first["changed"], second["changed"]) == (True, False)
    assert first["schema"] == SCHEMA_REVISION


def test_a_new_sqlite_database_is_set_up_on_first_use_with_a_note(
    program: Program, database_url: str, files: Path
) -> None:
    done = program("add-asset", "--defer", _write(files / "note.txt"))
    if database_url.startswith("sqlite"):
        assert done.status == 0
        assert "set up a new database" in done.err
    else:
        assert done.status == 2
        assert "dam-cli setup-db" in done.err


@pytest.mark.parametrize(("revision", "advice"), [("0000", "dam-cli setup-db"), ("9999", "install a newer DAM")])
def test_another_schema_is_refused_with_what_mends_it(
    cli: Program, database_url: str, revision: str, advice: str
) -> None:
    with closing(Database(database_url)) as database, database.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})
    done = cli("list-failures")
    assert done.status == 2
    assert done.is_one_error_line
    assert advice in done.err


# --- add-asset


def test_a_file_is_added_and_its_bytes_are_in_the_storage(cli: Program, files: Path) -> None:
    note = _write(files / "note.txt")
    done = cli("add-asset", note)
    assert (done.status, done.err) == (0, "")
    assert re.fullmatch(rf"added +asset 1  {note}\n1 file found: 1 added, 0 linked, .* 0 failed\.\n", done.out)
    assert cli.object_of(note).read_bytes() == b"content"


def test_each_file_is_a_line_of_json_and_the_summary_the_last(cli: Program, files: Path) -> None:
    note, copy = _write(files / "note.txt"), _write(files / "note copy.txt")
    done = cli("add-asset", "--defer", "--json", note, copy)
    first, second, summary = done.documents
    sha256 = hashlib.sha256(b"content").hexdigest()
    assert first == {"path": str(note), "status": "added", "entity_id": 1, "sha256": sha256, "reason": None}
    assert second == {"path": str(copy), "status": "linked", "entity_id": 1, "sha256": sha256, "reason": None}
    assert summary == _summary(found=2, added=1, linked=1)


def test_the_same_file_again_is_unchanged(cli: Program, files: Path) -> None:
    note = _write(files / "note.txt")
    cli.add(note)
    assert cli("add-asset", "--json", note).documents[-1] == _summary(found=1, unchanged=1)


def test_a_folder_without_r_gives_its_files_and_a_note(cli: Program, files: Path) -> None:
    _write(files / "note.txt")
    (files / "below").mkdir()
    _write(files / "below" / "deep.txt", "deep")
    done = cli("add-asset", "--defer", files)
    assert done.status == 0
    assert re.fullmatch(r"Note: .* is a folder.* -r .*\n", done.err)
    assert done.out == "1 file found: 1 added, 0 linked, 0 unchanged, 0 skipped, 0 failed.\n"


def test_with_r_the_folders_below_are_taken_too(cli: Program, files: Path) -> None:
    _write(files / "note.txt")
    (files / "below").mkdir()
    _write(files / "below" / "deep.txt", "deep")
    done = cli("add-asset", "-r", "--defer", "--json", files)
    assert done.err == ""
    assert [Path(line["path"]).name for line in done.documents[:-1]] == ["note.txt", "deep.txt"]


def test_without_copy_only_a_reference_is_kept(cli: Program, files: Path) -> None:
    note = _write(files / "note.txt")
    assert cli("add-asset", "--no-copy", "--defer", note).status == 0
    assert not cli.storage.root.exists()
    asset = cli("find-file-by-hash", hashlib.sha256(b"content").hexdigest(), "--json").document["assets"][0]
    (location,) = asset["components"]["FileLocationComponent"]
    assert (location["storage_type"], location["physical_path_or_key"]) == ("local_reference", str(note))


def test_a_file_that_fails_is_named_and_the_others_are_taken(cli: Program, files: Path) -> None:
    note, broken = _write(files / "note.txt"), files / "broken"
    broken.symlink_to("nowhere")
    done = cli("add-asset", "--defer", broken, note)
    assert done.status == 1
    assert done.err == f"Failed: {broken}: No such file or directory\n"
    assert "2 files found: 1 added, 0 linked, 0 unchanged, 0 skipped, 1 failed." in done.out


@SQLITE
@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("kind", ["FIFO", "socket", "character device"])
def test_a_special_file_is_skipped_with_a_note(cli: Program, files: Path, kind: str, *, linked: bool) -> None:
    special = _special(files, kind, linked=linked)
    done = cli("add-asset", "--defer", special)
    assert done.status == 0
    assert done.err == f"Skipped: {special}: a {kind}\n"


def test_rehash_reads_what_looks_unchanged(cli: Program, files: Path) -> None:
    note = _write(files / "note.txt", "one")
    long_ago = 1_000_000_000
    os.utime(note, (long_ago, long_ago))
    cli.add(note)
    note.write_text("two")
    os.utime(note, (long_ago, long_ago))
    assert cli("add-asset", "--defer", "--json", note).documents[-1] == _summary(found=1, unchanged=1)
    assert cli("add-asset", "--defer", "--json", "--rehash", note).documents[-1] == _summary(found=1, added=1)


def test_an_unwritable_storage_is_an_error(cli: Program, monkeypatch: pytest.MonkeyPatch, files: Path) -> None:
    _write(files / "occupied")
    monkeypatch.setenv("DAM_STORAGE_PATH", str(files / "occupied" / "storage"))
    done = cli("add-asset", _write(files / "note.txt"))
    assert done.status == 2
    assert done.is_one_error_line
    assert "can't be written to" in done.err


@pytest.mark.parametrize("command", [["add-asset", "--no-copy", "note.txt"], ["process-pending"]])
def test_a_storage_that_is_gone_is_an_error_before_anything_is_done(
    cli: Program, monkeypatch: pytest.MonkeyPatch, own_home: Path, files: Path, command: list[str]
) -> None:
    cli.add(_create_dummy_image(files / "a.png"))
    _write(own_home / "note.txt")
    monkeypatch.setenv("DAM_STORAGE_PATH", str(files / "unmounted"))
    done = cli(*command)
    assert done.status == 2
    assert done.is_one_error_line
    assert not (files / "unmounted").exists()


# --- process-pending and list-failures


def test_deferred_facts_are_read_by_process_pending(cli: Program, files: Path) -> None:
    picture = _create_dummy_image(files / "a.png")
    cli.add(picture)
    assert "ImageDimensionsComponent" not in _components(cli, picture)

    done = cli("process-pending", "--jobs", "1", "--json")

    assert (done.status, done.document) == (0, {"summary": {"pending": 1, "failed": 0}})
    assert _components(cli, picture)["ImageDimensionsComponent"] == [{"width_pixels": 64, "height_pixels": 64}]
    assert cli("process-pending").out == "0 assets processed, 0 failed.\n"


def test_what_could_not_be_read_is_listed_and_can_be_tried_again(cli: Program, files: Path) -> None:
    broken = _write(files / "broken.png", _create_dummy_image(files / "a.png").read_bytes()[:60])

    added = cli("add-asset", "-j", "1", broken)
    assert added.status == 0
    assert "dam-cli list-failures" in added.err
    assert cli.object_of(broken).exists()

    (failure,) = cli("list-failures", "--json").document["failures"]
    assert failure.keys() == {"entity_id", "filename", "system", "error", "attempts", "failed_at"}
    assert (failure["filename"], failure["system"], failure["attempts"]) == ("broken.png", "extract_metadata", 1)

    again = cli("process-pending", "--retry-failed", "-j", "1")
    assert (again.status, again.out) == (1, "1 asset processed, 1 failed.\n")
    listed = cli("list-failures")
    assert listed.status == 0
    assert re.search(r"1 +broken\.png +2 ", listed.out)


def test_without_failures_there_is_only_a_remark(cli: Program) -> None:
    done = cli("list-failures")
    assert (done.status, done.out, done.err) == (0, "", "There are no failures.\n")
    assert cli("list-failures", "--json").document == {"failures": []}


# --- find-file-by-hash


def _components(cli: Program, file: Path) -> dict[str, list[dict[str, Any]]]:
    (asset,) = cli("find-file-by-hash", "--file", file, "--json").document["assets"]
    components: dict[str, list[dict[str, Any]]] = asset["components"]
    return components


@pytest.mark.parametrize("case", [str.lower, str.upper])
def test_an_asset_is_found_by_either_hash_in_either_case(cli: Program, files: Path, case: Any) -> None:
    cli.add(_write(files / "note.txt"))
    sha256, md5 = hashlib.sha256(b"content").hexdigest(), hashlib.md5(b"content").hexdigest()
    for arguments in ([case(sha256)], [case(sha256), "--hash-type", "sha256"], [case(md5), "--hash-type", "md5"]):
        done = cli("find-file-by-hash", *arguments)
        assert (done.status, done.err) == (0, "")
        assert sha256 in done.out
        assert md5 in done.out


def test_an_asset_in_json_has_its_components_by_class(cli: Program, files: Path) -> None:
    note = _write(files / "note.txt")
    cli.add(note)
    (asset,) = cli("find-file-by-hash", "-f", note, "--json").document["assets"]
    assert asset.keys() == {"entity_id", "components"}
    sha256 = hashlib.sha256(b"content").hexdigest()
    components = asset["components"]
    assert components["ContentHashSHA256Component"] == [{"hash_value": sha256}]
    assert components["FilePropertiesComponent"] == [
        {"original_filename": "note.txt", "file_size_bytes": 7, "mime_type": "text/plain"}
    ]
    assert components["FileLocationComponent"] == [
        {
            "content_identifier": sha256,
            "storage_type": "local_cas",
            "physical_path_or_key": sha256,
            "contextual_filename": "note.txt",
        }
    ]
    (source,) = components["OriginalSourceInfoComponent"]
    assert source["original_path"] == str(note)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d.*\+00:00", source["first_seen_at"])


def test_everything_known_of_a_picture_is_shown(cli: Program, files: Path) -> None:
    picture = _create_dummy_image(files / "a.png")
    cli.add_with_facts(picture)
    out = cli("find-file-by-hash", "--file", picture).out
    for shown in ("File properties", "File location", "width_pixels   64", "perceptual phash", "Content hash md5"):
        assert shown in out
    with Image.open(picture) as image:
        assert str(imagehash.phash(image)) in out


def test_what_is_not_there_is_status_1(cli: Program, files: Path) -> None:
    done = cli("find-file-by-hash", "0" * 64)
    assert (done.status, done.out) == (1, "")
    assert done.err.count("\n") == 1
    assert cli("find-file-by-hash", "--file", _write(files / "new"), "--json").document == {"assets": []}


def test_two_contents_with_one_md5_are_both_found_by_it(cli: Program, files: Path) -> None:
    one, other = (_write(files / str(number), content) for number, content in enumerate(COLLIDING))
    cli.add(one, other)
    md5 = hashlib.md5(COLLIDING[0]).hexdigest()
    done = cli("find-file-by-hash", "--hash-type", "md5", md5, "--json")
    assert (done.status, [asset["entity_id"] for asset in done.document["assets"]]) == (0, [1, 2])


# --- find-file-by-hash --file x && rm x


def test_a_stored_file_may_go(cli: Program, files: Path) -> None:
    note = _write(files / "note.txt")
    cli.add(note)
    assert cli("find-file-by-hash", "--file", note).status == 0


def _delete(stored: Path) -> None:
    stored.unlink()


def _damage(stored: Path) -> None:
    stored.chmod(0o600)
    stored.write_bytes(b"CONTENT")


def _shorten(stored: Path) -> None:
    stored.chmod(0o600)
    stored.write_bytes(b"cont")


@pytest.mark.parametrize("harm", [_delete, _damage, _shorten])
def test_a_file_whose_object_is_no_good_must_stay(cli: Program, files: Path, harm: Any) -> None:
    note = _write(files / "note.txt")
    cli.add(note)
    harm(cli.object_of(note))
    done = cli("find-file-by-hash", "--file", note)
    assert done.status == 1
    assert "keep your file" in done.err


@pytest.mark.parametrize("harm", [_delete, _shorten])
def test_a_hash_whose_object_is_no_good_is_not_found(cli: Program, files: Path, harm: Any) -> None:
    note = _write(files / "note.txt")
    cli.add(note)
    harm(cli.object_of(note))
    assert cli("find-file-by-hash", hashlib.sha256(b"content").hexdigest()).status == 1


def test_a_file_that_is_only_referred_to_must_stay(cli: Program, files: Path) -> None:
    note = _write(files / "note.txt")
    (files / "link").hardlink_to(note)
    cli("add-asset", "--no-copy", "--defer", note, files / "link")
    done = cli("find-file-by-hash", "--file", note, "--json")
    assert done.status == 1
    assert len(done.document["assets"]) == 1
    assert "only a reference" in done.err


def test_a_copy_of_a_file_that_is_referred_to_may_go_while_that_is_unchanged(cli: Program, files: Path) -> None:
    note, copy = _write(files / "note.txt"), _write(files / "copy.txt")
    cli("add-asset", "--no-copy", "--defer", note)
    assert cli("find-file-by-hash", "--file", copy).status == 0
    note.write_text("CONTENT")
    assert cli("find-file-by-hash", "--file", copy).status == 1


def test_a_file_with_the_md5_of_another_must_stay(cli: Program, files: Path) -> None:
    one, other = (_write(files / str(number), content) for number, content in enumerate(COLLIDING))
    cli.add(one)
    done = cli("find-file-by-hash", "--file", other, "--hash-type", "md5")
    assert done.status == 1
    assert "other content" in done.err
    assert cli("find-file-by-hash", "--file", one, "--hash-type", "md5").status == 0


@SQLITE
@pytest.mark.parametrize("command", [["find-file-by-hash", "--file"], ["find-similar-images"]])
@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("kind", ["FIFO", "socket", "character device"])
def test_a_special_file_is_refused_at_once(
    cli: Program, files: Path, command: list[str], kind: str, *, linked: bool
) -> None:
    done = cli(*command, _special(files, kind, linked=linked))
    assert done.status == 2
    assert done.is_one_error_line
    assert kind in done.err


def _special(folder: Path, kind: str, *, linked: bool) -> Path:
    """Make what would block for ever, or never end, if it were read."""
    path = folder / "special"
    {"FIFO": os.mkfifo, "socket": hostile.make_socket, "character device": hostile.make_device}[kind](path)
    if linked:
        (folder / "link").symlink_to(path)
    return folder / "link" if linked else path


# --- find-similar-images


def _library(cli: Program, files: Path, *, flips: tuple[int, ...]) -> dict[int, Path]:
    """Add a picture for each number of flipped blocks, with its facts."""
    pictures = {flipped: _create_dummy_image(files / f"{flipped}.png", flipped=flipped) for flipped in flips}
    cli.add_with_facts(*pictures.values())
    return pictures


def _matches(done: Done) -> dict[str, dict[str, Any]]:
    return {match["filename"]: match for match in done.document["matches"]}


@pytest.mark.parametrize("flipped", [1, 3, 9])
def test_dummy_images_differ_in_as_many_bits_as_blocks(tmp_path: Path, flipped: int) -> None:
    base = _create_dummy_image(tmp_path / "base.png")
    other = _create_dummy_image(tmp_path / "other.png", flipped=flipped)
    assert _distances(base, other)["ahash"] == flipped
    assert set(_distances(base, _create_dummy_image(tmp_path / "scaled.png", scale=16)).values()) == {0}


def test_look_alikes_come_with_their_distances_best_first(cli: Program, files: Path) -> None:
    pictures = _library(cli, files, flips=(3, 2, 0, 9))
    done = cli("find-similar-images", pictures[0], "--json")
    assert done.status == 0
    assert list(_matches(done)) == ["2.png", "3.png"]
    for name, match in _matches(done).items():
        assert match.keys() == {"entity_id", "filename", "distances", "matched_by"}
        assert match["distances"] == _distances(pictures[0], files / name)
        assert match["matched_by"] == ["ahash", "dhash"]


def test_thresholds_decide_what_is_alike(cli: Program, files: Path) -> None:
    pictures = _library(cli, files, flips=(0, 2, 3))

    def found(ahash_threshold: int, *more: str) -> list[str]:
        thresholds = ["--phash-threshold", "0", "--dhash-threshold", "0", "--ahash-threshold", str(ahash_threshold)]
        done = cli("find-similar-images", pictures[0], "--json", *thresholds, *more)
        assert done.status == (0 if _matches(done) else 1)
        return list(_matches(done))

    assert found(1) == []
    assert found(2) == ["2.png"]
    assert found(64) == ["2.png", "3.png"]
    assert found(64, "--limit", "1") == ["2.png"]
    assert found(64, "--match", "all") == []


def test_a_picture_that_is_no_asset_can_be_asked_with(cli: Program, files: Path) -> None:
    _library(cli, files, flips=(0, 20))
    query = _create_dummy_image(files / "query.png", scale=16)
    done = cli("find-similar-images", query)
    assert done.status == 0
    header, line = done.out.splitlines()
    assert header.split() == ["asset", "pHash", "aHash", "dHash", "matched", "by", "file"]
    assert line.split() == ["1", "0", "0", "0", "phash,", "ahash,", "dhash", "0.png"]


def test_an_asset_can_be_asked_with(cli: Program, files: Path) -> None:
    pictures = _library(cli, files, flips=(0, 1))
    by_file, by_asset = (
        cli("find-similar-images", pictures[0], "--json"),
        cli("find-similar-images", "--entity", "1", "--json"),
    )
    assert by_asset.document == by_file.document
    assert by_asset.status == 0


def test_turned_pictures_are_found_in_their_orientation(cli: Program, files: Path) -> None:
    picture = _create_dummy_image(files / "upright.png")
    with Image.open(picture) as image:
        image.transpose(Image.Transpose.ROTATE_270).save(files / "turned.png")
    cli.add_with_facts(files / "turned.png")
    assert cli("find-similar-images", picture).status == 1
    done = cli("find-similar-images", picture, "--orientations", "--json")
    assert done.status == 0
    assert _matches(done)["turned.png"]["orientation"] == 6
    assert "turned right" in cli("find-similar-images", picture, "--orientations").out


@SQLITE
@pytest.mark.parametrize("content", ["just text", b"", b"\x89PNG\r\n\x1a\n", b"%!PS-Adobe-3.0 EPSF-3.0\n"])
def test_a_query_that_is_no_picture_is_an_error(cli: Program, files: Path, content: bytes | str) -> None:
    done = cli("find-similar-images", _write(files / "query.png", content))
    assert done.status == 2
    assert done.is_one_error_line


def test_an_asset_that_is_not_there_is_an_error(cli: Program) -> None:
    done = cli("find-similar-images", "--entity", "7")
    assert done.status == 2
    assert done.is_one_error_line


def test_the_result_can_be_a_page_with_pictures(cli: Program, files: Path) -> None:
    pictures = _library(cli, files, flips=(0, 1))
    page = files / "page.html"
    assert cli("find-similar-images", pictures[0], "--report", page).status == 0
    assert page.read_text().count("<img ") == 2


# --- find-duplicate-images


def test_groups_of_look_alikes_show_the_largest_first(cli: Program, files: Path) -> None:
    small, large = _create_dummy_image(files / "small.png"), _create_dummy_image(files / "large.png", scale=16)
    cli.add_with_facts(small, large, _create_dummy_image(files / "other.png", flipped=30))
    done = cli("find-duplicate-images", "--json")
    assert done.status == 0
    (group,) = done.document["groups"]
    assert (group["representative"]["filename"], group["representative"]["width_pixels"]) == ("large.png", 128)
    (member,) = group["members"]
    assert member["distances"] == {"phash": 0, "ahash": 0, "dhash": 0}
    assert member["paths"] == [str(small)]


def test_groups_are_shown_with_what_a_person_needs_to_decide(cli: Program, files: Path) -> None:
    small, large = _create_dummy_image(files / "small.png"), _create_dummy_image(files / "large.png", scale=16)
    cli.add_with_facts(small, large)
    page = files / "page.html"
    done = cli("find-duplicate-images", "--report", page)
    assert done.status == 0
    assert "Group 1: 2 pictures" in done.out
    for shown in (str(small), str(large), "64 x 64", "128 x 128"):
        assert shown in done.out
    assert page.read_text().count("<img ") == 2


def test_no_groups_is_status_1(cli: Program) -> None:
    done = cli("find-duplicate-images")
    assert (done.status, done.out) == (1, "")
    assert cli("find-duplicate-images", "--json").document == {"groups": []}


# --- query-assets-placeholder


def test_assets_are_listed_a_page_at_a_time(cli: Program, files: Path) -> None:
    for name in ("a", "b", "c"):
        cli.add(_write(files / name, name))
    first = cli("query-assets-placeholder", "--limit", "2")
    assert (first.status, first.out) == (0, "1  a\n2  b\n")
    second = cli("query-assets-placeholder", "--after", "2", "--json")
    assert second.document == {"assets": [{"entity_id": 3, "filename": "c"}]}
    assert cli("query-assets-placeholder", "--after", "3").status == 1


# --- what names contain


@pytest.mark.parametrize(
    "name",
    [
        "a\nb.txt",
        "\x1b[31mred.txt",
        "[bold red]markup[bold].txt",
        "\u202egnp.exe",
        "\udcff\udcfe.txt",
        "\x9b31m.txt",
        "é日本\U0001f600.txt",
        "x" * 255,
    ],
)
def test_a_name_is_shown_harmlessly_and_told_exactly(cli: Program, files: Path, name: str) -> None:
    path = _write(files / name)
    added = cli("add-asset", "--defer", path)
    shown = cli("find-file-by-hash", "--file", path)
    for out in (added.out, shown.out):
        assert all(line.isprintable() for line in out.splitlines())
    assert added.out.count("\n") == 2

    told = cli("find-file-by-hash", "--file", path, "--json")
    assert told.out.isascii()
    (location,) = told.document["assets"][0]["components"]["FileLocationComponent"]
    assert location["contextual_filename"] == name


def test_a_name_with_a_leading_dash_can_be_given(cli: Program, own_home: Path) -> None:
    _write(own_home / "-r")
    assert cli("add-asset", "--defer", "--", "-r").status == 0
    assert cli("find-file-by-hash", "--file=-r").status == 0
