"""All pairs of 64-bit hashes within a distance, in bounded memory."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dam.services.hash_bands import BAND_BITS, BANDED_UP_TO, BANDS

type Hashes = NDArray[np.uint64]
type Positions = NDArray[np.intp]
type Pairs = tuple[Positions, Positions]

_PAIRS_AT_ONCE = 1 << 16  # so that what a portion needs stays in the processor's cache
_COMPARED_AT_ONCE = (16, 4096)

# Each band takes every second bit of every second row of the 8 by 8 hash: neighbouring bits are often equal, so bands
# of whole rows would put many unrelated pictures into one bucket.
_ORDER_OF_BITS = [
    8 * row + column
    for odd_row in (0, 1)
    for odd_column in (0, 1)
    for row in range(odd_row, 8, 2)
    for column in range(odd_column, 8, 2)
]


class Neighbours(Protocol):
    """Hashes, by position, among which neighbours can be looked for."""

    def of(self, queries: Positions) -> Iterator[Pairs]:
        """Give the pairs of a query and a later position within the distance, in portions; some more than once."""

    def keep(self, wanted: NDArray[np.bool_]) -> None:
        """Look only for neighbours at the wanted positions from now on, to have less to do."""


def neighbours(hashes: Hashes, threshold: int) -> Neighbours:
    """Return what finds pairs within the threshold (0 to 64): by bands up to 7, above it by comparing all with all."""
    return BandedNeighbours(hashes, threshold) if threshold <= BANDED_UP_TO else ComparedNeighbours(hashes, threshold)


class BandedNeighbours:
    """Hashes sorted by each of their bands; for thresholds up to 7, as ``hash_bands.lookups`` proves.

    Of ``n`` random hashes a query meets ``n / 65536`` in each look-up: 38 million comparisons for 500,000 hashes and a
    threshold of 4, when those that are done with are dropped. Where many hashes share a band it comes to all with all
    at the worst, in the same memory.
    """

    def __init__(self, hashes: Hashes, threshold: int) -> None:
        self._hashes = _interleave(hashes)
        self._threshold = threshold
        self._bands = [_SortedBand(self._hashes, band) for band in range(min(threshold + 1, BANDS))]

    def of(self, queries: Positions) -> Iterator[Pairs]:
        """Give the pairs of a query and a later position within the distance, in portions; some more than once."""
        for number, band in enumerate(self._bands):
            ordered = band.in_order(queries, self._hashes)
            near = BAND_BITS if number < self._threshold - 3 else 0
            for flipped in (0, *(1 << bit for bit in range(near))):
                yield from self._meet(ordered, band, flipped)

    def keep(self, wanted: NDArray[np.bool_]) -> None:
        """Look only for neighbours at the wanted positions from now on, to have less to do."""
        for band in self._bands:
            band.keep(wanted)

    def _meet(self, queries: Positions, band: "_SortedBand", flipped: int) -> Iterator[Pairs]:
        hashes = self._hashes[queries]
        first, count = band.bucket(hashes, flipped)
        for which, slots in _portions(first, count):
            near = np.flatnonzero(np.bitwise_count(hashes[which] ^ band.hashes[slots]) <= self._threshold)
            yield _later(queries[which[near]], band.positions[slots[near]])


class ComparedNeighbours:
    """Hashes compared all with all: some 2 nanoseconds a pair, so a second for 27,000 and 5 minutes for 500,000."""

    def __init__(self, hashes: Hashes, threshold: int) -> None:
        self._hashes = hashes
        self._positions = np.arange(len(hashes))
        self._threshold = threshold

    def of(self, queries: Positions) -> Iterator[Pairs]:
        """Give the pairs of a query and a later position within the distance, in portions."""
        rows, columns = _COMPARED_AT_ONCE
        for row in range(0, len(queries), rows):
            some = queries[row : row + rows]
            begin = int(np.searchsorted(self._positions, some.min()))
            for column in range(begin, len(self._positions), columns):
                others = self._positions[column : column + columns]
                yield self._compare(some, others)

    def keep(self, wanted: NDArray[np.bool_]) -> None:
        """Look only for neighbours at the wanted positions from now on, to have less to do."""
        self._positions = self._positions[wanted[self._positions]]

    def _compare(self, queries: Positions, others: Positions) -> Pairs:
        distances = np.bitwise_count(self._hashes[queries, np.newaxis] ^ self._hashes[others])
        which, near = np.divmod(np.flatnonzero(distances <= self._threshold), len(others))
        return _later(queries[which], others[near])


class _SortedBand:
    """Hashes in the order of one band, with where each of its 65,536 values begins."""

    def __init__(self, hashes: Hashes, band: int) -> None:
        self._shift = np.uint64(BAND_BITS * (BANDS - 1 - band))
        values = self._of(hashes)
        self.positions: Positions = np.argsort(values, kind="stable")
        self.hashes = hashes[self.positions]
        self._begins = np.concatenate([[0], np.cumsum(np.bincount(values, minlength=1 << BAND_BITS))])

    def in_order(self, positions: Positions, hashes: Hashes) -> Positions:
        """Order positions by this band, so that what they meet lies near in memory."""
        return positions[np.argsort(self._of(hashes[positions]), kind="stable")]

    def bucket(self, hashes: Hashes, flipped: int) -> Pairs:
        """Return where the bucket of each hash begins, after flipping bits of its band, and how many are in it."""
        values = self._of(hashes).astype(np.intp) ^ flipped
        first = self._begins[values]
        return first, self._begins[values + 1] - first

    def keep(self, wanted: NDArray[np.bool_]) -> None:
        """Drop all positions but these."""
        kept = wanted[self.positions]
        self._begins = np.concatenate([[0], np.cumsum(kept)])[self._begins]
        self.positions, self.hashes = self.positions[kept], self.hashes[kept]

    def _of(self, hashes: Hashes) -> NDArray[np.uint16]:
        return (hashes >> self._shift).astype(np.uint16)


def _later(queries: Positions, others: Positions) -> Pairs:
    later = others > queries
    return queries[later], others[later]


def _portions(first: Positions, count: Positions) -> Iterator[Pairs]:
    """Give (range number, member) for all members of the ranges, at most ``_PAIRS_AT_ONCE`` at a time."""
    ends = np.cumsum(count)
    total = int(ends[-1]) if len(ends) else 0
    for start in range(0, total, _PAIRS_AT_ONCE):
        stop = min(start + _PAIRS_AT_ONCE, total)
        low, high = np.searchsorted(ends, start, "right"), np.searchsorted(ends, stop, "left") + 1
        begins = ends[low:high] - count[low:high]
        taken = np.minimum(ends[low:high], stop) - np.maximum(begins, start)
        yield (
            np.repeat(np.arange(low, high), taken),
            np.arange(start, stop) + np.repeat(first[low:high] - begins, taken),
        )


def _interleave(hashes: Hashes) -> Hashes:
    """Put the bits of each hash into ``_ORDER_OF_BITS``; distances stay the same."""
    result = np.zeros_like(hashes)
    for position, bit in enumerate(_ORDER_OF_BITS):
        result |= (hashes >> np.uint64(63 - bit) & np.uint64(1)) << np.uint64(63 - position)
    return result
