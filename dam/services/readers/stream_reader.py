"""Reads sound and video with FFmpeg (PyAV): what a container states when that is reliable, else what is in it."""

import re
import struct
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import av
from av.container import InputContainer
from av.stream import Disposition, Stream

from dam.services.facts import AudioProperties, Fact, FrameProperties, ImageDimensions
from dam.services.readers import mpeg_length
from dam.services.readers.catalogue import DEMUXERS
from dam.services.readers.plain_values import positive, whole_number
from dam.services.readers.problem import UnreadableFile

# Files whose length FFmpeg guesses from a bit rate or from two time stamps: only what is measured is true.
_GUESSED = ("aac", "ac3", "eac3", "dts", "mpeg", "mpegvideo", "mpegts", "amr")
_MOST_MEASURED_BYTES = 1 << 30
_MOST_MEASURED_SECONDS = 4.0
_SMALL_FILE_BYTES = 1 << 20
_HIGHEST_FRAME_RATE = 1000
_BITS_IN_DSD_BYTE = 8
_FEW_FRAMES = 4096  # samples
_GAPLESS = re.compile(r"\s*[0-9A-F]{8}\s+([0-9A-F]{8})\s+([0-9A-F]{8})\s+([0-9A-F]{16})\b", re.IGNORECASE)


@dataclass(slots=True)
class _Measured:
    """What the packets of a stream add up to; times are in its time base."""

    time_base: Any
    packets: int = 0
    size: int = 0
    start: int | None = None
    end: int = 0
    last: int = 0
    last_duration: int = 0

    def seconds(self, rate: float | None = None) -> float | None:
        """Return the length; the last packet's own, when it states none, is one of ``rate`` a second."""
        if self.start is None or self.time_base is None:
            return None
        length = float((self.end - self.start) * self.time_base)
        if rate and not self.last_duration:
            length = max(length, float((self.last - self.start) * self.time_base) + 1 / rate)
        return positive(length)


class _Source:
    """A file that FFmpeg may read, and seek in as far as it goes."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.read, self.tell = file.read, file.tell
        self._file, self._size = file, size

    def seek(self, offset: int, whence: int = 0) -> int:
        if whence == 0 and not 0 <= offset <= self._size:
            return -1
        return self._file.seek(offset, whence)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recording:
    """An opened file; ``guessed`` says that the lengths and rates it states are FFmpeg's guesses."""

    container: InputContainer
    size: int
    guessed: bool

    @property
    def kind(self) -> str:
        return _kind(self.container)


def read_streams(file: BinaryIO, mime_type: str) -> Iterator[Fact]:
    """Give the facts of the first video track (cover pictures are none) and of the first audio track.

    What FFmpeg raises on malformed files passes. Nothing is decoded but what FFmpeg itself decodes to learn a stream's
    parameters; no other file is opened. Pixels count as stored, whatever their aspect, but turned as the file asks.
    """
    size = file.seek(0, 2)
    # These move in the file, which is FFmpeg's alone once it is opened.
    dsf_seconds = _dsf_seconds(file) if mime_type == "audio/x-dsf" else None
    guessed = mime_type == "audio/mpeg" and not mpeg_length.is_stated(file, size)
    with _opened(file, size, mime_type) as container:
        recording = _Recording(container=container, size=size, guessed=guessed or _kind(container) in _GUESSED)
        audio = next(iter(container.streams.audio), None)
        video = None if mime_type.startswith("audio/") else _first_video(container)
        if audio is None and video is None:
            raise UnreadableFile("the file has neither a video nor an audio track that can be read")
        if video is not None:
            yield from _dimensions(video)
        measured = _measure(container) if _needs_measuring(recording, audio, video) else {}
        if video is not None:
            yield from _frames(recording, video, measured.get(video.index))
        if audio is not None:
            yield _audio(recording, audio, measured.get(audio.index), dsf_seconds)


def _opened(file: BinaryIO, size: int, mime_type: str) -> InputContainer:
    file.seek(0)
    demuxer = _demuxer(file.read(8), mime_type)
    file.seek(0)
    # A WAV file is what it says it is; looking for other formats in its samples takes 20 ms.
    options = {"max_probe_packets": "1"} if demuxer in ("wav", "w64") else {}
    return av.open(_Source(file, size), "r", format=demuxer, container_options=options, io_open=_refuse)


def _demuxer(head: bytes, mime_type: str) -> str:
    if head.startswith(b"\x00\x00\x01\xb3"):
        return "mpegvideo"
    return "mpc8" if head.startswith(b"MPCK") else DEMUXERS[mime_type]


def _refuse(url: str, _flags: int, _options: Mapping[str, str]) -> BinaryIO:
    raise UnreadableFile(f"the file asks for another one: {url[:100]}")


def _first_video(container: InputContainer) -> Any:
    return next((stream for stream in container.streams.video if not _is_cover(stream)), None)


def _is_cover(stream: Stream) -> bool:
    disposition: Disposition = stream.disposition
    return bool(disposition & (Disposition.attached_pic | Disposition.timed_thumbnails))


def _kind(container: InputContainer) -> str:
    return container.format.name.split(",")[0]


def _needs_measuring(recording: _Recording, audio: Any, video: Any) -> bool:
    if recording.size > _MOST_MEASURED_BYTES:
        return False
    if recording.guessed or (video is not None and (recording.kind == "avi" or not _stated_frames(video))):
        return True
    return audio is not None and recording.size <= _SMALL_FILE_BYTES and not _stated_bit_rate(audio)


def _measure(container: InputContainer) -> dict[int, _Measured]:
    """Add up all packets, by the stream's index; nothing when it takes too long."""
    end_of_patience = time.monotonic() + _MOST_MEASURED_SECONDS
    measured = {stream.index: _Measured(stream.time_base) for stream in container.streams}
    with_hidden_frames = {stream.index for stream in container.streams.video if _codec_name(stream) == "vp8"}
    for packet in container.demux():
        if time.monotonic() > end_of_patience:
            return {}
        if packet.size:
            shown = packet.stream_index not in with_hidden_frames or _is_shown(packet)
            _add(measured.setdefault(packet.stream_index, _Measured(packet.time_base)), packet, shown=shown)
    return measured


def _add(sums: _Measured, packet: Any, *, shown: bool) -> None:
    sums.packets += shown
    sums.size += packet.size
    at = packet.pts if packet.pts is not None else packet.dts
    if at is None:
        return
    length = packet.duration or 0
    sums.start = at if sums.start is None else min(sums.start, at)
    if at >= sums.last:
        sums.last, sums.last_duration = at, length
    sums.end = max(sums.end, at + length)


def _is_shown(packet: Any) -> bool:
    # RFC 6386, 9.1: the fifth bit of a VP8 frame says whether it is shown or only referred to.
    return bool(memoryview(packet)[0] & 0x10)


def _dimensions(video: Any) -> Iterator[Fact]:
    context = video.codec_context
    width, height = (whole_number(getattr(context, side, None)) for side in ("width", "height"))
    if width is None or height is None:
        return
    if _is_sideways(context.coded_side_data.get("display_matrix")):
        width, height = height, width
    yield ImageDimensions(width_pixels=width, height_pixels=height)


def _is_sideways(matrix: bytes | None) -> bool:
    """Tell whether a display matrix (FFmpeg's: nine 32-bit numbers, row by row) turns by 90 or 270 degrees."""
    if matrix is None or len(matrix) < 36:
        return False
    across, down = struct.unpack_from("=2i", matrix)
    return bool(abs(down) > abs(across))


def _frames(recording: _Recording, video: Any, measured: _Measured | None) -> Iterator[Fact]:
    rate = _frame_rate(video)
    count = measured.packets if measured else _stated_frames(video)
    seconds = _track_seconds(recording, video, measured, rate)
    if count or rate or seconds:
        yield FrameProperties(
            frame_count=whole_number(count), nominal_frame_rate=rate, animation_duration_seconds=seconds
        )


def _frame_rate(video: Any) -> float | None:
    rate = video.average_rate or video.guessed_rate
    return float(rate) if rate and 0 < rate < _HIGHEST_FRAME_RATE else None


def _stated_frames(video: Any) -> int | None:
    if video.frames:
        return int(video.frames)
    # mkvmerge and its like count while they write.
    counted = next((value for key, value in video.metadata.items() if key.startswith("NUMBER_OF_FRAMES")), "")
    return int(counted) if re.fullmatch(r"[1-9]\d{0,8}", counted) else None


def _track_seconds(
    recording: _Recording, track: Any, measured: _Measured | None, rate: float | None = None
) -> float | None:
    """Return a track's length: as it states, else as measured, else the whole file's; guesses don't count."""
    found = measured.seconds(rate) if measured else None
    if recording.guessed:
        return found
    # ASF states one length for all its tracks.
    if found is not None and recording.kind == "asf":
        return found
    return _stated_seconds(track) or found or _container_seconds(recording.container)


def _stated_seconds(track: Any) -> float | None:
    if track.duration is None or track.time_base is None:
        return None
    return positive(float(track.duration * track.time_base))


def _container_seconds(container: InputContainer) -> float | None:
    return positive(container.duration / av.time_base) if container.duration else None


def _audio(recording: _Recording, audio: Any, measured: _Measured | None, dsf_seconds: float | None) -> AudioProperties:
    codec = _codec_name(audio)
    rate = whole_number(getattr(audio.codec_context, "sample_rate", None))
    if rate is not None and codec is not None and codec.startswith("dsd_"):
        rate *= _BITS_IN_DSD_BYTE
    seconds = dsf_seconds or _track_seconds(recording, audio, measured)
    return AudioProperties(
        duration_seconds=_gapless_seconds(recording.container, audio, seconds) or seconds,
        codec_name=codec,
        sample_rate_hz=rate,
        channels=whole_number(getattr(audio.codec_context, "channels", None)),
        bit_rate_kbps=_bit_rate(recording, audio, measured, seconds),
    )


def _codec_name(stream: Any) -> str | None:
    context = stream.codec_context
    return context.codec.canonical_name if context is not None else None


def _gapless_seconds(container: InputContainer, audio: Any, with_padding: float | None) -> float | None:
    """Return the length that is heard, without the encoder's padding, where iTunes wrote it down."""
    told = _GAPLESS.match(container.metadata.get("iTunSMPB", ""))
    rate = getattr(audio.codec_context, "sample_rate", 0)
    if not told or not rate or with_padding is None:
        return None
    delay, padding, samples = (int(part, 16) for part in told.groups())
    # The tag outlives cutting and re-encoding; it is true of this file only when it adds up, to within a few frames.
    adds_up = any(abs(whole - with_padding * rate) <= _FEW_FRAMES for whole in (samples, delay + samples + padding))
    return samples / rate if adds_up and samples else None


def _bit_rate(recording: _Recording, audio: Any, measured: _Measured | None, seconds: float | None) -> float | None:
    if not recording.guessed and (bits := _stated_bit_rate(audio)):
        return bits / 1000
    if measured and measured.size and (length := measured.seconds()):
        return measured.size * 8 / length / 1000
    return _overall_bit_rate(recording, audio, seconds)


def _stated_bit_rate(audio: Any) -> int | None:
    return whole_number(getattr(audio.codec_context, "bit_rate", None))


def _overall_bit_rate(recording: _Recording, audio: Any, seconds: float | None) -> float | None:
    """Return the file's rate when it holds nothing but this track and covers; a few tags are taken for sound."""
    others = [stream for stream in recording.container.streams if stream.index != audio.index]
    if seconds is None or not all(_is_cover(stream) for stream in others):
        return None
    # Covers come before everything else.
    first = zip(recording.container.demux(), range(2 * len(others)), strict=False) if others else ()
    covers = sum(packet.size for packet, _ in first if packet.stream_index != audio.index)
    return positive((recording.size - covers) * 8 / seconds / 1000)


def _dsf_seconds(file: BinaryIO) -> float | None:
    """Read a DSF file's length (Sony, DSF 1.01, fmt chunk): its data are padded to whole blocks."""
    file.seek(28)
    chunk = file.read(52)
    if len(chunk) < 52 or not chunk.startswith(b"fmt "):
        return None
    rate, _bits, samples = struct.unpack_from("<IIQ", chunk, 28)
    return positive(samples / rate) if rate else None
