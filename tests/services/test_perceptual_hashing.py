"""Perceptual hashes agree with ImageHash to the bit, and narrowing with Pillow to the pixel."""

import subprocess
import sys
import tracemalloc
import warnings

import imagehash
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from dam.services import perceptual_hashing
from dam.services.facts import PerceptualHashes
from dam.services.perceptual_hashing import HashKind

TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
MODES = ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "I", "F", "I;16", "I;16B"]
WIDTHS = (32, 8, 9)
FLAT, WHITE_NOISE, GRADIENT, STEPS, MIRRORED, NEARLY_FLAT = range(6)

unhurried = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
costly = settings(unhurried, max_examples=12)


def picture(width: int, height: int, *, content: int, seed: int) -> Image.Image:
    random = np.random.default_rng(seed)
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    slope = random.integers(-3, 4, 2)
    noise = random.integers(0, 256, (height, width))
    planes = {
        FLAT: np.full((height, width), random.integers(0, 256)),
        WHITE_NOISE: noise,
        GRADIENT: 128 + (slope[0] * (x - width / 2) + slope[1] * (y - height / 2)) * 40 / max(width, height),
        STEPS: noise // 128 * 255,
        MIRRORED: noise // 2 + noise[:, ::-1] // 2,
        NEARLY_FLAT: 250 + (noise > 252),
    }
    return Image.fromarray(np.clip(planes[content], 0, 255).astype(np.uint8))


def photo_like(width: int, height: int, *, seed: int) -> Image.Image:
    small = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def in_mode(image: Image.Image, mode: str) -> Image.Image:
    if mode == "I;16B":
        pixels = np.asarray(image.convert("L")).astype(">u2") * 3
        return Image.frombytes(mode, image.size, pixels.tobytes())
    if mode == "PA":
        return image.convert("P").convert("PA")
    if mode == "I;16":
        return image.convert("L").convert("I").point(lambda level: level * 3).convert("I;16")
    return image.convert("RGB").convert(mode)


def by_imagehash(image: Image.Image) -> PerceptualHashes:
    phash, ahash, dhash = (
        bytes.fromhex(str(hashed(image))) for hashed in (imagehash.phash, imagehash.average_hash, imagehash.dhash)
    )
    return PerceptualHashes(phash=phash, ahash=ahash, dhash=dhash)


pictures = st.builds(
    picture,
    st.integers(1, 100),
    st.integers(1, 100),
    content=st.sampled_from(range(6)),
    seed=st.integers(0, 2**32),
)
large_pictures = st.builds(
    picture,
    st.integers(400, 1100),
    st.integers(625, 1000),
    content=st.sampled_from(range(6)),
    seed=st.integers(0, 2**32),
)


@unhurried
@given(pictures)
def test_small_pictures_hash_as_in_imagehash(image: Image.Image) -> None:
    assert perceptual_hashing.hash_image(image) == by_imagehash(image)


@costly
@given(large_pictures)
def test_large_pictures_hash_as_in_imagehash(image: Image.Image) -> None:
    assert perceptual_hashing.hash_image(image) == by_imagehash(image)


@costly
@given(large_pictures)
def test_narrowing_is_equal_to_pillow_in_every_pixel(image: Image.Image) -> None:
    for width, narrowed in perceptual_hashing.narrow(image, WIDTHS).items():
        expected = image.resize((width, image.height), Image.Resampling.LANCZOS)
        assert np.array_equal(np.asarray(narrowed), np.asarray(expected))


@pytest.mark.parametrize("size", [(12000, 256), (256, 6000), (3024, 1000), (1024, 1024), (1023, 257)])
def test_narrowing_noise_is_exact_at_extreme_sizes(size: tuple[int, int]) -> None:
    image = picture(*size, content=STEPS, seed=1)
    for width, narrowed in perceptual_hashing.narrow(image, WIDTHS).items():
        expected = image.resize((width, image.height), Image.Resampling.LANCZOS)
        assert np.array_equal(np.asarray(narrowed), np.asarray(expected))


@pytest.mark.parametrize("width", [400, 700, 701])
def test_narrowing_to_more_pixels_enlarges_as_pillow_does(width: int) -> None:
    image = picture(700, 500, content=WHITE_NOISE, seed=3)
    narrowed = perceptual_hashing.narrow(image, (8, width))[width]
    assert np.array_equal(np.asarray(narrowed), np.asarray(image.resize((width, 500), Image.Resampling.LANCZOS)))


@pytest.mark.parametrize("width", [600, 601, 614, 615, 616, 617, 618, 619, 700])
def test_tall_pictures_hash_as_in_imagehash(width: int) -> None:
    for content in (WHITE_NOISE, MIRRORED):
        image = picture(width, 1222, content=content, seed=width)
        assert perceptual_hashing.hash_image(image) == by_imagehash(image)


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (8, 8), (9, 8), (32, 32), (31, 33), (9000, 2)])
def test_odd_sizes_hash_as_in_imagehash(size: tuple[int, int]) -> None:
    image = picture(*size, content=WHITE_NOISE, seed=5)
    assert perceptual_hashing.hash_image(image) == by_imagehash(image)


@pytest.mark.parametrize("size", [(40, 30), (640, 480)])
@pytest.mark.parametrize("mode", MODES)
def test_every_mode_hashes_as_in_imagehash(mode: str, size: tuple[int, int]) -> None:
    image = in_mode(photo_like(*size, seed=7), mode)
    assert image.mode == mode
    assert perceptual_hashing.hash_image(image) == by_imagehash(image)


@pytest.mark.parametrize("level", range(0, 256, 15))
def test_flat_pictures_hash_as_in_imagehash(level: int) -> None:
    image = Image.new("L", (50, 40), level)
    assert perceptual_hashing.hash_image(image) == by_imagehash(image)


def test_a_transparency_that_pillow_cannot_carry_over_changes_no_bit_and_warns_of_nothing() -> None:
    image = photo_like(64, 48, seed=9).quantize(16)
    image.info["transparency"] = bytes(range(16))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = by_imagehash(image)
    assert perceptual_hashing.hash_image(image) == expected
    assert image.info["transparency"] == bytes(range(16))


@pytest.mark.parametrize("size", [(90, 61), (801, 600), (900, 400)])
def test_orientations_are_the_hashes_of_the_transposed_image(size: tuple[int, int]) -> None:
    image = photo_like(*size, seed=11)
    expected = {1: by_imagehash(image)} | {
        orientation: by_imagehash(image.transpose(how)) for orientation, how in TRANSPOSITIONS.items()
    }
    hashes = perceptual_hashing.hash_orientations(image)
    assert hashes == expected
    assert list(hashes) == list(range(1, 9))
    assert len({found.dhash for found in hashes.values()}) == 8


@settings(deadline=None, max_examples=20)
@given(pictures)
def test_orientations_of_any_picture_agree_with_imagehash(image: Image.Image) -> None:
    hashes = perceptual_hashing.hash_orientations(image)
    assert hashes[1] == by_imagehash(image)
    for orientation, how in TRANSPOSITIONS.items():
        assert hashes[orientation] == by_imagehash(image.transpose(how))


def test_a_photo_is_hashed_without_scipy_or_imagehash() -> None:
    program = (
        "import sys; from PIL import Image; from dam.services import perceptual_hashing as p;"
        "p.hash_image(Image.radial_gradient('L').crop((3, 60, 230, 250)));"
        "p.hash_image(Image.new('L', (9, 9), 255));"
        "sys.exit(bool({'scipy', 'imagehash'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_narrowing_needs_less_memory_than_half_of_the_grey_plane() -> None:
    image = Image.new("L", (6000, 4000), 77)
    tracemalloc.start()
    perceptual_hashing.narrow(image, WIDTHS)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6000 * 4000 / 2


@pytest.mark.parametrize("content", [FLAT, NEARLY_FLAT])
def test_hashes_of_flat_pictures_are_degenerate(content: int) -> None:
    hashes = perceptual_hashing.hash_image(picture(600, 800, content=content, seed=2))
    assert perceptual_hashing.is_degenerate("ahash", hashes.ahash)
    assert perceptual_hashing.is_degenerate("dhash", hashes.dhash)
    assert perceptual_hashing.is_degenerate("phash", hashes.phash)


@pytest.mark.parametrize("seed", range(5))
def test_hashes_of_photos_are_not_degenerate(seed: int) -> None:
    hashes = perceptual_hashing.hash_image(photo_like(300, 200, seed=seed))
    assert not perceptual_hashing.is_degenerate("phash", hashes.phash)
    assert not perceptual_hashing.is_degenerate("ahash", hashes.ahash)
    assert not perceptual_hashing.is_degenerate("dhash", hashes.dhash)


@pytest.mark.parametrize(
    ("kind", "value", "degenerate"),
    [
        ("ahash", 0, True),
        ("ahash", 0b11 << 40, True),
        ("ahash", 0b111 << 40, False),
        ("ahash", 2**64 - 1, True),
        ("dhash", 2**64 - 4, True),
        ("dhash", 2**64 - 8, False),
        ("phash", 1 << 63, True),
        ("phash", 0xFF << 30, True),
        ("phash", 0x1FF << 30, False),
        ("phash", 2**64 - 1, False),
    ],
)
def test_degeneracy_is_a_matter_of_the_bits_that_are_set(kind: HashKind, value: int, *, degenerate: bool) -> None:
    assert perceptual_hashing.is_degenerate(kind, value.to_bytes(8)) is degenerate


@given(st.binary(min_size=8, max_size=8), st.binary(min_size=8, max_size=8))
def test_distance_counts_the_bits_that_differ(a: bytes, b: bytes) -> None:
    bits = [f"{int.from_bytes(value):064b}" for value in (a, b)]
    assert perceptual_hashing.distance(a, b) == sum(p != q for p, q in zip(*bits, strict=True))


def test_hashes_of_different_lengths_have_no_distance() -> None:
    with pytest.raises(ValueError, match="different lengths"):
        perceptual_hashing.distance(b"\0" * 8, b"\0" * 7)
