"""Plain values that a file's readers find out; their fields are those of the components that keep them.

They cross process borders (as ``examination_task`` has it), so this module imports nothing but the standard library.
"""

from typing import NamedTuple


class ImageDimensions(NamedTuple):
    """Pixels as displayed."""

    width_pixels: int
    height_pixels: int


class FrameProperties(NamedTuple):
    """Frames of a video or an animated image; seconds and frames a second."""

    frame_count: int | None = None
    nominal_frame_rate: float | None = None
    animation_duration_seconds: float | None = None


class AudioProperties(NamedTuple):
    """A sound, or a video's first audio track; FFmpeg's short codec name, 1,000 bits a second."""

    duration_seconds: float | None = None
    codec_name: str | None = None
    sample_rate_hz: int | None = None
    channels: int | None = None
    bit_rate_kbps: float | None = None


class ImageCapture(NamedTuple):
    """What EXIF says of the shot; units as in ``ImageCaptureComponent``."""

    taken_at: str | None = None
    camera_make: str | None = None
    camera_model: str | None = None
    lens_model: str | None = None
    iso: int | None = None
    exposure_time_seconds: float | None = None
    f_number: float | None = None
    focal_length_mm: float | None = None
    latitude: float | None = None
    longitude: float | None = None
    altitude_metres: float | None = None
    orientation: int | None = None


class DocumentProperties(NamedTuple):
    """Pages and title of a document."""

    page_count: int | None = None
    title: str | None = None


class PerceptualHashes(NamedTuple):
    """64 bits each, the first bit first, equal to those of the ImageHash library."""

    phash: bytes
    ahash: bytes
    dhash: bytes


type Fact = ImageDimensions | FrameProperties | AudioProperties | ImageCapture | DocumentProperties | PerceptualHashes


class Facts(NamedTuple):
    """What was found out about one file, at most one fact of each kind, and why something was not."""

    found: tuple[Fact, ...] = ()
    problems: tuple[str, ...] = ()
