"""Says of a shot what its EXIF says, and nothing where EXIF is silent or talks nonsense."""

import math
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from numbers import Real

from dam.services.facts import ImageCapture
from dam.services.readers.plain_values import plain_text, whole_number

type Tags = Mapping[int, object]

# Tag numbers of EXIF 3.0 (CIPA DC-008), tables 3, 7 and 15.
_MAKE, _MODEL, _ORIENTATION = 0x010F, 0x0110, 0x0112
_EXPOSURE_TIME, _F_NUMBER, _SENSITIVITY, _FOCAL_LENGTH, _LENS_MODEL = 0x829A, 0x829D, 0x8827, 0x920A, 0xA434
_SENSITIVITIES = (0x8833, 0x8832, 0x8831)  # ISO speed, recommended exposure index, standard output sensitivity
_ORIGINAL, _ORIGINAL_OFFSET, _ORIGINAL_FRACTION = 0x9003, 0x9011, 0x9291
_LATITUDE_REF, _LATITUDE, _LONGITUDE_REF, _LONGITUDE, _ALTITUDE_REF, _ALTITUDE = range(1, 7)

_MOMENT = re.compile(r"(\d{4})[:/.-](\d\d)[:/.-](\d\d)[ T](\d\d):(\d\d):(\d\d)")
_OFFSET = re.compile(r"[+-](?:0\d|1[0-4]):[0-5]\d")
_UNSET_CLOCKS = (datetime(1904, 1, 1), datetime(1970, 1, 1))  # noqa: DTZ001 - local time, as EXIF means it
_FIRST_PHOTOGRAPH = 1826
_SENSITIVITY_TOO_LARGE_FOR_ITS_FIELD = 65535
_LARGEST_SENSITIVITY = 10_000_000
_DAY = 86400


def read_capture(main: Tags, exif: Tags, gps: Tags, longest: int) -> ImageCapture | None:
    """Read a shot from the tags of the three directories; None when they say nothing of it.

    ``longest`` bounds texts, in characters. Position 0, 0 exactly is what receivers without a fix write.
    """
    if not (main or exif or gps):
        return None
    latitude, longitude = _position(gps)
    capture = ImageCapture(
        taken_at=_moment(exif),
        camera_make=_text(main.get(_MAKE), longest),
        camera_model=_text(main.get(_MODEL), longest),
        lens_model=_text(exif.get(_LENS_MODEL), longest),
        iso=_sensitivity(exif),
        exposure_time_seconds=_number(exif.get(_EXPOSURE_TIME), 0, 10 * _DAY),
        f_number=_number(exif.get(_F_NUMBER), 0, 1000),
        focal_length_mm=_number(exif.get(_FOCAL_LENGTH), 0, 100_000),
        latitude=latitude,
        longitude=longitude,
        altitude_metres=_altitude(gps),
        orientation=read_orientation(main),
    )
    return capture if any(value is not None for value in capture) else None


def read_orientation(main: Tags) -> int | None:
    """Return how the picture must be turned to be seen, 1 to 8 as EXIF counts; None when it does not say."""
    value = main.get(_ORIENTATION)
    return value if isinstance(value, int) and 1 <= value <= 8 else None


def _text(value: object, longest: int) -> str | None:
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if not isinstance(value, str):
        return None
    # ASCII is what EXIF asks for and UTF-8 what phones write; Pillow takes it for Latin-1.
    with suppress(UnicodeError):
        value = value.encode("latin-1").decode("utf-8")
    return plain_text(value.partition("\x00")[0], longest)


def _moment(exif: Tags) -> str | None:
    found = _MOMENT.fullmatch((_text(exif.get(_ORIGINAL), 40) or "")[:19])
    if not found:
        return None
    try:
        moment = datetime(*(int(part) for part in found.groups()))  # type: ignore[arg-type]  # noqa: DTZ001 - six numbers; local time
    except ValueError:
        return None
    if moment in _UNSET_CLOCKS or moment.year < _FIRST_PHOTOGRAPH:
        return None
    fraction = re.fullmatch(r"\d{1,9}", _text(exif.get(_ORIGINAL_FRACTION), 20) or "")
    offset = _OFFSET.fullmatch(_text(exif.get(_ORIGINAL_OFFSET), 20) or "")
    return f"{moment.isoformat()}{'.' + fraction[0] if fraction else ''}{offset[0] if offset else ''}"


def _sensitivity(exif: Tags) -> int | None:
    value = _first(exif.get(_SENSITIVITY))
    if value == _SENSITIVITY_TOO_LARGE_FOR_ITS_FIELD:
        value = next((_first(exif[tag]) for tag in _SENSITIVITIES if tag in exif), None)
    number = whole_number(value)
    return number if number is not None and number <= _LARGEST_SENSITIVITY else None


def _first(value: object) -> object:
    return value[0] if isinstance(value, tuple) and value else value


def _number(value: object, above: float, most: float) -> float | None:
    number = _float(value)
    return number if number is not None and above < number <= most else None


def _float(value: object) -> float | None:
    if not isinstance(value, Real):
        return None
    try:
        number = float(value)
    except (ZeroDivisionError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _position(gps: Tags) -> tuple[float | None, float | None]:
    latitude = _degrees(gps.get(_LATITUDE), gps.get(_LATITUDE_REF), "NS", 90)
    longitude = _degrees(gps.get(_LONGITUDE), gps.get(_LONGITUDE_REF), "EW", 180)
    if latitude is None or longitude is None or (latitude == 0 and longitude == 0):
        return None, None
    return latitude, longitude


def _degrees(value: object, reference: object, signs: str, most: int) -> float | None:
    direction = (_text(reference, 8) or "").upper()
    if direction not in signs or len(direction) != 1 or not isinstance(value, tuple) or len(value) != 3:
        return None
    degrees, minutes, seconds = (_float(part) for part in value)
    if degrees is None or minutes is None or seconds is None or min(degrees, minutes, seconds) < 0:
        return None
    total = degrees + minutes / 60 + seconds / 3600
    if minutes > 60 or seconds > 60 or total > most:
        return None
    return total if direction == signs[0] else -total


def _altitude(gps: Tags) -> float | None:
    metres = _float(gps.get(_ALTITUDE))
    if metres is None or not 0 <= metres <= 100_000:
        return None
    reference = gps.get(_ALTITUDE_REF, 0)
    below = reference in (1, b"\x01", "\x01", 3, b"\x03")
    known = below or reference in (0, b"\x00", "\x00", b"", 2, b"\x02")
    return (-metres if below else metres) if known else None
