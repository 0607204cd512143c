"""The calls of the reading libraries that tell a file's facts, as a script makes them that trusts its files.

Nothing is bounded, checked or kept apart. What is only known from the packets of a stream is read from them, as our
reader does; pictures are decoded and hashed with our own hashes, which have a benchmark of their own.
"""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import av
import pypdfium2
from PIL import Image, ImageOps

from dam.services import perceptual_hashing
from dam.services.readers import catalogue, mpeg_length

_GUESSED = ("aac", "ac3", "eac3", "mp3", "mpeg", "mpegvideo", "mpegts")
_EXIF_DIRECTORY, _GPS_DIRECTORY = 0x8769, 0x8825


def read(path: str, mime_type: str) -> object:
    """Return what the library for this type has to say."""
    if mime_type in catalogue.PILLOW_PLUGINS:
        return _picture(path)
    if mime_type in catalogue.DEMUXERS:
        return _streams(path, mime_type)
    if mime_type == "application/pdf":
        return _document(path)
    return _drawing(path) if mime_type == "image/svg+xml" else _head(path)


def _picture(path: str) -> object:
    with Image.open(path) as image:
        exif = image.getexif()
        tags = dict(exif), exif.get_ifd(_EXIF_DIRECTORY), exif.get_ifd(_GPS_DIRECTORY)
        hashes = perceptual_hashing.hash_image(ImageOps.exif_transpose(image.convert("L")))
        return image.size, getattr(image, "n_frames", 1), tags, hashes


def _streams(path: str, mime_type: str) -> object:
    options = {"max_probe_packets": "1"} if mime_type in ("audio/x-wav", "audio/x-w64") else {}
    with av.open(path, container_options=options) as container:
        streams = [(each.type, each.duration, each.codec_context.name) for each in container.streams]
        sound = [(each.rate, each.channels, each.bit_rate) for each in container.streams.audio]
        video = [(each.width, each.height, each.frames, each.average_rate) for each in container.streams.video]
        demuxed = _says_too_little(container, path)
        packets = [(each.pts, each.duration, each.size) for each in container.demux()] if demuxed else []
        return container.duration, streams, sound, video, packets


def _says_too_little(container: Any, path: str) -> bool:
    kind = container.format.name.split(",")[0]
    if kind in _GUESSED:
        with Path(path).open("rb") as file:
            return kind != "mp3" or not mpeg_length.is_stated(file, container.size)
    video, audio = container.streams.video, container.streams.audio
    return kind == "avi" or any(not each.frames for each in video) or any(not each.bit_rate for each in audio)


def _document(path: str) -> object:
    document = pypdfium2.PdfDocument(path)
    try:
        return len(document), document.get_metadata_value("Title")
    finally:
        document.close()


def _drawing(path: str) -> object:
    _, root = next(iter(ElementTree.iterparse(path, events=["start"])))
    return root.attrib


def _head(path: str) -> bytes:
    """Read the start of a file for whose type no library is asked."""
    with Path(path).open("rb") as file:
        return file.read(1 << 12)
