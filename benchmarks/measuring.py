"""Runs commands in turns and compares what they took."""

import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

_RUN = "run-"
_LARGE_BYTES = 64 << 10
# A virtual machine gives memory that was freed back to its host within seconds. Whoever comes sooner finds it at hand:
# a bare copy of 2 GiB took 6.2 to 7.0 s at once, and 8.5 to 9.3 s a little later.
_SETTLING_SECONDS = 4.0
_LOOKING_SECONDS = 0.002  # a look itself takes 2 to 9 ms


@dataclass(frozen=True)
class Contender:
    """A command to be timed. ``prepare`` makes its folder ready each time, untimed; ``does`` says what it does."""

    name: str
    command: Sequence[str]
    does: str
    prepare: Callable[[Path], None] = lambda _: None
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Timing:
    """What the runs of a contender took: seconds of each, processor seconds of its process tree, its peak in bytes."""

    seconds: list[float]
    processor_seconds: list[float]
    peak_bytes: int

    @property
    def median(self) -> float:
        """Return the middle of the runs."""
        return statistics.median(self.seconds)

    @property
    def processors(self) -> float:
        """Return the middle of the processor seconds, which others on the machine disturb less."""
        return statistics.median(self.processor_seconds)


def take_turns(
    contenders: Sequence[Contender],
    home: Path,
    *,
    runs: int,
    memory: bool = False,
    settling_seconds: float = _SETTLING_SECONDS,
) -> dict[str, Timing]:
    """Run each contender once to warm up and then ``runs`` times, A B C A B C …, each in a folder made anew.

    The folders stay until ``clear``: for minutes after many files were deleted, ext4 looks at each of their places for
    every new file (``recently_deleted`` in fs/ext4/ialloc.c), and whoever came next would pay for it.
    """
    seconds: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    processors: dict[str, list[float]] = {name: [] for name in seconds}
    peaks = dict.fromkeys(seconds, 0)
    for turn in range(runs + 1):
        for contender in contenders:
            folder = new_folder(home)
            took, worked, peak = _run(contender, folder, settling_seconds, memory=memory)
            _drop_large_files(folder)
            peaks[contender.name] = max(peaks[contender.name], peak)
            if turn or runs == 0:
                seconds[contender.name].append(took)
                processors[contender.name].append(worked)
    return {name: Timing(seconds[name], processors[name], peaks[name]) for name in seconds}


def new_folder(home: Path) -> Path:
    """Make a folder that stays until ``clear``."""
    home.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=_RUN, dir=home))


def clear(home: Path) -> None:
    """Remove what the runs left."""
    for folder in home.glob(f"{_RUN}*"):
        shutil.rmtree(folder, ignore_errors=True)


def _drop_large_files(folder: Path) -> None:
    for path in folder.rglob("*"):
        if not path.is_symlink() and path.is_file() and path.stat().st_size > _LARGE_BYTES:
            path.parent.chmod(0o700)  # git-annex takes our right to delete away
            path.unlink()


def _run(contender: Contender, folder: Path, settling_seconds: float, *, memory: bool) -> tuple[float, float, int]:
    contender.prepare(folder)
    os.sync()
    time.sleep(settling_seconds)
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    env |= {name: value.replace("{home}", str(folder)) for name, value in contender.env.items()}
    command = [word.replace("{home}", str(folder)) for word in contender.command]
    worked_before = _processor_seconds()
    began = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    peak = _watched(process) if memory else 0
    _, errors = process.communicate()
    took = time.perf_counter() - began
    if process.returncode:
        raise SystemExit(f"{contender.name} ended with {process.returncode}: {errors.decode(errors='replace')[-500:]}")
    return took, _processor_seconds() - worked_before, peak


def _processor_seconds() -> float:
    times = os.times()
    return times.children_user + times.children_system


def _watched(process: subprocess.Popen[bytes]) -> int:
    """Return the most memory (proportional set size, so that what is shared counts once) that the tree held.

    It counts what two looks in a row have seen: between vfork and exec a child shows all of its parent's memory as its
    own, for less than a millisecond.
    """
    if not Path("/proc/thread-self/children").exists():
        raise SystemExit("memory can't be measured here: the kernel does not tell of children (CONFIG_PROC_CHILDREN)")
    peak = before = 0
    while process.poll() is None:
        now = sum(map(_memory_of, _tree(process.pid)))
        peak = max(peak, min(before, now))
        before = now
        time.sleep(_LOOKING_SECONDS)
    return peak


def _tree(root: int) -> list[int]:
    """Return a process and all that descend from it. The children's files spare us all other processes."""
    tree = [root]
    for one in tree:
        for children in Path(f"/proc/{one}/task").glob("*/children"):
            with suppress(OSError):  # it has ended
                tree += map(int, children.read_text().split())
    return tree


def _memory_of(process: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def is_installed(program: str) -> bool:
    """Say whether a peer can be run here."""
    return shutil.which(program) is not None
