import os
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dam.services.source_walk import OwnFiles, Walk, WalkEntry, is_trustworthy, stat_signature
from tests import hostile
from tests.forks import ForkServer

NOTHING_OWN = OwnFiles()
NOW = 1_700_000_000_000_000_000


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    tree.mkdir()
    return tree


def write(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def walked(root: Path | str, *, recursive: bool = True, own: OwnFiles = NOTHING_OWN) -> list[WalkEntry]:
    return list(Walk([root], recursive=recursive, own=own))


def names(root: Path, entries: list[WalkEntry]) -> list[str]:
    return [entry.path.removeprefix(f"{root}/") for entry in entries]


def notes(root: Path, entries: list[WalkEntry]) -> dict[str, str | None]:
    return {entry.path.removeprefix(f"{root}/"): entry.skipped or entry.failed for entry in entries}


def test_files_come_before_folders_each_by_name(tree: Path) -> None:
    for name in ("b/2", "b/1", "a/z", "c", "a/y/x", "B", ".hidden"):
        write(tree / name)

    assert names(tree, walked(tree)) == [".hidden", "B", "c", "a/z", "a/y/x", "b/1", "b/2"]


def test_a_file_is_its_own_walk(tree: Path) -> None:
    [entry] = walked(write(tree / "file", "12345"))

    assert (entry.path, entry.skipped, entry.failed) == (f"{tree}/file", None, None)
    assert entry.size_bytes == 5


def test_without_recursion_a_folder_gives_its_own_files(tree: Path) -> None:
    write(tree / "here")
    write(tree / "below" / "there")

    assert names(tree, walked(tree, recursive=False)) == ["here"]


def test_an_empty_folder_gives_nothing(tree: Path) -> None:
    assert walked(tree) == []


def test_what_is_not_there_is_a_failure(tree: Path) -> None:
    assert notes(tree, walked(tree / "nothing")) == {"nothing": "No such file or directory"}


def test_relative_paths_become_absolute_and_keep_their_names(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tree / "folder" / "file")
    (tree / "link").symlink_to("folder")
    monkeypatch.chdir(tree)

    assert names(tree, walked("./link//")) == ["link/file"]
    assert names(tree, walked(".")) == ["link", "folder/file"]


def test_parents_in_a_path_go_where_that_changes_nothing(tree: Path) -> None:
    write(tree / "a" / "b" / "file")
    write(tree / "c" / "file")
    (tree / "c" / "link").symlink_to(tree / "a" / "b")

    assert names(tree, walked(f"{tree}/a/../a/b/file")) == ["a/b/file"]
    assert names(tree, walked(f"{tree}/c/link/../b/file")) == ["c/link/../b/file"]


def test_a_file_behind_a_link_is_taken(tree: Path, tmp_path: Path) -> None:
    (tree / "link").symlink_to(write(tmp_path / "elsewhere", "123"))

    [entry] = walked(tree)

    assert (entry.skipped, entry.failed) == (None, None)
    assert entry.size_bytes == 3


@pytest.mark.parametrize("target", [".", "..", "/", "folder"])
def test_a_folder_behind_a_link_is_skipped_with_a_note(tree: Path, target: str) -> None:
    write(tree / "folder" / "file")
    (tree / "link").symlink_to(target)

    assert notes(tree, walked(tree)) == {"link": "a symbolic link to a folder", "folder/file": None}


def test_a_root_behind_a_link_is_walked(tree: Path) -> None:
    write(tree / "folder" / "file")
    (tree / "link").symlink_to("folder")

    assert names(tree, walked(tree / "link")) == ["link/file"]


def test_a_link_to_itself_or_to_nothing_is_a_failure(tree: Path) -> None:
    (tree / "dangling").symlink_to("nothing")
    (tree / "loop").symlink_to("loop")

    assert notes(tree, walked(tree)) == {
        "dangling": "No such file or directory",
        "loop": "Too many levels of symbolic links",
    }


@pytest.mark.parametrize("directly", [True, False])
def test_special_files_are_skipped_with_a_note(tree: Path, *, directly: bool) -> None:
    os.mkfifo(tree / "fifo")
    hostile.make_socket(tree / "socket")
    (tree / "device").symlink_to("/dev/zero")
    (tree / "to fifo").symlink_to("fifo")
    began = time.monotonic()

    roots = sorted(tree.iterdir()) if directly else [tree]
    found = [entry for root in roots for entry in walked(root)]

    assert notes(tree, found) == {
        "device": "a character device",
        "fifo": "a FIFO",
        "socket": "a socket",
        "to fifo": "a FIFO",
    }
    assert time.monotonic() - began < 5


def test_counting_comes_to_as_many_as_walking(tree: Path) -> None:
    for name in ("b/2", "b/c/3", "a/4", "5", "6"):
        write(tree / name)
    os.mkfifo(tree / "b" / "fifo")
    (tree / "nowhere").symlink_to("nothing")
    (tree / "up").symlink_to(tree)
    hostile.write_deep(hostile.deep_folder(tree / "a", length=5000), "leaf", b"")
    roots = [tree, tree / "5", tree / "missing", tree / "up", tree / "b" / "fifo", tree / "nowhere"]

    for recursive, expected in ((True, 9 + 9 + 4), (False, 4 + 4 + 4)):
        assert len(list(Walk(roots, recursive=recursive, own=NOTHING_OWN))) == expected
        assert Walk(roots, recursive=recursive, own=NOTHING_OWN).count() == expected


def test_a_folder_that_may_not_be_read_fails_and_the_rest_goes_on(forks: ForkServer) -> None:
    hostile.need_root("only root can become somebody else")
    code = """if True:
        import sys
        from dam.services.source_walk import OwnFiles, Walk
        from tests import hostile
        hostile.become_nobody()
        for entry in Walk([sys.argv[1]], recursive=True, own=OwnFiles()):
            print(entry.path.removeprefix(sys.argv[1]), entry.failed)
        print(Walk([sys.argv[1]], recursive=True, own=OwnFiles()).count())
    """
    with hostile.folder_for_all() as folder:
        for name in ("a/1", "closed/2", "z/3", "listed/4"):
            write(folder / name)
        (folder / "closed").chmod(0o700)
        (folder / "listed").chmod(0o744)

        assert forks.run_python(code, folder).splitlines() == [
            "/a/1 None",
            "/closed can't be listed: Permission denied",
            "/listed/4 Permission denied",
            "/z/3 None",
            "4",
        ]


def test_a_tree_deeper_than_a_path_may_be_is_walked_to_its_end(tree: Path) -> None:
    below = hostile.deep_folder(tree, length=9000)
    hostile.write_deep(below, "leaf", b"123")

    [entry] = walked(tree)

    assert entry.path == f"{below}/leaf"
    assert entry.size_bytes == 3


def test_a_root_longer_than_a_path_may_be_is_walked(tree: Path) -> None:
    below = hostile.deep_folder(tree, length=5000)
    leaf = hostile.write_deep(below, "leaf", b"123")

    assert [entry.path for entry in walked(below)] == [leaf]
    assert [entry.path for entry in walked(leaf)] == [leaf]


def test_a_deep_tree_needs_few_descriptors(tree: Path, forks: ForkServer) -> None:
    hostile.write_deep(hostile.deep_folder(tree, length=9000), "leaf", b"123")
    code = """if True:
        import resource, sys
        from dam.services.source_walk import OwnFiles, Walk
        resource.setrlimit(resource.RLIMIT_NOFILE, (12, 12))
        print([entry.failed for entry in Walk([sys.argv[1]], recursive=True, own=OwnFiles())])
    """

    assert forks.run_python(code, tree) == "[None]\n"


NAMES = st.binary(min_size=1, max_size=255).filter(
    lambda name: name not in {b".", b".."} and not set(name) & set(b"/\0")
)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=NAMES)
def test_every_name_comes_back_as_it_was(tmp_path: Path, name: bytes) -> None:
    path = os.fsencode(tmp_path) + b"/" + name
    os.close(os.open(path, os.O_CREAT))

    found = [os.fsencode(entry.path) for entry in walked(tmp_path)]

    Path(os.fsdecode(path)).unlink()
    assert found == [path]


class TestOwnFiles:
    @pytest.fixture
    def storage(self, tree: Path) -> Path:
        write(tree / "storage" / "ab" / "object")
        write(tree / "picture")
        return tree / "storage"

    def test_the_storage_below_the_root_is_skipped_as_a_whole(self, tree: Path, storage: Path) -> None:
        found = walked(tree, own=OwnFiles.at(storage=storage))

        assert notes(tree, found) == {"picture": None, "storage": "it is DAM's own storage"}

    def test_a_root_in_the_storage_gives_nothing(self, storage: Path) -> None:
        own = OwnFiles.at(storage=storage)

        for root in (storage, storage / "ab", storage / "ab" / "object"):
            [entry] = walked(root, own=own)
            assert entry.skipped == "it lies in DAM's own storage"

    def test_links_do_not_hide_the_storage(self, tree: Path, storage: Path) -> None:
        own = OwnFiles.at(storage=storage)
        (tree / "link").symlink_to(storage / "ab" / "object")
        (tree / "folder").symlink_to(storage / "ab")

        assert notes(tree, walked(tree, own=own))["link"] == "a symbolic link into DAM's own storage"
        assert [entry.skipped for entry in walked(tree / "folder", own=own)] == ["it lies in DAM's own storage"]

    def test_a_storage_given_by_a_link_is_known(self, tree: Path, storage: Path, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(storage)

        found = walked(tree, own=OwnFiles.at(storage=tmp_path / "link"))

        assert notes(tree, found)["storage"] == "it is DAM's own storage"

    def test_a_storage_that_is_not_there_hides_nothing(self, tree: Path) -> None:
        write(tree / "picture")

        assert notes(tree, walked(tree, own=OwnFiles.at(storage=tree / "nothing"))) == {"picture": None}

    def test_the_database_and_what_comes_beside_it_later_are_skipped(self, tree: Path) -> None:
        own = OwnFiles.at(database=write(tree / "dam.db"), others=[write(tree / "dam.lock")])
        for name in ("dam.db-wal", "dam.db-shm", "dam.db-journal", "dam.db-notes", "other/dam.db"):
            write(tree / name)

        taken = [entry.path for entry in walked(tree, own=own) if not entry.skipped]

        assert taken == [f"{tree}/dam.db-notes", f"{tree}/other/dam.db"]
        assert walked(tree / "dam.db-wal", own=own)[0].skipped == "it is DAM's own database"

    def test_another_name_of_the_database_is_known(self, tree: Path) -> None:
        own = OwnFiles.at(database=write(tree / "dam.db"))
        (tree / "hard").hardlink_to(tree / "dam.db")
        (tree / "soft").symlink_to(tree / "dam.db")

        assert [entry.skipped for entry in walked(tree, own=own)] == ["it is DAM's own database"] * 3


def test_a_signature_changes_with_size_time_inode_and_device(tmp_path: Path) -> None:
    path = write(tmp_path / "file", "12345")
    os.utime(path, ns=(NOW, NOW))
    found = path.stat()

    assert stat_signature(found) == f"5 {NOW} {found.st_ino} {found.st_dev}"


@pytest.mark.parametrize(
    ("seconds_later", "trusted"), [(-5, False), (0, False), (1.999_999_999, False), (2, True), (5, True)]
)
def test_a_file_modified_within_two_seconds_is_not_trusted(
    tmp_path: Path, seconds_later: float, *, trusted: bool
) -> None:
    path = write(tmp_path / "file")
    os.utime(path, ns=(NOW, NOW))

    assert is_trustworthy(path.stat(), NOW + round(seconds_later * 1e9)) is trusted
