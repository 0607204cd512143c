"""The example files are what their script makes, and show what they are there to show."""

import filecmp
import itertools
import subprocess
import sys
import wave
from pathlib import Path

import imagehash
import numpy as np
import pytest
from PIL import ExifTags, Image

EXAMPLES = Path(__file__).parents[1] / "examples"
HASHES = (imagehash.phash, imagehash.average_hash, imagehash.dhash)
DEFAULT_THRESHOLD = 4
DIFFERENT_SCENES = ("mountain-lake.png", "desert-night.png", "poppy-field.jpg", "sailing-boat.jpg", "sunrise.gif")


@pytest.fixture(scope="session")
def remade(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("examples")
    subprocess.run([sys.executable, EXAMPLES / "make_examples.py", folder], check=True)
    return folder


def test_the_script_makes_all_files_there_are(remade: Path) -> None:
    assert _names(remade) | {Path("make_examples.py")} == _names(EXAMPLES)


@pytest.mark.parametrize("name", ["mountain-lake.png", "desert-night.png", "poppy-field.jpg", "sailing-boat.jpg"])
def test_the_script_makes_the_same_pictures_again(remade: Path, name: str) -> None:
    # Other versions of the codecs and other processors may round otherwise.
    assert np.abs(_pixels(EXAMPLES / name) - _pixels(remade / name)).mean() < 1


@pytest.mark.parametrize("name", ["bell.wav", "haiku.txt"])
def test_the_script_makes_sound_and_text_again(remade: Path, name: str) -> None:
    assert (remade / name).stat().st_size == (EXAMPLES / name).stat().st_size


def test_the_small_lake_looks_like_the_lake() -> None:
    assert max(_distances("mountain-lake.png", "mountain-lake-small.jpg")) <= DEFAULT_THRESHOLD


@pytest.mark.parametrize(("one", "other"), tuple(itertools.combinations(DIFFERENT_SCENES, 2)))
def test_different_scenes_do_not_look_alike(one: str, other: str) -> None:
    assert min(_distances(one, other)) > 2 * DEFAULT_THRESHOLD


def test_the_old_phone_holds_an_exact_copy() -> None:
    assert filecmp.cmp(EXAMPLES / "sailing-boat.jpg", EXAMPLES / "old-phone" / "IMG_0042.jpg", shallow=False)


def test_the_boat_tells_when_it_was_taken() -> None:
    with Image.open(EXAMPLES / "sailing-boat.jpg") as picture:
        notes = picture.getexif().get_ifd(ExifTags.IFD.Exif)
    assert notes[ExifTags.Base.DateTimeOriginal] == "2021:07:18 16:20:00"


def test_the_sunrise_moves() -> None:
    with Image.open(EXAMPLES / "sunrise.gif") as picture:
        assert getattr(picture, "n_frames", 1) == 12


def test_the_bell_rings_for_one_and_a_half_seconds() -> None:
    with wave.open(str(EXAMPLES / "bell.wav")) as sound:
        assert sound.getnframes() / sound.getframerate() == 1.5


def test_the_examples_are_small() -> None:
    assert sum((EXAMPLES / name).stat().st_size for name in _names(EXAMPLES)) < 300_000


def _names(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}


def _pixels(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB")).astype(np.int16)


def _distances(one: str, other: str) -> list[int]:
    with Image.open(EXAMPLES / one) as first, Image.open(EXAMPLES / other) as second:
        return [int(hash_of(first) - hash_of(second)) for hash_of in HASHES]
