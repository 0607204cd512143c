"""Reads the chunks of a PNG without decompressing any."""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from dam.services.readers.problem import UnreadableFile

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MOST_CHUNKS = 1_000_000
_APPLE_MARK = b"CgBI"  # before the header of a PNG packed for iPhones
_LONGEST_METADATA = 1 << 20
_ORIENTATION = re.compile(rb"tiff:Orientation(?:=\"|>)([1-8])")


@dataclass(frozen=True, slots=True, kw_only=True)
class PngHeader:
    """What a PNG's chunks say: pixels as stored, EXIF, and the seconds that each frame of an animation is shown."""

    width: int
    height: int
    exif: bytes = b""
    xmp_orientation: int = 1
    frame_seconds: tuple[float, ...] = ()


def read_header(file: BinaryIO) -> PngHeader:
    """Walk the chunks (PNG 3rd edition, 5.3) to the end of the file; raise ``UnreadableFile`` when it has no header."""
    chunks = _chunks(file)
    _, kind, length = next(chunks, (0, b"", 0))
    if kind == _APPLE_MARK:
        _, kind, length = next(chunks, (0, b"", 0))
    header = file.read(8)
    if kind != b"IHDR" or length != 13 or len(header) < 8:
        raise UnreadableFile("the PNG has no header")
    found: dict[bytes, bytes] = {}
    seconds = []
    for _, kind, length in chunks:
        if kind == b"fcTL" and length == 26:
            seconds.append(_frame_seconds(file.read(26)))
        elif kind in (b"eXIf", b"acTL", b"iTXt") and length <= _LONGEST_METADATA:
            found[kind] = file.read(length)
    return PngHeader(
        width=int.from_bytes(header[:4]),
        height=int.from_bytes(header[4:]),
        exif=found.get(b"eXIf", b""),
        xmp_orientation=_orientation(found.get(b"iTXt", b"")),
        frame_seconds=tuple(seconds) if b"acTL" in found else (),
    )


def without_compressed_metadata(file: BinaryIO) -> BinaryIO:
    """Return the file without its compressed texts and colour profile, which a decoder would unpack.

    The file itself when it has none. Pixels don't depend on them.
    """
    kept, dropped, end = [(0, len(SIGNATURE))], False, len(SIGNATURE)
    for start, kind, length in _chunks(file):
        end = start + length + 12
        if kind in (b"iCCP", b"zTXt") or (kind == b"iTXt" and _is_compressed(file.read(min(length, 82)))):
            dropped = True
        else:
            kept.append((start, end))
    file.seek(0)
    if not dropped:
        return file
    data = file.read()
    return io.BytesIO(b"".join(data[start:stop] for start, stop in _joined([*kept, (end, len(data))])))


def _chunks(file: BinaryIO) -> Iterator[tuple[int, bytes, int]]:
    """Give each chunk's offset, kind and length, with the file standing at its data."""
    start = len(SIGNATURE)
    for _ in range(MOST_CHUNKS):
        file.seek(start)
        head = file.read(8)
        if len(head) < 8:
            return
        length = int.from_bytes(head[:4])
        yield start, head[4:], length
        if head[4:] == b"IEND":
            return
        start += length + 12


def _joined(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    joined = [spans[0]]
    for start, end in spans[1:]:
        if start == joined[-1][1]:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined


def _frame_seconds(control: bytes) -> float:
    numerator, denominator = int.from_bytes(control[20:22]), int.from_bytes(control[22:24])
    return numerator / (denominator or 100)


def _orientation(international_text: bytes) -> int:
    found = _ORIENTATION.search(international_text)
    return int(found[1]) if found and international_text.startswith(b"XML:com.adobe.xmp\x00\x00") else 1


def _is_compressed(international_text: bytes) -> bool:
    _keyword, end, flags = international_text.partition(b"\x00")
    return bool(end) and flags[:1] == b"\x01"
