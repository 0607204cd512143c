import io
import math
import resource
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import cache
from pathlib import Path

import imagehash
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from dam.core.exceptions import TaskFailed
from dam.services import examination, executors
from dam.services.examination import Limits, examine, query_image, readers_for, thumbnail
from dam.services.facts import Fact, Facts, FrameProperties, ImageCapture, ImageDimensions, PerceptualHashes
from dam.services.isolation import IsolatedExecutor
from dam.services.media_type import media_type
from tests import media
from tests.samples import SIZE, all_samples
from tests.services import isolation_tasks as tasks

SAMPLES = {sample.name: sample for sample in all_samples()}
HUGE = 100_000
MOST_MEMORY = 1_200_000_000
PRELOADED = (
    *executors.PRELOADED,
    "dam.services.perceptual_hashing",
    "dam.services.readers.stream_reader",
    "dam.services.readers.hachoir_reader",
    "dam.services.readers.document_reader",
)


def type_of(path: Path) -> str | None:
    data = path.read_bytes()
    return media_type(data[:65536], path.name, size=len(data))


def examined(path: Path, limits: Limits | None = None) -> Facts:
    mime_type = type_of(path)
    return examine(str(path), mime_type, readers_for(mime_type), limits or Limits())


def fact[T: Fact](facts: Facts, kind: type[T]) -> T | None:
    return next((found for found in facts.found if isinstance(found, kind)), None)


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def tolerated(value: object) -> object:
    return pytest.approx(value, rel=0.01, abs=0.02) if isinstance(value, float) else value


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return the maker of samples: the file of that name, made once for all tests, which leave it as it is."""
    folder = tmp_path_factory.mktemp("samples")

    @cache
    def made(name: str) -> Path:
        SAMPLES[name].make(folder / name)
        return folder / name

    return made


@pytest.mark.parametrize("name", SAMPLES)
def test_every_format_has_its_type_and_gives_its_known_facts(name: str, samples: Callable[[str], Path]) -> None:
    sample = SAMPLES[name]

    facts = examined(samples(name))

    assert type_of(samples(name)) == sample.mime_type
    assert facts.problems == ()
    for known in sample.facts:
        found = fact(facts, type(known))
        for attribute, value in known._asdict().items():
            if value is not None:
                assert getattr(found, attribute) == tolerated(value), attribute
    assert (fact(facts, PerceptualHashes) is not None) is sample.hashed


@pytest.mark.parametrize("name", [name for name, sample in SAMPLES.items() if sample.hashed])
def test_hashes_are_those_of_imagehash_for_the_picture_as_displayed(
    name: str, samples: Callable[[str], Path]
) -> None:  # fmt: skip
    found = fact(examined(samples(name)), PerceptualHashes)

    with Image.open(samples(name)) as opened:
        shown = ImageOps.exif_transpose(opened)
        shown.info.pop("transparency", None)
        assert found == PerceptualHashes(
            phash=bytes.fromhex(str(imagehash.phash(shown))),
            ahash=bytes.fromhex(str(imagehash.average_hash(shown))),
            dhash=bytes.fromhex(str(imagehash.dhash(shown))),
        )


@pytest.mark.parametrize(
    "name", ["pages.tif", "still.gif", "still.webp", "still.avif", "rgb.png", "tone.m4a", "two.ico"]
)
def test_single_frames_pages_and_plain_sound_have_no_frame_properties(
    name: str, samples: Callable[[str], Path]
) -> None:  # fmt: skip
    assert fact(examined(samples(name)), FrameProperties) is None


def test_unknown_types_have_no_readers() -> None:
    assert readers_for(None) == ()
    assert readers_for("text/plain") == ()
    assert readers_for("application/zip") == ()
    assert readers_for("application/postscript") == ()


def test_asking_for_readers_loads_no_library() -> None:
    code = (
        "import sys, dam.services.examination, dam.services.media_type\n"
        "assert not {'PIL', 'av', 'numpy', 'hachoir', 'pypdfium2', 'pillow_heif'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        examine(str(tmp_path / "gone.jpg"), "image/jpeg", ("image",), Limits())


def test_each_reader_runs_alone(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jpg", media.picture_bytes("JPEG"))

    header = examine(str(path), "image/jpeg", ("image",), Limits())
    pixels = examine(str(path), "image/jpeg", ("pixels",), Limits())

    assert header.found == (SIZE,)
    assert [type(found) for found in pixels.found] == [PerceptualHashes]


def test_the_size_is_known_when_the_pixels_are_broken(tmp_path: Path) -> None:
    content = media.picture_bytes("JPEG", media.picture(640, 480))
    facts = examined(written(tmp_path / "cut.jpg", content[: len(content) // 2]))

    assert facts.found == (ImageDimensions(width_pixels=640, height_pixels=480),)
    assert len(facts.problems) == 1
    assert "truncated" in facts.problems[0]


def test_above_the_pixel_limit_the_size_is_known_and_the_hashes_are_not(tmp_path: Path) -> None:
    path = written(tmp_path / "a.png", media.picture_bytes("PNG"))

    facts = examined(path, Limits(max_pixels=64 * 48 - 1))

    assert facts.found == (SIZE,)
    assert facts.problems == ("64 x 48 pixels are more than the limit of 3071: not decoded",)
    assert examined(path, Limits(max_pixels=64 * 48)).problems == ()


def test_texts_are_bounded(tmp_path: Path) -> None:
    exif = media.exif(Make="M" * 5000, Model="X\x00Y")
    facts = examined(written(tmp_path / "a.jpg", media.picture_bytes("JPEG", exif=exif)), Limits(max_text=100))

    assert fact(facts, ImageCapture) == ImageCapture(camera_make="M" * 100, camera_model="X")


def test_a_drawing_that_fits_any_size_is_no_failure(tmp_path: Path) -> None:
    assert examined(written(tmp_path / "a.svg", media.svg_bytes(""))) == Facts()


def test_problems_are_one_short_line() -> None:
    described = examination._described(ValueError("one\ntwo\x00\x1b[31m" + "x" * 10_000))

    assert described.startswith("ValueError: one two [31mx")
    assert len(described) == 300


# Hostile files


def gif_header(width: int, height: int) -> bytes:
    screen = struct.pack("<HHBBB", width % 65536, height % 65536, 0x80, 0, 0) + bytes(6)
    image = b"," + struct.pack("<HHHHB", 0, 0, width % 65536, height % 65536, 0)
    return b"GIF89a" + screen + image + b"\x02\x02\x4c\x01\x00;"


def bmp_header(width: int, height: int) -> bytes:
    return b"BM" + struct.pack("<IIIIiiHHIIiiII", 1000, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0) + bytes(1000)


def tiff_header(width: int, height: int, *, next_directory: int = 0) -> bytes:
    tags = [(256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, 200), (277, 1), (278, height), (279, 100)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    directory = struct.pack("<H", len(tags)) + entries + struct.pack("<I", next_directory)
    return b"II\x2a\x00" + struct.pack("<I", 8) + directory + bytes(200)


BOMBS = {
    "bomb.png": (media.black_png(HUGE, HUGE, rows=10), (HUGE, HUGE)),
    "bomb.gif": (gif_header(60_000, 60_000), (60_000, 60_000)),
    "bomb.bmp": (bmp_header(HUGE, HUGE), (HUGE, HUGE)),
    "bomb.tif": (tiff_header(HUGE, HUGE), (HUGE, HUGE)),
    "above.png": (media.black_png(8192, 8193, rows=10), (8192, 8193)),
}


@pytest.mark.parametrize(("name", "content", "size"), [(name, *bomb) for name, bomb in BOMBS.items()])
def test_bombs_keep_their_size_and_are_not_decoded(
    name: str, content: bytes, size: tuple[int, int], tmp_path: Path
) -> None:  # fmt: skip
    facts = examined(written(tmp_path / name, content))

    assert facts.found == (ImageDimensions(width_pixels=size[0], height_pixels=size[1]),)
    assert "more than the limit of 67108864" in facts.problems[0]


def test_a_picture_whose_directory_leads_back_to_itself_is_read_once(tmp_path: Path) -> None:
    facts = examined(written(tmp_path / "loop.tif", tiff_header(10, 10, next_directory=8)))

    assert facts.found[0] == ImageDimensions(width_pixels=10, height_pixels=10)


def test_two_hundred_thousand_chunks_are_walked(tmp_path: Path) -> None:
    plain = media.picture_bytes("PNG")
    chunks = media.png_chunk(b"zTXt", b"a\x00\x00" + bytes(4)) * 200_000

    facts = examined(written(tmp_path / "chunks.png", plain[:33] + chunks + plain[33:]))

    assert facts.problems == ()
    assert facts.found[0] == SIZE


def test_compressed_texts_and_profiles_are_not_unpacked(tmp_path: Path) -> None:
    bomb = b"x\x00\x00" + media.packed_zeros(50_000_000)

    facts = examined(written(tmp_path / "text.png", media.png_with((b"zTXt", bomb), (b"iCCP", bomb))))

    assert facts.problems == ()
    assert fact(facts, PerceptualHashes) is not None


def test_postscript_is_never_opened_whatever_its_name(tmp_path: Path) -> None:
    proof = tmp_path / "ran"
    program = f"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n({proof}) (w) file closefile\n".encode()
    path = written(tmp_path / "picture.png", program)

    facts = examine(str(path), "image/png", ("image", "pixels"), Limits())

    assert type_of(path) == "application/postscript"
    assert facts.found == ()
    assert facts.problems
    assert not proof.exists()


@pytest.mark.parametrize("kind", ["video/mp4", "video/mp2t", "video/x-matroska", "audio/mpeg", "video/quicktime"])
@pytest.mark.parametrize("marker", [b"#EXTM3U\n#EXTINF:1,\n%s\n", b"ffconcat version 1.0\nfile '%s'\n"])
def test_playlists_open_nothing(kind: str, marker: bytes, tmp_path: Path) -> None:
    secret = media.sound(tmp_path / "secret.wav", "wav", "pcm_s16le")
    path = written(tmp_path / "list", marker % str(secret).encode())

    facts = examine(str(path), kind, ("stream",), Limits())

    assert facts.found == ()
    assert facts.problems


@pytest.fixture(scope="module")
def workers() -> Iterator[IsolatedExecutor]:
    with IsolatedExecutor(jobs=1, timeout_seconds=20, memory_bytes=1 << 30, preload=PRELOADED) as executor:
        yield executor


def assert_storable(facts: Facts) -> None:
    """Refuse what a database would: numbers beyond 32 bits or not finite, texts with NUL or that are no Unicode."""
    for found in facts.found:
        for value in found:
            match value:
                case int():
                    assert 0 < value < 2**31
                case float():
                    assert math.isfinite(value)
                case str():
                    assert "\x00" not in value
                    assert len(value.encode()) <= 4 * 1024
    assert all(problem.isprintable() and len(problem) <= 300 for problem in facts.problems)


def submitted(workers: IsolatedExecutor, path: Path, mime_type: str | None) -> Future[Facts]:
    return workers.submit(examine, str(path), mime_type, readers_for(mime_type), Limits())


@pytest.mark.parametrize("name", SAMPLES)
def test_a_file_cut_anywhere_gives_facts_or_problems(
    name: str, workers: IsolatedExecutor, samples: Callable[[str], Path], tmp_path: Path
) -> None:  # fmt: skip
    whole = samples(name).read_bytes()
    parts = [written(tmp_path / str(part), whole[: len(whole) * part // 16]) for part in range(16)]
    for future in [submitted(workers, part, SAMPLES[name].mime_type) for part in parts]:
        facts = future.result()
        assert facts.found or facts.problems
        assert_storable(facts)


@pytest.mark.parametrize("name", SAMPLES)
@settings(
    max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
@given(data=st.data())
def test_a_file_changed_anywhere_does_no_harm(
    name: str, workers: IsolatedExecutor, samples: Callable[[str], Path], tmp_path: Path, data: st.DataObject
) -> None:  # fmt: skip
    content = bytearray(samples(name).read_bytes())
    places = st.integers(0, min(len(content), 4096) - 1) | st.integers(0, len(content) - 1)
    for place, change in data.draw(st.lists(st.tuples(places, st.binary(min_size=1, max_size=8)), max_size=6)):
        content[place : place + len(change)] = change
    try:
        path = written(tmp_path / "changed", bytes(content))
        facts = submitted(workers, path, SAMPLES[name].mime_type).result()
    except TaskFailed:
        return  # a crash, in its own process; the next file finds a new one
    assert_storable(facts)


def test_a_worker_survives_a_picture_it_has_no_memory_for(tmp_path: Path) -> None:
    large = written(tmp_path / "large.png", media.black_png(5000, 5000))
    small = written(tmp_path / "small.png", media.picture_bytes("PNG"))

    with IsolatedExecutor(jobs=1, timeout_seconds=20, memory_bytes=180 << 20) as workers:
        first = workers.submit(examine, str(large), "image/png", ("image", "pixels"), Limits())
        second = workers.submit(examine, str(small), "image/png", ("image", "pixels"), Limits())
        try:
            facts = first.result()
        except TaskFailed as error:
            facts = Facts(found=(), problems=(str(error),))

    assert facts.problems == ("ran out of memory",)
    assert second.result().problems == ()


def test_no_process_takes_more_memory_than_it_may(workers: IsolatedExecutor, tmp_path: Path) -> None:
    bombs = [written(tmp_path / name, content) for name, (content, _) in BOMBS.items()]
    largest = written(tmp_path / "largest.png", media.black_png(8192, 8192))

    peaks = [peak_of_examination(workers, path) for path in bombs]
    peak, facts = peak_of_examination(workers, largest)

    assert all(bomb.problems and not fact(bomb, PerceptualHashes) for _, bomb in peaks)
    assert fact(facts, PerceptualHashes)
    assert peak > 4 * 8192 * 8192, "so much Pillow holds of it: what is measured is not what decoded it"
    assert max(peak, *(each for each, _ in peaks)) < MOST_MEMORY
    assert 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < MOST_MEMORY


def peak_of_examination(workers: IsolatedExecutor, path: Path) -> tuple[int, Facts]:
    """Return the most bytes in memory of the worker, or of the server that it came from, and what it found."""
    mime_type = type_of(path)
    return workers.submit(
        tasks.with_peak_memory, examine, str(path), mime_type, readers_for(mime_type), Limits()
    ).result()


def test_a_number_that_no_database_holds_is_left_out(tmp_path: Path) -> None:
    content = bytearray(media.animation_bytes("AVIF", (100, 200)))
    entry = content.index(b"stts") + 12  # after version and number of entries: how many frames are shown how long
    content[entry : entry + 4] = b"\x80\x00\x00\x02"
    facts = examine(str(written(tmp_path / "many.avif", bytes(content))), "image/avif", ("image",), Limits())
    assert_storable(facts)
    assert any(isinstance(found, FrameProperties) for found in facts.found)


# Queries and thumbnails


def test_a_query_hashes_the_picture_as_displayed(tmp_path: Path) -> None:
    path = written(tmp_path / "any name", media.picture_bytes("JPEG", exif=media.exif(Orientation=6)))

    query = query_image(str(path), Limits())

    assert query.problem is None
    assert query.hashes == {1: fact(examined(path), PerceptualHashes)}


def test_a_query_in_all_orientations_has_eight(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jpg", media.picture_bytes("JPEG"))

    query = query_image(str(path), Limits(), orientations=True)

    assert list(query.hashes) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert query.hashes[1] == query_image(str(path), Limits()).hashes[1]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"just words", "the file is no picture that can be decoded"),
        (b"", "the file is no picture that can be decoded"),
        (media.picture_bytes("PNG")[:60], ""),
    ],
)
def test_a_query_that_is_no_picture_says_so(content: bytes, problem: str, tmp_path: Path) -> None:
    query = query_image(str(written(tmp_path / "q.png", content)), Limits())

    assert query.hashes == {}
    assert query.problem is not None
    assert query.problem.startswith(problem)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P", "L", "1", "I;16", "CMYK"])
def test_a_thumbnail_is_small_and_turned(mode: str, tmp_path: Path) -> None:
    image_format = "TIFF" if mode == "CMYK" else "PNG"
    picture = media.picture(640, 480, mode)
    path = written(tmp_path / "a", media.picture_bytes(image_format, picture, exif=media.exif(Orientation=6)))

    small = thumbnail(str(path), Limits(), 100)

    assert small is not None
    with Image.open(io.BytesIO(small)) as opened:
        assert opened.format == "JPEG"
        assert opened.size == (75, 100)


def test_no_thumbnail_of_what_is_no_picture(tmp_path: Path) -> None:
    assert thumbnail(str(written(tmp_path / "a.txt", b"words")), Limits(), 100) is None
    assert thumbnail(str(written(tmp_path / "a.png", b"\x89PNG\r\n\x1a\n")), Limits(), 100) is None


def test_what_is_transparent_is_white_in_a_thumbnail(tmp_path: Path) -> None:
    path = written(tmp_path / "a.png", media.picture_bytes("PNG", Image.new("RGBA", (50, 50), (0, 0, 0, 0))))

    small = thumbnail(str(path), Limits(), 20)

    assert small is not None
    with Image.open(io.BytesIO(small)) as opened:
        assert opened.getpixel((10, 10)) == (255, 255, 255)
