"""Which files of a walk were read before and have not changed since, by the rows about where assets came from."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import groupby
from typing import Any, NamedTuple, cast

from sqlalchemy import LargeBinary, Select, Table, bindparam, select, update
from sqlalchemy.orm import Session

from dam.models import ContentHashSHA256Component, OriginalSourceInfoComponent
from dam.models.base import fact_digest


class KnownSource(NamedTuple):
    """A path whose file is the one that was read before, by its stat; ``id`` is that of its source row."""

    id: int
    entity_id: int
    sha256: bytes


class KnownSources:
    """Finds the unchanged files of a walk, batch after batch.

    A folder is walked in the order in which it was walked before, so the rows of a batch mostly follow those of the
    batch before. They are looked for there first, at less than half of what finding each by its path costs; the rest
    are found by theirs. A batch of which nothing is known leaves no place to look first.
    """

    def __init__(self, *, source_type: str) -> None:
        self._source_type = source_type
        self._latest: int | None = 0

    def among(self, session: Session, stats: dict[str, str]) -> dict[str, KnownSource]:
        """Return, by path, the sources of our type that were read before with exactly this stat signature."""
        found: dict[str, KnownSource] = {}
        if self._latest is not None:
            found = self._matching(session, _rows_after(self._latest, len(stats)), stats)
        if len(found) < len(stats):
            found |= self._matching(session, _rows_of(path for path in stats if path not in found), stats)
        self._latest = next((found[path].id for path in reversed(stats) if path in found), None)
        return found

    def _matching(
        self, session: Session, statement: Select[*tuple[Any, ...]], stats: dict[str, str]
    ) -> dict[str, KnownSource]:
        return {
            path: KnownSource(source_id, entity_id, sha256)
            for path, seen_stat, source_type, source_id, entity_id, sha256 in session.execute(statement).all()
            if seen_stat is not None and stats.get(path) == seen_stat and source_type == self._source_type
        }


def seen_again(session: Session, sources: Iterable[int], when: datetime) -> None:
    """Write down that these sources, by the ids of their rows, were seen once more."""
    source = cast("Table", OriginalSourceInfoComponent.__table__)
    these = source.c.id.between(bindparam("first"), bindparam("last"))
    runs = [{"first": first, "last": last} for first, last in _runs(sources)]
    if runs:
        session.execute(update(source).where(these).values(last_seen_at=when), runs)


def _rows_after(latest: int, count: int) -> Select[*tuple[Any, ...]]:
    source = OriginalSourceInfoComponent.__table__.c
    return _rows().where(source.id > latest, source.id <= latest + count)


def _rows_of(paths: Iterable[str]) -> Select[*tuple[Any, ...]]:
    digests = bindparam("digests", list(map(fact_digest, paths)), LargeBinary(), expanding=True)
    return _rows().where(OriginalSourceInfoComponent.__table__.c.fact_digest.in_(digests))


def _rows() -> Select[*tuple[Any, ...]]:
    source, sha256 = OriginalSourceInfoComponent.__table__.c, ContentHashSHA256Component.__table__.c
    columns = (source.original_path, source.seen_stat, source.source_type, source.id, source.entity_id)
    return select(*columns, sha256.hash_value).join_from(
        source.id.table, sha256.entity_id.table, sha256.entity_id == source.entity_id
    )


def _runs(ids: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Give the first and the last of each run of numbers that follow one another."""
    ordered = sorted(set(ids))
    for _, run in groupby(enumerate(ordered), key=lambda numbered: numbered[1] - numbered[0]):
        members = [member for _, member in run]
        yield members[0], members[-1]
