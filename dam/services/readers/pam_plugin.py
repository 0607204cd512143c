"""Has Pillow read portable arbitrary maps (PAM), which it does not know; registers itself when imported, as its own do.

https://netpbm.sourceforge.net/doc/pam.html
"""

from typing import BinaryIO, cast

import numpy as np
from PIL import Image, ImageFile

from dam.services.readers.pam_header import PamHeader, read_header
from dam.services.readers.problem import UnreadableFile

_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
# The standard's own, CMYK, and none at all, where the number of channels tells.
_TUPLE_TYPES = {
    1: ("", "GRAYSCALE", "BLACKANDWHITE"),
    2: ("", "GRAYSCALE_ALPHA", "BLACKANDWHITE_ALPHA"),
    3: ("", "RGB"),
    4: ("", "RGB_ALPHA", "CMYK"),
}
_PLAIN_MAXVAL = 255
_DECODER = "pam_samples"
_SAMPLES_TOGETHER = 1 << 20


class PamImageFile(ImageFile.ImageFile):
    """A portable arbitrary map with the channels of a picture; samples are scaled to 8 bits."""

    format = "PAM"
    format_description = "Portable arbitrary map"

    def _open(self) -> None:
        header = read_header(cast("BinaryIO", self.fp))
        self._mode = _mode_of(header)
        self._size = header.width, header.height
        decoder, arguments = (
            ("raw", (self.mode, 0, 1)) if header.maxval == _PLAIN_MAXVAL else (_DECODER, (header.maxval,))
        )
        self.tile = [ImageFile._Tile(decoder, (0, 0, *self.size), header.size_bytes, arguments)]


class _Samples(ImageFile.PyDecoder):
    """Scales samples of any largest value, those above 255 in two bytes, to 8 bits; 1 is white in a bitmap, too."""

    _pulls_fd = True

    def decode(self, buffer: Image.DecoderInput) -> tuple[int, int]:  # noqa: ARG002 - the base's signature
        (maxval,) = self.args
        stored = np.dtype(np.uint8 if maxval <= _PLAIN_MAXVAL else ">u2")
        scaled = np.rint(np.arange(maxval + 1) * (_PLAIN_MAXVAL / maxval)).astype(np.uint8)
        data = bytearray()
        missing = self.state.xsize * self.state.ysize * Image.getmodebands(self.mode)
        while missing and (block := cast("BinaryIO", self.fd).read(stored.itemsize * min(missing, _SAMPLES_TOGETHER))):
            samples = np.frombuffer(block[: len(block) // stored.itemsize * stored.itemsize], stored)
            data += scaled[np.minimum(samples, maxval)].tobytes()
            missing -= len(samples)
        self.set_as_raw(data)
        return -1, 0


def _mode_of(header: PamHeader) -> str:
    if header.tuple_type not in _TUPLE_TYPES.get(header.depth, ()):
        kind = f"{header.depth} channels of the kind {header.tuple_type or 'that is not named'}"
        raise UnreadableFile(f"{kind} are no picture that can be shown")
    return "CMYK" if header.tuple_type == "CMYK" else _MODES[header.depth]


def _is_pam(prefix: bytes) -> bool:
    return prefix.startswith(b"P7\n")


Image.register_open(PamImageFile.format, PamImageFile, _is_pam)
Image.register_decoder(_DECODER, _Samples)
