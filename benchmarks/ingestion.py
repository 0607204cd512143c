"""Taking files in, beside the floor and beside what people use instead."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import corpus, starting
from benchmarks.measuring import Contender, Timing, is_installed, new_folder, take_turns

PROGRAM = str(Path(sys.executable).with_name("dam-cli"))
ENVIRONMENT = {"DATABASE_URL": "sqlite:///{home}/dam.db", "DAM_STORAGE_PATH": "{home}/storage"}
FLOORS = [sys.executable, "-m", "benchmarks.floors"]
FEW = 1_000
NEW_FROM = 1_000_000  # from this number on are files that no library has yet
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
        "start": _start,
    }
    return cases[name](sizes, home)


def names() -> tuple[str, ...]:
    """Return the cases, in the order in which they are measured."""
    return ("photos", "pictures", "small", "large", "unchanged", "growth", "memory", "start")


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
    """Add the same new files to a library of a thousand assets and to a large one, in turns, and then others.

    The large one is copied once and grows: what the copying leaves the disk to do would weigh on what comes next.
    """
    few, many = (
        _library(corpus.small_files(home / f"small-{n}", n), home / f"library-{n}") for n in (FEW, sizes.library)
    )
    large, count = new_folder(home), sizes.library // 10
    _copy_of(many)(large)
    small_name, large_name = f"to {FEW:,} assets", f"to {sizes.library:,} assets"
    timings = {small_name: Timing([], [], 0), large_name: Timing([], [], 0)}
    for turn in range(max(1, 2 * sizes.runs)):
        new = corpus.small_files(home / f"new-{count}-{turn}", count, first=(turn + 1) * NEW_FROM)
        _read(new)
        contenders = [
            replace(added(new), name=small_name, prepare=_copy_of(few)),
            replace(added(new), name=large_name, prepare=lambda _: None, env=_environment(large)),
        ]
        for name, timing in take_turns(contenders[:: -1 if turn % 2 else 1], home, runs=0).items():
            timings[name].seconds.extend(timing.seconds)
            timings[name].processor_seconds.extend(timing.processor_seconds)
    return [
        _row("growth", name, timing, timings[small_name], count, beside=small_name, note=f"{count:,} new files")
        for name, timing in timings.items()
    ]


def _start(sizes: Sizes, home: Path) -> list[Row]:
    """Start the program, and the least that starts in its place, many times: each takes less than a second."""
    library = _library(corpus.small_files(home / f"small-{FEW}", FEW), home / f"library-{FEW}")
    groups = (starting.showing_help(PROGRAM), starting.finding_by_hash(PROGRAM, _environment(library)))
    timings = take_turns([*groups[0], *groups[1]], home, runs=5 * sizes.runs, settling_seconds=0)
    return [row for group in groups for row in _rows("start", timings, group, 1, beside=group[1].name)]


def _memory(sizes: Sizes, home: Path) -> list[Row]:
    """Take the most of several runs, because a short one may end between two looks at its memory."""
    few = corpus.small_files(home / f"small-{FEW}", FEW)
    many = corpus.small_files(home / f"small-{sizes.library}", sizes.library)
    rows = []
    base: Timing | None = None
    for name, root, count in ((f"{FEW:,} files", few, FEW), (f"{sizes.library:,} files", many, sizes.library)):
        timing = take_turns([added(root)], home, runs=2, memory=True)["dam-cli add-asset"]
        base = base or timing
        peak = f"peak of the process tree {timing.peak_bytes / 1e6:.1f} MB"
        note = f"{peak}, {timing.peak_bytes / base.peak_bytes:.3f} of that with {FEW:,} files"
        rows.append(_row("memory", name, timing, base, count, beside=f"{FEW:,} files", note=note))
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


def _read(folder: Path) -> None:
    """Have the files of a folder in memory, so that whoever reads them first does not pay for it."""
    for path in folder.rglob("*.*"):
        path.read_bytes()


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
