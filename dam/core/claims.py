"""Claims marked entities for a worker, so that no two work on the same one, and clears their marks."""

import asyncio
import fcntl
import os
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from dam.core.components_markers import MarkerComponent
from dam.core.database import Database

POLL_SECONDS = 0.05
SHARES = 8
FEWEST = 8


def claim(session: Session, marker: type[MarkerComponent], *, after: int, limit: int) -> dict[int, int]:
    """Return up to ``limit`` marked entities above ``after``, in order of id, each with its mark's version.

    On PostgreSQL their marks are locked until the transaction ends and those of others are passed over; on SQLite
    ``draining`` lets one process at a time get here.
    """
    statement = (
        select(marker.entity_id, marker.version)
        .where(marker.entity_id > after)
        .order_by(marker.entity_id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return {row.entity_id: row.version for row in session.execute(statement)}


def fair_share(session: Session, marker: type[MarkerComponent], *, after: int, most: int) -> int:
    """Return how many to claim at once: ``most``, and less towards the end of the queue.

    An 8th of what stands there, claimed or not, so that the last marks are divided among all workers and none keeps the
    others waiting for long; but 8, if that many are allowed, since a chunk costs as much as several of its entities. No
    more marks are counted than it takes to say ``most``.
    """
    standing = select(marker.entity_id).where(marker.entity_id > after).limit(most * SHARES).subquery()
    counted = session.scalar(select(func.count()).select_from(standing)) or 0
    return max(min(most, FEWEST), -(-counted // SHARES))


def clear(session: Session, marker: type[MarkerComponent], claimed: Mapping[int, int]) -> None:
    """Remove the marks that were claimed; one that was made anew in the meantime stays."""
    by_version: dict[int, list[int]] = defaultdict(list)
    for entity_id, version in claimed.items():
        by_version[version].append(entity_id)
    for version, entities in by_version.items():
        session.execute(delete(marker).where(marker.entity_id.in_(entities), marker.version == version))


@asynccontextmanager
async def draining(database: Database) -> AsyncIterator[None]:
    """Hold the right to drain queues: on SQLite one process has it at a time, elsewhere everybody.

    It is a lock on a file beside the database, which the operating system gives back when its holder dies.
    """
    if database.file is None:
        yield
        return
    descriptor = os.open(lock_file(database.file), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        while not _locked(descriptor):  # noqa: ASYNC110 - another process holds the lock, and tells nobody when done
            await asyncio.sleep(POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)


def lock_file(database_file: Path) -> Path:
    """Return the file whose lock is the right to drain the queues of this SQLite database."""
    return database_file.with_name(database_file.name + "-work")


def own_files(database_file: Path) -> Sequence[Path]:
    """Return every file that a SQLite database of ours may consist of."""
    suffixes = ("", "-wal", "-shm", "-journal", "-work")
    return [database_file.with_name(database_file.name + suffix) for suffix in suffixes]


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
