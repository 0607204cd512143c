"""Whether a file is text, and which kind."""

import codecs
import os
import re

_BYTES_FOR_A_CONTROL = 200
_CONTROLS = bytes((*range(0x07), *range(0x0E, 0x1B), *range(0x1C, 0x20), 0x7F))
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_MARKED = frozenset(mark[:1] for mark, _ in _BYTE_ORDER_MARKS)
_BEGINNINGS = (
    ("BEGIN:VCARD", "text/vcard"),
    ("BEGIN:VCALENDAR", "text/calendar"),
    ("WEBVTT", "text/vtt"),
    ("#EXTM3U", "audio/x-mpegurl"),
    ("CACHE MANIFEST", "text/cache-manifest"),
    ("<?php", "text/x-php"),
    ("%!PS", "application/postscript"),
    ("-----BEGIN PGP", "application/pgp-encrypted"),
    ("-----BEGIN CERTIFICATE", "application/x-x509-ca-cert"),
)
_ANY_BEGINNING = tuple(beginning for beginning, _ in _BEGINNINGS)
_INTERPRETERS = (
    ("python", "text/x-python"),
    ("perl", "text/x-perl"),
    ("ruby", "text/x-ruby"),
    ("node", "text/javascript"),
    ("php", "text/x-php"),
    ("lua", "text/x-lua"),
    ("awk", "text/x-awk"),
    ("sh", "text/x-shellscript"),
)
_ROOTS = {
    "svg": "image/svg+xml",
    "rss": "application/rss+xml",
    "feed": "application/atom+xml",
    "gpx": "application/gpx+xml",
    "kml": "application/vnd.google-earth.kml+xml",
    "score-partwise": "application/vnd.recordare.musicxml+xml",
}
# The start of a document up to its root: declaration, comments, processing instructions, a document type.
_ROOT = re.compile(
    r"\s*(?:<\?[^>]{0,500}\?>\s*|<!--.{0,8000}?-->\s*|<!DOCTYPE(?:[^>\[]|\[[^\]]{0,4000}\]){0,2000}>\s*){0,50}"
    r"<(?:[A-Za-z_][\w.-]*:)?([A-Za-z_][\w.-]*)",
    re.DOTALL | re.IGNORECASE,
)
_HTML = re.compile(r"\s*(?:<!--.{0,8000}?-->\s*){0,20}<(?:!DOCTYPE\s+html|html|head|body)\b", re.DOTALL | re.IGNORECASE)
_SUFFIXES = {
    ".ada": "text/x-ada", ".adb": "text/x-ada", ".ads": "text/x-ada",
    ".asm": "text/x-asm", ".s": "text/x-asm",
    ".awk": "text/x-awk",
    ".bat": "text/x-msdos-batch", ".cmd": "text/x-msdos-batch",
    ".bib": "text/x-bibtex",
    ".c": "text/x-csrc",
    ".cc": "text/x-c++src", ".cpp": "text/x-c++src", ".cxx": "text/x-c++src",
    ".clj": "text/x-clojure", ".cljc": "text/x-clojure", ".cljs": "text/x-clojure",
    ".cob": "text/x-cobol", ".cbl": "text/x-cobol",
    ".coffee": "text/coffeescript",
    ".cr": "text/x-crystal",
    ".cs": "text/x-csharp",
    ".css": "text/css",
    ".csv": "text/csv",
    ".diff": "text/x-diff", ".patch": "text/x-diff",
    ".e": "text/x-eiffel",
    ".eml": "message/rfc822",
    ".ex": "text/x-elixir", ".exs": "text/x-elixir",
    ".f": "text/x-fortran", ".f90": "text/x-fortran",
    ".go": "text/x-go",
    ".groovy": "text/x-groovy",
    ".h": "text/x-chdr",
    ".hpp": "text/x-c++hdr", ".hh": "text/x-c++hdr",
    ".hs": "text/x-haskell",
    ".htm": "text/html", ".html": "text/html",
    ".ini": "text/x-ini",
    ".java": "text/x-java",
    ".js": "text/javascript", ".mjs": "text/javascript", ".jsonp": "text/javascript",
    ".json": "application/json", ".geojson": "application/geo+json", ".ipynb": "application/x-ipynb+json",
    ".gltf": "model/gltf+json",
    ".jsonl": "application/jsonl",
    ".kt": "text/x-kotlin",
    ".lua": "text/x-lua",
    ".m": "text/x-objcsrc",
    ".m3u": "audio/x-mpegurl", ".m3u8": "audio/x-mpegurl",
    ".md": "text/markdown", ".markdown": "text/markdown",
    ".ml": "text/x-ocaml", ".mli": "text/x-ocaml",
    ".nim": "text/x-nim",
    ".obj": "model/obj",
    ".pas": "text/x-pascal",
    ".php": "text/x-php",
    ".pl": "text/x-perl", ".pm": "text/x-perl",
    ".pls": "audio/x-scpls",
    ".py": "text/x-python",
    ".r": "text/x-r",
    ".rb": "text/x-ruby",
    ".rs": "text/x-rust",
    ".rst": "text/x-rst",
    ".rtf": "application/rtf",
    ".scala": "text/x-scala",
    ".sh": "text/x-shellscript",
    ".sql": "application/sql",
    ".srt": "application/x-subrip",
    ".swift": "text/x-swift",
    ".tex": "text/x-tex",
    ".toml": "application/toml",
    ".ts": "text/x-typescript", ".tsx": "text/x-typescript",
    ".tsv": "text/tab-separated-values",
    ".vs": "text/x-glsl", ".glsl": "text/x-glsl",
    ".xhtml": "application/xhtml+xml",
    ".xml": "application/xml",
    ".yaml": "application/yaml", ".yml": "application/yaml",
}  # fmt: skip


def text_type(head: bytes, name: str, *, whole: bool) -> str | None:
    """Return the type of a text file, None when the bytes are no text.

    What the words tell (markup, a script's first line) goes first; the name decides among kinds of plain text.
    ``whole`` says that the head is all of the file, so that no character may be cut at its end.
    """
    text = decode(head, whole=whole)
    if text is None:
        return None
    suffix = suffix_of(name)
    return _by_words(text, suffix) or _SUFFIXES.get(suffix, "text/plain")


def is_word_of_text(magic: bytes, head: bytes) -> bool:
    """Say whether a format's pattern is but a few letters in a text, as in "MAC address" or "The wide world"."""
    is_word = len(magic) <= 8 and magic.isascii() and magic.decode().isprintable()
    return is_word and decode(head, whole=False) is not None


def suffix_of(name: str) -> str:
    """Return the last suffix of a file name with its dot, in lower case; empty when there is none.

    Not by ``pathlib``: that interns each name, and Python 3.12 keeps what is interned for ever.
    """
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 - as it says


def decode(head: bytes, *, whole: bool) -> str | None:
    """Return the text that the first bytes of a file are, None when they are none.

    UTF-8 (with hardly a control character), UTF-16 and UTF-32 with a mark, or an old 8-bit encoding (read as Latin-1)
    without any control character.
    """
    for mark, encoding in _BYTE_ORDER_MARKS if head[:1] in _MARKED else ():
        if head.startswith(mark):
            text = codecs.getincrementaldecoder(encoding)("replace").decode(head[len(mark) :])
            return None if "\ufffd" in text or "\x00" in text else text
    controls = len(head) - len(head.translate(None, _CONTROLS))
    if b"\x00" in head or controls * _BYTES_FOR_A_CONTROL > len(head):
        return None
    try:
        return head.decode() if whole else codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return None if controls else _eight_bit_text(head)


def _eight_bit_text(head: bytes) -> str | None:
    # A few bytes prove nothing, and letters outnumber the rest in every language's own 8-bit encoding.
    plain = sum(byte < 0x80 for byte in head)
    return head.decode("latin-1") if len(head) >= 16 and plain >= len(head) // 4 else None


def _by_words(text: str, suffix: str) -> str | None:
    start = text[:200].lstrip()
    if start.startswith("#!"):
        line = start.splitlines()[0]
        return next((mime_type for word, mime_type in _INTERPRETERS if word in line), "text/x-shellscript")
    if start.startswith(_ANY_BEGINNING):
        return next(mime_type for beginning, mime_type in _BEGINNINGS if start.startswith(beginning))
    if start.startswith("<"):
        return _markup(text, suffix)
    return "application/json" if _looks_like_json(text) and suffix not in _SUFFIXES else None


def _markup(text: str, suffix: str) -> str | None:
    if 'xmlns="http://www.w3.org/1999/xhtml"' in text[:2000] and _HTML.match(_without_declaration(text)):
        return "application/xhtml+xml"
    if _HTML.match(text):
        return "application/xhtml+xml" if suffix == ".xhtml" else "text/html"
    root = _ROOT.match(text)
    if root and root[1].lower() in _ROOTS:
        return _ROOTS[root[1].lower()]
    if text.lstrip().startswith("<?xml"):
        return _SUFFIXES[suffix] if suffix == ".xhtml" else "application/xml"
    return None


def _without_declaration(text: str) -> str:
    return re.sub(r"^\s*<\?xml[^>]{0,500}\?>", "", text)


def _looks_like_json(text: str) -> bool:
    return re.match(r'\s*(?:\{\s*(?:"[^"\n]{0,1000}"\s*:|\})|\[\s*(?:[\[{"\d]|\]))', text) is not None
