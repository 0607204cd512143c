import io
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image, ImageOps

from dam.services.facts import ImageCapture, ImageDimensions
from dam.services.perceptual_hashing import hash_image
from dam.services.readers.catalogue import PILLOW_PLUGINS
from dam.services.readers.image_reader import Picture
from dam.services.readers.problem import UnreadableFile
from tests import media
from tests.media import picture_bytes

ENOUGH = 1 << 20


def opened(content: bytes, mime_type: str) -> Picture:
    return Picture(io.BytesIO(content), mime_type)


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_size_and_hashes_are_of_the_picture_as_displayed(image_format: str, orientation: int) -> None:
    content = picture_bytes(image_format, exif=media.exif(Orientation=orientation))

    with opened(content, f"image/{image_format.lower()}") as picture, Image.open(io.BytesIO(content)) as image:
        shown = ImageOps.exif_transpose(image)
        assert picture.dimensions() == ImageDimensions(width_pixels=shown.width, height_pixels=shown.height)
        assert picture.hashes(ENOUGH) == hash_image(shown)


def test_heic_is_turned_by_its_decoder_alone() -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()
    content = picture_bytes("HEIF", exif=media.exif(Orientation=6))

    with opened(content, "image/heic") as picture, Image.open(io.BytesIO(content)) as image:
        assert picture.dimensions() == ImageDimensions(width_pixels=image.width, height_pixels=image.height)
        assert picture.hashes(ENOUGH) == hash_image(ImageOps.exif_transpose(image))


def test_a_broken_exif_block_costs_only_what_it_would_have_told() -> None:
    exif = b"Exif\x00\x00II*\x00\x08\x00\x00\x00\xff\xff" + bytes(30)

    with opened(picture_bytes("JPEG", exif=exif), "image/jpeg") as picture:
        assert picture.dimensions() == ImageDimensions(width_pixels=64, height_pixels=48)


def test_a_camera_file_has_capture_data_and_no_size() -> None:
    content = picture_bytes("TIFF", exif=media.exif(Make="NIKON"))

    with opened(content, "image/x-nikon-nef") as picture:
        assert picture.dimensions() is None
        assert picture.capture(100) == ImageCapture(camera_make="NIKON")


def test_pillow_s_own_limit_is_left_as_it_was() -> None:
    before = Image.MAX_IMAGE_PIXELS

    with opened(picture_bytes("PNG"), "image/png") as picture:
        picture.hashes(ENOUGH)

    assert before == Image.MAX_IMAGE_PIXELS


def test_an_icon_that_hides_a_larger_picture_is_not_decoded() -> None:
    icon = bytearray(picture_bytes("ICO", media.picture(64, 64), sizes=[(64, 64)]))
    large = picture_bytes("PNG", Image.new("L", (3000, 3000)))
    content = bytes(icon[:14]) + len(large).to_bytes(4, "little") + bytes(icon[18:22]) + large

    with (
        opened(content, "image/vnd.microsoft.icon") as picture,
        pytest.raises(UnreadableFile, match="more than the limit"),
    ):
        picture.hashes(ENOUGH)


def test_only_formats_that_start_no_program_are_opened() -> None:
    names = {name for name, _ in PILLOW_PLUGINS.values()}

    assert not names & {"EPS", "WMF", "GRIB", "HDF5", "BUFR", "FITS", "MPEG", "PCD", "IPTC", "FPX", "MIC"}


def test_a_library_that_is_not_installed_is_named() -> None:
    code = (
        "import io, sys\n"
        "sys.modules['pillow_heif'] = None\n"
        "from dam.services.readers.image_reader import Picture\n"
        "Picture(io.BytesIO(), 'image/heic').hashes(100)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert "reading this format needs pillow-heif; install it with: pip install 'dam[image]'" in done.stderr


def test_what_another_format_calls_its_own_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(picture_bytes("GIF"))

    with path.open("rb") as file, Picture(file, "image/jpeg") as picture, pytest.raises(UnreadableFile, match="JPEG"):
        picture.dimensions()
