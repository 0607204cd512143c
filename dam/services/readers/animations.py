"""Counts the frames of animated pictures, and the seconds they are shown, without decoding any."""

import struct
from collections.abc import Callable, Iterator
from typing import BinaryIO

from dam.services.facts import FrameProperties
from dam.services.readers.iso_boxes import boxes_of, file_boxes_of
from dam.services.readers.problem import UnreadableFile

_MOST_BLOCKS = 5_000_000
_MOST_TABLE_ENTRIES = 1_000_000


def read_frames(file: BinaryIO, mime_type: str) -> FrameProperties | None:
    """Return how many frames an animation has, for how long it plays once, and the average rate.

    None for a picture of one frame or of a type that is not animated, or not read here (PNG: see ``png_chunks``).
    """
    read = _FORMATS.get(mime_type)
    if read is None:
        return None
    file.seek(0)
    return frame_properties(*read(file))


def frame_properties(count: int, seconds: float) -> FrameProperties | None:
    """Return the facts of an animation, None for a single frame.

    A duration of zero, which every viewer replaces by one of its own, is None.
    """
    if count < 2:
        return None
    rate = count / seconds if seconds > 0 else None
    return FrameProperties(
        frame_count=count, nominal_frame_rate=rate, animation_duration_seconds=seconds if seconds > 0 else None
    )


def _gif(file: BinaryIO) -> tuple[int, float]:
    """Walk the blocks (GIF89a specification, appendix B); a delay belongs to the image that follows it."""
    head = file.read(13)
    if len(head) < 13:
        raise UnreadableFile("the GIF has no header")
    _skip_colours(file, head[10])
    count = total = delay = 0
    for _ in range(_MOST_BLOCKS):
        introducer = file.read(1)
        if introducer == b"!":
            delay = _gif_extension(file, delay)
        elif introducer == b",":
            count, total, delay = count + 1, total + delay, 0
            _skip_gif_image(file)
        else:
            break
    return count, total / 100


def _gif_extension(file: BinaryIO, delay: int) -> int:
    if file.read(1) == b"\xf9":
        control = file.read(6)
        delay = int.from_bytes(control[2:4], "little")
        file.seek(-1, 1)
    _skip_sub_blocks(file)
    return delay


def _skip_gif_image(file: BinaryIO) -> None:
    descriptor = file.read(9)
    _skip_colours(file, descriptor[8] if len(descriptor) == 9 else 0)
    file.read(1)
    _skip_sub_blocks(file)


def _skip_colours(file: BinaryIO, flags: int) -> None:
    if flags & 0x80:
        file.seek(3 << (flags & 7) + 1, 1)


def _skip_sub_blocks(file: BinaryIO) -> None:
    for _ in range(_MOST_BLOCKS):
        length = file.read(1)
        if length in (b"", b"\x00"):
            return
        file.seek(length[0], 1)


def _webp(file: BinaryIO) -> tuple[int, float]:
    """Walk the RIFF chunks (RFC 9649): each ANMF holds a frame and its duration in milliseconds, 24 bits."""
    file.seek(12)
    count = milliseconds = 0
    for _ in range(_MOST_BLOCKS):
        head = file.read(8)
        if len(head) < 8:
            break
        length = int.from_bytes(head[4:], "little")
        length += length & 1
        if head[:4] == b"ANMF" and length >= 16:
            frame = file.read(16)
            count, milliseconds = count + 1, milliseconds + int.from_bytes(frame[12:15], "little")
            length -= 16
        file.seek(length, 1)
    return count, milliseconds / 1000


def _image_sequence(file: BinaryIO) -> tuple[int, float]:
    """Add up the sample times of the first picture track (ISO 14496-12, 8.6.1.2)."""
    for movie in file_boxes_of(file, b"moov"):
        for track in boxes_of(movie, b"trak"):
            for media in boxes_of(track, b"mdia"):
                if any(handler[8:12] == b"pict" for handler in boxes_of(media, b"hdlr")):
                    return _media_frames(media)
    return 0, 0.0


def _media_frames(media: bytes) -> tuple[int, float]:
    headers = list(boxes_of(media, b"mdhd"))
    if not headers or len(headers[0]) < 24:
        return 0, 0.0
    at = 20 if headers[0][0] == 1 else 12
    scale = int.from_bytes(headers[0][at : at + 4])
    count = ticks = 0
    for information in boxes_of(media, b"minf"):
        for table in boxes_of(information, b"stbl"):
            for times in boxes_of(table, b"stts"):
                for samples, each in _time_entries(times):
                    count, ticks = count + samples, ticks + samples * each
    return count, ticks / scale if scale else 0.0


def _time_entries(times: bytes) -> Iterator[tuple[int, int]]:
    entries = min(int.from_bytes(times[4:8]), (len(times) - 8) // 8, _MOST_TABLE_ENTRIES)
    return struct.iter_unpack(">II", times[8 : 8 + 8 * max(0, entries)])


_FORMATS: dict[str, Callable[[BinaryIO], tuple[int, float]]] = {
    "image/avif": _image_sequence,
    "image/gif": _gif,
    "image/heic-sequence": _image_sequence,
    "image/heif-sequence": _image_sequence,
    "image/webp": _webp,
}
