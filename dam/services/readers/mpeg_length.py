"""Tells whether an MPEG audio file states its own length, in the frame that encoders put before the sound."""

import re
from typing import BinaryIO

_TAG = re.compile(rb"Xing|Info|VBRI")
_LONGEST_FIRST_FRAME = 2048
_MOST_TAGS = 4


def is_stated(file: BinaryIO, size: int) -> bool:
    """Return whether there is a Xing, Info or VBRI header with a number of frames that fits the file's ``size``.

    A file cut short still states its old length, so the bytes it claims (a field of the header) must be there.
    """
    start = _skip_id3(file)
    file.seek(start)
    frame = file.read(_LONGEST_FIRST_FRAME)
    found = _TAG.search(frame)
    if not found:
        return False
    header = frame[found.start() :]
    if found[0] == b"VBRI":
        frames, claimed = int.from_bytes(header[14:18]), int.from_bytes(header[10:14])
    else:
        flags = int.from_bytes(header[4:8])
        frames = int.from_bytes(header[8:12]) if flags & 1 else 0
        claimed = int.from_bytes(header[12:16]) if flags & 2 else 0
    return frames > 0 and claimed <= size - start + _LONGEST_FIRST_FRAME


def _skip_id3(file: BinaryIO) -> int:
    """Return where the sound begins, behind the ID3v2 tags (section 3.1 of its specification)."""
    start = 0
    for _ in range(_MOST_TAGS):
        file.seek(start)
        head = file.read(10)
        if len(head) < 10 or not head.startswith(b"ID3"):
            break
        length = sum(byte << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
        start += 10 + length
    return start
