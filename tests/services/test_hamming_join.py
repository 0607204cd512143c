import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dam.services.hamming_join import Neighbours, neighbours
from tests.services.stored_pictures import flipped

type Pair = tuple[int, int]


def pairs_of(search: Neighbours, queries: list[int]) -> set[Pair]:
    return {
        pair
        for found, others in search.of(np.array(queries, np.intp))
        for pair in zip(found.tolist(), others.tolist(), strict=True)
    }


def expected(hashes: list[int], queries: list[int], threshold: int) -> set[Pair]:
    return {
        (query, other)
        for query in queries
        for other in range(query + 1, len(hashes))
        if (hashes[query] ^ hashes[other]).bit_count() <= threshold
    }


def planted(seed: int, count: int) -> list[int]:
    """Return hashes around two centres, half of them near, and of which many share bands."""
    chance = random.Random(seed)
    centres = [chance.getrandbits(64), 0xFFFF0000FFFF0000]
    distances = [chance.choice([chance.randint(0, 9), chance.randint(0, 64)]) for _ in range(count)]
    return [flipped(chance.choice(centres), chance.sample(range(64), distance)) for distance in distances]


@settings(max_examples=80)
@given(st.integers(), st.integers(0, 120), st.integers(0, 9) | st.integers(0, 64), st.data())
def test_finds_the_pairs_that_comparing_with_everything_finds(
    seed: int, count: int, threshold: int, data: st.DataObject
) -> None:
    hashes = planted(seed, count)
    queries = sorted(data.draw(st.sets(st.integers(0, count - 1)))) if count else []
    search = neighbours(np.array(hashes, np.uint64), threshold)
    assert pairs_of(search, queries) == expected(hashes, queries, threshold)


@pytest.mark.parametrize("threshold", [3, 4, 7, 8])
def test_what_is_not_kept_is_not_found(threshold: int) -> None:
    hashes = planted(1, 300)
    wanted = np.arange(300) % 3 == 0
    search = neighbours(np.array(hashes, np.uint64), threshold)
    search.keep(np.arange(300) % 6 != 1)
    search.keep(wanted)
    every = list(range(300))
    assert pairs_of(search, every) == {pair for pair in expected(hashes, every, threshold) if wanted[pair[1]]}


@pytest.mark.parametrize("threshold", [4, 8])
def test_a_crowded_bucket_comes_in_portions_of_bounded_size(threshold: int) -> None:
    hashes = np.arange(2_000, dtype=np.uint64) | np.uint64(0xABCD << 48)
    search = neighbours(hashes, threshold)
    sizes = [len(found) for found, _ in search.of(np.arange(2_000))]
    assert max(sizes) <= 1 << 16
    assert len(sizes) > 20
