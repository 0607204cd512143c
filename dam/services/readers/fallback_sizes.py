"""Reads the size of TIFF, HEIF and AVIF files that their decoders refuse to open, from the header alone."""

import struct
from collections.abc import Callable, Iterator
from typing import BinaryIO

from dam.services.readers.iso_boxes import boxes, boxes_of, file_boxes_of
from dam.services.readers.problem import UnreadableFile

_MOST_TAGS = 4096
_WIDTH, _LENGTH, _ORIENTATION = 256, 257, 274


def read_size(file: BinaryIO, mime_type: str) -> tuple[int, int]:
    """Return width and height as displayed; raise ``UnreadableFile`` when the header does not say, or is unknown."""
    read = _FORMATS.get(mime_type)
    size = read(file) if read else None
    if size is None:
        raise UnreadableFile("the file does not say how large the picture is")
    return size


def _tiff(file: BinaryIO) -> tuple[int, int] | None:
    """Read the first directory of a TIFF (Adobe, TIFF 6.0, section 2) or BigTIFF."""
    file.seek(0)
    head = file.read(16)
    order = "<" if head.startswith(b"II") else ">"
    big = len(head) == 16 and struct.unpack_from(order + "H", head, 2)[0] == 43
    if len(head) < 8 or (big and len(head) < 16):
        return None
    file.seek(struct.unpack_from(order + ("Q" if big else "I"), head, 8 if big else 4)[0])
    count = file.read(8 if big else 2)
    if len(count) < (8 if big else 2):
        return None
    entries = min(struct.unpack(order + ("Q" if big else "H"), count)[0], _MOST_TAGS)
    tags = dict(_tiff_numbers(file.read(entries * (20 if big else 12)), order, 20 if big else 12))
    width, height = tags.get(_WIDTH), tags.get(_LENGTH)
    if width is None or height is None:
        return None
    return (height, width) if 5 <= tags.get(_ORIENTATION, 1) <= 8 else (width, height)


def _tiff_numbers(directory: bytes, order: str, step: int) -> Iterator[tuple[int, int]]:
    for at in range(0, len(directory) - step + 1, step):
        tag, kind = struct.unpack_from(order + "HH", directory, at)
        if kind in (3, 4):
            yield (
                tag,
                struct.unpack_from(
                    order + ("H" if kind == 3 else "I"), directory, at + step - (8 if step == 20 else 4)
                )[0],
            )


def _item(file: BinaryIO) -> tuple[int, int] | None:
    """Read extent and rotation of the primary item of an image file (ISO 23008-12, 6.5)."""
    meta = next(file_boxes_of(file, b"meta"), b"")[4:]
    primary = next((int.from_bytes(box[4:6]) for box in boxes_of(meta, b"pitm")), None)
    for properties in boxes_of(meta, b"iprp"):
        stated = [(kind, box) for container in boxes_of(properties, b"ipco") for kind, box in boxes(container)]
        for association in boxes_of(properties, b"ipma"):
            own = [stated[index] for index in _associated(association, primary) if index < len(stated)]
            size = next(((int.from_bytes(b[4:8]), int.from_bytes(b[8:12])) for kind, b in own if kind == b"ispe"), None)
            if size is not None:
                sideways = any(kind == b"irot" and box[:1] and box[0] & 1 for kind, box in own)
                return (size[1], size[0]) if sideways else size
    return None


def _associated(association: bytes, item: int | None) -> list[int]:
    """Return the places of an item's properties, counted from 0 (ISO 23008-12, 9.3.2)."""
    wide_items, wide_places = association[:1] > b"\x00", association[3:4] > b"\x00"
    at = 8
    for _ in range(min(int.from_bytes(association[4:8]), len(association))):
        size = 4 if wide_items else 2
        found = int.from_bytes(association[at : at + size])
        count = association[at + size] if at + size < len(association) else 0
        at += size + 1
        step = 2 if wide_places else 1
        places = [int.from_bytes(association[at + step * n : at + step * (n + 1)]) for n in range(count)]
        if found == item:
            return [(place & (0x7FFF if wide_places else 0x7F)) - 1 for place in places if place & 0x7F]
        at += step * count
    return []


_FORMATS: dict[str, Callable[[BinaryIO], tuple[int, int] | None]] = {
    "image/avif": _item,
    "image/heic": _item,
    "image/heif": _item,
    "image/tiff": _tiff,
}
