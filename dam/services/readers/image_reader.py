"""Reads pictures with Pillow: size, capture data and, when the pixels are decoded, perceptual hashes and thumbnails."""

import importlib
import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from typing import BinaryIO, Self

from PIL import Image, ImageFile, UnidentifiedImageError

from dam.services.facts import FrameProperties, ImageCapture, ImageDimensions, PerceptualHashes
from dam.services.readers import animations, fallback_sizes, picture_sizes, png_chunks
from dam.services.readers.capture import Tags, read_capture, read_orientation
from dam.services.readers.catalogue import PILLOW_PLUGINS, RAW_TYPES
from dam.services.readers.plain_values import LARGEST_INTEGER
from dam.services.readers.problem import UnreadableFile

_ORIENTED_BY_DECODER = ("HEIF", "JXL", "TIFF")
_EXIF_DIRECTORY, _GPS_DIRECTORY = 0x8769, 0x8825
_TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class Picture:
    """A picture file, opened once; nothing is decoded before the pixels are asked for.

    What Pillow raises on malformed files passes: a dozen kinds of exception, for the border that calls this to turn
    into a recorded problem. ``UnreadableFile`` says what else is wrong.
    """

    def __init__(self, file: BinaryIO, mime_type: str) -> None:
        self._file = file
        self._mime_type = mime_type
        self._opened = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def dimensions(self) -> ImageDimensions | None:
        """Return the size as displayed, None where only a preview's is known or the file leaves it open."""
        if self._mime_type in RAW_TYPES:
            return None
        size = self._size()
        if size is None:
            return None
        if not 0 < min(size) <= max(size) <= LARGEST_INTEGER:
            raise UnreadableFile(f"{size[0]} x {size[1]} is no size for a picture")
        return ImageDimensions(width_pixels=size[0], height_pixels=size[1])

    def frames(self) -> FrameProperties | None:
        """Return what an animation's file says of its frames, None for a still picture."""
        if self._mime_type == "image/png":
            return animations.frame_properties(len(self._png.frame_seconds), sum(self._png.frame_seconds))
        return animations.read_frames(self._file, self._mime_type)

    def capture(self, longest: int) -> ImageCapture | None:
        """Return what EXIF says of the shot; texts are cut to ``longest`` characters."""
        main, exif, gps = self._tags
        return read_capture(main, exif, gps, longest)

    def hashes(self, max_pixels: int) -> PerceptualHashes:
        """Decode the picture (of an animation the first frame) and hash it as displayed."""
        from dam.services.perceptual_hashing import hash_image

        return hash_image(self._grey(max_pixels))

    def hashes_of_orientations(self, max_pixels: int) -> dict[int, PerceptualHashes]:
        """Decode the picture and hash it turned in all eight ways, by the EXIF value that asks for each."""
        from dam.services.perceptual_hashing import hash_orientations

        return hash_orientations(self._grey(max_pixels))

    def thumbnail(self, max_pixels: int, max_side: int) -> bytes:
        """Return a JPEG of the picture as displayed, at most ``max_side`` wide and high, white where transparent."""
        self._refuse_above(max_pixels)
        with _pillow_limit(max_pixels):
            image = self._image
            image.draft("RGB", (2 * max_side, 2 * max_side))
            image.load()
            small = image.convert("RGBA") if _is_transparent(image) else image.convert("RGB")
            small.thumbnail((max_side, max_side))
        small = _transposed(small, self._orientation_of_pixels(image))
        if small.mode == "RGBA":
            small = Image.alpha_composite(Image.new("RGBA", small.size, "white"), small).convert("RGB")
        output = io.BytesIO()
        small.save(output, "JPEG", quality=80)
        return output.getvalue()

    def _size(self) -> tuple[int, int] | None:
        if picture_sizes.can_read(self._mime_type):
            self._file.seek(0)
            size = picture_sizes.read_size(self._file, self._mime_type)
            return None if size is None else (size.width_pixels, size.height_pixels)
        if self._mime_type == "image/png":
            width, height = self._png.width, self._png.height
        else:
            opened = _attempted(lambda: self._image)
            if opened is None:
                return self._size_without_decoder()
            width, height = opened.size
        return (height, width) if self._turns_sideways() else (width, height)

    def _size_without_decoder(self) -> tuple[int, int]:
        found = _attempted(lambda: fallback_sizes.read_size(self._file, self._mime_type))
        return found or self._image.size

    def _turns_sideways(self) -> bool:
        if self._format in _ORIENTED_BY_DECODER:
            return False
        # A broken EXIF block costs what it would have told; the size stays known.
        return (_attempted(self._orientation_of_header) or 1) >= 5

    def _orientation_of_header(self) -> int:
        if self._mime_type == "image/png" and not self._png.exif:
            return self._png.xmp_orientation
        return read_orientation(self._tags[0]) or 1

    def _orientation_of_pixels(self, image: Image.Image) -> int:
        if self._format == "JXL":
            return 1
        if self._mime_type == "image/png":
            return self._orientation_of_header()
        return read_orientation(image.getexif()) or 1

    @property
    def _format(self) -> str:
        return PILLOW_PLUGINS.get(self._mime_type, ("TIFF", ""))[0]

    @cached_property
    def _png(self) -> png_chunks.PngHeader:
        self._file.seek(0)
        return png_chunks.read_header(self._file)

    @cached_property
    def _tags(self) -> tuple[Tags, Tags, Tags]:
        if self._mime_type in ("image/png", "image/jxl"):
            block = self._png.exif if self._mime_type == "image/png" else picture_sizes.read_jxl_exif(self._file)
            if not block:
                return {}, {}, {}
            exif = Image.Exif()
            exif.load(block)
        elif self._mime_type not in PILLOW_PLUGINS and self._mime_type not in RAW_TYPES:
            return {}, {}, {}
        else:
            exif = self._image.getexif()
        return dict(exif), exif.get_ifd(_EXIF_DIRECTORY), exif.get_ifd(_GPS_DIRECTORY)

    @cached_property
    def _image(self) -> ImageFile.ImageFile:
        name, module = PILLOW_PLUGINS.get(self._mime_type, ("TIFF", "PIL.TiffImagePlugin"))
        _load_plugin(module)
        self._file.seek(0)
        file = png_chunks.without_compressed_metadata(self._file) if name == "PNG" else self._file
        file.seek(0)
        with _pillow_limit(None):
            try:
                return self._opened.enter_context(Image.open(file, formats=(name,)))
            except UnidentifiedImageError:
                raise UnreadableFile(f"no readable {name} file: damaged, cut off or of an unknown kind") from None

    def _grey(self, max_pixels: int) -> Image.Image:
        self._refuse_above(max_pixels)
        with _pillow_limit(max_pixels):
            image = self._image
            image.load()
            orientation = self._orientation_of_pixels(image)
            # Pillow would carry a transparent colour over to grey, warn where it can't, and change no pixel by it.
            image.info.pop("transparency", None)
            return _transposed(image.convert("L"), orientation)

    def _refuse_above(self, max_pixels: int) -> None:
        width, height = self._size() or (0, 0)
        if width * height > max_pixels:
            raise UnreadableFile(f"{width} x {height} pixels are more than the limit of {max_pixels}: not decoded")


def _attempted[T](read: Callable[[], T]) -> T | None:
    """Return None for what a parser raises when there is another way, or when it is only a part that can't be read."""
    try:
        return read()
    except Exception:  # noqa: BLE001 - part of the border around Pillow, which raises anything
        return None


def _transposed(image: Image.Image, orientation: int) -> Image.Image:
    return image.transpose(_TRANSPOSITIONS[orientation]) if orientation in _TRANSPOSITIONS else image


def _is_transparent(image: Image.Image) -> bool:
    return image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info


def _load_plugin(module: str) -> None:
    try:
        plugin = importlib.import_module(module)
    except ImportError as error:
        package = {"pillow_heif": "pillow-heif", "pillow_jxl": "pillow-jxl-plugin"}.get(module, module)
        raise UnreadableFile(
            f"reading this format needs {package}; install it with: pip install 'dam[image]'"
        ) from error
    if module == "pillow_heif":
        plugin.register_heif_opener()


@contextmanager
def _pillow_limit(max_pixels: int | None) -> Iterator[None]:
    """Put our pixel limit in place of Pillow's, refuse what is above it inside a file, and silence other warnings."""
    before = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = max_pixels
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    finally:
        Image.MAX_IMAGE_PIXELS = before
