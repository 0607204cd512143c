import io
import struct

import pytest

from dam.services.facts import ImageDimensions
from dam.services.readers.picture_sizes import can_read, read_jxl_exif, read_size
from dam.services.readers.problem import UnreadableFile
from tests import media


def size(content: bytes, mime_type: str) -> tuple[int, int] | None:
    found = read_size(io.BytesIO(content), mime_type)
    return None if found is None else (found.width_pixels, found.height_pixels)


def codestream(*fields: tuple[int, int]) -> bytes:
    """Return a JPEG XL codestream that begins with these (value, bits), the lowest bit of each first."""
    bits = "".join(f"{value:0{count}b}"[::-1] for value, count in fields)
    return (
        b"\xff\x0a" + bytes(int(bits[at : at + 8].ljust(8, "0")[::-1], 2) for at in range(0, len(bits), 8)) + bytes(8)
    )


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + kind + content


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ('width="123" height="456"', (123, 456)),
        ('width="123px" height="456px" viewBox="0 0 10 10"', (123, 456)),
        ("width='1.28125in' height='342pt'", (123, 456)),
        ('width="7.6875em" height="4.56e2"', (123, 456)),
        ('width="10mm" height="1cm"', (38, 38)),
        ('viewBox="0 0 123 456"', (123, 456)),
        ('viewbox="0,0,123,456"', (123, 456)),
        ('width="100%" height="456" viewBox="0 0 246 912"', (123, 456)),
        ('width="123" viewBox="0 0 246 912"', (123, 456)),
        ('onclick="a > b" width="123" height="456"', (123, 456)),
    ],
)
def test_svg_sizes_follow_attributes_and_view_box(attributes: str, expected: tuple[int, int]) -> None:
    assert size(media.svg_bytes(attributes), "image/svg+xml") == expected


@pytest.mark.parametrize(
    "attributes",
    ["", 'width="100"', 'width="0" height="0"', 'width="100%" height="50%"', 'viewBox="0 0 0 9"',
     'viewBox="0 0 nan inf"', 'width="-5" height="5"', 'width="1e999" height="1"'],
)  # fmt: skip
def test_svg_without_a_size_in_pixels_has_none(attributes: str) -> None:
    assert size(media.svg_bytes(attributes), "image/svg+xml") is None


@pytest.mark.parametrize("content", [b"<svg width=1/>", b"<svg", b"<!-- <svg/>", b"<html/>", b""])
def test_svg_without_a_well_formed_root_says_so(content: bytes) -> None:
    with pytest.raises(UnreadableFile, match="no well-formed root"):
        size(content, "image/svg+xml")


@pytest.mark.parametrize("words", [1, 1_000, 30_000])
def test_svg_in_a_comment_is_no_root_however_long_it_is(words: int) -> None:
    comment = "<!-- " + '<svg width="1" height="2"/> ' * words + "-->"
    content = comment + '<svg width="3" height="4"/>' + comment

    assert size(content.encode(), "image/svg+xml") == (3, 4)


def test_svg_entities_are_not_expanded() -> None:
    levels = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 30))
    content = f'<!DOCTYPE svg [<!ENTITY a0 "1">{levels}]><svg width="&a29;" height="2" viewBox="0 0 3 4"/>'

    assert size(content.encode(), "image/svg+xml") == (2, 2)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([(1, 1), (7, 5), (1, 3), (1, 1)], (64, 64)),
        ([(1, 1), (9, 5), (0, 3), (14, 5), (1, 1)], (120, 80)),
        ([(0, 1), (1, 2), (1079, 13), (5, 3), (1, 1)], (1920, 1080)),
        ([(0, 1), (0, 2), (455, 9), (0, 3), (0, 2), (122, 9), (1, 1)], (123, 456)),
        ([(0, 1), (0, 2), (455, 9), (0, 3), (0, 2), (122, 9), (0, 1), (1, 1), (5, 3)], (456, 123)),
        ([(0, 1), (3, 2), (99_999, 30), (1, 3), (1, 1)], (100_000, 100_000)),
    ],
)
def test_jpeg_xl_sizes_are_read_from_the_codestream(fields: list[tuple[int, int]], expected: tuple[int, int]) -> None:
    assert size(codestream(*fields), "image/jxl") == expected


def test_jpeg_xl_in_boxes_may_have_exif_before_the_picture() -> None:
    signature = box(b"JXL ", b"\r\n\x87\n")
    content = (
        signature
        + box(b"Exif", bytes(4) + b"II*\x00")
        + box(b"jxlp", bytes(4) + codestream((1, 1), (7, 5), (1, 3), (1, 1)))
    )

    assert size(content, "image/jxl") == (64, 64)
    assert read_jxl_exif(io.BytesIO(content)) == b"II*\x00"


def test_a_big_endian_texture_is_read_as_such() -> None:
    little = bytearray(media.ktx_bytes(3, 4))
    little[12:16], little[36:44] = b"\x04\x03\x02\x01", struct.pack(">II", 3, 0)

    assert size(bytes(little), "image/ktx") == (3, 1)


@pytest.mark.parametrize(
    "mime_type", ["image/jxl", "image/ktx", "image/ktx2", "image/svg+xml", "image/x-portable-floatmap"]
)
def test_files_cut_short_say_so(mime_type: str) -> None:
    assert can_read(mime_type)
    for content in (b"", b"\xff\x0a", b"P7\nWIDTH 3\n", b"\xabKTX 20\xbb\r\n\x1a\n", b"<svg"):
        with pytest.raises(UnreadableFile):
            read_size(io.BytesIO(content), mime_type)


def test_the_size_is_a_fact() -> None:
    assert read_size(io.BytesIO(media.pam_bytes()), "image/x-portable-arbitrarymap") == ImageDimensions(
        width_pixels=64, height_pixels=48
    )
