import codecs
import gzip
import io
import struct
import tarfile
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dam.services.media_type import EMPTY, media_type
from tests import media

OPEN_XML = "application/vnd.openxmlformats-officedocument."


def type_of(content: bytes, name: str = "file") -> str | None:
    return media_type(content[:65536], name, size=len(content))


def zipped(*names: str, first: tuple[str, str] | None = None) -> bytes:
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED) as archive:
        if first:
            archive.writestr(zipfile.ZipInfo(first[0]), first[1])
        for name in names:
            archive.writestr(name, "content")
    return output.getvalue()


def tarred(tar_format: int = tarfile.PAX_FORMAT) -> bytes:
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w", format=tar_format) as archive:
        archive.addfile(tarfile.TarInfo("a"), io.BytesIO())
    return output.getvalue()


def old_tar() -> bytes:
    content = bytearray(tarred(tarfile.USTAR_FORMAT))
    content[257:512] = bytes(255)
    content[148:156] = b"%06o\x00 " % (sum(content[:148]) + 8 * 32 + sum(content[156:512]))
    return bytes(content)


def iso_media(*brands: bytes) -> bytes:
    return struct.pack(">I4s4sI", 16 + 4 * len(brands[1:]), b"ftyp", brands[0], 0) + b"".join(brands[1:]) + bytes(32)


def compound(*streams: str) -> bytes:
    directory = b"".join(stream.encode("utf-16-le").ljust(128, b"\x00") for stream in streams)
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504) + directory


def ebml(doc_type: bytes, codec: bytes) -> bytes:
    head = b"\x1a\x45\xdf\xa3\x93\x42\x82" + bytes([0x80 | len(doc_type)]) + doc_type
    return head + b"\x18\x53\x80\x67" + b"\x86" + bytes([0x80 | len(codec)]) + codec


def asf(*streams: str) -> bytes:
    kinds = {"audio": "409e69f84d5bcf11a8fd00805f5c442b", "video": "c0ef19bc4d5bcf11a8fd00805f5c442b"}
    return bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c" + "".join(kinds[stream] for stream in streams))


def ogg(first_packet: bytes) -> bytes:
    return b"OggS\x00\x02" + bytes(20) + b"\x01" + bytes([len(first_packet)]) + first_packet


CONTENTS: list[tuple[bytes, str]] = [
    (zipped("a.txt"), "application/zip"),
    (b"PK\x05\x06" + bytes(18), "application/zip"),
    (zipped("[Content_Types].xml", "word/document.xml"), OPEN_XML + "wordprocessingml.document"),
    (zipped("[Content_Types].xml", "xl/workbook.xml"), OPEN_XML + "spreadsheetml.sheet"),
    (zipped("[Content_Types].xml", "ppt/presentation.xml"), OPEN_XML + "presentationml.presentation"),
    (zipped("META-INF/MANIFEST.MF", "A.class"), "application/java-archive"),
    (zipped("AndroidManifest.xml", "META-INF/MANIFEST.MF"), "application/vnd.android.package-archive"),
    (
        zipped("content.xml", first=("mimetype", "application/vnd.oasis.opendocument.text")),
        "application/vnd.oasis.opendocument.text",
    ),
    (zipped("a.opf", first=("mimetype", "application/epub+zip")), "application/epub+zip"),
    (compound("Root Entry", "WordDocument"), "application/msword"),
    (compound("Root Entry", "Workbook"), "application/vnd.ms-excel"),
    (compound("Root Entry", "PowerPoint Document"), "application/vnd.ms-powerpoint"),
    (compound("Root Entry"), "application/x-ole-storage"),
    (iso_media(b"isom", b"mp41"), "video/mp4"),
    (iso_media(b"mp42"), "video/mp4"),
    (iso_media(b"qt  "), "video/quicktime"),
    (b"\x00\x00\x00\x08wide\x00\x00\x01\x00mdat", "video/quicktime"),
    (iso_media(b"M4A "), "audio/mp4"),
    (iso_media(b"3gp4"), "video/3gpp"),
    (iso_media(b"3g2a"), "video/3gpp2"),
    (iso_media(b"avif", b"mif1"), "image/avif"),
    (iso_media(b"mif1", b"avif", b"miaf"), "image/avif"),
    (iso_media(b"mif1", b"heic"), "image/heic"),
    (iso_media(b"mif1", b"miaf"), "image/heif"),
    (iso_media(b"heic", b"mif1"), "image/heic"),
    (iso_media(b"hevc", b"msf1"), "image/heic-sequence"),
    (iso_media(b"crx "), "image/x-canon-cr3"),
    (ebml(b"webm", b"V_VP9"), "video/webm"),
    (ebml(b"webm", b"A_OPUS"), "audio/webm"),
    (ebml(b"matroska", b"V_MPEG4/ISO/AVC"), "video/x-matroska"),
    (ebml(b"matroska", b"A_FLAC"), "audio/x-matroska"),
    (asf("audio"), "audio/x-ms-wma"),
    (asf("audio", "video"), "video/x-ms-wmv"),
    (asf(), "video/x-ms-asf"),
    (ogg(b"\x01vorbis"), "audio/ogg"),
    (ogg(b"OpusHead"), "audio/ogg"),
    (ogg(b"\x80theora"), "video/ogg"),
    (b"RIFF\x00\x00\x00\x00WAVEfmt ", "audio/x-wav"),
    (b"RF64\xff\xff\xff\xffWAVEds64\x1c\x00\x00\x00", "audio/x-wav"),
    (b"RIFF\x00\x00\x00\x00AVI LIST", "video/x-msvideo"),
    (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
    (b"FORM\x00\x00\x00\x00AIFFCOMM", "audio/x-aiff"),
    (b"FORM\x00\x00\x00\x00AIFCCOMM", "audio/x-aiff"),
    (b"MAC \x96\x0f", "audio/x-ape"),
    (b"MP+\x07\x00", "audio/x-musepack"),
    (b"MPCKSH\x00", "audio/x-musepack"),
    (b"wvpk" + bytes(20), "audio/x-wavpack"),
    (b"MThd\x00\x00\x00\x06", "audio/midi"),
    (b"ID3\x04\x00\x00\x00\x00\x00\x02\x00\x00fLaC\x00\x00\x00\x22", "audio/flac"),
    (b"ID3\x04\x00\x00\x00\x00\x0f\x7f", "audio/mpeg"),
    (b"\xff\xfb\x90\x64" + bytes(413) + b"\xff\xfb\x90\x64", "audio/mpeg"),
    (b"\xff\xe3\x18\xc4" + bytes(60), "audio/mpeg"),
    (b"\x47" + b"\xff" * 187 + b"\x47" + b"\xff" * 187 + b"\x47" + b"\xff" * 187, "video/mp2t"),
    (b"\x00\x00\x01\xba\x44", "video/mpeg"),
    (b"II\x2a\x00\x08\x00\x00\x00", "image/tiff"),
    (b"MM\x00\x2b\x00\x08\x00\x00" + bytes(8), "image/tiff"),
    (b"II\x2a\x00\x10\x00\x00\x00CR\x02\x00", "image/x-canon-cr2"),
    (b"8BPS\x00\x01" + bytes(20), "image/vnd.adobe.photoshop"),
    (b"%PDF-1.4\n", "application/pdf"),
    (b"\n\n%PDF-1.4\n", "application/pdf"),
    (b"%!PS-Adobe-3.0 EPSF-3.0\n", "application/postscript"),
    (b"{\\rtf1}", "application/rtf"),
    (gzip.compress(b"a"), "application/gzip"),
    (b"BZh91AY&SY\x00", "application/x-bzip2"),
    (b"\xfd7zXZ\x00", "application/x-xz"),
    (b"\x28\xb5\x2f\xfd\x00", "application/zstd"),
    (b"\x50\x2a\x4d\x18\x04\x00\x00\x00", "application/zstd"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"Rar!\x1a\x07\x01\x00", "application/vnd.rar"),
    (tarred(), "application/x-tar"),
    (tarred(tarfile.GNU_FORMAT), "application/x-tar"),
    (old_tar(), "application/x-tar"),
    (b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00", "application/x-executable"),
    (b"\x7fELF\x02\x02\x01" + bytes(9) + b"\x00\x03", "application/x-sharedlib"),
    (b"\xcf\xfa\xed\xfe\x07", "application/x-mach-binary"),
    (b"\xca\xfe\xba\xbe\x00\x00\x00\x02", "application/x-mach-binary"),
    (b"\xca\xfe\xba\xbe\x00\x00\x00\x41", "application/java-vm"),
    (b"MZ" + bytes(58) + struct.pack("<I", 64) + b"PE\x00\x00", "application/vnd.microsoft.portable-executable"),
    (b"MZ" + bytes(100), "application/x-dosexec"),
    (b"\x00asm\x01\x00\x00\x00", "application/wasm"),
    (b"SQLite format 3\x00", "application/vnd.sqlite3"),
    (b"P1 1 1 0", "image/x-portable-bitmap"),
    (b"P5\n# by hand\n1 1\n255\n\x00", "image/x-portable-graymap"),
    (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml"),
    (b"<?xml version='1.0'?><!-- a --><!DOCTYPE svg [<!ENTITY a 'b'>]><s:svg xmlns:s='x'/>", "image/svg+xml"),
    (b"<?xml version='1.0'?><note/>", "application/xml"),
    (b"<!DOCTYPE html><title>a</title>", "text/html"),
    (b'<html xmlns="http://www.w3.org/1999/xhtml"/>', "application/xhtml+xml"),
    (b"#!/usr/bin/env python3\n", "text/x-python"),
    (b"#!/bin/bash\n", "text/x-shellscript"),
    (b'{"a": 1}', "application/json"),
    (b"BEGIN:VCARD\r\n", "text/vcard"),
    (b"plain words", "text/plain"),
    (b"MAC addresses of the office\n", "text/plain"),
    (b"OTTO and ANNA\n", "text/plain"),
    (b"The wide world\n", "text/plain"),
    (b"MZ wrote this\n", "text/plain"),
    (b"qoaf is how an audio file may begin\n", "text/plain"),
    (b"qoaf\x00\x00\xac\x44\x02\x00\xac\x44", "audio/x-qoa"),
    ("Grüße".encode(), "text/plain"),
    ("Grüße aus Köln, wo es schön ist".encode("latin-1"), "text/plain"),
    (codecs.BOM_UTF16_LE + "words".encode("utf-16-le"), "text/plain"),
    (codecs.BOM_UTF16_BE + "words".encode("utf-16-be"), "text/plain"),
]


@pytest.mark.parametrize(("content", "mime_type"), CONTENTS, ids=[str(n) for n in range(len(CONTENTS))])
def test_content_tells_the_type(content: bytes, mime_type: str) -> None:
    assert type_of(content) == mime_type


@pytest.mark.parametrize(("content", "mime_type"), CONTENTS, ids=[str(n) for n in range(len(CONTENTS))])
def test_a_lying_name_changes_nothing(content: bytes, mime_type: str) -> None:
    assert type_of(content, "holiday.jpg") == mime_type


@pytest.mark.parametrize(
    ("content", "name", "mime_type"),
    [
        (b"x = 1", "a.py", "text/x-python"),
        (b"int x;", "a.C", "text/x-csrc"),
        (b"a,b\n1,2", "a.csv", "text/csv"),
        (b"0", "a.json", "application/json"),
        (b"# Title", "README.md", "text/markdown"),
        (b"<_/>", "a.xml", "application/xml"),
        (b"<html><body/></html>", "a.xhtml", "application/xhtml+xml"),
        (b"words", "a.jpg", "text/plain"),
        (b"words", "a.mp3", "text/plain"),
        (compound("Root Entry"), "a.doc", "application/msword"),
        (compound("Root Entry"), "a.XLS", "application/vnd.ms-excel"),
        (iso_media(b"isom"), "a.m4a", "audio/mp4"),
        (zipped("page1.jpg"), "a.cbz", "application/vnd.comicbook+zip"),
        (zipped("word/document.xml"), "a.docm", "application/vnd.ms-word.document.macroEnabled.12"),
        (media.picture_bytes("TGA"), "a.tga", "image/x-tga"),
        (bytes(2) + b"\x02" + bytes(15), "a.tga", "image/x-tga"),
        (bytes(2) + b"\x02" + bytes(15), "a.bin", None),
    ],
)
def test_the_name_decides_what_the_content_leaves_open(content: bytes, name: str, mime_type: str | None) -> None:
    assert type_of(content, name) == mime_type


def test_an_empty_file_has_a_type_of_its_own() -> None:
    assert type_of(b"", "a.py") == EMPTY


def test_a_character_cut_at_the_end_of_the_head_is_no_sign_of_binary() -> None:
    content = b"a" * 65535 + "ü".encode()

    assert type_of(content) == "text/plain"


def test_bytes_of_no_kind_have_no_type() -> None:
    assert type_of(bytes(range(256))) is None
    assert type_of(b"\xc3") is None


def test_what_only_begins_like_an_icon_is_none() -> None:
    assert type_of(b"\x00\x00\x01\x00" + bytes(252)) is None


@given(st.binary(max_size=600), st.text(max_size=12))
def test_no_bytes_and_no_name_raise(content: bytes, name: str) -> None:
    assert isinstance(type_of(content, name), str | None)


@given(st.sampled_from([content for content, _ in CONTENTS]), st.integers(0, 400), st.binary(max_size=12))
def test_damaged_files_don_t_raise(content: bytes, place: int, change: bytes) -> None:
    damaged = content[:place] + change + content[place + len(change) :]

    assert isinstance(type_of(damaged), str | None)
    assert isinstance(type_of(content[:place]), str | None)
