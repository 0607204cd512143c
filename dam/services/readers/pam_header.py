"""Reads the header of a portable arbitrary map (PAM), Netpbm's format for any number of channels."""

from dataclasses import dataclass
from typing import BinaryIO

from dam.services.readers.problem import UnreadableFile

_LONGEST_HEADER_BYTES = 64 << 10
_MOST_DIGITS = 9
_LARGEST_SAMPLE = 65535


@dataclass(frozen=True, slots=True)
class PamHeader:
    """What a header says, as ``man pam`` words it; ``size_bytes`` is its own length, and the samples follow it."""

    width: int
    height: int
    depth: int
    maxval: int
    tuple_type: str
    size_bytes: int


def read_header(file: BinaryIO) -> PamHeader:
    """Read the header at the start of a file. Raises UnreadableFile for one that is cut off or makes no sense."""
    file.seek(0)
    head = file.read(_LONGEST_HEADER_BYTES)
    lines, end, _ = head.partition(b"\nENDHDR\n")
    if not end:
        raise UnreadableFile("the header of the picture has no end")
    fields = _fields(lines)
    header = PamHeader(
        width=_number(fields, b"WIDTH"),
        height=_number(fields, b"HEIGHT"),
        depth=_number(fields, b"DEPTH"),
        maxval=_number(fields, b"MAXVAL"),
        tuple_type=fields.get(b"TUPLTYPE", b"").decode("ascii", "replace"),
        size_bytes=len(lines) + len(end),
    )
    if header.maxval > _LARGEST_SAMPLE:
        raise UnreadableFile(f"a largest sample of {header.maxval} is more than the format knows")
    return header


def _fields(lines: bytes) -> dict[bytes, bytes]:
    """Return what the lines after the first say; a kind of tuple may be told on several."""
    fields: dict[bytes, bytes] = {}
    for line in lines.split(b"\n")[1:]:
        name, *value = line.strip().split(None, 1) or [b"#"]
        if name == b"TUPLTYPE" and name in fields:
            fields[name] = b" ".join([fields[name], *value])
        elif not name.startswith(b"#"):
            fields[name] = b"".join(value)
    return fields


def _number(fields: dict[bytes, bytes], name: bytes) -> int:
    digits = fields.get(name, b"")
    if not digits.isdigit() or len(digits) > _MOST_DIGITS or int(digits) == 0:
        raise UnreadableFile(f"the header of the picture does not state its {name.decode()}")
    return int(digits)
