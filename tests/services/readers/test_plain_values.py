import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dam.services.readers.plain_values import plain_text, positive, whole_number


@given(st.text(alphabet=st.characters(), max_size=50), st.integers(1, 20))
def test_texts_fit_every_database(text: str, longest: int) -> None:
    found = plain_text(text, longest)

    assert found is None or (0 < len(found) <= longest and "\x00" not in found and found.encode())


def test_lone_surrogates_and_nul_are_dropped_and_the_rest_stays() -> None:
    assert plain_text("a\x00b\ud800c\x1b[31m\n ü ", 100) == "abc\x1b[31m\n ü"


@pytest.mark.parametrize("value", [None, 5, b"bytes", "", "  ", "\x00"])
def test_no_text_is_none(value: object) -> None:
    assert plain_text(value, 10) is None


def test_whole_numbers_fit_32_bits() -> None:
    assert [whole_number(value) for value in (1, 2**31 - 1)] == [1, 2**31 - 1]
    assert [whole_number(value) for value in (0, -1, 2**31, 1.5, "1", None)] == [None] * 6


def test_positive_numbers_are_finite() -> None:
    assert positive(0.5) == 0.5
    assert [positive(value) for value in (0.0, -1.0, math.inf, math.nan, None)] == [None] * 5
