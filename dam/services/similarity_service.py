"""Which stored pictures look like a given one: exact search by 64-bit perceptual hashes.

A hash *agrees* when both pictures have it and its distance, the number of bits that differ, is within its threshold.
An agreeing hash *carries* unless it is degenerate in one of the two pictures (``perceptual_hashing.is_degenerate``),
because the hashes of all flat pictures agree. Two pictures match

- ``any``: when at least one of the hashes asked for agrees and carries;
- ``all``: when every hash asked for agrees and at least one of them carries.

So a degenerate hash may support another, and pictures of which all hashes are degenerate match nothing, not even
themselves: whether two flat pictures are the same is for their content hashes to say.
"""

import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import batched
from typing import Any, Literal

import numpy as np
from sqlalchemy import FromClause, LargeBinary, Row, Select, Text, bindparam, literal_column, select, union_all
from sqlalchemy.orm import Session

from dam.models import (
    Entity,
    FilePropertiesComponent,
    ImagePerceptualAHashComponent,
    ImagePerceptualDHashComponent,
    ImagePerceptualPHashComponent,
)
from dam.models.image_perceptual_hash_components import ImagePerceptualHashComponent, band_expression
from dam.services import hash_bands, perceptual_hashing
from dam.services.facts import PerceptualHashes
from dam.services.perceptual_hashing import HashKind

type MatchRule = Literal["any", "all"]
type Distances = Mapping[HashKind, int | None]

COMPONENTS: Mapping[HashKind, type[ImagePerceptualHashComponent]] = {
    "phash": ImagePerceptualPHashComponent,
    "ahash": ImagePerceptualAHashComponent,
    "dhash": ImagePerceptualDHashComponent,
}
HASH_BITS = 64
DEFAULT_THRESHOLD = 4

_IDS_PER_STATEMENT = 5_000
_ROWS_PER_BLOCK = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """The largest distance, 0 to 64, at which each hash agrees; None means that this hash is not asked for.

    Raises ValueError when none is asked for or one is out of range.
    """

    phash: int | None = DEFAULT_THRESHOLD
    ahash: int | None = DEFAULT_THRESHOLD
    dhash: int | None = DEFAULT_THRESHOLD

    def __post_init__(self) -> None:
        asked = self.asked().values()
        if not asked:
            raise ValueError("at least one of the hashes must be asked for")
        if not all(0 <= threshold <= HASH_BITS for threshold in asked):
            raise ValueError(f"a threshold is a number of bits from 0 to {HASH_BITS}")

    def asked(self) -> dict[HashKind, int]:
        """Return the thresholds of the hashes that are asked for, smallest first: the quickest to search by."""
        every: dict[HashKind, int | None] = {"phash": self.phash, "ahash": self.ahash, "dhash": self.dhash}
        asked = {kind: threshold for kind, threshold in every.items() if threshold is not None}
        return dict(sorted(asked.items(), key=lambda item: item[1]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A stored picture that looks like the query.

    ``distances`` names all three hashes, None where the asset lacks one. ``matched_by`` are the hashes that agree.
    ``orientation`` is the EXIF value by which the query was turned for this match, 1 as it is.
    """

    entity_id: int
    filename: str | None
    distances: Distances
    matched_by: tuple[HashKind, ...]
    orientation: int = 1


def find_similar(
    session: Session,
    query: PerceptualHashes | Mapping[int, PerceptualHashes],
    *,
    thresholds: Thresholds | None = None,
    match: MatchRule = "any",
    exclude_entity: int | None = None,
    limit: int | None = None,
) -> list[Match]:
    """Return every stored picture that matches, best first: by hashes that agree, sum of distances, id.

    A query in several orientations (EXIF value -> hashes) gives each picture once, in the orientation that fits best.
    Without thresholds each hash has 4. Nothing within the thresholds is missed. Up to 7 the band indexes are used and
    the time hardly grows with the library; above it a hash's whole column is read, in blocks.
    """
    queries = {1: query} if isinstance(query, PerceptualHashes) else query
    asked = (thresholds or Thresholds()).asked()
    candidates = _candidates(session, _values_to_search(queries.values(), asked, match), asked)
    candidates.discard(exclude_entity)
    judged = (_best_match(row, queries, asked, match) for row in _rows(session, sorted(candidates)))
    found = (match for match in judged if match is not None)
    return sorted(found, key=rank) if limit is None else heapq.nsmallest(limit, found, key=rank)


def hashes_of(session: Session, entity_id: int) -> PerceptualHashes | None:
    """Return the stored hashes of an asset, None unless it has all three."""
    for row in _rows(session, [entity_id]):
        if None not in (row.phash, row.ahash, row.dhash):
            return PerceptualHashes(phash=row.phash, ahash=row.ahash, dhash=row.dhash)
    return None


def agreeing(distances: Distances, asked: Mapping[HashKind, int]) -> tuple[HashKind, ...]:
    """Return the hashes that are asked for and within their thresholds, in the order of ``distances``."""
    near = ((kind, asked.get(kind, -1), distance) for kind, distance in distances.items())
    return tuple(kind for kind, threshold, distance in near if distance is not None and distance <= threshold)


def rank(match: Match) -> tuple[int, int, int, int]:
    """Return what matches are ordered by, best first."""
    total = sum(distance or 0 for distance in match.distances.values())
    return -len(match.matched_by), total, match.entity_id, match.orientation


def _values_to_search(
    queries: Iterable[PerceptualHashes], asked: Mapping[HashKind, int], match: MatchRule
) -> dict[HashKind, list[int]]:
    """Return the hashes by which every match can be found: a match carries in one, and with ``all`` agrees in all."""
    values: dict[HashKind, list[int]] = {}
    for hashes in queries:
        carrying = [kind for kind in asked if not perceptual_hashing.is_degenerate(kind, getattr(hashes, kind))]
        for kind in carrying if match == "any" else carrying[:1]:
            values.setdefault(kind, []).append(int.from_bytes(getattr(hashes, kind)))
    return values


def _candidates(session: Session, values: Mapping[HashKind, list[int]], asked: Mapping[HashKind, int]) -> set[int]:
    """Return the assets that are within the threshold of one of the values of a kind."""
    banded = {kind: wanted for kind, wanted in values.items() if asked[kind] <= hash_bands.BANDED_UP_TO}
    near = _near_by_bands(session, banded, asked)
    for kind in values.keys() - banded.keys():
        near.update(_near_by_scan(session, kind, values[kind], asked[kind]))
    return near


def _near_by_bands(session: Session, values: Mapping[HashKind, list[int]], asked: Mapping[HashKind, int]) -> set[int]:
    selects = [
        _in_band(kind, band, wanted)
        for kind, hashes in values.items()
        for band, wanted in _wanted_by_band(hashes, asked[kind]).items()
    ]
    if not selects:
        return set()
    return {
        entity_id
        for kind, entity_id, stored in session.execute(union_all(*selects))
        if _least_distance(stored, values[kind]) <= asked[kind]
    }


def _wanted_by_band(hashes: Iterable[int], threshold: int) -> dict[int, set[int]]:
    wanted: dict[int, set[int]] = {}
    for value in hashes:
        for band, band_value in hash_bands.lookups(hash_bands.split(value), threshold):
            wanted.setdefault(band, set()).add(band_value)
    return wanted


def _in_band(kind: HashKind, band: int, wanted: set[int]) -> Select[Any]:
    table = _table(kind)
    name = literal_column(f"'{kind}'", Text())
    values = bindparam(f"{kind}_{band}", [value.to_bytes(2) for value in wanted], LargeBinary(), expanding=True)
    return select(name, table.c.entity_id, table.c.hash_value).where(band_expression(band).in_(values))


def _least_distance(stored: bytes, values: list[int]) -> int:
    number = int.from_bytes(stored)
    return min((number ^ value).bit_count() for value in values)


def _near_by_scan(session: Session, kind: HashKind, values: list[int], threshold: int) -> Iterator[int]:
    table = _table(kind)
    statement = select(table.c.entity_id, table.c.hash_value).execution_options(yield_per=_ROWS_PER_BLOCK)
    wanted = np.array(values, np.uint64)
    for block in session.execute(statement).partitions():
        stored = np.frombuffer(b"".join(row[1] for row in block), ">u8").astype(np.uint64)
        distances = np.bitwise_count(stored[:, np.newaxis] ^ wanted).min(axis=1)
        yield from (block[position][0] for position in np.flatnonzero(distances <= threshold).tolist())


def _rows(session: Session, entity_ids: Iterable[int]) -> Iterator[Row[Any]]:
    """Give id, filename and all three hashes of these assets."""
    entity, file = Entity.__table__, FilePropertiesComponent.__table__
    joined = entity.outerjoin(file, file.c.entity_id == entity.c.id)
    for kind in COMPONENTS:
        joined = joined.outerjoin(_table(kind), _table(kind).c.entity_id == entity.c.id)
    hashes = [_table(kind).c.hash_value.label(kind) for kind in COMPONENTS]
    statement = select(entity.c.id, file.c.original_filename, *hashes).select_from(joined)
    for ids in batched(entity_ids, _IDS_PER_STATEMENT):
        yield from session.execute(statement.where(entity.c.id.in_(ids)))


def _best_match(
    row: Row[Any], queries: Mapping[int, PerceptualHashes], asked: Mapping[HashKind, int], match: MatchRule
) -> Match | None:
    stored: dict[HashKind, bytes | None] = {"phash": row.phash, "ahash": row.ahash, "dhash": row.dhash}
    matches = []
    for orientation, hashes in queries.items():
        distances = {kind: _distance(getattr(hashes, kind), value) for kind, value in stored.items()}
        matched_by = agreeing(distances, asked)
        carried = any(_carries(kind, getattr(hashes, kind), stored[kind]) for kind in matched_by)
        if carried and (match == "any" or len(matched_by) == len(asked)):
            matches.append(
                Match(
                    entity_id=row.id,
                    filename=row.original_filename,
                    distances=distances,
                    matched_by=matched_by,
                    orientation=orientation,
                )
            )
    return min(matches, key=rank, default=None)


def _distance(query: bytes, stored: bytes | None) -> int | None:
    return None if stored is None else perceptual_hashing.distance(query, stored)


def _carries(kind: HashKind, query: bytes, stored: bytes | None) -> bool:
    return stored is not None and not any(perceptual_hashing.is_degenerate(kind, value) for value in (query, stored))


def _table(kind: HashKind) -> FromClause:
    return COMPONENTS[kind].__table__
