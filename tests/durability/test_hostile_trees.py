import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import select

from dam.core.database import Database
from dam.core.file_operations import FileOperationsResource
from dam.models import FileLocationComponent, OriginalSourceInfoComponent
from tests import hostile, invariant
from tests.cli_process import DamProgram
from tests.durability import processes, trees
from tests.durability.processes import Ended

NAMES = [
    b"plain",
    b"not UTF-8 \xff\xfe\x80",
    b"new\nline",
    b"escape \x1b[31mred\x1b[0m",
    b"-r",
    b"--json",
    b"[red]markup [bold",
    b"back\\slash \\x41",
    b"  spaces  ",
    b"'quotes\" $(touch pwned) `touch pwned`",
    "Ünïcödé \N{RIGHT-TO-LEFT OVERRIDE}gnp.exe 😀".encode(),
    b"e\xcc\x81 and \xc3\xa9",
    b".hidden",
    b"n" * 255,
    b"{braces} %s %(d)s",
]


class HostileTree:
    """Everything that a tree may hold, and what is to become of each path."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.taken: dict[str, bytes] = {}
        self.skipped: set[str] = set()
        self.failed: set[str] = set()
        root.mkdir()
        self._names()
        self._links()
        self._special_files()
        self._depths()
        self._what_cant_be_read()

    def _take(self, path: str, content: bytes) -> None:
        self.taken[path] = content

    def _file(self, path: str, content: bytes) -> None:
        Path(path).write_bytes(content)
        self._take(path, content)

    def _names(self) -> None:
        for number, name in enumerate(NAMES):
            self._file(f"{self.root}/{os.fsdecode(name)}", b"named %d" % number)
        self._file(f"{self.root}/empty", b"")
        self._file(f"{self.root}/empty too", b"")

    def _links(self) -> None:
        folder = self.root / "links"
        folder.mkdir()
        (folder / "to a file").symlink_to(self.root / "plain")
        self._take(str(folder / "to a file"), b"named 0")
        for name, target in {"to the folder above": "..", "to itself": ".", "to the root": "/"}.items():
            (folder / name).symlink_to(target)
            self.skipped.add(str(folder / name))
        for name, target in {"to nothing": "nowhere", "loop a": "loop b", "loop b": "loop a"}.items():
            (folder / name).symlink_to(target)
            self.failed.add(str(folder / name))

    def _special_files(self) -> None:
        folder = self.root / "special"
        folder.mkdir()
        os.mkfifo(folder / "fifo")
        hostile.make_socket(folder / "socket")
        hostile.make_device(folder / "device")
        (folder / "link to fifo").symlink_to("fifo")
        (folder / "link to zero").symlink_to("/dev/zero")
        self.skipped |= {str(path) for path in folder.iterdir()}

    def _depths(self) -> None:
        deep = hostile.deep_folder(self.root, length=5000)
        self._take(hostile.write_deep(deep, "at the bottom", b"deep"), b"deep")

    def _what_cant_be_read(self) -> None:
        (self.root / "secret").write_text("secret")
        (self.root / "secret").chmod(0)
        (self.root / "closed").mkdir()
        (self.root / "closed" / "inside").write_text("inside")
        (self.root / "closed").chmod(0)
        self.failed |= {str(self.root / "secret"), str(self.root / "closed")}


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[HostileTree]:
    hostile.need_root("only root makes device nodes")
    tree = HostileTree(tmp_path / "tree")
    yield tree
    (tree.root / "closed").chmod(0o755)


def add(dam: DamProgram, tree: HostileTree, *options: str) -> Ended:
    return processes.run(dam, "add-asset", "-r", "--json", *options, tree.root, rights_of_root=False)


def assert_balances(ended: Ended, tree: HostileTree) -> None:
    summary = trees.balance(ended.documents)
    by_status: dict[str, set[str]] = {}
    for outcome in ended.documents[:-1]:
        by_status.setdefault(outcome["status"], set()).add(outcome["path"])
    assert by_status["skipped"] == tree.skipped
    assert by_status["failed"] == tree.failed
    assert by_status["added"] | by_status["linked"] == tree.taken.keys()
    assert summary == {
        "found": len(tree.taken) + len(tree.skipped) + len(tree.failed),
        "added": len(set(tree.taken.values())),
        "linked": len(tree.taken) - len(set(tree.taken.values())),
        "unchanged": 0,
        "skipped": len(tree.skipped),
        "failed": len(tree.failed),
    }


def test_a_hostile_tree_is_taken_in_as_far_as_can_be_and_counted(dam: DamProgram, tree: HostileTree) -> None:
    before = invariant.seen(tree.root / "special") | invariant.seen(tree.root / "links")

    ended = add(dam, tree)

    assert ended.status == 1
    assert "Traceback" not in ended.err
    assert_balances(ended, tree)
    assert names_known_to(dam) == tree.taken.keys()
    assert invariant.seen(tree.root / "special") | invariant.seen(tree.root / "links") == before
    invariant.assert_complete(dam)


def test_references_into_a_hostile_tree_can_be_opened_again(dam: DamProgram, tree: HostileTree) -> None:
    ended = add(dam, tree, "--no-copy")

    assert_balances(ended, tree)
    assert not any(dam.storage.glob("??/??/*"))
    for path in references_known_to(dam):
        assert content_of(path) == tree.taken[path]
    invariant.assert_complete(dam)


def test_the_text_for_people_keeps_names_from_acting_on_the_terminal(dam: DamProgram, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "evil \x1b[2J\nname")

    done = processes.run_here(dam, "add-asset", tmp_path)

    assert "\x1b" not in done.err
    assert r"evil \x1b[2J\x0aname" in done.err


@pytest.mark.parametrize("nested", ["storage in tree", "tree in storage"])
def test_own_files_are_never_taken_in(dam: DamProgram, tmp_path: Path, nested: str) -> None:
    """The database of the SQLite variant lies in the tree, too."""
    (tmp_path / "file").write_text("content")
    assert processes.run_here(dam, "add-asset", "--defer", tmp_path / "file").status == 0
    (tmp_path / "link into storage").symlink_to(next(dam.storage.glob("??/??/*")))
    inside = dam.storage / "my photos"
    inside.mkdir()
    (inside / "photo").write_text("a photo in the wrong place")

    done = processes.run_here(
        dam, "add-asset", "-r", "--json", "--defer", inside if nested == "tree in storage" else tmp_path
    )

    taken = {o["path"] for o in done.documents[:-1] if o["status"] not in {"skipped", "failed"}}
    assert taken == (set() if nested == "tree in storage" else {str(tmp_path / "file")})
    assert done.status == 0


def names_known_to(dam: DamProgram) -> set[str]:
    with closing(Database(dam.url)) as database, database.reading() as session:
        return set(session.scalars(select(OriginalSourceInfoComponent.original_path)))


def references_known_to(dam: DamProgram) -> set[str]:
    with closing(Database(dam.url)) as database, database.reading() as session:
        return set(session.scalars(select(FileLocationComponent.physical_path_or_key)))


def content_of(path: str) -> bytes:
    fd = FileOperationsResource().open_regular(path)
    try:
        return os.read(fd, 1000)
    finally:
        os.close(fd)
