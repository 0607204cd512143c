"""Look-alikes as one web page that holds everything it shows, runs nothing and asks nobody for anything."""

import base64
import hashlib
import html
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dam.services.perceptual_hashing import HashKind
from dam.services.picture_service import Picture
from dam.services.similarity_service import Distances

THUMBNAIL_TYPES = frozenset({"image/jpeg", "image/png", "image/webp", "image/gif"})

_LABELS: dict[HashKind, str] = {"phash": "pHash", "ahash": "aHash", "dhash": "dHash"}
_ORIENTATIONS = {
    1: "as it is",
    2: "mirrored",
    3: "turned by 180°",
    4: "mirrored, turned by 180°",
    5: "mirrored, turned left",
    6: "turned right",
    7: "mirrored, turned right",
    8: "turned left",
}
_STYLE = """
:root { color-scheme: light dark; --line: #8886; --quiet: #777; --best: #2a7d4f; }
@media (prefers-color-scheme: dark) { :root { --quiet: #aaa; --best: #6fcf97; } }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 80rem; padding: 0 1rem; }
h1 { font-size: 1.4rem; }
h2 { font-size: 1.05rem; margin: 0 0 .8rem; }
section { border-top: 1px solid var(--line); padding: 1.2rem 0; }
.tiles { display: flex; flex-wrap: wrap; gap: 1rem; align-items: flex-start; }
figure { border: 1px solid var(--line); border-radius: 8px; margin: 0; padding: .8rem; width: 16rem; }
figure.first { border-color: var(--best); box-shadow: 0 0 0 1px var(--best); }
.frame { align-items: center; display: flex; height: 13rem; justify-content: center; }
.frame img { max-height: 100%; max-width: 100%; object-fit: contain; }
.missing, .quiet { color: var(--quiet); }
figcaption { font-size: .85rem; margin-top: .6rem; overflow-wrap: anywhere; }
figcaption p, figcaption ul { margin: .25rem 0; }
figcaption ul { list-style: none; padding: 0; }
.name { font-weight: 600; }
.agrees { color: var(--best); font-weight: 600; }
bdi { white-space: pre-wrap; }
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """A picture on the page. ``thumbnail`` are the bytes of a small image, None where there is none to show.

    ``distances``, ``matched_by`` and ``orientation`` are those of a match or member; the first tile has none.
    """

    picture: Picture
    thumbnail: bytes | None = None
    thumbnail_type: str = "image/jpeg"
    distances: Distances | None = None
    matched_by: tuple[HashKind, ...] = ()
    orientation: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Pictures side by side; the first is the one that the others are compared with."""

    title: str
    tiles: tuple[Tile, ...]


def render(title: str, sections: Iterable[Section]) -> str:
    r"""Return the page as text, to be written as UTF-8. For a long one see ``parts``.

    Whatever the names and titles contain is shown as text: markup is escaped, what can't be printed reads ``\xNN`` or
    ``\uNNNN``. The page's own policy forbids scripts and everything that is not in the page. Raises ValueError for a
    thumbnail of a type that is not in ``THUMBNAIL_TYPES``.
    """
    return "".join(parts(title, sections))


def parts(title: str, sections: Iterable[Section]) -> Iterator[str]:
    """Give the page in parts, a section each, so that it need not be in memory as a whole; see ``render``."""
    yield _head(title)
    empty = True
    for section in sections:
        empty = False
        yield _section(section)
    if empty:
        yield '<p class="quiet">No look-alikes were found.</p>\n'
    yield "</body>\n</html>\n"


def _head(title: str) -> str:
    digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{_text(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{_text(title)}</h1>\n"
    )


def _section(section: Section) -> str:
    tiles = "".join(_tile(tile, is_first=number == 0) for number, tile in enumerate(section.tiles))
    return f'<section>\n<h2>{_text(section.title)}</h2>\n<div class="tiles">\n{tiles}</div>\n</section>\n'


def _tile(tile: Tile, *, is_first: bool) -> str:
    opening = '<figure class="first">' if is_first else "<figure>"
    return (
        f'{opening}\n<div class="frame">{_image(tile)}</div>\n<figcaption>\n{_caption(tile)}</figcaption>\n</figure>\n'
    )


def _image(tile: Tile) -> str:
    if tile.thumbnail is None:
        return '<span class="missing">no preview</span>'
    if tile.thumbnail_type not in THUMBNAIL_TYPES:
        raise ValueError(f"a thumbnail can't be {tile.thumbnail_type!r}")
    data = base64.b64encode(tile.thumbnail).decode()
    return f'<img src="data:{tile.thumbnail_type};base64,{data}" alt="{_text(tile.picture.filename or "")}">'


def _caption(tile: Tile) -> str:
    picture = tile.picture
    lines = [f'<p class="name"><bdi>{_text(picture.filename or "(no name)")}</bdi></p>']
    lines += [f"<p>{fact}</p>" for fact in (_size(picture), _distances(tile), _turned(tile)) if fact]
    if picture.entity_id is not None:
        lines.append(f'<p class="quiet">asset {picture.entity_id}</p>')
    if picture.paths:
        paths = "".join(f"<li><bdi>{_text(path)}</bdi></li>" for path in picture.paths)
        lines.append(f'<ul class="quiet">{paths}</ul>')
    return "".join(f"{line}\n" for line in lines)


def _size(picture: Picture) -> str:
    facts = []
    if picture.width_pixels is not None and picture.height_pixels is not None:
        facts.append(f"{picture.width_pixels} x {picture.height_pixels}")
    if picture.file_size_bytes is not None:
        facts.append(f"{picture.file_size_bytes:,} bytes")
    return ", ".join(facts)


def _distances(tile: Tile) -> str:
    if tile.distances is None:
        return ""
    return " · ".join(_distance(kind, tile) for kind in _LABELS)


def _distance(kind: HashKind, tile: Tile) -> str:
    distance = (tile.distances or {}).get(kind)
    words = f"{_LABELS[kind]} {'unknown' if distance is None else distance}"
    return f'<span class="agrees">{words}</span>' if kind in tile.matched_by else words


def _turned(tile: Tile) -> str:
    return "" if tile.orientation == 1 else f"looks like the query {_ORIENTATIONS[tile.orientation]}"


def _text(text: str) -> str:
    return html.escape("".join(_visible(character) for character in text), quote=True)


def _visible(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"  # a byte of a file name that is not UTF-8
    return character.encode("unicode_escape", "backslashreplace").decode()
