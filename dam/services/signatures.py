"""The byte patterns by which a file's type is known when a pattern alone is enough.

Names are those of IANA where it has one, else the one that ``file`` and freedesktop.org use.
"""

import re

from dam.services.text_types import is_word_of_text

# (offset, bytes, type), the first that fits wins; types that need a second look are in container_types.
SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    # pictures
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (0, b"8BPS\x00\x01", "image/vnd.adobe.photoshop"),
    (0, b"8BPS\x00\x02", "image/vnd.adobe.photoshop"),
    (0, b"\x00\x00\x00\x0cJXL \r\n\x87\n", "image/jxl"),
    (0, b"\xff\x0a", "image/jxl"),
    (0, b"\xff\x4f\xff\x51", "image/x-jp2-codestream"),
    (0, b"DDS \x7c\x00\x00\x00", "image/x-dds"),
    (0, b"\xabKTX 11\xbb\r\n\x1a\n", "image/ktx"),
    (0, b"\xabKTX 20\xbb\r\n\x1a\n", "image/ktx2"),
    (0, b"qoif", "image/qoi"),
    (0, b"icns", "image/x-icns"),
    (0, b"BPG\xfb", "image/bpg"),
    (0, b"FLIF", "image/flif"),
    (0, b"gimp xcf ", "image/x-xcf"),
    (0, b"\x76\x2f\x31\x01", "image/x-exr"),
    (0, b"#?RADIANCE", "image/vnd.radiance"),
    (0, b"#?RGBE", "image/vnd.radiance"),
    (0, b"SIMPLE  =", "image/fits"),
    (0, b"SDPX\x00", "image/x-dpx"),
    (0, b"XPDS\x00", "image/x-dpx"),
    (0, b"\x59\xa6\x6a\x95", "image/x-sun-raster"),
    (0, b"\xd7\xcd\xc6\x9a", "image/wmf"),
    (0, b"\x01\x00\x09\x00\x00\x03", "image/wmf"),
    (40, b" EMF", "image/emf"),
    (0, b"AT&TFORM", "image/vnd.djvu"),
    (0, b"/* XPM */", "image/x-xpixmap"),
    (0, b"\x8aMNG\r\n\x1a\n", "video/x-mng"),
    (0, b"\x8bJNG\r\n\x1a\n", "image/x-jng"),
    (0, b"FUJIFILMCCD-RAW", "image/x-fuji-raf"),
    (0, b"IIRO", "image/x-olympus-orf"),
    (0, b"IIU\x00", "image/x-panasonic-rw2"),
    (0, b"II\xbc\x01", "image/jxr"),
    # sound
    (0, b"fLaC", "audio/flac"),
    (0, b"MAC ", "audio/x-ape"),
    (0, b"MP+", "audio/x-musepack"),
    (0, b"MPCK", "audio/x-musepack"),
    (0, b"wvpk", "audio/x-wavpack"),
    (0, b"TTA1", "audio/x-tta"),
    (0, b"TTA2", "audio/x-tta"),
    (0, b"tBaK", "audio/x-tak"),
    (0, b"DSD \x1c\x00\x00\x00", "audio/x-dsf"),
    (0, b"FRM8", "audio/x-dff"),
    (0, b".snd", "audio/basic"),
    (0, b"caff\x00\x01", "audio/x-caf"),
    (0, b"riff\x2e\x91\xcf\x11", "audio/x-w64"),
    (0, b"#!AMR-WB\n", "audio/AMR-WB"),
    (0, b"#!AMR\n", "audio/AMR"),
    (0, b"MThd", "audio/midi"),
    (0, b"Creative Voice File\x1a", "audio/x-voc"),
    (0, b"ajkg", "audio/x-shorten"),
    (0, b"OFR ", "audio/x-optimfrog"),
    (0, b"\x7f\xfe\x80\x01", "audio/vnd.dts"),
    (0, b"Extended Module: ", "audio/x-xm"),
    (44, b"SCRM", "audio/x-s3m"),
    (0, b"IMPM", "audio/x-it"),
    (1080, b"M.K.", "audio/x-mod"),
    # moving pictures
    (0, b"FLV\x01", "video/x-flv"),
    (0, b".RMF", "application/vnd.rn-realmedia"),
    (0, b".ra\xfd", "audio/x-pn-realaudio"),
    (0, b"\x00\x00\x01\xba", "video/mpeg"),
    (0, b"\x00\x00\x01\xb3", "video/mpeg"),
    (0, b"\x06\x0e\x2b\x34\x02\x05\x01\x01", "application/mxf"),
    (0, b"DKIF\x00\x00", "video/x-ivf"),
    (0, b"YUV4MPEG2 ", "video/x-yuv4mpeg"),
    (0, b"nut/multimedia container\x00", "video/x-nut"),
    (0, b"FWS", "application/x-shockwave-flash"),
    (0, b"CWS", "application/x-shockwave-flash"),
    (0, b"ZWS", "application/x-shockwave-flash"),
    # documents
    (0, b"{\\rtf", "application/rtf"),
    (0, b"%!PS", "application/postscript"),
    (0, b"\xc5\xd0\xd3\xc6", "application/postscript"),
    (0, b"ITSF", "application/vnd.ms-htmlhelp"),
    (60, b"BOOKMOBI", "application/x-mobipocket-ebook"),
    (0, b"\xffWPC", "application/vnd.wordperfect"),
    # archives and packed files
    (0, b"\x1f\x8b", "application/gzip"),
    (0, b"BZh", "application/x-bzip2"),
    (0, b"\xfd7zXZ\x00", "application/x-xz"),
    (0, b"\x28\xb5\x2f\xfd", "application/zstd"),
    (0, b"\x04\x22\x4d\x18", "application/x-lz4"),
    (0, b"LZIP", "application/x-lzip"),
    (0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (0, b"Rar!\x1a\x07", "application/vnd.rar"),
    (0, b"RE~^", "application/vnd.rar"),
    (0, b"MSCF\x00\x00\x00\x00", "application/vnd.ms-cab-compressed"),
    (0, b"\x1f\x9d", "application/x-compress"),
    (0, b"xar!", "application/x-xar"),
    (0, b"!<arch>\ndebian", "application/vnd.debian.binary-package"),
    (0, b"!<arch>\n", "application/x-archive"),
    (0, b"\xed\xab\xee\xdb", "application/x-rpm"),
    (0, b"070701", "application/x-cpio"),
    (0, b"070707", "application/x-cpio"),
    (2, b"-lh", "application/x-lzh-compressed"),
    (257, b"ustar", "application/x-tar"),
    (32769, b"CD001", "application/x-iso9660-image"),
    # programs and data
    (0, b"\x00asm", "application/wasm"),
    (0, b"\xfe\xed\xfa\xce", "application/x-mach-binary"),
    (0, b"\xfe\xed\xfa\xcf", "application/x-mach-binary"),
    (0, b"\xce\xfa\xed\xfe", "application/x-mach-binary"),
    (0, b"\xcf\xfa\xed\xfe", "application/x-mach-binary"),
    (0, b"dex\n03", "application/vnd.android.dex"),
    (0, b"\x1bLua", "application/x-lua-bytecode"),
    (0, b"SQLite format 3\x00", "application/vnd.sqlite3"),
    (0, b"\x89HDF\r\n\x1a\n", "application/x-hdf5"),
    (0, b"PAR1", "application/vnd.apache.parquet"),
    (0, b"\xd4\xc3\xb2\xa1", "application/vnd.tcpdump.pcap"),
    (0, b"\xa1\xb2\xc3\xd4", "application/vnd.tcpdump.pcap"),
    (0, b"\x0a\x0d\x0d\x0a", "application/x-pcapng"),
    (0, b"L\x00\x00\x00\x01\x14\x02\x00", "application/x-ms-shortcut"),
    (0, b"BLENDER", "application/x-blender"),
    (0, b"glTF\x02\x00\x00\x00", "model/gltf-binary"),
    (0, b"d8:announce", "application/x-bittorrent"),
    (0, b"bplist00", "application/x-bplist"),
    (0, b"AC10", "image/vnd.dwg"),
    (0, b"\x00\x01\x00\x00\x00", "font/ttf"),
    (0, b"true\x00", "font/ttf"),
    (0, b"OTTO", "font/otf"),
    (0, b"ttcf", "font/collection"),
    (0, b"wOFF", "font/woff"),
    (0, b"wOF2", "font/woff2"),
    (36, b"acsp", "application/vnd.iccprofile"),
    (128, b"DICM", "application/dicom"),
)

_ELSEWHERE = tuple(signature for signature in SIGNATURES if signature[0] > 0)
_BY_FIRST_BYTE = {
    first: tuple(signature for signature in SIGNATURES if signature[0] > 0 or signature[1][:1] == first)
    for first in {magic[:1] for offset, magic, _ in SIGNATURES if offset == 0}
}
_TEXT_FORMATS = (b"{\\rtf", b"%!PS", b"#?RGBE")

# What readers of PDF accept, whatever the standard says.
_PDF_STARTS_BEFORE = 1024

# (pattern, type): what a fixed string can't tell.
PATTERNS: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (re.compile(rb"P[14]\s+(?:#[^\n]*\n\s*)*\d+\s+\d"), "image/x-portable-bitmap"),
    (re.compile(rb"P[25]\s+(?:#[^\n]*\n\s*)*\d+\s+\d"), "image/x-portable-graymap"),
    (re.compile(rb"P[36]\s+(?:#[^\n]*\n\s*)*\d+\s+\d"), "image/x-portable-pixmap"),
    (re.compile(rb"P7\n(?:#[^\n]*\n)*(?:WIDTH|HEIGHT|DEPTH|MAXVAL|TUPLTYPE) "), "image/x-portable-arbitrarymap"),
    (re.compile(rb"P[Ff]\s+\d+\s+\d+\s+-?[\d.]"), "image/x-portable-floatmap"),
    (re.compile(rb"(?:/\*[^*]{0,500}\*/\s*)?#define\s+\S*width\s+\d+\s+#define\s+\S*height\s+\d+"), "image/x-xbitmap"),
    (re.compile(rb"[\x50-\x5f]\x2a\x4d\x18"), "application/zstd"),
    (re.compile(rb"\x0a[\x00-\x05]\x01[\x01\x02\x04\x08][\x00-\xff]{60}\x00[\x01-\x04]"), "image/vnd.zbrush.pcx"),
    (re.compile(rb"[\x00-\xff]{4}\x11\xaf[\x00-\xff]{6}(?:\x08\x00|\x00\x00)"), "video/x-fli"),
    (re.compile(rb"[\x00-\xff]{4}\x12\xaf[\x00-\xff]{6}\x08\x00"), "video/x-flc"),
    (re.compile(rb"\x01\xda[\x00\x01][\x01\x02]\x00[\x01-\x03]"), "image/x-sgi"),
    (re.compile(rb"qoaf[\x00-\xff]{4}[\x01-\x08][\x00-\x0f]"), "audio/x-qoa"),  # its channels; a rate up to 1 MHz
    (re.compile(rb"\x0b\x77[\x00-\xff]{3}[\x00-\x57]"), "audio/ac3"),
    (re.compile(rb"\x0b\x77[\x00-\xff]{3}[\x58-\x87]"), "audio/eac3"),
)
_ANY_PATTERN = re.compile(b"|".join(b"(?:%b)" % pattern.pattern for pattern, _ in PATTERNS))


def by_signature(head: bytes) -> str | None:
    """Return the type whose pattern the head of the file shows, if one does."""
    for offset, magic, mime_type in _BY_FIRST_BYTE.get(head[:1], _ELSEWHERE):
        if head.startswith(magic, offset) and (magic in _TEXT_FORMATS or not is_word_of_text(magic, head)):
            return mime_type
    if head.find(b"%PDF-", 0, _PDF_STARTS_BEFORE) >= 0:
        return "application/pdf"
    if not _ANY_PATTERN.match(head):
        return None
    return next(mime_type for pattern, mime_type in PATTERNS if pattern.match(head))
