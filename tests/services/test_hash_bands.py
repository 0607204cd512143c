import pytest
from hypothesis import given
from hypothesis import strategies as st

from dam.services import hash_bands
from tests.services.stored_pictures import flipped

HASHES = st.integers(0, 2**64 - 1)


@given(HASHES, st.integers(0, 7), st.data())
def test_every_hash_within_the_threshold_is_in_a_bucket_looked_up(
    value: int, threshold: int, data: st.DataObject
) -> None:
    bits = data.draw(st.sets(st.integers(0, 63), max_size=threshold))
    other = hash_bands.split(flipped(value, bits))
    assert set(hash_bands.lookups(hash_bands.split(value), threshold)) & set(enumerate(other))


@pytest.mark.parametrize(("threshold", "count"), [(0, 1), (1, 2), (2, 3), (3, 4), (4, 20), (5, 36), (6, 52), (7, 68)])
@given(value=HASHES)
def test_look_ups_are_few(threshold: int, count: int, value: int) -> None:
    assert len(set(hash_bands.lookups(hash_bands.split(value), threshold))) == count


@pytest.mark.parametrize("threshold", [-1, 8])
def test_a_threshold_that_bands_do_not_serve_is_refused(threshold: int) -> None:
    with pytest.raises(ValueError, match="from 0 to 7"):
        hash_bands.lookups((0, 0, 0, 0), threshold)


@given(HASHES)
def test_bands_are_the_bytes_of_the_hash_in_order(value: int) -> None:
    assert b"".join(band.to_bytes(2) for band in hash_bands.split(value)) == value.to_bytes(8)
