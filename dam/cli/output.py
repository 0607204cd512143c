"""The only place that writes to the terminal: results to stdout, everything else to stderr."""

import io
import json
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO


class OutputLost(Exception):
    """What we write as results reaches nobody: the disk is full, or the reader is gone, as with ``| head -1``."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(cause)
        self.cause = cause


def show(text: str = "") -> None:
    """Write a line of a result. What came from outside must have gone through ``visible``."""
    _write(sys.stdout, text)


def show_json(document: Any) -> None:
    """Write one JSON document on a line of its own, in ASCII; a byte that is no text is a lone surrogate."""
    _write(sys.stdout, json.dumps(document))


def note(text: str) -> None:
    """Write a line that is no result: a remark, a skipped file, an error."""
    _write(sys.stderr, text)


def visible(text: str) -> str:
    r"""Return a text from outside so that it does nothing to a terminal and stays on one line.

    Control characters, bidirectional controls and everything else that has no shape of its own appear as ``\xNN``,
    ``\uNNNN`` or ``\UNNNNNNNN``; a byte of a file name that is no UTF-8 appears as ``\xNN``.
    """
    return text if text.isprintable() else "".join(map(_visible_character, text))


def table(rows: Iterable[Sequence[str]], *, right: Iterable[int] = ()) -> list[str]:
    """Return the rows as lines with aligned columns; those of the numbers in ``right`` are aligned to the right."""
    cells = [[visible(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    to_the_right = set(right)
    return ["  ".join(_aligned(row, widths, to_the_right)).rstrip() for row in cells]


def size(count: int | None) -> str:
    """Return a number of bytes for people, in powers of 1,000."""
    if count is None:
        return ""
    number, unit = float(count), 0
    while number >= 999.5 and unit < 5:
        number, unit = number / 1000, unit + 1
    return f"{count} B" if unit == 0 else f"{number:.3g} {'kMGTP'[unit - 1]}B"


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun, as in ``1 file`` and ``2 files``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def prepare() -> None:
    """Make sure that any text can be written, and that no file we open becomes our stdin, stdout or stderr.

    Started with one of them closed, the next file opened would get its number: the database or an object of the
    storage, and what a library prints would land in it.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def finish() -> None:
    """Write out what is buffered, so that a full disk or a closed pipe is noticed while it can be said."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        raise OutputLost(error) from error


def give_up() -> None:
    """Drop what can't be written, so that the interpreter does not try again at its end."""
    with suppress(OSError), Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def _write(stream: TextIO | None, text: str) -> None:
    if stream is None:
        return
    try:
        stream.write(text + "\n")
    except OSError as error:
        if stream is sys.stdout:
            raise OutputLost(error) from error


def _visible_character(character: str) -> str:
    code = ord(character)
    if character.isprintable():
        return character
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is no UTF-8, as os.fsdecode gives it
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _aligned(row: Sequence[str], widths: Sequence[int], right: set[int]) -> Iterable[str]:
    for number, (cell, width) in enumerate(zip(row, widths, strict=True)):
        yield cell.rjust(width) if number in right else cell.ljust(width)
