import io

import pytest

from dam.services.readers.pam_header import PamHeader, read_header
from dam.services.readers.problem import UnreadableFile

PLAIN = b"P7\nWIDTH 3\nHEIGHT 2\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n"


def header(content: bytes) -> PamHeader:
    return read_header(io.BytesIO(content))


def test_a_header_says_how_its_samples_are_kept() -> None:
    assert header(PLAIN + bytes(24)) == PamHeader(
        width=3, height=2, depth=4, maxval=255, tuple_type="RGB_ALPHA", size_bytes=len(PLAIN)
    )


def test_comments_empty_lines_any_order_and_blanks_are_allowed() -> None:
    content = b"P7\n# by hand\nMAXVAL\t 255 \n\nTUPLTYPE RGB\nDEPTH 4\n HEIGHT 2\nTUPLTYPE ALPHA\nWIDTH 3\nENDHDR\n"

    assert header(content) == PamHeader(
        width=3, height=2, depth=4, maxval=255, tuple_type="RGB ALPHA", size_bytes=len(content)
    )


@pytest.mark.parametrize("length", range(len(PLAIN)))
def test_a_header_that_is_cut_off_says_so(length: int) -> None:
    with pytest.raises(UnreadableFile, match="no end"):
        header(PLAIN[:length])


@pytest.mark.parametrize("damage", [b"WIDTH 0", b"WIDTH -3", b"WIDTH 9999999999", b"WIDTH", b"#WIDTH 3"])
def test_a_size_that_is_none_is_refused(damage: bytes) -> None:
    with pytest.raises(UnreadableFile, match="WIDTH"):
        header(PLAIN.replace(b"WIDTH 3", damage))


def test_samples_of_more_than_two_bytes_are_refused() -> None:
    with pytest.raises(UnreadableFile, match="65536"):
        header(PLAIN.replace(b"255", b"65536"))
