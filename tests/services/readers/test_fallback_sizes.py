import io
import struct

import pytest

from dam.services.readers.fallback_sizes import read_size
from dam.services.readers.problem import UnreadableFile
from tests import media
from tests.media import picture_bytes


def size(content: bytes, mime_type: str) -> tuple[int, int]:
    return read_size(io.BytesIO(content), mime_type)


def big_endian_big_tiff(width: int, height: int, orientation: int) -> bytes:
    tags = b"".join(
        struct.pack(">HHQ", tag, 3, 1) + struct.pack(">HHI", value, 0, 0)
        for tag, value in ((256, width), (257, height), (274, orientation))
    )
    return b"MM\x00\x2b\x00\x08\x00\x00" + struct.pack(">QQ", 16, 3) + tags + bytes(8)


@pytest.mark.parametrize("big", [False, True])
def test_tiff_sizes_are_those_of_the_first_directory(big: bool) -> None:
    assert size(picture_bytes("TIFF", big_tiff=big), "image/tiff") == (64, 48)


def test_big_endian_big_tiff_which_pillow_refuses_is_read() -> None:
    assert size(big_endian_big_tiff(300, 200, 1), "image/tiff") == (300, 200)
    assert size(big_endian_big_tiff(300, 200, 6), "image/tiff") == (200, 300)


@pytest.mark.parametrize(("orientation", "expected"), [(1, (64, 48)), (6, (48, 64)), (3, (64, 48))])
def test_avif_sizes_are_those_of_the_primary_item(orientation: int, expected: tuple[int, int]) -> None:
    content = picture_bytes("AVIF", exif=media.exif(Orientation=orientation))

    assert size(content, "image/avif") == expected


@pytest.mark.parametrize(
    "content", [b"", b"II\x2a\x00", b"II\x2a\x00\xff\xff\xff\xff", b"\x00\x00\x00\x10ftypavif", b"\x00" * 64]
)
@pytest.mark.parametrize("mime_type", ["image/tiff", "image/avif", "image/heic", "image/gif"])
def test_what_says_no_size_says_so(content: bytes, mime_type: str) -> None:
    with pytest.raises(UnreadableFile):
        size(content, mime_type)
