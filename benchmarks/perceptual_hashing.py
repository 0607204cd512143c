"""How long hashing one decoded image takes beside ImageHash, beside Pillow's own resizes and beside decoding.

Run as ``python -m benchmarks.perceptual_hashing``; the figures are processor times of one thread, medians of turns.
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy reads it

import io
import statistics
import sys
import time
from collections.abc import Callable

import imagehash
import numpy as np
from PIL import Image

from dam.services import perceptual_hashing

PICTURES = {
    "12 megapixels": ((4000, 3000), 88),
    "12 megapixels, upright": ((3000, 4000), 88),
    "phone screenshot": ((1080, 2400), 88),
    "about 150 KB": ((1024, 768), 82),
}
TURNS = 9


def main() -> None:
    turns = 3 if "--quick" in sys.argv else TURNS
    print(f"{'picture':36}{'case':28}{'ms':>9}{'ours / it':>11}")
    for name, (size, quality) in PICTURES.items():
        jpeg = photo(size, quality)
        medians = take_turns(cases(jpeg), turns)
        ours = medians["hash_image"]
        for case, seconds in medians.items():
            title = f"{name}, {len(jpeg) // 1000} KB"
            print(f"{title:36}{case:28}{seconds * 1000:9.1f}{ours / seconds:11.2f}")


def cases(jpeg: bytes) -> dict[str, Callable[[], object]]:
    image = decode(jpeg)
    return {
        "hash_image": lambda: perceptual_hashing.hash_image(image),
        "imagehash, three calls": lambda: by_imagehash(image),
        "one grey, three resizes": lambda: one_grey_three_resizes(image),
        "grey alone": lambda: image.convert("L"),
        "decode": lambda: decode(jpeg),
        "hash_orientations (eight)": lambda: perceptual_hashing.hash_orientations(image),
    }


def take_turns(functions: dict[str, Callable[[], object]], turns: int) -> dict[str, float]:
    """Call each function once a turn, so that a noisy moment hits all of them; return the median seconds of each."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(turns):
        for name, function in functions.items():
            start = time.thread_time()
            function()
            times[name].append(time.thread_time() - start)
    return {name: statistics.median(taken) for name, taken in times.items()}


def by_imagehash(image: Image.Image) -> tuple[str, ...]:
    return tuple(str(hashed(image)) for hashed in (imagehash.phash, imagehash.average_hash, imagehash.dhash))


def one_grey_three_resizes(image: Image.Image) -> tuple[Image.Image, ...]:
    grey = image.convert("L")
    return tuple(grey.resize(size, Image.Resampling.LANCZOS) for size in ((32, 32), (8, 8), (9, 8)))


def decode(jpeg: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(jpeg))
    image.load()
    return image


def photo(size: tuple[int, int], quality: int) -> bytes:
    """Make a JPEG that compresses about as well as a photo: soft shapes under fine grain."""
    random = np.random.default_rng(1)
    shapes = Image.fromarray(random.integers(0, 256, (30, 40, 3), dtype=np.uint8))
    pixels = np.asarray(shapes.resize(size, Image.Resampling.BICUBIC)).astype(np.int16)
    grain = random.integers(-10, 11, (*pixels.shape[:2], 1))
    buffer = io.BytesIO()
    Image.fromarray((pixels + grain).clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


if __name__ == "__main__":
    main()
