"""Groups of stored pictures that look alike, over the whole library."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import batched
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session

from dam.models import Entity, FilePropertiesComponent, ImageDimensionsComponent
from dam.services import perceptual_hashing, picture_service
from dam.services.hamming_join import Hashes, Neighbours, Pairs, Positions, neighbours
from dam.services.perceptual_hashing import HashKind
from dam.services.picture_service import Picture
from dam.services.similarity_service import COMPONENTS, Distances, MatchRule, Thresholds, agreeing

type _Flags = NDArray[np.bool_]

_ROWS_PER_BLOCK = 20_000
_QUERIES_AT_ONCE = 1 << 15
_PAIRS_KEPT = 1 << 20
_GROUPS_DESCRIBED_AT_ONCE = 200
_NO_HASH = bytes(8)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupMember:
    """A picture near the representative, with its distances to it: None for a hash that one of the two lacks."""

    picture: Picture
    distances: Distances
    matched_by: tuple[HashKind, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicateGroup:
    """The largest picture of some that look alike, and the others, most alike first; there is at least one."""

    representative: Picture
    members: tuple[GroupMember, ...]


def find_duplicate_groups(
    session: Session, *, thresholds: Thresholds | None = None, match: MatchRule = "all"
) -> Iterator[DuplicateGroup]:
    """Give the groups of pictures that match as ``similarity_service`` defines it, largest representative first.

    Pictures are taken from the largest down (pixels, then bytes, then lowest id). Each that is in no group yet becomes
    a representative and gathers all that match *it* and are in no group yet; so every member is within the thresholds
    of its representative, and of two that match each other at least one is in a group. Without thresholds each
    hash has 4. Equal hashes are compared once. Needs some 150 bytes of memory a picture; for the time see
    ``hamming_join``.
    """
    asked = (thresholds or Thresholds()).asked()
    images = _load(session)
    first, number = _distinct(images)
    owners = _group(_LookAlikes(images.at(first), asked, match))
    image_owners = np.where(owners >= 0, first[owners], -1)[number] if len(first) else number
    yield from _describe(session, images, image_owners, asked)


def are_degenerate(kind: HashKind, hashes: Hashes) -> NDArray[np.bool_]:
    """Say of each hash what ``perceptual_hashing.is_degenerate`` does, which depends on the number of bits set only."""
    by_bits_set = [perceptual_hashing.is_degenerate(kind, ((1 << bits) - 1).to_bytes(8)) for bits in range(65)]
    return np.array(by_bits_set)[np.bitwise_count(hashes)]


@dataclass(frozen=True, slots=True)
class _Images:
    """Columns of hashes, largest image first; ``known`` says where there is a hash."""

    entity_ids: NDArray[np.int64]
    hashes: Mapping[HashKind, Hashes]
    known: Mapping[HashKind, _Flags]

    def at(self, positions: Positions) -> "_Images":
        return _Images(
            self.entity_ids[positions],
            {kind: hashes[positions] for kind, hashes in self.hashes.items()},
            {kind: known[positions] for kind, known in self.known.items()},
        )


class _LookAlikes:
    """Finds which of these pictures, no two of which have equal hashes, match which smaller ones."""

    def __init__(self, images: _Images, asked: Mapping[HashKind, int], match: MatchRule) -> None:
        self._images, self._asked, self._match = images, asked, match
        self._telling = {kind: images.known[kind] & ~are_degenerate(kind, images.hashes[kind]) for kind in asked}
        self.may_match = np.logical_or.reduce(list(self._telling.values()))
        if match == "all":
            self.may_match &= np.logical_and.reduce([images.known[kind] for kind in asked])
        self._searches = [self._search(kind) for kind in (asked if match == "any" else list(asked)[:1])]

    def of(self, queries: Positions) -> Iterator[Pairs]:
        """Give the pairs of a query and a later picture that match, in portions; some more than once."""
        for search, may_be_found in self._searches:
            for pair in search.of(queries[may_be_found[queries]]):
                yield self._matching(*pair)

    def keep(self, wanted: _Flags) -> None:
        """Look only for these pictures from now on."""
        for search, _ in self._searches:
            search.keep(wanted)

    def _search(self, kind: HashKind) -> tuple[Neighbours, _Flags]:
        may_be_found = self._telling[kind] if self._match == "any" else self.may_match
        search = neighbours(self._images.hashes[kind], self._asked[kind])
        search.keep(may_be_found)
        return search, may_be_found

    def _matching(self, queries: Positions, others: Positions) -> Pairs:
        agree = {kind: self._agree(kind, queries, others) for kind in self._asked}
        carry = [agree[kind] & self._telling[kind][queries] & self._telling[kind][others] for kind in agree]
        found = np.logical_or.reduce(carry)
        if self._match == "all":
            found &= np.logical_and.reduce(list(agree.values()))
        return queries[found], others[found]

    def _agree(self, kind: HashKind, queries: Positions, others: Positions) -> _Flags:
        hashes, known = self._images.hashes[kind], self._images.known[kind]
        near: _Flags = np.bitwise_count(hashes[queries] ^ hashes[others]) <= self._asked[kind]
        return near & known[queries] & known[others]


def _load(session: Session) -> _Images:
    blocks = [_columns(block) for block in session.execute(_hashes_and_sizes()).partitions(_ROWS_PER_BLOCK)]
    ids, pixels, sizes, hashes, known = (
        np.concatenate(column) for column in zip(*(blocks or [_columns([])]), strict=True)
    )
    order = np.lexsort((ids, -sizes, -pixels))
    return _Images(
        ids[order],
        {kind: np.ascontiguousarray(hashes[order, column]) for column, kind in enumerate(COMPONENTS)},
        {kind: known[order, column] for column, kind in enumerate(COMPONENTS)},
    )


def _hashes_and_sizes() -> Select[Any]:
    entity, file, dimensions = Entity.__table__, FilePropertiesComponent.__table__, ImageDimensionsComponent.__table__
    joined = entity.outerjoin(file, file.c.entity_id == entity.c.id)
    joined = joined.outerjoin(dimensions, dimensions.c.entity_id == entity.c.id)
    hashes = []
    for component in COMPONENTS.values():
        table = component.__table__
        joined = joined.outerjoin(table, table.c.entity_id == entity.c.id)
        hashes.append(table.c.hash_value)
    sizes = dimensions.c.width_pixels, dimensions.c.height_pixels, file.c.file_size_bytes
    columns = entity.c.id, *(func.coalesce(size, 0) for size in sizes), *hashes
    has_one = or_(*(column.is_not(None) for column in hashes))
    return select(*columns).select_from(joined).where(has_one).execution_options(yield_per=_ROWS_PER_BLOCK)


def _columns(rows: Sequence[Any]) -> tuple[NDArray[Any], ...]:
    """Return ids, pixels, bytes, and by row and kind the hashes and whether there is one."""
    ids, widths, heights, sizes, *hashes = zip(*rows, strict=True) if rows else [()] * (4 + len(COMPONENTS))
    pixels = np.array(widths, np.int64) * np.array(heights, np.int64)
    values, known = (np.stack(columns, axis=1) for columns in zip(*map(_hash_column, hashes), strict=True))
    return np.array(ids, np.int64), pixels, np.array(sizes, np.int64), values, known


def _hash_column(hashes: Sequence[bytes | None]) -> tuple[Hashes, _Flags]:
    known = np.array([value is not None for value in hashes], np.bool_)
    return np.frombuffer(b"".join(value or _NO_HASH for value in hashes), ">u8").astype(np.uint64), known


def _distinct(images: _Images) -> tuple[Positions, Positions]:
    """Return the first image of each set of equal hashes, in order, and for each image the number of its set."""
    count = len(images.entity_ids)
    columns = [*images.hashes.values(), *images.known.values()]
    order = np.lexsort((np.arange(count), *columns))
    begins = np.ones(count, np.bool_)
    begins[1:] = np.logical_or.reduce([column[order[1:]] != column[order[:-1]] for column in columns])
    first_of_set = order[begins]
    by_size = np.argsort(first_of_set)
    number = np.empty(count, np.intp)
    number[order] = np.argsort(by_size)[np.cumsum(begins) - 1]
    return first_of_set[by_size], number


def _group(lookalikes: _LookAlikes) -> Positions:
    """Return the representative of each picture, which may be itself; -1 for a picture that matches nothing."""
    count = len(lookalikes.may_match)
    owners = np.full(count, -1)
    for begin in range(0, count, _QUERIES_AT_ONCE):
        block = np.arange(begin, min(begin + _QUERIES_AT_ONCE, count))
        _settle(block[lookalikes.may_match[block]], lookalikes, owners)
        lookalikes.keep((owners < 0) & (np.arange(count) > block[-1]))
    return owners


def _settle(block: Positions, lookalikes: _LookAlikes, owners: Positions) -> None:
    """Fill in the owners of a block and of all that match the representatives in it.

    A block with too many pairs for the memory is settled by halves: the pictures that the first half gathers have no
    pairs any more.
    """
    block = block[owners[block] < 0]
    pairs = _pairs(block, lookalikes, owners)
    if pairs is None:
        middle = len(block) // 2
        _settle(block[:middle], lookalikes, owners)
        _settle(block[middle:], lookalikes, owners)
        return
    for query, others in _by_query(*pairs):
        if owners[query] < 0:
            owners[query] = query
            owners[others[owners[others] < 0]] = query
    alone = block[owners[block] < 0]
    owners[alone] = alone


def _pairs(block: Positions, lookalikes: _LookAlikes, owners: Positions) -> Pairs | None:
    """Return all pairs of these pictures and others in no group yet, or None when there are too many."""
    portions: list[Pairs] = []
    count = 0
    for queries, others in lookalikes.of(block):
        free = owners[others] < 0
        portions.append((queries[free], others[free]))
        count += len(portions[-1][0])
        if count > _PAIRS_KEPT and len(block) > 1:
            return None
    queries, others = (np.concatenate([portion[side] for portion in portions] or [block[:0]]) for side in (0, 1))
    return queries, others


def _by_query(queries: Positions, others: Positions) -> Iterator[tuple[int, Positions]]:
    if not len(queries):
        return
    order = np.argsort(queries, kind="stable")
    found, begins = np.unique(queries[order], return_index=True)
    yield from zip(found.tolist(), np.split(others[order], begins[1:]), strict=True)


def _describe(
    session: Session, images: _Images, owners: Positions, asked: Mapping[HashKind, int]
) -> Iterator[DuplicateGroup]:
    for groups in batched(_groups_of_two_or_more(owners), _GROUPS_DESCRIBED_AT_ONCE):
        ids = images.entity_ids[np.concatenate(groups)].tolist()
        pictures = picture_service.describe(session, ids)
        yield from (_duplicate_group(images, group, pictures, asked) for group in groups)


def _groups_of_two_or_more(owners: Positions) -> list[Positions]:
    """Return the images of each group, the largest first, which is the representative; the same for the groups."""
    owned = np.flatnonzero(owners >= 0)
    grouped = owned[np.bincount(owners[owned])[owners[owned]] > 1]
    if not len(grouped):
        return []
    order = grouped[np.argsort(owners[grouped], kind="stable")]
    return np.split(order, np.flatnonzero(np.diff(owners[order])) + 1)


def _duplicate_group(
    images: _Images, group: Positions, pictures: Mapping[int, Picture], asked: Mapping[HashKind, int]
) -> DuplicateGroup:
    representative, *others = (pictures[entity_id] for entity_id in images.entity_ids[group].tolist())
    members = (
        GroupMember(picture=picture, distances=distances, matched_by=agreeing(distances, asked))
        for picture, distances in zip(others, _distances_to_first(images, group), strict=True)
    )
    return DuplicateGroup(representative=representative, members=tuple(sorted(members, key=_rank)))


def _distances_to_first(images: _Images, group: Positions) -> Iterator[Distances]:
    columns = [_column_of_distances(images, kind, group) for kind in COMPONENTS]
    for row in zip(*columns, strict=True):
        yield dict(zip(COMPONENTS, row, strict=True))


def _column_of_distances(images: _Images, kind: HashKind, group: Positions) -> list[int | None]:
    hashes, known = images.hashes[kind][group], images.known[kind][group]
    distances: list[int] = np.bitwise_count(hashes[0] ^ hashes[1:]).tolist()
    return [distance if both else None for distance, both in zip(distances, known[0] & known[1:], strict=True)]


def _rank(member: GroupMember) -> tuple[int, int, int]:
    total = sum(distance or 0 for distance in member.distances.values())
    return -len(member.matched_by), total, member.picture.entity_id or 0
