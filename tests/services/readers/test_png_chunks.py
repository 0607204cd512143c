import io
import zlib

import pytest

from dam.services.readers.png_chunks import read_header, without_compressed_metadata
from dam.services.readers.problem import UnreadableFile
from tests import media


def test_the_header_tells_size_and_frames() -> None:
    header = read_header(io.BytesIO(media.animation_bytes("PNG", [100, 250])))

    assert (header.width, header.height) == (64, 48)
    assert header.frame_seconds == pytest.approx((0.1, 0.25))


def test_a_denominator_of_zero_means_hundredths() -> None:
    control = bytes(20) + b"\x00\x32\x00\x00" + bytes(2)

    header = read_header(io.BytesIO(media.png_with((b"acTL", bytes(8)), (b"fcTL", control))))

    assert header.frame_seconds == (0.5,)


def test_frame_controls_without_an_animation_are_ignored() -> None:
    assert read_header(io.BytesIO(media.png_with((b"fcTL", bytes(26))))).frame_seconds == ()


def test_exif_behind_the_pixels_is_found() -> None:
    png = media.picture_bytes("PNG")
    content = png[:-12] + media.png_chunk(b"eXIf", b"II*\x00") + png[-12:]

    assert read_header(io.BytesIO(content)).exif == b"II*\x00"


def test_an_orientation_in_xmp_is_found() -> None:
    text = b'XML:com.adobe.xmp\x00\x00\x00\x00\x00<x tiff:Orientation="6"/>'

    assert read_header(io.BytesIO(media.png_with((b"iTXt", text)))).xmp_orientation == 6


def test_a_png_for_iphones_has_its_header_second() -> None:
    png = media.picture_bytes("PNG")
    content = png[:8] + media.png_chunk(b"CgBI", bytes(4)) + png[8:]

    assert read_header(io.BytesIO(content)).width == 64


@pytest.mark.parametrize(
    "content", [b"", b"\x89PNG\r\n\x1a\n", media.picture_bytes("PNG")[:20], b"\x89PNG\r\n\x1a\n" + bytes(50)]
)
def test_no_header_is_a_problem(content: bytes) -> None:
    with pytest.raises(UnreadableFile):
        read_header(io.BytesIO(content))


def test_compressed_metadata_are_left_out_and_nothing_else() -> None:
    packed = zlib.compress(b"a" * 1000)
    plain = media.png_with((b"tEXt", b"a\x00b"), (b"iTXt", b"a\x00\x00\x00\x00\x00b"))
    full = media.png_with(
        (b"tEXt", b"a\x00b"),
        (b"zTXt", b"a\x00\x00" + packed),
        (b"iTXt", b"a\x00\x01\x00\x00\x00" + packed),
        (b"iTXt", b"a\x00\x00\x00\x00\x00b"),
        (b"iCCP", b"a\x00\x00" + packed),
    )

    assert without_compressed_metadata(io.BytesIO(full)).read() == plain


def test_a_file_without_compressed_metadata_is_not_copied() -> None:
    file = io.BytesIO(media.picture_bytes("PNG"))

    assert without_compressed_metadata(file) is file
