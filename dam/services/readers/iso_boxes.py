"""Walks the boxes of ISO media files (ISO 14496-12, 4.2): HEIF, AVIF, JPEG XL."""

from collections.abc import Iterator
from typing import BinaryIO

_MOST_BOXES = 10_000
_LONGEST_BOX = 16 << 20


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Give kind and content of the boxes that stand in the data one after another."""
    start = 0
    while start + 8 <= len(data):
        length = int.from_bytes(data[start : start + 4])
        if length < 8:
            return
        yield data[start + 4 : start + 8], data[start + 8 : start + length]
        start += length


def boxes_of(data: bytes, kind: bytes) -> Iterator[bytes]:
    """Give the content of the boxes of one kind."""
    return (content for found, content in boxes(data) if found == kind)


def file_boxes_of(file: BinaryIO, kind: bytes, longest: int = _LONGEST_BOX) -> Iterator[bytes]:
    """Give the content, up to a number of bytes, of the file's own boxes of one kind; the others are skipped unread."""
    start = 0
    for _ in range(_MOST_BOXES):
        file.seek(start)
        head = file.read(8)
        length, skip = int.from_bytes(head[:4]), 8
        if length == 1:
            length, skip = int.from_bytes(file.read(8)), 16
        if len(head) < 8 or 0 < length < skip:
            return
        if head[4:] == kind:
            yield file.read(min(length - skip, longest) if length else longest)
        if length == 0:
            return
        start += length
