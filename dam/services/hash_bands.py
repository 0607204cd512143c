"""Which 16-bit bands of a 64-bit hash to look up, so that no hash within a distance is missed."""

BANDED_UP_TO = 7
BANDS = 4
BAND_BITS = 16


def lookups(bands: tuple[int, ...], threshold: int) -> list[tuple[int, int]]:
    """Return (band number, value) pairs: every hash within the threshold, at most 7, equals one of them in that band.

    Let ``d`` be the distances of the four bands to another hash; their sum is at most ``t``.

    - ``t`` ≤ 3: if ``t + 1`` bands all differed, the sum would be above ``t``. So one of any ``t + 1`` bands is equal.
    - 4 ≤ ``t`` ≤ 7: either one of the four bands is equal, or every ``d`` is at least 1. Then the sum of ``d - 1`` is
      at most ``t - 4``, so at most ``t - 4`` bands have ``d`` ≥ 2, and among any ``t - 3`` bands one has ``d`` = 1.
      So four equal bands and the 16 neighbours of ``t - 3`` bands do: 20 look-ups for 4 and 68 for 7.

    "Any" bands are those with the most balanced bits: values such as 0 are common, so they say least and cost most.
    Raises ValueError for a threshold above 7.
    """
    if not 0 <= threshold <= BANDED_UP_TO:
        raise ValueError(f"bands serve thresholds from 0 to {BANDED_UP_TO}, not {threshold}")
    telling = sorted(range(BANDS), key=lambda band: abs(bands[band].bit_count() - BAND_BITS // 2))
    if threshold < BANDS:
        return [(band, bands[band]) for band in telling[: threshold + 1]]
    near = [(band, bands[band] ^ 1 << bit) for band in telling[: threshold - 3] for bit in range(BAND_BITS)]
    return [*enumerate(bands), *near]


def split(value: int) -> tuple[int, ...]:
    """Return the four bands of a 64-bit hash, the first bits first."""
    return tuple(value >> BAND_BITS * (BANDS - 1 - band) & 0xFFFF for band in range(BANDS))
