"""What a file of each format costs: ``python -m benchmarks.formats`` examines it here, and isolated in a worker.

The contenders take turns in each round. Times are the least of the rounds, because all that a busy machine adds is
delay; ratios are medians of those within a round. *Stream* and *direct* run one right after the other, and rounds go on
until the median of their ratio is known to 3 %, or there are eight times as many. The time of processors is that of the
program and the worker together.

*Bare* are the calls of the libraries themselves, as a script makes them that trusts its files
(``benchmarks.bare_readers``). *Direct* examines the file again and again, and forgets what it finds; *here* does as the
program does, with groups of files and the facts of each kept by asset, but in one process; *stream* does that with a
worker. Stream beside direct is what the program costs a file, beside here what of that is for the worker.
"""

import argparse
import asyncio
import gc
import os
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from itertools import batched
from math import sqrt
from pathlib import Path
from statistics import median

from PIL import Image

from benchmarks import bare_readers
from dam.core.config import ParserLimits
from dam.core.system_params import Offload
from dam.core.systems import CHUNKS_IN_FLIGHT
from dam.services import examination_service, examination_task, executors
from dam.services.content_service import Content
from dam.services.examination_task import ExaminationTask
from dam.services.isolation_processes import ENVIRONMENT
from dam.services.media_type import media_type
from dam.services.readers import catalogue
from dam.systems.metadata_systems import CHUNK_SIZE
from tests import media

BARE, DIRECT, HERE, ALONE, STREAM = "bare", "direct", "here", "one by one", "stream"
SECONDS_A_TURN = 0.1
MOST_A_TURN = 4096
PRECISION = 0.03
TIMES_AS_MANY = 8
HEADING = """
| file | KB | bare, ms | direct, ms | here, ms | one by one, ms | stream, ms | / here | / direct | / bare | processors: direct, ms | stream, ms | / direct |
|---|---|---|---|---|---|---|---|---|---|---|---|---|"""  # noqa: E501  a row of a table
PDF_PADDING = 200_000

type Maker = Callable[[Path], object]
type Run = Callable[[ExaminationTask, Executor, int], None]


@dataclass
class Spent:
    """Seconds a file of each round: on the clock, and of all processors."""

    wall: list[float] = field(default_factory=list)
    processors: list[float] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=11, help="at least; up to eight times as many where it is noisy")
    parser.add_argument("names", nargs="*", help="files to examine, as in the first column; all when none is named")
    arguments = parser.parse_args()
    gc.freeze()  # as the program does with what it has imported
    with (
        tempfile.TemporaryDirectory() as folder,
        executors.opened(ParserLimits(), jobs=1) as executor,
    ):
        print(HEADING)
        for name, make in files():
            if not arguments.names or name in arguments.names:
                path = Path(folder) / name
                make(path)
                report(path, in_turns(task_for(path), executor, arguments.rounds))
                path.unlink()


def report(path: Path, spent: dict[str, Spent]) -> None:
    """Print a row of the table."""
    figures = [min(spent[name].wall) * 1e3 for name in (BARE, DIRECT, HERE, ALONE, STREAM)]
    figures += [ratio(spent[STREAM].wall, spent[name].wall) for name in (HERE, DIRECT, BARE)]
    figures += [min(spent[name].processors) * 1e3 for name in (DIRECT, STREAM)]
    figures.append(ratio(spent[STREAM].processors, spent[DIRECT].processors))
    row = [path.name, f"{path.stat().st_size / 1e3:.0f}", *(f"{figure:.2f}" for figure in figures)]
    print(f"| {' | '.join(row)} |", flush=True)


def ratio(ours: list[float], theirs: list[float]) -> float:
    """Return the median of the ratios within a round, whose turns had the same from the rest of the machine."""
    return median(our / their for our, their in zip(ours, theirs, strict=True))


def task_for(path: Path) -> ExaminationTask:
    data = path.read_bytes()
    mime_type = media_type(data[:65536], path.name, size=len(data))
    return ExaminationTask(
        entity_id=1,
        path=str(path),
        mime_type=mime_type,
        readers=catalogue.readers_for(mime_type),
        max_pixels=ParserLimits().max_pixels,
    )


def in_turns(task: ExaminationTask, executor: Executor, rounds: int) -> dict[str, Spent]:
    """Time each contender once a round, each round beginning with another, after one that warms up."""
    assert examination_task.run(task).found, f"nothing is known of {task.path}"
    took = min(seconds(lambda: examination_task.run(task)) for _ in range(5))
    files_a_turn = max(1, min(MOST_A_TURN, round(SECONDS_A_TURN / took)))
    compared = deque([(DIRECT, direct), (STREAM, stream)])
    others: deque[tuple[str, Run]] = deque([(BARE, bare), (HERE, here), (ALONE, one_by_one)])
    spent = {name: Spent() for name, _ in (*compared, *others)}
    number = 0
    while True:
        compared.rotate()
        others.rotate()
        for name, run in (*compared, *others):
            wall, processors = timed(lambda run=run: run(task, executor, files_a_turn), executor)  # type: ignore[misc]  # PEP 8 has no word for it
            if number > 0:
                spent[name].wall.append(wall / files_a_turn)
                spent[name].processors.append(processors / files_a_turn)
        if number >= rounds and (number >= TIMES_AS_MANY * rounds or is_settled(spent)):
            return spent
        number += 1


def is_settled(spent: dict[str, Spent]) -> bool:
    """Say whether the median of stream's ratio to direct is known well, whatever it is.

    With 95 % certainty it lies between the values 0.98 * sqrt(n) places below and above the middle of n in order.
    """
    ratios = sorted(our / their for our, their in zip(spent[STREAM].wall, spent[DIRECT].wall, strict=True))
    below = max(0, int((len(ratios) - 1.96 * sqrt(len(ratios))) / 2))
    return ratios[-1 - below] - ratios[below] <= 2 * PRECISION * median(ratios)


def bare(task: ExaminationTask, _executor: Executor, count: int) -> None:
    for _ in range(count):
        bare_readers.read(task.path, task.mime_type or "")


def direct(task: ExaminationTask, _executor: Executor, count: int) -> None:
    for _ in range(count):
        examination_task.run(task)


def one_by_one(task: ExaminationTask, executor: Executor, count: int) -> None:
    for _ in range(count):
        executor.submit(examination_task.run, task).result()


def here(task: ExaminationTask, _executor: Executor, count: int) -> None:
    """Do as the program does, but without workers."""
    asyncio.run(in_chunks(content_of(task), None, count))


def stream(task: ExaminationTask, executor: Executor, count: int) -> None:
    """Do as the program does: a few chunks are under way, so that the worker never waits for the next."""
    asyncio.run(in_chunks(content_of(task), executor, count))


def content_of(task: ExaminationTask) -> Content:
    path = Path(task.path)
    return Content(path=task.path, mime_type=task.mime_type, filename=path.name, size_bytes=path.stat().st_size)


async def in_chunks(content: Content, executor: Executor | None, count: int) -> None:
    offload, turns = Offload(executor), asyncio.Semaphore(CHUNKS_IN_FLIGHT)

    async def chunk(entity_ids: Sequence[int]) -> None:
        async with turns:
            await examination_service.examine_all(offload, ParserLimits(), dict.fromkeys(entity_ids, content))

    await asyncio.gather(*map(chunk, batched(range(count), CHUNK_SIZE)))


def timed(run: Callable[[], None], executor: Executor) -> tuple[float, float]:
    """Return the seconds on the clock and of all processors; the worker is asked for its own."""
    of_worker = executor.submit(time.process_time).result()
    began, of_program = time.perf_counter(), time.process_time()
    run()
    wall, of_program = time.perf_counter() - began, time.process_time() - of_program
    return wall, of_program + executor.submit(time.process_time).result() - of_worker


def files() -> Iterator[tuple[str, Maker]]:
    """Give a file of each format, by its name: of 200 KB and more, but for those that begin with "small"."""
    yield from _pictures()
    yield from _sounds()
    yield from _videos()
    yield "paper.pdf", lambda path: path.write_bytes(media.pdf_bytes(100, "Paper") + b"%" * PDF_PADDING)
    yield "small.pdf", lambda path: path.write_bytes(media.pdf_bytes(3, "Paper"))


def _pictures() -> Iterator[tuple[str, Maker]]:
    photograph, grainy, icon = _photograph(1024, 768), _photograph(320, 240), _photograph(256, 256)
    shot = media.exif(Make="Maker", Model="Model", Orientation=6, DateTimeOriginal="2020:02:02 02:02:02")
    yield "photograph.jpg", _saved("JPEG", _photograph(4000, 3000), exif=shot, quality=90)
    yield "picture.jpg", _saved("JPEG", photograph, exif=shot, quality=90)
    yield "small.jpg", _saved("JPEG")
    yield "progressive.jpg", _saved("JPEG", photograph, progressive=True, quality=90)
    for name, kind in (("png", "PNG"), ("gif", "GIF"), ("jp2", "JPEG2000"), ("tif", "TIFF")):
        yield f"picture.{name}", _saved(kind, photograph)
    yield "picture.webp", _saved("WEBP", photograph, quality=90)
    yield "small.png", _saved("PNG")
    yield "packed.tif", _saved("TIFF", photograph, compression="tiff_adobe_deflate")
    yield "picture.avif", _saved("AVIF", photograph, quality=90, speed=10)
    yield "picture.heic", lambda path: _heif(path, photograph)
    yield "picture.jxl", lambda path: _jpeg_xl(path, photograph)
    for kind in ("BMP", "TGA", "DDS", "QOI", "PCX", "SGI", "PPM"):
        yield f"grainy.{kind.lower()}", _saved(kind, grainy)
    yield "grainy.psd", lambda path: path.write_bytes(media.psd_bytes(grainy))
    yield "grainy.ico", _saved("ICO", icon, sizes=[(256, 256)], bitmap_format="bmp")
    yield "grainy.icns", _saved("ICNS", icon)
    for suffix, kind in (("gif", "GIF"), ("png", "PNG"), ("webp", "WEBP"), ("avif", "AVIF")):
        yield f"moving.{suffix}", _moving(kind)
    yield "grainy.pam", lambda path: path.write_bytes(media.pam_bytes(grainy))
    yield "size_only.svg", lambda path: path.write_bytes(media.svg_bytes() + b"<!-- -->" * 25_000)


def _sounds() -> Iterator[tuple[str, Maker]]:
    lossless = {"wav": "pcm_s16le", "w64": "pcm_s16le", "aiff": "pcm_s16be", "au": "pcm_s16be", "caf": "pcm_s16le"}
    for container, codec in lossless.items():
        yield f"sound.{container}", _sound(container, codec, seconds=2)
    for container in ("flac", "wv", "tta"):
        yield f"sound.{container}", _sound(container, {"wv": "wavpack"}.get(container, container), seconds=4)
    yield "sound.mp3", _sound("mp3", "libmp3lame", seconds=50, quality=2)
    yield "headless.mp3", _sound("mp3", "libmp3lame", seconds=50, quality=2, container_options={"write_xing": "0"})
    yield "small.mp3", _sound("mp3", "libmp3lame", seconds=1)
    yield "sound.mp2", _sound("mp2", "mp2", seconds=10)
    yield "sound.aac", _sound("adts", "aac", seconds=20)
    yield "sound.m4a", _sound("ipod", "aac", seconds=20)
    yield "sound.ogg", _sound("ogg", "vorbis", seconds=20, options={"strict": "-2"})
    yield "sound.opus", _sound("ogg", "libopus", seconds=30, rate=48000)
    yield "sound.ac3", _sound("ac3", "ac3", seconds=12)
    yield "sound.eac3", _sound("eac3", "eac3", seconds=12)
    yield "sound.wma", _sound("asf", "wmav2", seconds=15)
    yield "sound.mka", _sound("matroska", "flac", seconds=4)


def _videos() -> Iterator[tuple[str, Maker]]:
    fragments = {"movflags": "frag_keyframe+empty_moov+default_base_moof", "frag_duration": "300000"}
    yield "film.mp4", _film("mp4", "libx264", "aac", seconds=14)
    yield "fragmented.mp4", _film("mp4", "libx264", "aac", seconds=14, container_options=fragments)
    yield "small.mp4", lambda path: media.video(path, "mp4", "libx264", audio_codec="aac")
    yield "film.mov", _film("mov", "mpeg4", "pcm_s16le")
    yield "film.3gp", _film("3gp", "mpeg4", "aac", seconds=14)
    yield "film.mkv", _film("matroska", "libx264", "aac", seconds=14)
    yield "film.webm", _film("webm", "libvpx", "libopus", seconds=14, audio_rate=48000)
    yield "film.ogv", _film("ogg", "libvpx", "flac", seconds=20)
    yield "film.avi", _film("avi", "mjpeg", "pcm_s16le", options={"strict": "-2"})
    yield "film.flv", _film("flv", "flv", "libmp3lame")
    yield "film.wmv", _film("asf", "wmv2", "wmav2")
    yield "film.ts", _film("mpegts", "libx264", "aac")
    yield "film.mpg", _film("mpeg", "mpeg1video", "mp2")
    yield "film.vob", _film("vob", "mpeg2video", "ac3")
    yield "film.m2v", _film("mpeg2video", "mpeg2video", None, seconds=30)
    yield "film.nut", _film("nut", "mpeg4", None, seconds=50)


def _photograph(width: int, height: int) -> Image.Image:
    """Draw a picture with a sensor's grain, so that it packs like a photograph."""
    grain = Image.merge("RGB", [Image.effect_noise((width, height), 60)] * 3)
    return Image.blend(media.picture(width, height), grain, 0.15)


def _saved(image_format: str, image: Image.Image | None = None, **options: object) -> Maker:
    return lambda path: path.write_bytes(media.picture_bytes(image_format, image, **options))


def _moving(image_format: str) -> Maker:
    frames = [_photograph(320, 240) for _ in range(12)]
    return _saved(image_format, frames[0], save_all=True, append_images=frames[1:], duration=100)


def _heif(path: Path, image: Image.Image) -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()
    image.save(path, "HEIF", quality=90)


def _jpeg_xl(path: Path, image: Image.Image) -> None:
    import pillow_jxl  # noqa: F401 - registers the format

    image.save(path, "JXL", quality=95)


def _sound(container: str, codec: str, **options: object) -> Maker:
    """Noise, because silence packs too well."""
    return lambda path: media.sound(path, container, codec, noisy_from=0, **options)  # type: ignore[arg-type]  # the caller's keywords


def _film(container: str, codec: str, audio_codec: str | None, *, seconds: int = 10, **options: object) -> Maker:
    return lambda path: media.video(
        path, container, codec, audio_codec=audio_codec, frames=25 * seconds, width=320, height=240, **options  # type: ignore[arg-type]  # the caller's keywords
    )  # fmt: skip


def seconds(job: Callable[[], object]) -> float:
    began = time.perf_counter()
    job()
    return time.perf_counter() - began


def _in_environment_of_workers() -> None:
    """Start again with the environment of the workers, which NumPy and the memory allocator read at the start."""
    if not os.environ.items() >= ENVIRONMENT.items():
        arguments = [sys.executable, "-m", "benchmarks.formats", *sys.argv[1:]]
        os.execve(sys.executable, arguments, os.environ | ENVIRONMENT)


if __name__ == "__main__":
    _in_environment_of_workers()
    main()
