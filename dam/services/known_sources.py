"""Which files of a walk were read before and have not changed since, by the rows about where assets came from."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from datetime import datetime
from typing import cast

from sqlalchemy import LargeBinary, Select, Table, Text, bindparam, select, type_coerce, update
from sqlalchemy.orm import Session

from dam.models import ContentHashSHA256Component, OriginalSourceInfoComponent
from dam.models.types import unescape_file_name

# A file that was read before and has not changed since: the id of its source row, its entity and its SHA-256. There may
# be very many, and a class would take as long to make as the database takes to find one.
type KnownSource = tuple[int, int, bytes]

type _Row = tuple[str, str | None, str, int, int, bytes]  # path, stat, type, id, entity, SHA-256
type _Rows = Select[str, str | None, str, int, int, bytes]


class KnownSources:
    """Finds the unchanged files of a walk, batch after batch.

    A folder is walked in the order in which it was walked before, so the rows of a batch mostly follow those of the
    batch before. They are looked for there first, at less than half of what finding each by its path costs; the rest
    are found by theirs. A batch of which nothing is known leaves no place to look first.
    """

    def __init__(self, *, source_type: str) -> None:
        self._source_type = source_type
        self._latest: int | None = 0

    def among(self, session: Session, files: Sequence[tuple[str, str]]) -> list[KnownSource | None]:
        """Return, for each path and stat signature, the source of our type that was read before with exactly those."""
        rows = [] if self._latest is None else _found(session, _rows_after(self._latest, len(files)))
        known: list[KnownSource | None] = [*self._agreeing(files, rows)]
        if len(known) < len(files):
            known += self._by_path(session, files[len(known) :], rows[len(known) :])
        self._latest = next((source[0] for source in reversed(known) if source is not None), None)
        return known

    def _agreeing(self, files: Sequence[tuple[str, str]], rows: Sequence[_Row]) -> Iterator[KnownSource]:
        """Give the sources of the first files as long as those are the rows, one by one."""
        for (path, stat), row in zip(files, rows, strict=False):
            stored_path, seen_stat, source_type, source_id, entity_id, sha256 = row
            if "\\" in stored_path:
                stored_path = unescape_file_name(stored_path)
            if seen_stat != stat or path != stored_path or source_type != self._source_type:
                return
            yield source_id, entity_id, sha256

    def _by_path(
        self, session: Session, files: Sequence[tuple[str, str]], rows: Sequence[_Row]
    ) -> list[KnownSource | None]:
        stats = dict(files)
        found = self._matching(rows, stats)
        if missing := [path for path in stats if path not in found]:
            found |= self._matching(_found(session, _rows_of(missing)), stats)
        return [found.get(path) for path, _ in files]

    def _matching(self, rows: Sequence[_Row], stats: dict[str, str]) -> dict[str, KnownSource]:
        return {
            path: (source_id, entity_id, sha256)
            for stored_path, seen_stat, source_type, source_id, entity_id, sha256 in rows
            if seen_stat is not None
            and stats.get(path := unescape_file_name(stored_path)) == seen_stat
            and source_type == self._source_type
        }


def seen_again(session: Session, sources: Iterable[int], when: datetime) -> None:
    """Write down that these sources, by the ids of their rows, were seen once more."""
    source = cast("Table", OriginalSourceInfoComponent.__table__)
    these = source.c.id.between(bindparam("first"), bindparam("last"))
    runs = [{"first": first, "last": last} for first, last in _runs(sources)]
    if runs:
        session.execute(update(source).where(these).values(last_seen_at=when), runs)


def _found(session: Session, statement: _Rows) -> Sequence[_Row]:
    """Return rows as the driver gives them: what SQLAlchemy makes of each would take as long as the database."""
    result = session.connection().execute(statement)
    with closing(result):
        return result.context.cursor.fetchall()


def _rows_after(latest: int, count: int) -> _Rows:
    source = OriginalSourceInfoComponent.__table__.c
    return _rows().where(source.id > latest, source.id <= latest + count).order_by(source.id)


def _rows_of(paths: Iterable[str]) -> _Rows:
    source = OriginalSourceInfoComponent
    digests = bindparam("digests", [source.digest_of(path) for path in paths], LargeBinary(), expanding=True)
    return _rows().where(source.__table__.c.fact_digest.in_(digests))


def _rows() -> _Rows:
    source, sha256 = OriginalSourceInfoComponent.__table__.c, ContentHashSHA256Component.__table__.c
    path = type_coerce(source.original_path, Text)  # as it is stored: few need what its own type does to each
    columns = (path, source.seen_stat, source.source_type, source.id, source.entity_id)
    return select(*columns, sha256.hash_value).join_from(
        source.id.table, sha256.entity_id.table, sha256.entity_id == source.entity_id
    )


def _runs(ids: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Give the first and the last of each run of numbers that follow one another."""
    first = last = None
    for number in sorted(set(ids)):
        if last is None or number != last + 1:
            if first is not None and last is not None:
                yield first, last
            first = number
        last = number
    if first is not None and last is not None:
        yield first, last
