"""Turns a file into facts. All of it is meant to run in a worker process, which a malformed file may cost."""

import math
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, Self

from dam.core.file_operations import FileOperationsResource
from dam.services.facts import Fact, Facts, ImageDimensions, PerceptualHashes
from dam.services.media_type import HEAD_BYTES, media_type
from dam.services.readers import catalogue
from dam.services.readers.plain_values import LARGEST_INTEGER
from dam.services.readers.problem import UnreadableFile

_LONGEST_PROBLEM = 300
# These are asked only for what the readers before them did not find; their success makes up for those.
_FALLBACKS = ("hachoir",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one file may cost.

    ``max_pixels``: pictures with more are not decoded. Decoders hold 4 to 16 bytes a pixel, so that the default of
    2**26 (8192 x 8192; 256 MiB as Pillow keeps it) is what a worker of 1 GiB can hold.
    ``max_text``: characters of a text from a file's metadata.
    """

    max_pixels: int = 2**26
    max_text: int = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageQuery:
    """A picture's hashes by EXIF orientation (1: as it is displayed), or why there are none."""

    hashes: dict[int, PerceptualHashes] = field(default_factory=dict)
    problem: str | None = None


def readers_for(mime_type: str | None) -> tuple[str, ...]:
    """Return the names of the readers worth running for a type; none for what no reader knows."""
    return catalogue.readers_for(mime_type)


def examine(path: str, mime_type: str | None, readers: tuple[str, ...], limits: Limits) -> Facts:
    """Run the named readers on a file and put together what they find.

    What a parser raises becomes a problem, one line each; facts found before it, and by other readers, are kept. Raises
    OSError when the file can't be opened: that is no fault of its content.
    """
    with _File(path, mime_type or "", limits) as file:
        found: dict[type[Fact], Fact] = {}
        problems: list[str] = []
        for reader in readers:
            if reader in _FALLBACKS and found:
                continue
            for read in _READERS[reader]:
                for fact in _guarded(read(file), problems):
                    storable = _storable(fact)
                    if storable is not None:
                        found.setdefault(type(storable), storable)
            if reader in _FALLBACKS and found:
                problems.clear()
    return Facts(found=tuple(found.values()), problems=tuple(dict.fromkeys(problems)))


def query_image(path: str, limits: Limits, *, orientations: bool = False) -> ImageQuery:
    """Hash a picture to search with, of any type that can be decoded, with ``orientations`` turned in all eight ways.

    Raises OSError or NotARegularFile when it can't be opened.
    """
    problems: list[str] = []
    with _File.of_unknown_type(path, limits) as file:
        hashes = next(_guarded(_query(file, orientations=orientations), problems), {})
    return ImageQuery(hashes=hashes, problem=next(iter(problems), None))


def thumbnail(path: str, limits: Limits, max_side: int) -> bytes | None:
    """Return a small JPEG of a picture as displayed, at most ``max_side`` pixels wide and high.

    None when the file is no picture that can be decoded. Raises OSError or NotARegularFile when it can't be opened.
    """
    with _File.of_unknown_type(path, limits) as file:
        return next(_guarded(_thumbnail(file, max_side), []), None)


class _File:
    """A file under examination, opened once for all readers."""

    def __init__(self, path: str, mime_type: str, limits: Limits) -> None:
        self.mime_type = mime_type
        self.limits = limits
        self._opened = ExitStack()
        self.stream: BinaryIO = self._opened.enter_context(os.fdopen(FileOperationsResource().open_regular(path), "rb"))

    @classmethod
    def of_unknown_type(cls, path: str, limits: Limits) -> Self:
        file = cls(path, "", limits)
        size = file.stream.seek(0, 2)
        file.stream.seek(0)
        file.mime_type = media_type(file.stream.read(HEAD_BYTES), Path(path).name, size=size) or ""
        return file

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    @cached_property
    def picture(self) -> Any:
        from dam.services.readers.image_reader import Picture  # Pillow is needed only here

        return self._opened.enter_context(Picture(self.stream, self.mime_type))


def _guarded[T](results: Iterator[T], problems: list[str]) -> Iterator[T]:
    """Give the results up to the first exception, of whatever kind, and write that one down."""
    try:
        yield from results
    except MemoryError:
        problems.append("ran out of memory")
    except Exception as error:  # noqa: BLE001 - the border around third-party parsers, which raise anything
        problems.append(_described(error))


def _storable(fact: Fact) -> Fact | None:
    """Leave numbers out that no database holds, which only a damaged file states; None when too little is left."""
    unheld: dict[str, Any] = {name: None for name, value in fact._asdict().items() if not _is_held(value)}
    if not unheld:
        return fact
    return None if isinstance(fact, ImageDimensions | PerceptualHashes) else fact._replace(**unheld)


def _is_held(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return not isinstance(value, int) or abs(value) <= LARGEST_INTEGER


def _described(error: Exception) -> str:
    if isinstance(error, UnreadableFile):
        reason = str(error)
    else:
        said = getattr(error, "strerror", None) or str(error)
        reason = f"{type(error).__name__}: {said}" if said else type(error).__name__
    printable = "".join(character if character.isprintable() else " " for character in reason[: 4 * _LONGEST_PROBLEM])
    return " ".join(printable.split())[:_LONGEST_PROBLEM]


def _dimensions(file: _File) -> Iterator[Fact]:
    yield from _present(file.picture.dimensions())


def _frames(file: _File) -> Iterator[Fact]:
    yield from _present(file.picture.frames())


def _capture(file: _File) -> Iterator[Fact]:
    yield from _present(file.picture.capture(file.limits.max_text))


def _hashes(file: _File) -> Iterator[Fact]:
    yield file.picture.hashes(file.limits.max_pixels)


def _streams(file: _File) -> Iterator[Fact]:
    from dam.services.readers.stream_reader import read_streams  # FFmpeg is needed only here

    yield from read_streams(file.stream, file.mime_type)


def _with_hachoir(file: _File) -> Iterator[Fact]:
    from dam.services.readers.hachoir_reader import read_with_hachoir  # 0.2 s to import

    yield from read_with_hachoir(file.stream, file.mime_type)


def _document(file: _File) -> Iterator[Fact]:
    from dam.services.readers.document_reader import read_document  # PDFium is needed only here

    yield from read_document(file.stream, file.limits.max_text)


def _present(fact: Fact | None) -> Iterable[Fact]:
    return () if fact is None else (fact,)


def _query(file: _File, *, orientations: bool) -> Iterator[dict[int, PerceptualHashes]]:
    if file.mime_type not in catalogue.PILLOW_PLUGINS:
        raise UnreadableFile("the file is no picture that can be decoded")
    if orientations:
        yield file.picture.hashes_of_orientations(file.limits.max_pixels)
    else:
        yield {1: file.picture.hashes(file.limits.max_pixels)}


def _thumbnail(file: _File, max_side: int) -> Iterator[bytes]:
    if file.mime_type in catalogue.PILLOW_PLUGINS:
        yield file.picture.thumbnail(file.limits.max_pixels, max_side)


_READERS: dict[str, tuple[Callable[[_File], Iterator[Fact]], ...]] = {
    "image": (_dimensions, _capture, _frames),
    "pixels": (_hashes,),
    "stream": (_streams,),
    "hachoir": (_with_hachoir,),
    "document": (_document,),
}
