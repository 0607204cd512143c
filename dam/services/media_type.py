"""A file's type, told by its content."""

import re

from dam.services.container_types import by_structure
from dam.services.signatures import by_signature
from dam.services.text_types import suffix_of, text_type

HEAD_BYTES = 65536
EMPTY = "inode/x-empty"

_LAYER_3_RATES = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_LAYER_2_RATES = (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384)
_LAYER_1_RATES = tuple(32 * step for step in range(15))
_LOW_LAYER_1_RATES = (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256)
_LOW_RATES = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_SAMPLE_RATES = (44100, 48000, 32000)
_TARGA_SUFFIXES = (".tga", ".vda", ".icb", ".vst")
_TARGA_FOOTER = b"TRUEVISION-XFILE."


def media_type(head: bytes, name: str, *, size: int) -> str | None:
    """Return the MIME type that a knowledgeable person would give the file, None when nothing tells it.

    ``head`` is the first 64 KiB of the file, or all of it when it is shorter; ``size`` is its length in bytes. The
    name decides only among types that the content can't tell apart. No bytes make this raise.
    """
    if size == 0 or not head:
        return EMPTY
    whole = size <= len(head)
    return (
        _tagged_sound(head)
        or by_structure(head, name)
        or by_signature(head)
        or text_type(head, name, whole=whole)
        or _transport_stream(head)
        or _sound_frames(head.lstrip(b"\x00"))
        or _old_tar(head)
        or _targa(head, name, whole=whole)
    )


def _tagged_sound(head: bytes) -> str | None:
    """Look behind an ID3 tag, which may stand before other formats than MPEG audio."""
    if not head.startswith(b"ID3") or len(head) < 10:
        return None
    length = sum(byte << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
    rest = head[10 + length :].lstrip(b"\x00")
    known = by_signature(rest) if rest else None
    if known is not None and known.startswith("audio/"):
        return known
    return _sound_frames(rest) or "audio/mpeg"


def _sound_frames(head: bytes) -> str | None:
    """Tell MPEG audio and ADTS by two frames in a row; one is enough where the file ends in it."""
    for length_of, mime_type in ((_mpeg_frame_length, "audio/mpeg"), (_adts_frame_length, "audio/aac")):
        length = length_of(head)
        if length and (len(head) <= length or length_of(head[length : length + 10])):
            return mime_type
    return None


def _mpeg_frame_length(frame: bytes) -> int:
    """Return the length in bytes of an MPEG audio frame (ISO 11172-3, 13818-3), 0 for what is none."""
    if len(frame) < 4 or frame[0] != 0xFF or frame[1] & 0xE0 != 0xE0:
        return 0
    version, layer = frame[1] >> 3 & 3, 4 - (frame[1] >> 1 & 3)
    rate, sampling = frame[2] >> 4, frame[2] >> 2 & 3
    if version == 1 or layer == 4 or rate in (0, 15) or sampling == 3:
        return 0
    low = version != 3
    kilobits = _bit_rates(layer, low=low)[rate]
    sample_rate = _SAMPLE_RATES[sampling] >> {3: 0, 2: 1, 0: 2}[version]
    padding = frame[2] >> 1 & 1
    if layer == 1:
        return (12000 * kilobits // sample_rate + padding) * 4
    return (72000 if low and layer == 3 else 144000) * kilobits // sample_rate + padding


def _bit_rates(layer: int, *, low: bool) -> tuple[int, ...]:
    if layer == 1:
        return _LOW_LAYER_1_RATES if low else _LAYER_1_RATES
    if low:
        return _LOW_RATES
    return _LAYER_2_RATES if layer == 2 else _LAYER_3_RATES


def _adts_frame_length(frame: bytes) -> int:
    """Return the length in bytes of an ADTS frame (ISO 13818-7), 0 for what is none."""
    if len(frame) < 7 or frame[0] != 0xFF or frame[1] & 0xF6 != 0xF0 or frame[2] >> 2 & 15 > 12:
        return 0
    length = (frame[3] & 3) << 11 | frame[4] << 3 | frame[5] >> 5
    return length if length > 7 else 0


def _transport_stream(head: bytes) -> str | None:
    """Tell an MPEG transport stream by the sync byte of every packet: 188 bytes, or 192 with a time stamp."""
    for start, step in ((0, 188), (4, 192)):
        syncs = head[start : start + 8 * step : step]
        if len(syncs) >= 3 and syncs == b"\x47" * len(syncs):
            return "video/mp2t"
    return None


def _old_tar(head: bytes) -> str | None:
    """Tell a tar file older than the ustar mark by its header's checksum."""
    if len(head) < 512 or not re.fullmatch(rb"[ 0]*[0-7]+[ \x00]*", head[148:156]):
        return None
    stated = int(head[148:156].strip(b" \x00"), 8)
    return "application/x-tar" if stated == sum(head[:148]) + 8 * 32 + sum(head[156:512]) else None


def _targa(head: bytes, name: str, *, whole: bool) -> str | None:
    """Tell a TGA by its footer, or, as its header has no mark, by a header that fits and the name."""
    if whole and _TARGA_FOOTER in head[-26:]:
        return "image/x-tga"
    if len(head) < 18 or suffix_of(name) not in _TARGA_SUFFIXES:
        return None
    return "image/x-tga" if head[1] in (0, 1) and head[2] in (0, 1, 2, 3, 9, 10, 11) else None
