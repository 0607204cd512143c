import random
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete
from sqlalchemy.orm import Session

from dam.models import Entity
from dam.services.duplicates_service import DuplicateGroup, are_degenerate, find_duplicate_groups
from dam.services.perceptual_hashing import HashKind, is_degenerate
from dam.services.similarity_service import MatchRule, Thresholds
from tests.services.stored_pictures import BUSY, Stored, flipped, store

KINDS: tuple[HashKind, ...] = ("phash", "ahash", "dhash")
FAR = BUSY ^ (2**64 - 1)


def ids_of(groups: Sequence[DuplicateGroup]) -> list[list[int | None]]:
    return [
        [group.representative.entity_id, *(member.picture.entity_id for member in group.members)] for group in groups
    ]


def library(seed: int, count: int) -> list[Stored]:
    """Return pictures of which many are near one another, equal, degenerate, or lack a hash."""
    chance = random.Random(seed)
    centres = [chance.getrandbits(64) for _ in range(3)] + [0]

    def near() -> int | None:
        if chance.random() < 0.05:
            return None
        return flipped(chance.choice(centres), chance.sample(range(64), chance.choice([0, 0, 1, 2, 3, 5, 9, 30])))

    pictures = [
        Stored(
            phash=near(), ahash=near(), dhash=near(), width=chance.randint(1, 3), file_size_bytes=chance.randint(1, 3)
        )
        for _ in range(count)
    ]
    return pictures + chance.choices(pictures, k=count // 4) if pictures else []


def matches(one: Stored, other: Stored, asked: Thresholds, match: MatchRule) -> bool:
    agree, carry = [], []
    for kind in KINDS:
        threshold, a, b = getattr(asked, kind), getattr(one, kind), getattr(other, kind)
        if threshold is not None:
            agree.append(a is not None and b is not None and (a ^ b).bit_count() <= threshold)
            carry.append(agree[-1] and not any(is_degenerate(kind, value.to_bytes(8)) for value in (a, b)))
    return any(carry) and (match == "any" or all(agree))


def expected(stored: dict[int, Stored], asked: Thresholds, match: MatchRule) -> list[tuple[int, set[int]]]:
    left = sorted(stored, key=lambda i: (-stored[i].width * stored[i].height, -stored[i].file_size_bytes, i))
    groups = []
    while left:
        first, *left = left
        members = {i for i in left if matches(stored[first], stored[i], asked, match)}
        left = [i for i in left if i not in members]
        groups.append((first, members))
    return [group for group in groups if group[1]]


THRESHOLDS = st.tuples(*(st.none() | st.integers(0, 8) | st.integers(0, 64) for _ in KINDS)).filter(any)


def test_groups_are_those_that_comparing_with_everything_gives(session: Session) -> None:
    @settings(max_examples=40)
    @given(st.integers(), st.integers(0, 60), THRESHOLDS, st.sampled_from(["any", "all"]))
    def holds(seed: int, count: int, limits: tuple[int | None, ...], match: MatchRule) -> None:
        session.execute(delete(Entity))
        pictures = library(seed, count)
        stored = dict(zip(store(session, pictures), pictures, strict=True)) if pictures else {}
        asked = Thresholds(phash=limits[0], ahash=limits[1], dhash=limits[2])
        groups = list(find_duplicate_groups(session, thresholds=asked, match=match))
        found = [(group.representative.entity_id, {m.picture.entity_id for m in group.members}) for group in groups]
        assert found == expected(stored, asked, match)
        assert all(_distances_are_right(group, stored) for group in groups)

    holds()


def _distances_are_right(group: DuplicateGroup, stored: dict[int, Stored]) -> bool:
    first = stored[group.representative.entity_id or 0]
    return all(
        dict(member.distances)
        == {kind: _distance(first, stored[member.picture.entity_id or 0], kind) for kind in KINDS}
        for member in group.members
    )


def _distance(one: Stored, other: Stored, kind: HashKind) -> int | None:
    a, b = getattr(one, kind), getattr(other, kind)
    return None if a is None or b is None else (a ^ b).bit_count()


def test_the_representative_is_the_largest_image_then_the_largest_file_then_the_oldest(session: Session) -> None:
    sizes: list[dict[str, Any]] = [
        {"width": 9, "file_size_bytes": 900},
        {"width": 10},
        {"width": 10, "file_size_bytes": 101},
        {"width": 10, "file_size_bytes": 101},
    ]
    ids = store(session, [Stored(**size) for size in sizes])
    [group] = ids_of(list(find_duplicate_groups(session)))
    assert group[0] == ids[2]
    assert sorted(group[1:], key=str) == [ids[0], ids[1], ids[3]]


def test_a_chain_is_cut_where_members_are_far_from_the_representative(session: Session) -> None:
    chain = [flipped(BUSY, range(3 * step)) for step in range(4)]
    ids = store(session, [Stored(phash=value, width=40 - step) for step, value in enumerate(chain)])
    assert ids_of(list(find_duplicate_groups(session))) == [ids[:2], ids[2:]]


def test_members_come_nearest_first_with_what_a_person_decides_by(session: Session) -> None:
    largest = Stored(width=4000, height=3000, file_size_bytes=5_000_000, filename="big.jpg")
    ids = store(session, [Stored(phash=flipped(BUSY, [1, 2])), largest, Stored(dhash=flipped(BUSY, [7]))])
    [group] = find_duplicate_groups(session)
    big = group.representative
    assert (big.filename, big.width_pixels, big.height_pixels, big.file_size_bytes) == (
        "big.jpg",
        4000,
        3000,
        5_000_000,
    )
    assert [(m.picture.entity_id, m.distances) for m in group.members] == [
        (ids[2], {"phash": 0, "ahash": 0, "dhash": 1}),
        (ids[0], {"phash": 2, "ahash": 0, "dhash": 0}),
    ]
    assert group.members[0].matched_by == KINDS


def test_blank_pictures_make_no_group(session: Session) -> None:
    store(session, [Stored(phash=1 << 63, ahash=0, dhash=0) for _ in range(3)])
    assert list(find_duplicate_groups(session, match="any")) == []
    assert list(find_duplicate_groups(session, match="all")) == []


def test_any_groups_by_one_hash(session: Session) -> None:
    ids = store(session, [Stored(width=20), Stored(phash=FAR, ahash=FAR)])
    assert list(find_duplicate_groups(session, match="all")) == []
    [group] = find_duplicate_groups(session, match="any")
    assert ids_of([group]) == [ids]
    assert group.members[0].matched_by == ("dhash",)


@pytest.mark.parametrize("match", ["any", "all"])
def test_equal_hashes_are_not_compared_with_each_other(session: Session, match: MatchRule) -> None:
    store(session, [Stored()] * 2_000)
    begin = time.process_time()
    [group] = find_duplicate_groups(session, match=match)
    assert len(group.members) == 1_999
    assert time.process_time() - begin < 2  # 2 million comparisons of three hashes in Python take longer


def test_a_crowd_with_more_pairs_than_are_kept_is_one_group(session: Session) -> None:
    chance = random.Random(3)
    crowd = [[flipped(BUSY, chance.sample(range(64), 2)) for _ in KINDS] for _ in range(1_600)]
    ids = store(session, [Stored(phash=phash, ahash=ahash, dhash=dhash) for phash, ahash, dhash in crowd])
    [group] = ids_of(list(find_duplicate_groups(session)))
    assert group[0] == ids[0]
    assert set(group) == set(ids)


@given(st.sampled_from(KINDS), st.integers(0, 64), st.randoms())
def test_many_hashes_are_degenerate_as_each_is(kind: HashKind, bits: int, chance: random.Random) -> None:
    hashes = [flipped(start, chance.sample(range(64), bits)) for start in (0, 2**64 - 1)]
    flags = are_degenerate(kind, np.array(hashes, np.uint64)).tolist()
    assert flags == [is_degenerate(kind, value.to_bytes(8)) for value in hashes]


def test_an_empty_library_has_no_groups(session: Session) -> None:
    assert list(find_duplicate_groups(session)) == []
