"""Makes the example files: python examples/make_examples.py [FOLDER], by default the folder of this script."""

import math
import shutil
import sys
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageDraw

type Colour = tuple[int, int, int]
type Point = tuple[float, float]

WIDTH, HEIGHT = 480, 320
FINER = 3  # everything is drawn that much larger and then reduced, which smooths the edges
SAMPLE_RATE_HZ = 16_000
HAIKU = """\
Ten thousand pictures:
which of you have I kept twice?
The numbers answer.
"""


def main() -> None:
    """Make all files."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    make_pictures(folder)
    make_animation(folder / "sunrise.gif")
    make_sound(folder / "bell.wav")
    (folder / "haiku.txt").write_text(HAIKU, encoding="utf-8")


def make_pictures(folder: Path) -> None:
    """Make the pictures, a look-alike of one, and a copy of another under another name."""
    lake = mountain_lake()
    lake.save(folder / "mountain-lake.png", optimize=True)
    lake.resize((240, 160), Image.Resampling.LANCZOS).save(folder / "mountain-lake-small.jpg", quality=80)
    desert_night().save(folder / "desert-night.png", optimize=True)
    poppy_field().save(folder / "poppy-field.jpg", quality=85)
    sailing_boat().save(folder / "sailing-boat.jpg", quality=85, exif=camera_notes())
    backup = folder / "old-phone"
    backup.mkdir(exist_ok=True)
    shutil.copyfile(folder / "sailing-boat.jpg", backup / "IMG_0042.jpg")


def mountain_lake() -> Image.Image:
    """Draw ridges at dusk above a lake that mirrors them."""
    picture = sky((52, 40, 92), (255, 176, 120), 220)
    disc(picture, (345, 118), 26, (255, 236, 190))
    fill_below(picture, lambda x: 140 - 34 * wiggle(x, 1.0, 0.4), (150, 104, 140))
    fill_below(picture, lambda x: 168 - 40 * wiggle(x, 1.7, 2.1), (98, 72, 120))
    fill_below(picture, lambda x: 196 - 24 * wiggle(x, 2.6, 4.0), (52, 44, 84))
    shore = 212 * FINER
    above = picture.crop((0, shore - 108 * FINER, WIDTH * FINER, shore))
    mirrored = above.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    water = Image.blend(mirrored, Image.new("RGB", mirrored.size, (40, 52, 96)), 0.35)
    picture.paste(water, (0, shore))
    return reduced(picture)


def desert_night() -> Image.Image:
    """Draw a crescent moon and stars above dunes."""
    picture = sky((6, 10, 34), (44, 56, 110), HEIGHT)
    chance = np.random.default_rng(7)
    for x, y, size in chance.random((90, 3)):
        disc(picture, (x * WIDTH, y * 190), 0.4 + 0.9 * size, (230, 232, 255))
    earth_shadow = Image.new("L", picture.size)
    ImageDraw.Draw(earth_shadow).circle((122 * FINER, 66 * FINER), 30 * FINER, 255)
    without_moon = picture.copy()
    disc(picture, (108, 74), 34, (248, 240, 206))
    picture.paste(without_moon, mask=earth_shadow)
    fill_below(picture, lambda x: 232 - 30 * math.sin(x / 76 + 0.6), (118, 84, 70))
    fill_below(picture, lambda x: 262 - 34 * math.sin(x / 118 + 3.4), (84, 56, 58))
    fill_below(picture, lambda x: 300 - 26 * math.sin(x / 92 + 5.2), (48, 32, 44))
    return reduced(picture)


def poppy_field() -> Image.Image:
    """Draw poppies that grow towards the viewer, under a bright sky."""
    picture = sky((120, 188, 240), (226, 242, 255), 130)
    for x, y, size in ((80, 44, 20), (104, 38, 26), (134, 46, 19), (330, 66, 15), (350, 60, 20), (374, 67, 14)):
        disc(picture, (x, y), size, (255, 255, 255))
    fill_below(picture, lambda x: 118 - 14 * math.sin(x / 88 + 1), (128, 172, 96))
    fill_below(picture, lambda x: 136 - 8 * math.sin(x / 50 + 4), (92, 146, 62))
    chance = np.random.default_rng(11)
    for x, depth in sorted(chance.random((150, 2)).tolist(), key=lambda flower: flower[1]):
        poppy(picture, (x * WIDTH, 146 + 170 * depth**1.6), 1.5 + 11 * depth**1.6)
    return reduced(picture)


def poppy(picture: Image.Image, at: Point, size: float) -> None:
    """Draw one poppy whose petals reach that far."""
    x, y = at
    draw = ImageDraw.Draw(picture)
    draw.line([(x * FINER, y * FINER), (x * FINER, (y + 3 * size) * FINER)], (58, 104, 44), round(0.3 * size * FINER))
    for dx, dy, red in ((-0.5, 0, 196), (0.5, 0, 206), (0, -0.45, 222), (0, 0.4, 234)):
        disc(picture, (x + dx * size, y + dy * size), 0.7 * size, (red, 36, 30))
    disc(picture, (x, y), 0.28 * size, (40, 20, 28))


def sailing_boat() -> Image.Image:
    """Draw a boat with a striped sail on the open sea."""
    picture = sky((86, 166, 214), (246, 232, 204), 200)
    disc(picture, (92, 92), 30, (255, 246, 214))
    for row in range(9):
        fill_below(picture, water_line(row), (30 - row, 124 - 9 * row, 150 - 7 * row))
    polygon(picture, [(300, 58), (300, 214), (212, 214)], (252, 250, 244))
    polygon(picture, [(300, 128), (300, 172), (235, 172), (260, 128)], (214, 66, 54))
    polygon(picture, [(308, 84), (308, 214), (366, 214)], (240, 234, 222))
    polygon(picture, [(302, 50), (306, 50), (306, 226), (302, 226)], (88, 58, 40))
    polygon(picture, [(206, 222), (392, 222), (352, 256), (238, 256)], (122, 68, 44))
    return reduced(picture)


def water_line(row: int) -> Callable[[float], float]:
    """Return the height of the sea's waves at each x; the rows before are further away."""
    return lambda x: 196 + 14 * row + (1 + row) * math.sin(x / (9 + 3 * row) + 2 * row)


def camera_notes() -> Image.Exif:
    """Return what a camera writes into a picture: its name, and when the picture was taken."""
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Example Works"
    exif[ExifTags.Base.Model] = "Pinhole 1"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2021:07:18 16:20:00"
    return exif


def make_animation(path: Path) -> None:
    """Make the sun rise over the sea, in twelve frames of 120 milliseconds."""
    frames = [sunrise(step / 11).resize((160, 107), Image.Resampling.LANCZOS) for step in range(12)]
    paletted = [frame.quantize(48, dither=Image.Dither.NONE) for frame in frames]
    paletted[0].save(path, save_all=True, append_images=paletted[1:], duration=120, loop=0)


def sunrise(progress: float) -> Image.Image:
    """Draw the sea with the sun from below the horizon (0) to high above it (1)."""
    top = (round(30 + 70 * progress), round(36 + 130 * progress), round(90 + 140 * progress))
    picture = sky(top, (255, round(120 + 100 * progress), round(80 + 120 * progress)), 220)
    disc(picture, (240, 250 - 170 * progress), 44, (255, 232, round(120 + 100 * progress)))
    fill_below(picture, lambda x: 220 + 2 * math.sin(x / 14 + 6 * progress), (24, round(60 + 50 * progress), 112))
    return reduced(picture)


def make_sound(path: Path) -> None:
    """Make a bell of one and a half seconds: partials at the ratios of a church bell, the higher the shorter."""
    seconds = np.arange(int(1.5 * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    partials = ((0.5, 0.6), (1.0, 1.0), (1.2, 0.5), (1.5, 0.4), (2.0, 0.7), (2.67, 0.2), (3.0, 0.2))
    sound = sum(
        loudness * np.exp(-2.2 * ratio * seconds) * np.sin(2 * np.pi * 440 * ratio * seconds)
        for ratio, loudness in partials
    )
    samples = np.round(sound / np.max(np.abs(sound)) * 24_000).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes(samples.tobytes())


def sky(top: Colour, bottom: Colour, horizon: int) -> Image.Image:
    """Return a canvas, FINER times the picture's size, that goes from one colour to the other at the horizon."""
    share = np.clip(np.arange(HEIGHT * FINER) / (horizon * FINER), 0, 1)[:, None]
    column = np.round((1 - share) * np.array(top) + share * np.array(bottom)).astype(np.uint8)
    return Image.fromarray(np.repeat(column[:, None, :], WIDTH * FINER, axis=1))


def fill_below(picture: Image.Image, line: Callable[[float], float], colour: Colour) -> None:
    """Fill everything below a line, given as its height at each x."""
    edge = [(float(x), line(x)) for x in range(WIDTH + 1)]
    polygon(picture, [(0, HEIGHT), *edge, (WIDTH, HEIGHT)], colour)


def polygon(picture: Image.Image, corners: list[Point], colour: Colour) -> None:
    """Fill a polygon."""
    ImageDraw.Draw(picture).polygon([(x * FINER, y * FINER) for x, y in corners], colour)


def disc(picture: Image.Image, centre: Point, radius: float, colour: Colour) -> None:
    """Fill a disc."""
    ImageDraw.Draw(picture).circle((centre[0] * FINER, centre[1] * FINER), radius * FINER, colour)


def wiggle(x: float, frequency: float, phase: float) -> float:
    """Return the height of a mountain ridge at x, between -1 and 1: waves whose size falls with their length."""
    waves = (math.sin(frequency * 2**octave * x / 60 + phase * (octave + 1)) / 1.9**octave for octave in range(6))
    return sum(waves) / 2.05


def reduced(picture: Image.Image) -> Image.Image:
    """Return the canvas at the picture's size."""
    return picture.resize((WIDTH, HEIGHT), Image.Resampling.BOX)


if __name__ == "__main__":
    main()
