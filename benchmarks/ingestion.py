"""Taking files in, beside the floor and beside what people use instead."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import batched
from pathlib import Path

from benchmarks import corpus
from benchmarks.measuring import Contender, Timing, is_installed, moments_of, take_turns

PROGRAM = str(Path(sys.executable).with_name("dam-cli"))
ENVIRONMENT = {"DATABASE_URL": "sqlite:///{home}/dam.db", "DAM_STORAGE_PATH": "{home}/storage"}
FLOORS = [sys.executable, "-m", "benchmarks.floors"]
ROOT = str(Path(__file__).parent.parent)


@dataclass(frozen=True)
class Sizes:
    """How much of everything is measured."""

    photos: int
    pictures: int
    small: int
    large_bytes: int
    library: int
    runs: int


QUICK = Sizes(photos=24, pictures=200, small=2_000, large_bytes=256 << 20, library=5_000, runs=1)
FULL = Sizes(photos=150, pictures=3_000, small=20_000, large_bytes=2 << 30, library=100_000, runs=3)


@dataclass(frozen=True)
class Row:
    """A line of the table: what was measured beside what, and how it must come out."""

    case: str
    contender: str
    seconds: float
    per_second: float
    ratio: float
    processor_seconds: float
    processor_ratio: float
    beside: str
    note: str


def run(name: str, sizes: Sizes, home: Path) -> list[Row]:
    """Measure one case."""
    cases: dict[str, Callable[[Sizes, Path], list[Row]]] = {
        "photos": _photos,
        "pictures": _pictures,
        "small": _small,
        "large": _large,
        "unchanged": _unchanged,
        "growth": _growth,
        "memory": _memory,
    }
    return cases[name](sizes, home)


def names() -> tuple[str, ...]:
    """Return the cases, in the order in which they are measured."""
    return ("photos", "pictures", "small", "large", "unchanged", "growth", "memory")


def added(root: Path, *options: str) -> Contender:
    """Return our own program taking a folder in."""
    does = "copy, SHA-256, MD5, rows, facts, perceptual hashes; durable at the end"
    command = [PROGRAM, "add-asset", "-r", *options, str(root)]
    return Contender("dam-cli add-asset", command, does, _with_database, ENVIRONMENT)


def _photos(sizes: Sizes, home: Path) -> list[Row]:
    return _pictures_of(
        "photos", corpus.photos(home / f"photos-{sizes.photos}", sizes.photos), sizes.photos, sizes, home
    )


def _pictures(sizes: Sizes, home: Path) -> list[Row]:
    root = corpus.pictures(home / f"pictures-{sizes.pictures}", sizes.pictures)
    return _pictures_of("pictures", root, sizes.pictures, sizes, home)


def _pictures_of(case: str, root: Path, count: int, sizes: Sizes, home: Path) -> list[Row]:
    floor = Contender(
        "floor: 2 processes",
        [*FLOORS, "decode", str(root), "2"],
        "decode, hash bits, hash bytes; keeps nothing",
        env=_here(),
    )
    contenders = [added(root, "-j", "2"), floor, *_peers(root)]
    return _rows(case, take_turns(contenders, home, runs=sizes.runs), contenders, count, beside=floor.name)


def _small(sizes: Sizes, home: Path) -> list[Row]:
    root = corpus.small_files(home / f"small-{sizes.small}", sizes.small)
    careless = Contender(
        "the same, nothing synced",
        [*FLOORS, "careless", str(root), "{home}"],
        "what durability costs",
        _with_database,
        _here(),
    )
    contenders = [added(root, "-j", "2"), careless, *_peers(root)]
    return _rows(
        "small", take_turns(contenders, home, runs=sizes.runs), contenders, sizes.small, beside="dam-cli add-asset"
    )


def _large(sizes: Sizes, home: Path) -> list[Row]:
    root = corpus.large_file(home / f"large-{sizes.large_bytes}", sizes.large_bytes)
    floor = Contender(
        "floor: bare loop",
        [*FLOORS, "copy", str(root / "large.bin"), "{home}/copy"],
        "copy, SHA-256 beside MD5, fsync",
        env=_here(),
    )
    contenders = [added(root), floor]
    return _rows("large", take_turns(contenders, home, runs=sizes.runs), contenders, 1, beside=floor.name)


def _unchanged(sizes: Sizes, home: Path) -> list[Row]:
    root = corpus.small_files(home / f"small-{sizes.library}", sizes.library)
    library = _library(root, home / f"library-{sizes.library}")
    again = Contender(
        "dam-cli add-asset",
        [PROGRAM, "add-asset", "-r", str(root)],
        "nothing has changed",
        _copy_of(library),
        ENVIRONMENT,
    )
    listing = Contender("find -printf", ["find", str(root), "-printf", "%s %T@\n"], "names, sizes and times")
    empty = Contender(
        "dam-cli add-asset of nothing",
        [PROGRAM, "add-asset", "{home}/empty"],
        "starting up",
        _with_empty(library),
        ENVIRONMENT,
    )
    contenders = [again, listing, empty]
    return _rows(
        "unchanged", take_turns(contenders, home, runs=sizes.runs), contenders, sizes.library, beside=listing.name
    )


def _growth(sizes: Sizes, home: Path) -> list[Row]:
    """Add many files to an empty library, and time a tenth of them after the first hundredth, and the last tenth."""
    root = corpus.small_files(home / f"small-{sizes.library}", sizes.library)
    count, few = sizes.library // 10, sizes.library // 100
    early, late = Timing([], [], 0), Timing([], [], 0)
    for _ in range(max(1, 2 * sizes.runs)):
        marks = moments_of(added(root, "--json"), home, (few, few + count, sizes.library - count, sizes.library))
        for timing, (began, ended) in zip((early, late), batched(marks, 2), strict=True):
            timing.seconds.append(ended.clock - began.clock)
            timing.processor_seconds.append(ended.processors - began.processors)
    beside = f"from {few:,} assets on"
    names = {beside: early, f"up to {sizes.library:,} assets": late}
    return [
        _row("growth", name, timing, early, count, beside=beside, note="in one run, as they are told to be safe")
        for name, timing in names.items()
    ]


def _memory(sizes: Sizes, home: Path) -> list[Row]:
    """Take the most of several runs, because a short one may end between two looks at its memory."""
    few = corpus.small_files(home / "small-1000", 1_000)
    many = corpus.small_files(home / f"small-{sizes.library}", sizes.library)
    rows = []
    base: Timing | None = None
    for name, root, count in (("1,000 files", few, 1_000), (f"{sizes.library:,} files", many, sizes.library)):
        timing = take_turns([added(root)], home, runs=2, memory=True)["dam-cli add-asset"]
        base = base or timing
        peak = f"peak of the process tree {timing.peak_bytes / 1e6:.0f} MB"
        note = f"{peak}, {timing.peak_bytes / base.peak_bytes:.2f} of that with 1,000 files"
        rows.append(_row("memory", name, timing, base, count, beside="1,000 files", note=note))
    return rows


def _peers(root: Path) -> list[Contender]:
    """Return what people use instead, where it is installed."""
    peers = [
        Contender("cp -r, sync", ["sh", "-c", f"cp -r '{root}' copy && sync"], "a copy, no hash"),
        Contender(
            "git-annex add",
            ["git-annex", "add", "-J2", "--quiet", "tree"],
            "SHA-256, moved into its store, staged in git",
            lambda folder: _annexed(root, folder),
        ),
        Contender(
            "dvc add",
            ["dvc", "add", "-q", "tree"],
            "MD5, copied or linked into its cache; not synced",
            lambda folder: _dvc(root, folder),
        ),
        Contender("exiftool -r -json", ["sh", "-c", f"exiftool -r -json '{root}' || true"], "metadata only"),
        Contender(
            "findimagedupes",
            ["findimagedupes", "-R", "-q", "-f", "{home}/prints", str(root)],
            "a fingerprint of its own",
        ),
    ]
    return [peer for peer in peers if is_installed(_program(peer))]


def _program(peer: Contender) -> str:
    return "exiftool" if "exiftool" in peer.name else peer.command[0]


def _annexed(root: Path, folder: Path) -> None:
    shutil.copytree(root, folder / "tree")
    for command in (["git", "init", "-q"], ["git-annex", "init", "-q"]):
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _dvc(root: Path, folder: Path) -> None:
    shutil.copytree(root, folder / "tree")
    subprocess.run(["dvc", "init", "--no-scm", "-q"], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def _with_database(folder: Path) -> None:
    """Set up an empty database, as the peers are set up."""
    subprocess.run([PROGRAM, "setup-db"], env=_environment(folder), check=True, stdout=subprocess.DEVNULL)


def _environment(home: Path) -> dict[str, str]:
    return {name: value.replace("{home}", str(home)) for name, value in ENVIRONMENT.items()}


def _library(root: Path, library: Path) -> Path:
    """Make a library of a folder once, and keep it; one that an older program made is brought up to date."""
    if not (library / "done").exists():
        shutil.rmtree(library, ignore_errors=True)
        library.mkdir(parents=True)
        command = [PROGRAM, "add-asset", "-r", str(root)]
        subprocess.run(command, env=_environment(library), check=True, stdout=subprocess.DEVNULL)
        (library / "done").touch()
    _with_database(library)
    return library


def _copy_of(library: Path) -> Callable[[Path], None]:
    """Return what copies a library, its objects as links: they are never changed, and to copy them wears the disk."""

    def prepare(folder: Path) -> None:
        subprocess.run(["cp", "-al", library / "storage", folder], check=True)
        shutil.copy(library / "dam.db", folder)

    return prepare


def _with_empty(library: Path) -> Callable[[Path], None]:
    def prepare(folder: Path) -> None:
        _copy_of(library)(folder)
        (folder / "empty").mkdir()

    return prepare


def _here() -> dict[str, str]:
    return {"PYTHONPATH": ROOT, "OPENBLAS_NUM_THREADS": "1"}


def _rows(
    case: str, timings: dict[str, Timing], contenders: Sequence[Contender], count: int, *, beside: str
) -> list[Row]:
    base = timings[beside]
    return [_row(case, one.name, timings[one.name], base, count, beside=beside, note=one.does) for one in contenders]


def _row(case: str, name: str, timing: Timing, base: Timing, count: int, *, beside: str, note: str) -> Row:
    return Row(
        case=case,
        contender=name,
        seconds=timing.median,
        per_second=count / timing.median,
        ratio=timing.median / base.median,
        processor_seconds=timing.processors,
        processor_ratio=timing.processors / base.processors,
        beside=beside,
        note=note,
    )
