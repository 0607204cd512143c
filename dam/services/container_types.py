"""Types of files whose first bytes are shared by many kinds, told apart by what lies a little further in."""

import re
import struct
from collections.abc import Callable, Iterator

from dam.services.text_types import is_word_of_text, suffix_of

OFFICE = "application/vnd.openxmlformats-officedocument."
_ISO_BRANDS = {
    b"M4A ": "audio/mp4",
    b"M4B ": "audio/mp4",
    b"M4P ": "audio/mp4",
    b"F4A ": "audio/mp4",
    b"qt  ": "video/quicktime",
    b"avif": "image/avif",
    b"avis": "image/avif",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"heim": "image/heic",
    b"heis": "image/heic",
    b"hevc": "image/heic-sequence",
    b"hevx": "image/heic-sequence",
    b"mif1": "image/heif",
    b"msf1": "image/heif-sequence",
    b"crx ": "image/x-canon-cr3",
    b"jp2 ": "image/jp2",
    b"jpx ": "image/jpx",
    b"jpm ": "image/jpm",
    b"mjp2": "video/mj2",
    b"mj2s": "video/mj2",
}
_TIFF_MAKERS = {b"NIKON": "image/x-nikon-nef", b"SONY": "image/x-sony-arw", b"PENTAX": "image/x-pentax-pef"}
_TIFF_NAMES = {".nef": "image/x-nikon-nef", ".arw": "image/x-sony-arw", ".pef": "image/x-pentax-pef"}
_ZIP_MEMBERS = (
    (b"word/", OFFICE + "wordprocessingml.document"),
    (b"xl/", OFFICE + "spreadsheetml.sheet"),
    (b"ppt/", OFFICE + "presentationml.presentation"),
    (b"visio/", "application/vnd.ms-visio.drawing"),
    (b"AndroidManifest.xml", "application/vnd.android.package-archive"),
    (b"META-INF/MANIFEST.MF", "application/java-archive"),
    (b"doc.kml", "application/vnd.google-earth.kmz"),
    (b"3D/3dmodel.model", "model/3mf"),
)
_ZIP_NAMES = {
    ".docx": OFFICE + "wordprocessingml.document",
    ".xlsx": OFFICE + "spreadsheetml.sheet",
    ".pptx": OFFICE + "presentationml.presentation",
    ".docm": "application/vnd.ms-word.document.macroEnabled.12",
    ".xlsm": "application/vnd.ms-excel.sheet.macroEnabled.12",
    ".pptm": "application/vnd.ms-powerpoint.presentation.macroEnabled.12",
    ".cbz": "application/vnd.comicbook+zip",
}
_OLE_STREAMS = (
    ("WordDocument", "application/msword"),
    ("Workbook", "application/vnd.ms-excel"),
    ("Book", "application/vnd.ms-excel"),
    ("PowerPoint Document", "application/vnd.ms-powerpoint"),
    ("VisioDocument", "application/vnd.visio"),
    ("__properties_version1.0", "application/vnd.ms-outlook"),
)
_OLE_NAMES = {
    ".doc": "application/msword",
    ".dot": "application/msword",
    ".xls": "application/vnd.ms-excel",
    ".ppt": "application/vnd.ms-powerpoint",
    ".pps": "application/vnd.ms-powerpoint",
    ".vsd": "application/vnd.visio",
    ".msg": "application/vnd.ms-outlook",
    ".msi": "application/x-msi",
}
_RIFF_FORMS = {
    b"WAVE": "audio/x-wav",
    b"AVI ": "video/x-msvideo",
    b"WEBP": "image/webp",
    b"RMID": "audio/midi",
    b"ACON": "application/x-navi-animation",
}
_IFF_FORMS = {
    b"AIFF": "audio/x-aiff",
    b"AIFC": "audio/x-aiff",
    b"8SVX": "audio/x-8svx",
    b"ILBM": "image/x-ilbm",
    b"PBM ": "image/x-ilbm",
    b"DJVU": "image/vnd.djvu",
}
_ELF_TYPES = {1: "application/x-object", 2: "application/x-executable", 3: "application/x-sharedlib"}
_ASF_AUDIO = bytes.fromhex("409e69f84d5bcf11a8fd00805f5c442b")
_ASF_VIDEO = bytes.fromhex("c0ef19bc4d5bcf11a8fd00805f5c442b")
_OGG_VIDEO = (b"\x80theora", b"\x01video\x00\x00\x00", b"OVP80", b"BBCD\x00", b"\x81daala")
_ZIP_MEMBER = re.compile(rb"PK\x03\x04[\x00-\xff]{22}([\x00-\xff]{2})([\x00-\xff]{2})")
_MOST_ZIP_MEMBERS = 500


def by_structure(head: bytes, name: str) -> str | None:
    """Return the type of a container format; the name is asked only where the head can't tell."""
    if not any(head.startswith(magics, offset) for offset, magics in _MAGICS_BY_OFFSET):
        return None
    for magic, offset, tell in _CONTAINERS:
        if head.startswith(magic, offset) and not is_word_of_text(magic, head):
            return tell(head, suffix_of(name))
    return None


def _iso_media(head: bytes, suffix: str) -> str | None:
    length = min(max(16, int.from_bytes(head[:4])), 1024)
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, length, 4))]
    if brands[0][:3] in (b"3gp", b"3ge", b"3gg"):
        return "video/3gpp"
    if brands[0][:3] == b"3g2":
        return "video/3gpp2"
    if brands[0] in (b"mif1", b"msf1"):
        brands = [*brands[1:], brands[0]]
        return next(
            (_ISO_BRANDS[brand] for brand in brands if brand in _ISO_BRANDS and brand[:3] != b"mif"), "image/heif"
        )
    found = _ISO_BRANDS.get(brands[0])
    if found is None:
        return "audio/mp4" if suffix in (".m4a", ".m4b") else "video/mp4"
    return found


def _jpeg_2000(head: bytes, _suffix: str) -> str | None:
    return _ISO_BRANDS.get(head[20:24], "image/jp2")


def _quicktime(head: bytes, _suffix: str) -> str | None:
    length = int.from_bytes(head[:4])
    return "video/quicktime" if length in (0, 1) or length >= 8 else None


def _riff(head: bytes, _suffix: str) -> str | None:
    return _RIFF_FORMS.get(head[8:12])


def _iff(head: bytes, _suffix: str) -> str | None:
    return _IFF_FORMS.get(head[8:12])


def _ogg(head: bytes, _suffix: str) -> str | None:
    return "video/ogg" if any(magic in head[:8192] for magic in _OGG_VIDEO) else "audio/ogg"


def _asf(head: bytes, _suffix: str) -> str | None:
    if _ASF_VIDEO in head:
        return "video/x-ms-wmv"
    return "audio/x-ms-wma" if _ASF_AUDIO in head else "video/x-ms-asf"


def _matroska(head: bytes, _suffix: str) -> str | None:
    kind = "webm" if b"webm" in head[:128] else "x-matroska" if b"matroska" in head[:128] else None
    if kind is None:
        return None
    sound_only = re.search(rb"\x86.A_[A-Z]", head, re.DOTALL) and not re.search(rb"\x86.V_[A-Z]", head, re.DOTALL)
    return f"{'audio' if sound_only else 'video'}/{kind}"


def _zip(head: bytes, suffix: str) -> str | None:
    first = b""
    members: list[bytes] = []
    for member, rest in _zip_members(head):
        if not members and member == b"mimetype":
            first = rest
        members.append(member)
    declared = re.match(rb"application/[\w.+-]{1,100}", first)
    if declared:
        return declared[0].decode().removesuffix("PK")
    for prefix, mime_type in _ZIP_MEMBERS:
        if any(member.startswith(prefix) for member in members):
            return _ZIP_NAMES.get(suffix, mime_type) if mime_type.startswith(OFFICE) else mime_type
    if b"[Content_Types].xml" in members or suffix == ".cbz":
        return _ZIP_NAMES.get(suffix, "application/zip")
    return "application/zip"


def _zip_members(head: bytes) -> Iterator[tuple[bytes, bytes]]:
    for found, _ in zip(_ZIP_MEMBER.finditer(head), range(_MOST_ZIP_MEMBERS), strict=False):
        length, extra = int.from_bytes(found[1], "little"), int.from_bytes(found[2], "little")
        start = found.end()
        yield head[start : start + length], head[start + length + extra : start + length + extra + 110]


def _ole(head: bytes, suffix: str) -> str | None:
    for stream, mime_type in _OLE_STREAMS:
        if stream.encode("utf-16-le") + b"\x00\x00" in head:
            return mime_type
    return _OLE_NAMES.get(suffix, "application/x-ole-storage")


def _tiff(head: bytes, suffix: str) -> str | None:
    if head[8:10] == b"CR":
        return "image/x-canon-cr2"
    if b"\x12\xc6\x01\x00\x04\x00\x00\x00" in head[:4096] or b"\xc6\x12\x00\x01\x00\x00\x00\x04" in head[:4096]:
        return "image/x-adobe-dng"
    if suffix in _TIFF_NAMES and any(maker in head for maker in _TIFF_MAKERS):
        return _TIFF_NAMES[suffix]
    return "image/tiff"


def _bitmap(head: bytes, _suffix: str) -> str | None:
    header = int.from_bytes(head[14:18], "little")
    return "image/bmp" if head[6:10] == bytes(4) or header in (12, 16, 40, 52, 56, 64, 108, 124) else None


def _icon(head: bytes, _suffix: str) -> str | None:
    count = int.from_bytes(head[4:6], "little")
    if not 0 < count <= 1024 or len(head) < 22 or head[9] != 0:
        return None
    _size, offset = struct.unpack_from("<II", head, 14)
    if offset < 6 + 16 * count and offset < 22:
        return None
    return "image/vnd.microsoft.icon" if head[2] == 1 else "image/x-win-bitmap"


def _elf(head: bytes, _suffix: str) -> str | None:
    kind = int.from_bytes(head[16:18], "big" if head[5:6] == b"\x02" else "little")
    return _ELF_TYPES.get(kind, "application/x-elf")


def _dos(head: bytes, _suffix: str) -> str | None:
    at = int.from_bytes(head[60:64], "little")
    portable = head[at : at + 4] == b"PE\x00\x00" or head[4:8] == b"PE\x00\x00"
    return "application/vnd.microsoft.portable-executable" if portable else "application/x-dosexec"


def _cafe_babe(head: bytes, _suffix: str) -> str | None:
    # Java's major version (45 and up) stands where a universal Mach-O file counts its few architectures.
    return "application/java-vm" if int.from_bytes(head[4:8]) >= 45 else "application/x-mach-binary"


_CONTAINERS: tuple[tuple[bytes, int, Callable[[bytes, str], str | None]], ...] = (
    (b"ftyp", 4, _iso_media),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", 0, _jpeg_2000),
    (b"moov", 4, _quicktime),
    (b"mdat", 4, _quicktime),
    (b"wide", 4, _quicktime),
    (b"pnot", 4, _quicktime),
    (b"free", 4, _quicktime),
    (b"skip", 4, _quicktime),
    (b"RIFF", 0, _riff),
    (b"RF64", 0, _riff),
    (b"BW64", 0, _riff),
    (b"FORM", 0, _iff),
    (b"OggS", 0, _ogg),
    (bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"), 0, _asf),
    (b"\x1a\x45\xdf\xa3", 0, _matroska),
    (b"PK\x03\x04", 0, _zip),
    (b"PK\x05\x06", 0, _zip),
    (b"PK\x07\x08", 0, _zip),
    (b"PK00PK\x03\x04", 0, _zip),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 0, _ole),
    (b"II\x2a\x00", 0, _tiff),
    (b"MM\x00\x2a", 0, _tiff),
    (b"II\x2b\x00\x08\x00", 0, _tiff),
    (b"MM\x00\x2b\x00\x08", 0, _tiff),
    (b"BM", 0, _bitmap),
    (b"\x00\x00\x01\x00", 0, _icon),
    (b"\x00\x00\x02\x00", 0, _icon),
    (b"\x7fELF", 0, _elf),
    (b"MZ", 0, _dos),
    (b"\xca\xfe\xba\xbe", 0, _cafe_babe),
)
_MAGICS_BY_OFFSET = tuple(
    (offset, tuple(magic for magic, at, _ in _CONTAINERS if at == offset))
    for offset in dict.fromkeys(at for _, at, _ in _CONTAINERS)
)
