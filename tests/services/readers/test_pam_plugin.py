import io
from fractions import Fraction

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dam.services.perceptual_hashing import hash_image
from dam.services.readers import pam_plugin
from dam.services.readers.image_reader import Picture
from dam.services.readers.problem import UnreadableFile
from tests import media

PAM = "image/x-portable-arbitrarymap"
ENOUGH = 1 << 20
KINDS = {"GRAYSCALE": "L", "GRAYSCALE_ALPHA": "LA", "RGB": "RGB", "RGB_ALPHA": "RGBA", "CMYK": "CMYK"}


def decoded(content: bytes) -> Image.Image:
    with pam_plugin.PamImageFile(io.BytesIO(content)) as image:
        image.load()
        return image.copy()


@pytest.mark.parametrize("maxval", [255, 1023, 65535])
@pytest.mark.parametrize(("tuple_type", "mode"), KINDS.items())
def test_channels_of_any_depth_are_those_of_the_picture(tuple_type: str, mode: str, maxval: int) -> None:
    image = media.picture(mode=mode)

    found = decoded(media.pam_bytes(image, tuple_type=tuple_type, maxval=maxval))

    assert found.mode == mode
    assert found.tobytes() == image.tobytes()


def test_one_is_white_in_a_bitmap() -> None:
    image = media.picture(mode="1").convert("L")

    assert decoded(media.pam_bytes(image, tuple_type="BLACKANDWHITE", maxval=1)).tobytes() == image.tobytes()


@pytest.mark.parametrize("pixel_format", ["gray", "ya8", "rgb24", "rgba", "gray16be", "rgb48be", "monob"])
def test_what_ffmpeg_writes_is_read_as_ffmpeg_reads_it(pixel_format: str) -> None:
    drawn = VideoFrame.from_ndarray(np.asarray(media.picture()), format="rgb24")
    picture = drawn.reformat(format=pixel_format)
    encoder = av.CodecContext.create("pam", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = 64, 48, pixel_format, Fraction(1, 25)
    [packet] = encoder.encode(picture)

    found = np.asarray(decoded(bytes(packet)).convert("RGB")).astype(int)

    told = picture.reformat(format="rgb24").to_ndarray().astype(int)
    assert np.abs(found - told).max() <= 1  # FFmpeg takes the upper byte of two, and we round


@given(maxval=st.integers(1, 65535), shares=st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_samples_are_scaled_to_the_nearest_of_8_bits(maxval: int, shares: list[float]) -> None:
    samples = np.array([round(share * maxval) for share in shares], np.uint8 if maxval < 256 else ">u2")
    header = f"P7\nWIDTH {len(shares)}\nHEIGHT 1\nDEPTH 1\nMAXVAL {maxval}\nENDHDR\n"

    found = np.asarray(decoded(header.encode() + samples.tobytes()))[0]

    assert np.abs(found - samples.astype(float) * 255 / maxval).max() <= 0.5 + 1e-9


def test_it_is_hashed_like_the_same_picture_in_another_format() -> None:
    image = media.picture(300, 200)

    with Picture(io.BytesIO(media.pam_bytes(image)), PAM) as picture:
        assert picture.hashes(ENOUGH) == hash_image(image)
        assert picture.thumbnail(ENOUGH, 32).startswith(b"\xff\xd8")


@pytest.mark.parametrize("maxval", [255, 1023])
def test_samples_that_are_cut_off_are_no_picture(maxval: int) -> None:
    content = media.pam_bytes(maxval=maxval)

    with Picture(io.BytesIO(content[:-1]), PAM) as picture:
        assert picture.dimensions() is not None
        with pytest.raises((OSError, ValueError), match=r"truncated|not enough"):
            picture.hashes(ENOUGH)


def test_channels_that_are_no_picture_leave_the_size() -> None:
    with Picture(io.BytesIO(media.pam_bytes(tuple_type="XYZ")), PAM) as picture:
        assert picture.dimensions() is not None
        with pytest.raises(UnreadableFile, match="3 channels of the kind XYZ are no picture"):
            picture.hashes(ENOUGH)


def test_a_sample_above_the_largest_is_held_for_the_largest() -> None:
    content = media.pam_bytes(media.picture(mode="L"), tuple_type="GRAYSCALE", maxval=1023)

    assert decoded(content[:-2] + b"\xff\xff").getpixel((63, 47)) == 255
