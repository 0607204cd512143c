"""Perceptual hashes, bit for bit those of the ImageHash library, from one grey image and one pass over its pixels.

ImageHash turns a picture grey and resizes it three times with Pillow's Lanczos filter. Here the grey image is shared,
the costly first passes of the three resizes are one exact matrix product, and SciPy is imported only for pictures that
need it.

The product is cut for one thread: worker processes should be started with ``OPENBLAS_NUM_THREADS=1`` in their
environment, before NumPy is imported.
"""

import itertools
import math
from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dam.services.facts import PerceptualHashes

type HashKind = Literal["phash", "ahash", "dhash"]
type _Floats = NDArray[np.float64]
type _Bytes = NDArray[np.uint8]
type _Bits = NDArray[np.bool_]

_SIZES = ((32, 32), (8, 8), (9, 8))  # pixels that pHash, aHash and dHash look at, width by height
_TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_PRECISION_BITS = 32 - 8 - 2  # of Pillow's fixed-point weights, Resample.c
_LANCZOS_LOBES = 3.0
_PRODUCT_PAYS_FROM_SIDE = 256
_PRODUCT_PAYS_FROM_PIXELS = 250_000
_SLABS = 8
_BLOCK_PIXELS = 1 << 17  # as float64, half of a usual level-2 cache

_COSINES = 2 * np.cos(np.pi / 64 * np.outer(np.arange(8), 2 * np.arange(32) + 1))  # frequencies by pixels

_FEW_BITS = 2
_FEW_COEFFICIENTS = 8


def hash_image(image: Image.Image) -> PerceptualHashes:
    """Hash a decoded image as it is displayed (EXIF orientation already applied), whatever its mode.

    Equal to ``imagehash.phash``, ``average_hash`` and ``dhash``, but indifferent to a transparency that Pillow can't
    carry over to grey. Raises what Pillow raises for a mode that has no grey.
    """
    return _hash_grey(_grey(image))


def hash_orientations(image: Image.Image) -> dict[int, PerceptualHashes]:
    """Hash a decoded image and its seven turned and mirrored forms, by the EXIF value that asks for each (1: as it is).

    Each is equal to :func:`hash_image` of the image transposed that way.
    """
    grey = _grey(image)
    turned = {orientation: _hash_grey(grey.transpose(how)) for orientation, how in _TRANSPOSITIONS.items()}
    return {1: _hash_grey(grey)} | turned


def distance(a: bytes, b: bytes) -> int:
    """Count the bits in which two hashes of equal length differ."""
    if len(a) != len(b):
        raise ValueError("hashes of different lengths have no distance")
    return (int.from_bytes(a) ^ int.from_bytes(b)).bit_count()


def is_degenerate(kind: HashKind, value: bytes) -> bool:
    """Tell whether a hash says so little that being near it means nothing: the picture is flat, or nearly so.

    aHash and dHash: at most two bits set, or at most two unset. A flat picture sets none, a steady gradient sets all or
    none of dHash; any two of these values lie within 4 bits of each other, whatever their pictures show.

    pHash: at most eight bits set. It sets the coefficients above their median, exactly 32 when they differ; fewer say
    that the rest are all equal. A flat picture sets at most the first; one that changes along one axis only, or is
    mirrored about both, has at most a few free coefficients to set.
    """
    bits_set = int.from_bytes(value).bit_count()
    if kind == "phash":
        return bits_set <= _FEW_COEFFICIENTS
    return min(bits_set, 8 * len(value) - bits_set) <= _FEW_BITS


def narrow(grey: Image.Image, widths: tuple[int, ...]) -> dict[int, Image.Image]:
    """Resize a grey image (mode L) to several widths at its own height, by width.

    Each is equal to ``grey.resize((width, grey.height), LANCZOS)``.
    """
    if not _product_pays(grey) or grey.width <= max(widths):
        return {width: grey.resize((width, grey.height), Image.Resampling.LANCZOS) for width in widths}
    rows = _narrow_by_product(grey, np.concatenate([_weights(grey.width, width) for width in widths]))
    ends = np.cumsum(widths)
    return {width: Image.fromarray(rows[:, end - width : end]) for width, end in zip(widths, ends, strict=True)}


def _grey(image: Image.Image) -> Image.Image:
    if image.mode == "L":
        return image
    if "transparency" in image.info:
        # Pillow would carry the transparent colour over, warn where it can't, and change no pixel.
        image = image.copy()
        del image.info["transparency"]
    return image.convert("L")


def _hash_grey(grey: Image.Image) -> PerceptualHashes:
    for_phash, for_ahash, for_dhash = (np.asarray(reduced) for reduced in _reduce(grey))
    return PerceptualHashes(
        phash=_pack(_phash_bits(for_phash)),
        ahash=_pack(for_ahash > for_ahash.mean()),
        dhash=_pack(for_dhash[:, 1:] > for_dhash[:, :-1]),
    )


def _reduce(grey: Image.Image) -> list[Image.Image]:
    """Resize to each of the sizes as Pillow does: along one axis, rounded to bytes, then along the other."""
    orders = {_pillow_takes_height_first(grey.size, size) for size in _SIZES}
    if not _product_pays(grey) or len(orders) > 1:
        return [grey.resize(size, Image.Resampling.LANCZOS) for size in _SIZES]
    if orders == {True}:
        lowered = narrow(grey.transpose(Image.Transpose.TRANSPOSE), (32, 8))
        halfway = [lowered[height].transpose(Image.Transpose.TRANSPOSE) for _, height in _SIZES]
    else:
        narrowed = narrow(grey, (32, 8, 9))
        halfway = [narrowed[width] for width, _ in _SIZES]
    return [image.resize(size, Image.Resampling.LANCZOS) for image, size in zip(halfway, _SIZES, strict=True)]


def _pillow_takes_height_first(size: tuple[int, int], target: tuple[int, int]) -> bool:
    """Tell the order of the two passes, which decides the rounding (``ImagingResampleInner``, since Pillow 13)."""
    fewer_columns, fewer_rows = size[0] - target[0], size[1] - target[1]
    return fewer_rows > max(0, 2 * fewer_columns)


def _product_pays(grey: Image.Image) -> bool:
    """Tell whether the matrix product is quicker than Pillow's own passes, as measured."""
    return min(grey.size) >= _PRODUCT_PAYS_FROM_SIDE and grey.width * grey.height >= _PRODUCT_PAYS_FROM_PIXELS


def _pack(bits: _Bits) -> bytes:
    return np.packbits(bits).tobytes()


def _phash_bits(pixels: _Bytes) -> _Bits:
    if pixels.min() == pixels.max():
        return np.arange(64) < np.sign(pixels[:1, 0])
    frequencies = _low_frequencies(pixels)
    below, above = (float(middle) for middle in np.sort(frequencies, axis=None)[31:33])
    # Any two ways to compute these sums (below 2**22) differ by less than 1e-8; with a clear gap at the median the
    # same 32 coefficients lie above it. Without one, the bits hang on SciPy's own rounding.
    if above - below > 1e-5:
        return frequencies >= above
    return _phash_bits_by_scipy(pixels)


def _low_frequencies(pixels: _Bytes) -> _Floats:
    """Return the 8 by 8 lowest coefficients of the unnormalised type-2 cosine transform along both axes."""
    frequencies: _Floats = _COSINES @ pixels @ _COSINES.T
    return frequencies


def _phash_bits_by_scipy(pixels: _Bytes) -> _Bits:
    import scipy.fftpack  # here, as few pictures need it and it takes as long to import as ten photos to hash

    frequencies: _Floats = scipy.fftpack.dct(scipy.fftpack.dct(pixels, axis=0), axis=1)[:8, :8]
    bits: _Bits = frequencies > np.median(frequencies)
    return bits


def _narrow_by_product(grey: Image.Image, weights: _Floats) -> _Bytes:
    """Multiply every row of pixels with the weights (outputs by pixels) and round as Pillow does.

    All numbers are integers below 2**53, so float64 sums are exact in any order.
    """
    slabs = _cut_into_slabs(weights)
    result = np.empty((grey.height, len(weights)), np.uint8)
    rows = max(1, _BLOCK_PIXELS // grey.width)
    for top in range(0, grey.height, rows):
        bottom = min(top + rows, grey.height)
        pixels = np.asarray(grey.crop((0, top, grey.width, bottom))).astype(np.float64)
        sums = np.zeros((bottom - top, len(weights)))
        for columns, outputs, slab_weights in slabs:
            sums[:, outputs] += pixels[:, columns] @ slab_weights
        result[top:bottom] = np.floor(sums / (1 << _PRECISION_BITS) + 0.5).clip(0, 255)
    return result


def _cut_into_slabs(weights: _Floats) -> list[tuple[slice, NDArray[np.intp], _Floats]]:
    """Cut the weights along the pixels, leaving out of each slab the outputs it does not reach (about half)."""
    edges = np.linspace(0, weights.shape[1], _SLABS + 1).astype(int)
    slabs = []
    for first, last in itertools.pairwise(edges):
        outputs = np.flatnonzero(weights[:, first:last].any(axis=1))
        slabs.append((slice(first, last), outputs, np.ascontiguousarray(weights[outputs, first:last].T)))
    return slabs


def _weights(width: int, outputs: int) -> _Floats:
    """Return Pillow's fixed-point Lanczos weights for reducing a width, outputs by pixels (``precompute_coeffs``)."""
    scale = width / outputs
    support = _LANCZOS_LOBES * scale
    centres = (np.arange(outputs)[:, np.newaxis] + 0.5) * scale
    first = np.maximum((centres - support + 0.5).astype(int), 0)
    last = np.minimum((centres + support + 0.5).astype(int), width)
    pixels = first + np.arange((last - first).max())
    reached = pixels < last
    positions = np.where(reached, (pixels - centres + 0.5) * (1.0 / scale), np.inf)
    weights = np.zeros((outputs, width))
    weights[np.nonzero(reached)[0], pixels[reached]] = _fixed_point_weights(positions)[reached]
    return weights


def _fixed_point_weights(positions: _Floats) -> _Floats:
    weights = _scaled_weights(positions, np.sin)
    # NumPy's sine may differ from the C library's, which Pillow uses, in the last places: 1e-8 here at the most.
    unsure = np.any(np.abs(weights - np.floor(weights) - 0.5) < 1e-7, axis=1)
    weights[unsure] = _scaled_weights(positions[unsure], _sine_of_c_library)
    return np.trunc(weights + np.copysign(0.5, weights))


def _scaled_weights(positions: _Floats, sine: Callable[[_Floats], _Floats]) -> _Floats:
    inside = (positions >= -_LANCZOS_LOBES) & (positions < _LANCZOS_LOBES)
    x = np.where(inside, positions, _LANCZOS_LOBES)
    weights = np.where(inside, _sinc(x, sine) * _sinc(x / _LANCZOS_LOBES, sine), 0.0)
    return weights / np.add.accumulate(weights, axis=1)[:, -1:] * (1 << _PRECISION_BITS)


def _sinc(x: _Floats, sine: Callable[[_Floats], _Floats]) -> _Floats:
    angles = np.where(x == 0.0, 1.0, x * np.pi)
    return np.where(x == 0.0, 1.0, sine(angles) / angles)


def _sine_of_c_library(angles: _Floats) -> _Floats:
    return np.array([math.sin(angle) for angle in angles.flat]).reshape(angles.shape)
