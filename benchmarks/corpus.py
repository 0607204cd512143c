"""Makes the files that are taken in: photographs, pictures, small files, one large file. Always the same bytes."""

import hashlib
import io
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

AN_HOUR_AGO = 1_700_000_000


def photos(folder: Path, count: int) -> Path:
    """Make JPEG photographs of 12 megapixels, about 3 MB each."""
    return _make(folder, count, partial(_photo, size=(4000, 3000), noise=10, quality=88))


def pictures(folder: Path, count: int) -> Path:
    """Make JPEG pictures of about 150 KB."""
    return _make(folder, count, partial(_photo, size=(1024, 768), noise=9, quality=85))


def small_files(folder: Path, count: int, *, first: int = 0) -> Path:
    """Make files of 1 to 20 KB: nine texts to one small PNG, a hundred to a folder; another ``first``, other files."""
    return _make(folder, count, _small, first)


def large_file(folder: Path, size: int) -> Path:
    """Make one file of this many bytes that nothing compresses or recognises."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "large.bin"
    if path.exists() and path.stat().st_size == size:
        return folder
    block = np.random.default_rng(7).bytes(1 << 20)
    with path.open("wb") as file:
        for number in range(size >> 20):
            file.write(hashlib.sha256(number.to_bytes(8, "big")).digest() + block[32:])
    os.utime(path, (AN_HOUR_AGO, AN_HOUR_AGO))
    return folder


def _make(folder: Path, count: int, one: Callable[[int], tuple[str, bytes]], first: int = 0) -> Path:
    if folder.is_dir() and sum(len(files) for _, _, files in os.walk(folder)) == count:
        return folder
    with ProcessPoolExecutor() as pool:
        for number, (ending, data) in enumerate(pool.map(one, range(first, first + count), chunksize=16)):
            place = folder / f"{number // 100:05}"
            place.mkdir(parents=True, exist_ok=True)
            path = place / f"{number:07}.{ending}"
            path.write_bytes(data)
            os.utime(path, (AN_HOUR_AGO, AN_HOUR_AGO))
    return folder


def _photo(seed: int, *, size: tuple[int, int], noise: float, quality: int) -> tuple[str, bytes]:
    image = _scene(np.random.default_rng(seed), size, noise)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return "jpg", out.getvalue()


def _scene(random: np.random.Generator, size: tuple[int, int], noise: float) -> Image.Image:
    """Draw sky, hills and things, blur them like a lens, and add a sensor's noise."""
    image = Image.new("RGB", (size[0] // 4, size[1] // 4), tuple(int(c) for c in random.integers(60, 250, 3)))
    draw = ImageDraw.Draw(image)
    for _ in range(60):
        x, y = int(random.integers(0, image.width)), int(random.integers(0, image.height))
        radius = int(random.integers(5, image.width // 4))
        colour = tuple(int(c) for c in random.integers(0, 255, 3))
        draw.ellipse((x - radius, y - radius // 2, x + radius, y + radius // 2), fill=colour)
    image = image.filter(ImageFilter.GaussianBlur(2)).resize(size, Image.Resampling.BICUBIC)
    pixels = np.asarray(image, dtype=np.int16)
    grain = random.normal(0, noise, (*pixels.shape[:2], 1)).astype(np.int16)
    return Image.fromarray((pixels + grain).clip(0, 255).astype(np.uint8))


def _small(seed: int) -> tuple[str, bytes]:
    random = np.random.default_rng(seed)
    length = int(random.integers(1_000, 20_000))
    if seed % 10:
        words = random.integers(97, 123, length, dtype=np.uint8)
        words[random.integers(0, length, length // 6)] = 32
        return "txt", words.tobytes()
    side = int((length / 3) ** 0.5)
    out = io.BytesIO()
    Image.fromarray(random.integers(0, 255, (side, side, 3), dtype=np.uint8)).save(out, "PNG")
    return "png", out.getvalue()
