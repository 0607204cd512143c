import io
import math

import pytest
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from dam.services.facts import ImageCapture
from dam.services.readers.capture import read_capture, read_orientation
from tests import media

MAKE, ORIENTATION = 0x010F, 0x0112
EXPOSURE, F_NUMBER, ISO, FOCAL_LENGTH = 0x829A, 0x829D, 0x8827, 0x920A
TAKEN, OFFSET, FRACTION = 0x9003, 0x9011, 0x9291
PLACE: dict[int, object] = {1: "N", 2: (52.0, 30.0, 36.0), 3: "W", 4: (1.0, 15.0, 0.0)}


def capture(
    main: dict[int, object] | None = None, exif: dict[int, object] | None = None, gps: dict[int, object] | None = None
) -> ImageCapture | None:
    return read_capture(main or {}, exif or {}, gps or {}, 100)


def test_a_camera_s_exif_is_read_whole() -> None:
    exif = media.exif(
        Make="Maker", Model="Model", Orientation=6, DateTimeOriginal="2024:02:29 23:59:58", OffsetTimeOriginal="+05:30",
        SubsecTimeOriginal="12", ISOSpeedRatings=200, ExposureTime=IFDRational(1, 250), FNumber=2.8, FocalLength=35.0,
        LensModel="Lens", gps={**PLACE, 5: b"\x01", 6: IFDRational(101, 2)},
    )  # fmt: skip
    with Image.open(io.BytesIO(media.picture_bytes("JPEG", exif=exif))) as image:
        block = image.getexif()
        found = read_capture(dict(block), block.get_ifd(0x8769), block.get_ifd(0x8825), 100)

    assert found == ImageCapture(
        taken_at="2024-02-29T23:59:58.12+05:30", camera_make="Maker", camera_model="Model", lens_model="Lens", iso=200,
        exposure_time_seconds=0.004, f_number=2.8, focal_length_mm=35.0, latitude=52.51, longitude=-1.25,
        altitude_metres=-50.5, orientation=6,
    )  # fmt: skip


def test_no_tags_are_no_capture() -> None:
    assert capture() is None


@pytest.mark.parametrize(
    "written",
    ["0000:00:00 00:00:00", "    :  :     :  :  ", "1904:01:01 00:00:00", "1970:01:01 00:00:00", "2023:02:29 10:00:00",
     "2023:01:01 24:00:00", "1700:01:01 10:00:00", "yesterday", "", b"\x00" * 20, 20230101, None],
)  # fmt: skip
def test_unset_and_impossible_dates_are_absent(written: object) -> None:
    assert capture(exif={TAKEN: written}) is None


@pytest.mark.parametrize("offset", ["+25:00", "5", "   :  ", "Z", ""])
def test_an_offset_that_is_none_leaves_local_time(offset: str) -> None:
    assert capture(exif={TAKEN: "2023:01:02 03:04:05", OFFSET: offset}) == ImageCapture(taken_at="2023-01-02T03:04:05")


@pytest.mark.parametrize(
    ("tag", "values"),
    [
        (EXPOSURE, [IFDRational(1, 0), IFDRational(0, 0), 0, -1, math.inf, 1e9]),
        (F_NUMBER, [IFDRational(0, 1), IFDRational(5, 0), math.nan, "wide"]),
        (FOCAL_LENGTH, [IFDRational(0, 0), 0.0, b"35"]),
        (ISO, [0, -100, 2**31, (0, 0), "auto", 65535]),
    ],
)
def test_numbers_that_mean_nothing_are_absent(tag: int, values: list[object]) -> None:
    assert [capture(exif={tag: value}) for value in values] == [None] * len(values)


def test_a_sensitivity_too_large_for_its_field_stands_in_another() -> None:
    assert capture(exif={ISO: 65535, 0x8832: 102400}) == ImageCapture(iso=102400)


def test_the_first_of_several_sensitivities_counts() -> None:
    assert capture(exif={ISO: (400, 0)}) == ImageCapture(iso=400)


@pytest.mark.parametrize(
    "change",
    [
        {1: "\x00"}, {1: ""}, {1: "NS"}, {1: None}, {3: "N"}, {2: (91.0, 0.0, 0.0)}, {4: (180.0, 0.0, 1.0)},
        {2: (52.0, 61.0, 0.0)}, {2: (IFDRational(0, 0), 0.0, 0.0)}, {2: (52.0, 30.0)}, {2: 52.5}, {2: (-1.0, 0.0, 0.0)},
        {2: (0.0, 0.0, 0.0), 4: (0.0, 0.0, 0.0)},
    ],
)  # fmt: skip
def test_a_place_that_can_t_be_is_absent(change: dict[int, object]) -> None:
    assert capture(gps={**PLACE, **change}) is None


def test_the_southern_and_eastern_halves_have_their_signs() -> None:
    found = capture(gps={**PLACE, 1: "S\x00", 3: b"E"})

    assert found == ImageCapture(latitude=-52.51, longitude=1.25)


@pytest.mark.parametrize("altitude", [IFDRational(1, 0), -5.0, 1e6, None])
def test_an_altitude_that_can_t_be_is_absent(altitude: object) -> None:
    assert capture(gps={6: altitude}) is None


def test_texts_are_read_as_the_utf_8_they_are() -> None:
    latin = "Ünïcode ™".encode().decode("latin-1")

    assert capture({MAKE: latin + "\x00\x00junk"}) == ImageCapture(camera_make="Ünïcode ™")
    assert capture({MAKE: "Caf\xe9"}) == ImageCapture(camera_make="Café")
    assert capture({MAKE: "   \x00"}) is None


@pytest.mark.parametrize(("value", "orientation"), [(1, 1), (8, 8), (0, None), (9, None), ("6", None), (None, None)])
def test_orientations_are_one_to_eight(value: object, orientation: int | None) -> None:
    assert read_orientation({ORIENTATION: value}) == orientation
