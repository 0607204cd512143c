"""What must hold after anything at all: every byte that the database names is there, and nothing else was touched."""

# ruff: noqa: PTH115, PTH118, PTH208 - names here are bytes, and a folder is listed by its descriptor

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import func, select

from dam.core.components_markers import NeedsMetadataExtractionComponent
from dam.core.config import WorldConfig
from dam.core.world import World
from dam.models import ContentHashSHA256Component
from dam.services import verification
from dam.services.file_storage import FileStorage, LocalFileStorage
from dam.services.verification import Options
from dam.services.verification_report import Finding, Problem
from tests.cli_process import DamProgram

HARMLESS = (Problem.UNKNOWN, Problem.LEFTOVER)


class Seen(NamedTuple):
    """A file, folder or link as it was: its place on the disk, its mode, owner and times (ns), its bytes or target.

    The time at which a link was followed is left out, because nobody can follow one without changing it.
    """

    inode: int
    mode: int
    owner: tuple[int, int]
    accessed: int
    changed: tuple[int, int]
    content: bytes


def assert_holds(dam: DamProgram) -> None:
    """Fail unless the invariant holds; a crash may have left whole objects without rows, and files in ``tmp``."""
    findings = list(_findings(dam))
    assert [finding for finding in findings if finding.problem not in HARMLESS] == []
    left = [finding.path or "" for finding in findings if finding.problem is Problem.LEFTOVER]
    assert [path for path in left if not path.startswith(f"{dam.storage}/tmp/")] == []


def assert_complete(dam: DamProgram) -> None:
    """Fail unless the invariant holds and nothing is left over: no object without rows, no file in ``tmp``, no mark."""
    assert list(_findings(dam)) == []
    with _world(dam) as world, world.reading() as session:
        assert session.scalar(select(func.count()).select_from(NeedsMetadataExtractionComponent)) == 0


def seen(root: Path) -> dict[str, Seen]:
    """Return everything below a folder, and itself, as it is, without leaving a trace of having looked."""
    return dict(_look(os.fsencode(root)))


def seen_but_for_access(root: Path) -> dict[str, Seen]:
    """Return the same without the times of access."""
    return {path: each._replace(accessed=0) for path, each in seen(root).items()}


def _findings(dam: DamProgram) -> Iterator[Finding]:
    findings: list[Finding] = []
    with _world(dam) as world:
        verification.verify(world, Options(jobs=2), findings.append)
        yield from findings
        with world.reading() as session:
            contents = ContentHashSHA256Component.hash_value
            assets, different = session.execute(select(func.count(contents), func.count(contents.distinct()))).one()
    assert assets == different


def _world(dam: DamProgram) -> World:
    world = World(WorldConfig(database_url=dam.url, storage_path=dam.storage))
    world.resources.bind(FileStorage).to(LocalFileStorage(dam.storage))  # type: ignore[type-abstract]  # an interface is a key too
    return world


def _look(path: bytes) -> Iterator[tuple[str, Seen]]:
    found = os.lstat(path)
    content = b""
    if stat.S_ISLNK(found.st_mode):
        content = os.readlink(path)
    elif stat.S_ISREG(found.st_mode):
        content = _digest(path)
    elif stat.S_ISDIR(found.st_mode):
        yield from _look_into(path)
    owner, changed = (found.st_uid, found.st_gid), (found.st_mtime_ns, found.st_ctime_ns)
    accessed = 0 if stat.S_ISLNK(found.st_mode) else found.st_atime_ns
    yield os.fsdecode(path), Seen(found.st_ino, found.st_mode, owner, accessed, changed, content)


def _look_into(path: bytes) -> Iterator[tuple[str, Seen]]:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOATIME)
    try:
        names = sorted(os.listdir(folder))
    finally:
        os.close(folder)
    for name in names:
        yield from _look(os.path.join(path, os.fsencode(name)))


def _digest(path: bytes) -> bytes:
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOATIME), "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
