"""Makes media of every kind for tests: pictures with Pillow, sound and video with FFmpeg (PyAV), the rest by hand."""

import io
import math
import struct
import zlib
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.stream import AudioStream
from av.stream import Disposition
from av.video.stream import VideoStream
from PIL import Image, ImageDraw

FF_QP2LAMBDA = 118  # FFmpeg's unit of quality
_ZEROS = 1 << 16


def picture(width: int = 64, height: int = 48, mode: str = "RGB", shift: int = 0) -> Image.Image:
    """Draw something with structure, in any mode; ``shift`` moves it, to tell frames apart."""
    image = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    draw = ImageDraw.Draw(image)
    draw.ellipse((width // 8 + shift, height // 8, width // 2 + shift, height // 2), fill=(200, 30, 60))
    draw.rectangle((width // 2, height // 2, width * 7 // 8, height * 3 // 4), fill=(20, 90, 220))
    if mode == "I;16":
        return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    return image.convert(mode)


def picture_bytes(image_format: str, image: Image.Image | None = None, **options: Any) -> bytes:
    """Return a picture file of a format that Pillow writes."""
    output = io.BytesIO()
    (image or picture()).save(output, image_format, **options)
    return output.getvalue()


def animation_bytes(image_format: str, durations: Sequence[int], **options: Any) -> bytes:
    """Return an animation of GIF, PNG, WEBP or AVIF with a frame for each duration in milliseconds."""
    frames = [picture(shift=number) for number in range(len(durations))]
    options = {"save_all": True, "append_images": frames[1:], "duration": list(durations), **options}
    return picture_bytes(image_format, frames[0], **options)


def exif(**tags: Any) -> Image.Exif:
    """Return EXIF with tags by the names of ``PIL.ExifTags``; ``gps`` holds its directory by number."""
    from PIL.ExifTags import IFD, Base

    block = Image.Exif()
    gps = tags.pop("gps", None)
    for name, value in tags.items():
        directory = block if name in ("Make", "Model", "Orientation", "DateTime") else block.get_ifd(IFD.Exif)
        directory[Base[name].value] = value
    if gps:
        block.get_ifd(IFD.GPSInfo).update(gps)
    return block


def sound(
    path: Path, container: str, codec: str, *, seconds: float = 1.0, rate: int = 44100, channels: int = 2,
    bit_rate: int | None = None, options: dict[str, str] | None = None, container_options: dict[str, str] | None = None,
    noisy_from: float | None = None, quality: int | None = None, cover: bytes | None = None,
) -> Path:  # fmt: skip
    """Write a tone of a known length; ``quality`` asks for a variable rate, which noise makes vary."""
    with av.open(str(path), "w", format=container, options=container_options or {}) as output:
        stream = _audio_stream(output, codec, rate, channels, bit_rate, options)
        if quality is not None:
            stream.codec_context.qscale = True
            stream.codec_context.global_quality = quality * FF_QP2LAMBDA
        if cover is not None:
            _add_cover(output, cover)
        for frame in _tone(seconds, rate, channels, noisy_from):
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def video(
    path: Path, container: str, codec: str, *, frames: int = 25, rate: Fraction | int = 25, width: int = 64,
    height: int = 48, audio_codec: str | None = None, audio_rate: int = 44100, rotation: int = 0,
    options: dict[str, str] | None = None, container_options: dict[str, str] | None = None,
) -> Path:  # fmt: skip
    """Write a video of a known number of frames, with a tone of the same length when an audio codec is named."""
    with av.open(str(path), "w", format=container, options=container_options or {}) as output:
        stream = output.add_stream(codec, rate=rate, options=options or {})
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        if rotation:
            stream.set_display_rotation(rotation)
        tone = _audio_stream(output, audio_codec, audio_rate, 2, None, None) if audio_codec else None
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(np.asarray(picture(width, height, shift=number % 8)), format="rgb24")
            frame.pts, frame.time_base = number, 1 / Fraction(rate)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        if tone is not None:
            for sound_frame in _tone(float(frames / Fraction(rate)), audio_rate, 2, None):
                output.mux(tone.encode(sound_frame))
            output.mux(tone.encode(None))
    return path


def _add_cover(output: Any, cover: bytes) -> None:
    stream = output.add_stream("png", rate=1)
    stream.width, stream.height, stream.pix_fmt = 64, 48, "rgb24"
    stream.disposition = Disposition.attached_pic
    packet = av.Packet(cover)
    packet.stream, packet.pts, packet.dts = stream, 0, 0
    output.mux(packet)


def _audio_stream(
    output: Any, codec: str, rate: int, channels: int, bit_rate: int | None, options: dict[str, str] | None
) -> AudioStream:
    stream = output.add_stream(codec, rate=rate, options=options or {})
    assert isinstance(stream, AudioStream)
    stream.codec_context.layout = "mono" if channels == 1 else "stereo"
    if codec.startswith("wma"):
        bit_rate = bit_rate or 128000
    if bit_rate:
        stream.codec_context.bit_rate = bit_rate
    return stream


def _tone(seconds: float, rate: int, channels: int, noisy_from: float | None) -> list[av.AudioFrame]:
    count = round(seconds * rate)
    times = np.arange(count) / rate
    samples = 0.3 * np.sin(2 * math.pi * 440 * times)
    if noisy_from is not None:
        noise = np.random.default_rng(1).uniform(-0.9, 0.9, count)
        samples = np.where(times >= noisy_from, noise, samples * 0.0)
    whole = np.repeat((samples * 32767).astype(np.int16)[:, np.newaxis], channels, axis=1)
    frames = []
    for start in range(0, count, 1024):
        block = np.ascontiguousarray(whole[start : start + 1024].reshape(1, -1))
        frame = av.AudioFrame.from_ndarray(block, format="s16", layout="mono" if channels == 1 else "stereo")
        frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
        frames.append(frame)
    return frames


def pdf_bytes(pages: int, title: str | None = None) -> bytes:
    """Return a PDF of empty pages."""
    kids = " ".join(f"{4 + number} 0 R" for number in range(pages))
    name = f"/Title <feff{title.encode('utf-16-be').hex()}>" if title is not None else ""
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {pages} >>",
        f"<< {name} >>",
        *["<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 100] >>"] * pages,
    ]
    document, places = b"%PDF-1.7\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(document))
        document += f"{number} 0 obj\n{content}\nendobj\n".encode()
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    size = len(objects) + 1
    return (
        document
        + f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer\n<< /Size {size} /Root 1 0 R /Info 3 0 R >>\n".encode()
        + f"startxref\n{len(document)}\n%%EOF\n".encode()
    )


def svg_bytes(attributes: str = 'width="64" height="48"') -> bytes:
    """Return an SVG with these attributes of its root."""
    return f'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg" {attributes}><g/></svg>\n'.encode()


def psd_bytes(image: Image.Image | None = None) -> bytes:
    """Return a Photoshop file with one flat, uncompressed picture."""
    image = image or picture()
    header = struct.pack(">4sH6xHIIHH", b"8BPS", 1, 3, image.height, image.width, 8, 3)
    planes = b"".join(channel.tobytes() for channel in image.split())
    return header + bytes(12) + b"\x00\x00" + planes


def xcf_bytes(width: int = 64, height: int = 48) -> bytes:
    """Return a GIMP file without layers."""
    sizes = struct.pack(">III", width, height, 0)
    return b"gimp xcf file\x00" + sizes + struct.pack(">IIBII", 17, 1, 0, 0, 0) + bytes(8)


def ktx_bytes(width: int = 64, height: int = 48) -> bytes:
    """Return the header of a KTX texture and nothing else."""
    return b"\xabKTX 11\xbb\r\n\x1a\n\x01\x02\x03\x04" + bytes(20) + struct.pack("<II", width, height) + bytes(20)


def ktx2_bytes(width: int = 64, height: int = 48) -> bytes:
    """Return the header of a KTX 2 texture and nothing else."""
    return b"\xabKTX 20\xbb\r\n\x1a\n" + bytes(8) + struct.pack("<II", width, height) + bytes(52)


def pam_bytes(image: Image.Image | None = None, *, tuple_type: str = "RGB", maxval: int = 255) -> bytes:
    """Return a portable arbitrary map; samples of 0 to 255 are scaled to a largest value of ``maxval``."""
    image = image or picture()
    depth = len(image.getbands())
    stored = np.uint8 if maxval < 256 else ">u2"
    samples = np.rint(np.asarray(image).astype(np.float64) * maxval / 255).astype(stored)
    sizes = f"WIDTH {image.width}\nHEIGHT {image.height}\nDEPTH {depth}\nMAXVAL {maxval}"
    return f"P7\n{sizes}\nTUPLTYPE {tuple_type}\nENDHDR\n".encode() + samples.tobytes()


def pfm_bytes(width: int = 64, height: int = 48) -> bytes:
    """Return a black portable float map."""
    return f"PF\n{width} {height}\n-1.0\n".encode() + bytes(12 * width * height)


def cursor_bytes(image: Image.Image | None = None) -> bytes:
    """Return a Windows cursor: an icon of another number."""
    icon = bytearray(picture_bytes("ICO", (image or picture(32, 32)), sizes=[(32, 32)], bitmap_format="bmp"))
    icon[2:4] = b"\x02\x00"
    return bytes(icon)


def xpm_bytes() -> bytes:
    """Return a tiny X pixmap of 2 by 3 pixels."""
    rows = ",\n".join('"ab"' for _ in range(3))
    return f'/* XPM */\nstatic char * p[] = {{\n"2 3 2 1",\n"a c #FF0000",\n"b c #0000FF",\n{rows}}};\n'.encode()


def sun_raster_bytes(width: int = 64, height: int = 48) -> bytes:
    """Return an uncompressed grey Sun raster."""
    header = struct.pack(">8I", 0x59A66A95, width, height, 8, width * height, 1, 0, 0)
    return header + picture(width, height, "L").tobytes()


def flash_bytes(width: int = 550, height: int = 400, rate: int = 12) -> bytes:
    """Return an uncompressed Flash film of one frame; sizes are kept in twentieths of a pixel, 15 bits each here."""
    bits = f"{15:05b}{0:015b}{20 * width:015b}{0:015b}{20 * height:015b}"
    frame = int(bits.ljust(72, "0"), 2).to_bytes(9)
    body = frame + struct.pack("<HH", rate << 8, 1) + b"\x40\x00\x00\x00"
    return b"FWS\x07" + struct.pack("<I", 8 + len(body)) + body


def dsf_bytes(samples: int = 28224, rate: int = 2822400, channels: int = 2) -> bytes:
    """Return a DSD stream file of silence, its data padded to whole blocks as the format asks."""
    blocks = -(-samples // (8 * 4096))
    data = b"\x69" * (blocks * 4096 * channels)
    layout = struct.pack("<4sQIIIIIIQII", b"fmt ", 52, 1, 0, 2, channels, rate, 1, samples, 4096, 0)
    total = 28 + 52 + 12 + len(data)
    return struct.pack("<4sQQQ", b"DSD ", 28, total, 0) + layout + struct.pack("<4sQ", b"data", 12 + len(data)) + data


def png_with(*chunks: tuple[bytes, bytes], image: Image.Image | None = None) -> bytes:
    """Return a PNG with more chunks, as (kind, data), right behind its header."""
    png = picture_bytes("PNG", image)
    made = b"".join(png_chunk(kind, data) for kind, data in chunks)
    return png[:33] + made + png[33:]


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG: length, kind, data and checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def packed_zeros(count: int) -> bytes:
    """Return at least so many zeros as zlib packs them, but quickly: one packed block over and over."""
    packer = zlib.compressobj(wbits=-15)
    block = packer.compress(bytes(_ZEROS)) + packer.flush(zlib.Z_FULL_FLUSH)
    blocks = math.ceil(count / _ZEROS)
    checksum = (blocks * _ZEROS % 65521) << 16 | 1  # Adler-32 of zeros
    return b"\x78\x9c" + block * blocks + b"\x03\x00" + struct.pack(">I", checksum)


def black_png(width: int, height: int, *, rows: int | None = None) -> bytes:
    """Return a picture that has all its pixels, or only those of so many rows."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = packed_zeros((1 + 3 * width) * (height if rows is None else rows))
    chunks = ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(kind, data) for kind, data in chunks)
