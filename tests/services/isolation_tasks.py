"""What the tests of isolation run in worker processes."""

import ctypes
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path


class Unreadable(Exception):
    """Pickles well, and can't be made again from its arguments."""

    def __init__(self, name: str, position: int) -> None:
        super().__init__(f"{name} is broken at {position}")


def echo(value: object) -> object:
    return value


def process_id() -> int:
    return os.getpid()


def parent_process_id() -> int:
    return os.getppid()


def sleep(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def sleep_and_tell(seconds: float) -> int:
    """Sleep, and tell who did."""
    time.sleep(seconds)
    return os.getpid()


def sleep_or_exit(seconds: float) -> float:
    """Sleep; end the process when the time is negative."""
    if seconds < 0:
        os._exit(3)
    return sleep(seconds)


def touch_and_sleep(path: Path, seconds: float) -> None:
    path.write_text(str(os.getpid()))
    time.sleep(seconds)


def sleep_the_first_time(path: Path) -> int:
    """Tell at once who runs this, but the first time only after half a minute."""
    if not path.exists():
        touch_and_sleep(path, 30)
    return os.getpid()


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def meet(own: Path, other: Path) -> None:
    own.touch()
    wait_for(other)


def hold_the_interpreter() -> None:
    sum(range(10**15))


def take_bytes(count: int, *, each: int) -> int:
    return sum(len(block) for block in [bytearray(each) for _ in range(count)])


def keep_bytes(count: int) -> int:
    """Leak memory the way a library does, and tell who did."""
    ctypes.pythonapi.PyMem_RawMalloc.restype = ctypes.c_void_p
    ctypes.pythonapi.PyMem_RawMalloc(ctypes.c_size_t(count))
    return os.getpid()


def with_peak_memory[**P, T](function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> tuple[int, T]:
    """Return the most bytes that this process, or the one it was forked from, ever had in memory; and the result."""
    result = function(*args, **kwargs)
    return max(_peak_memory(os.getpid()), _peak_memory(os.getppid())), result


def exit_at_once(status: int) -> None:
    os._exit(status)


def read_address_zero() -> None:
    ctypes.string_at(0)


def kill_itself(number: int) -> None:
    os.kill(os.getpid(), number)


def kill_the_server() -> None:
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(10)


def kill_the_server_the_first_time(path: Path) -> str:
    if not path.exists():
        path.touch()
        kill_the_server()
    return "done"


def fail(text: str) -> None:
    raise ValueError(text)


def fail_unreadably() -> None:
    raise Unreadable("header", 7)


def fail_with_a_function() -> None:
    raise ValueError(lambda: None)


def return_a_function() -> object:
    return lambda: None


def make_unreadable() -> Unreadable:
    return Unreadable("header", 7)


def leave() -> None:
    raise SystemExit(3)


def print_something() -> None:
    os.write(1, b"on stdout")
    os.write(2, b"on stderr")


def read_input() -> bytes:
    return os.read(0, 10)


def open_descriptors() -> list[str]:
    """Return what the process has open, except for the listing itself."""
    return [str(entry.readlink()) for entry in sorted(Path("/proc/self/fd").iterdir()) if entry.is_symlink()]


def surroundings() -> dict[str, object]:
    return {
        "threads": {
            name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        },
        "core": resource.getrlimit(resource.RLIMIT_CORE),
        "interrupt": signal.getsignal(signal.SIGINT) is signal.SIG_IGN,
    }


def start_a_program(path: Path) -> None:
    """Start a program that outlives its parent when nobody kills it, then wait for ever."""
    path.write_text(str(subprocess.Popen(["sleep", "60"]).pid))
    time.sleep(60)


def is_imported(name: str) -> bool:
    return name in sys.modules


def _peak_memory(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))
