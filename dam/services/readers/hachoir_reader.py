"""Reads with Hachoir what nothing else here reads."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, BinaryIO

from hachoir.core import config
from hachoir.metadata import extractMetadata
from hachoir.parser import guessParser
from hachoir.stream import InputIOStream

from dam.services.facts import AudioProperties, Fact, FrameProperties, ImageDimensions
from dam.services.readers.catalogue import HACHOIR_TYPES
from dam.services.readers.plain_values import positive, whole_number
from dam.services.readers.problem import UnreadableFile

# Hachoir's words for the codecs of ASF, as FFmpeg calls them.
_CODECS = {
    "Windows Media Audio V7 / V8 / V9": "wmav2",
    "Windows Media Audio Professional V9": "wmapro",
    "Windows Media Audio Lossless V9": "wmalossless",
}
_TWIPS_IN_PIXEL = 20
_SAMPLE_RATES = range(1000, 1_000_000)


def read_with_hachoir(file: BinaryIO, mime_type: str) -> Iterator[Fact]:
    """Give size, frame rate and sound as far as Hachoir finds them; its dates (1904, 1970 when unset) stay out."""
    config.quiet = True
    file.seek(0)
    parser = guessParser(InputIOStream(file, tags=[("mime", HACHOIR_TYPES[mime_type])]))
    metadata = extractMetadata(parser, quality=0.5) if parser else None
    if metadata is None:
        raise UnreadableFile("damaged, or of an unknown kind")
    groups = list(_groups(metadata))
    yield from _size(groups, mime_type)
    yield from _frames(groups, mime_type)
    yield from _sound(groups)


def _groups(metadata: Any) -> Iterator[Any]:
    """Give the file's own facts, then those of each stream in it."""
    yield metadata
    if hasattr(metadata, "iterGroups"):
        yield from metadata.iterGroups()


def _value(groups: list[Any], key: str) -> Any:
    return next((group.get(key) for group in groups if group.has(key)), None)


def _size(groups: list[Any], mime_type: str) -> Iterator[Fact]:
    # Flash files are measured in twentieths of a pixel, which Hachoir takes for pixels.
    unit = _TWIPS_IN_PIXEL if mime_type == "application/x-shockwave-flash" else 1
    width, height = (_value(groups, side) for side in ("width", "height"))
    if isinstance(width, int) and isinstance(height, int):
        width, height = whole_number(round(width / unit)), whole_number(round(height / unit))
        if width and height:
            yield ImageDimensions(width_pixels=width, height_pixels=height)


def _frames(groups: list[Any], mime_type: str) -> Iterator[Fact]:
    if mime_type == "image/x-xcf" or _value(groups, "width") is None:
        return
    rate, seconds = _value(groups, "frame_rate"), _seconds(groups)
    if rate or seconds:
        yield FrameProperties(
            nominal_frame_rate=positive(float(rate)) if rate else None, animation_duration_seconds=seconds
        )


def _sound(groups: list[Any]) -> Iterator[Fact]:
    sound = next((group for group in groups if group.has("sample_rate")), None)
    if sound is None:
        return
    rate = round(sound.get("sample_rate"))
    yield AudioProperties(
        duration_seconds=_seconds(groups),
        codec_name=_CODECS.get(sound.get("compression") if sound.has("compression") else ""),
        sample_rate_hz=rate if rate in _SAMPLE_RATES else None,
        channels=whole_number(sound.get("nb_channel") if sound.has("nb_channel") else None),
        bit_rate_kbps=_kilobits(sound),
    )


def _seconds(groups: list[Any]) -> float | None:
    length = _value(groups, "duration")
    return positive(length.total_seconds()) if isinstance(length, timedelta) else None


def _kilobits(sound: Any) -> float | None:
    rate = sound.get("bit_rate") if sound.has("bit_rate") else None
    return positive(rate / 1000) if isinstance(rate, int | float) else None
