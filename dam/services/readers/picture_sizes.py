"""Reads the sizes of pictures from their first bytes, for formats whose decoders are absent or too eager."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from dam.services.facts import ImageDimensions
from dam.services.readers.iso_boxes import file_boxes_of
from dam.services.readers.pam_header import read_header
from dam.services.readers.problem import UnreadableFile
from dam.services.text_types import decode

_HEAD_BYTES = 1 << 20
_LARGEST_SIDE = 1e9
_JXL_HEADER_BYTES = 64
_MOST_SVG_ROOTS_BYTES = 1 << 12
_SVG_NO_ELEMENTS = re.compile(r"<!--.*?(?:-->|\Z)|<!ENTITY[^>]*(?:>|\Z)", re.DOTALL)
_SVG_ROOT = re.compile(
    r"<(?:[A-Za-z_][\w.-]*:)?svg((?:\s+[\w:.-]+\s*=\s*(?:\"[^\"]*\"|'[^']*'))*)\s*/?>", re.IGNORECASE
)
_SVG_ATTRIBUTE = re.compile(r"\s([\w:.-]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
_LENGTH = re.compile(r"\s*\+?(\d*\.?\d+(?:[eE][+-]?\d+)?|\d+\.)\s*(px|pt|pc|mm|cm|in|em|ex|Q)?\s*", re.IGNORECASE)
# CSS Values 4, 6.2: pixels in a unit; an em is taken as 16 pixels, which is what browsers start from.
_UNITS = {"": 1, "px": 1, "pt": 96 / 72, "pc": 16, "mm": 96 / 25.4, "cm": 96 / 2.54, "in": 96, "em": 16, "ex": 8}
_UNITS |= {"q": 96 / 101.6}
_JXL_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}


def read_size(file: BinaryIO, mime_type: str) -> ImageDimensions | None:
    """Return the size as displayed, None for a drawing (SVG) that fits any; raise ``UnreadableFile`` for damage."""
    size = _FORMATS[mime_type](file)
    return None if size is None else ImageDimensions(width_pixels=size[0], height_pixels=size[1])


def can_read(mime_type: str) -> bool:
    """Tell whether there is a way here to read this type."""
    return mime_type in _FORMATS


def read_jxl_exif(file: BinaryIO) -> bytes:
    """Return the EXIF block of a JPEG XL container, empty when there is none."""
    block = next(file_boxes_of(file, b"Exif", _HEAD_BYTES), b"")
    return block[4 + int.from_bytes(block[:4]) :]


def _ktx(file: BinaryIO) -> tuple[int, int]:
    # Khronos: KTX 1, table in section 2; KTX 2, section 3. One-dimensional textures have height 0.
    head = file.read(44)
    if head.startswith(b"\xabKTX 20"):
        order, fields = "little", head[20:28]
    else:
        order, fields = "little" if head[12:16] == b"\x01\x02\x03\x04" else "big", head[36:44]
    if len(fields) < 8:
        raise UnreadableFile("the KTX header is cut off")
    return int.from_bytes(fields[:4], order), max(1, int.from_bytes(fields[4:], order))  # type: ignore[arg-type]  # "little" or "big"


def _portable_arbitrary_map(file: BinaryIO) -> tuple[int, int]:
    header = read_header(file)
    return header.width, header.height


def _portable_float_map(file: BinaryIO) -> tuple[int, int]:
    found = re.match(rb"P[Ff]\s+(\d{1,9})\s+(\d{1,9})\s", file.read(4096))
    if not found:
        raise UnreadableFile("the header does not say how large the picture is")
    return int(found[1]), int(found[2])


def _svg(file: BinaryIO) -> tuple[int, int] | None:
    root = _svg_root(file)
    if not root:
        raise UnreadableFile("the SVG has no well-formed root element")
    attributes = {name.lower(): first or second for name, first, second in _SVG_ATTRIBUTE.findall(root[1])}
    width, height = _pixels(attributes.get("width")), _pixels(attributes.get("height"))
    box = _view_box(attributes.get("viewbox", ""))
    if box is not None:
        width, height = _fitted(width, height, box)
    if width is None or height is None or not 0.5 < min(width, height) <= max(width, height) < _LARGEST_SIDE:
        return None
    return round(width), round(height)


def _svg_root(file: BinaryIO) -> re.Match[str] | None:
    """Return the first tag of a drawing, which stands near the beginning unless long comments do."""
    for size in (_MOST_SVG_ROOTS_BYTES, _HEAD_BYTES):
        file.seek(0)
        text = decode(file.read(size), whole=False) or ""
        root = _SVG_ROOT.search(_SVG_NO_ELEMENTS.sub("", text))
        if root:
            return root
    return None


def _fitted(width: float | None, height: float | None, box: tuple[float, float]) -> tuple[float, float]:
    if width is None:
        width = box[0] if height is None else height * box[0] / box[1]
    return width, width * box[1] / box[0] if height is None else height


def _pixels(length: str | None) -> float | None:
    found = _LENGTH.fullmatch(length or "")
    return float(found[1]) * _UNITS[(found[2] or "").lower()] if found else None


def _view_box(text: str) -> tuple[float, float] | None:
    parts = re.split(r"[\s,]+", text.strip())
    if len(parts) != 4:
        return None
    try:
        width, height = float(parts[2]), float(parts[3])
    except ValueError:
        return None
    return (width, height) if 0 < min(width, height) <= max(width, height) < _LARGEST_SIDE else None


@dataclass(slots=True)
class _Bits:
    """Bits of a JPEG XL codestream, the least significant of each byte first (ISO 18181-1, 9.1)."""

    data: bytes
    at: int = 0

    def take(self, count: int) -> int:
        if self.at + count > 8 * len(self.data):
            raise UnreadableFile("the JPEG XL header is cut off")
        value = int.from_bytes(self.data, "little") >> self.at & (1 << count) - 1
        self.at += count
        return value


def _jxl(file: BinaryIO) -> tuple[int, int]:
    """Read SizeHeader and the orientation of ImageMetadata (ISO 18181-1, annex D)."""
    head = _jxl_codestream(file)
    if not head.startswith(b"\xff\x0a"):
        raise UnreadableFile("the JPEG XL file has no codestream")
    bits = _Bits(head[2:])
    small = bits.take(1)
    height = _jxl_side(bits, small=bool(small))
    ratio = bits.take(3)
    width = height * _JXL_RATIOS[ratio][0] // _JXL_RATIOS[ratio][1] if ratio else _jxl_side(bits, small=bool(small))
    everything_default = bits.take(1)
    orientation = 1 if everything_default or not bits.take(1) else 1 + bits.take(3)
    return (height, width) if orientation >= 5 else (width, height)


def _jxl_side(bits: _Bits, *, small: bool) -> int:
    if small:
        return (bits.take(5) + 1) * 8
    return bits.take((9, 13, 18, 30)[bits.take(2)]) + 1


def _jxl_codestream(file: BinaryIO) -> bytes:
    file.seek(0)
    head = file.read(_JXL_HEADER_BYTES)
    if head.startswith(b"\xff\x0a"):
        return head
    whole = next(file_boxes_of(file, b"jxlc", _JXL_HEADER_BYTES), None)
    return next(file_boxes_of(file, b"jxlp", _JXL_HEADER_BYTES), b"")[4:] if whole is None else whole


_FORMATS: dict[str, Callable[[BinaryIO], tuple[int, int] | None]] = {
    "image/jxl": _jxl,
    "image/ktx": _ktx,
    "image/ktx2": _ktx,
    "image/svg+xml": _svg,
    "image/x-portable-arbitrarymap": _portable_arbitrary_map,
    "image/x-portable-floatmap": _portable_float_map,
}
