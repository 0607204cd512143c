"""The system calls of a program, by strace, for tests that prove an order or make calls fail."""

import re
import subprocess
from pathlib import Path
from signal import SIGKILL
from typing import NamedTuple

from tests import needs
from tests.forks import ForkServer

_LINE = re.compile(r"^(?:\d+ +)?(?:<\.\.\. )?(\w+)(?:\(| resumed>)(.*)$")
_PATH = re.compile(r'"((?:[^"\\]|\\.)*)"|\b\d+<([^>]*)>')


class Call(NamedTuple):
    """A system call that came back without an error: its name, and the paths it was about."""

    name: str
    paths: tuple[str, ...]


def calls(forks: ForkServer, code: str, *arguments: str | Path, only: str) -> list[Call]:
    """Run a Python program and return those of its system calls that succeeded, in the order in which they ended."""
    options = ["-y", "-s", "500000", "-e", f"trace={only}"]
    trace, _ = _traced(forks, code, arguments, options)
    begun: dict[str, str] = {}
    return [call for line in trace.splitlines() if (call := _read(line, begun))]


def run_with_fault(forks: ForkServer, code: str, *arguments: str | Path, fault: str, about: Path | None = None) -> str:
    """Run a Python program in which some system calls fail (strace's ``inject``) and return what it prints.

    A number after ``when=`` counts each thread's calls by themselves; ``about`` spares the calls about other paths.
    """
    only = [] if about is None else ["-P", str(about)]
    call = fault.partition(":")[0]
    return _traced(forks, code, arguments, [*only, "-e", f"trace={call}", "-e", f"inject={fault}"])[1]


def kill_at(forks: ForkServer, code: str, *arguments: str | Path, call: str, number: int) -> None:
    """Run a Python program and kill it with SIGKILL when one of its threads makes a call for the n-th time."""
    options = ["-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={number}"]
    _traced(forks, code, arguments, options, status=-SIGKILL)


def _traced(
    forks: ForkServer, code: str, arguments: tuple[str | Path, ...], options: list[str], *, status: int = 0
) -> tuple[str, str]:
    """Run a Python program under strace; return what strace and what the program wrote."""
    strace = [needs.program("strace"), "-f", "-qq", *options]
    with (
        forks.start_python(code, *arguments, traced=True) as process,
        subprocess.Popen([*strace, "-p", str(process.pid)], stderr=subprocess.PIPE, text=True) as tracer,
    ):
        assert tracer.stderr is not None
        trace = tracer.stderr.read()
        out, err = process.communicate(timeout=60)
    assert process.returncode == status, err
    return trace, out


def _read(line: str, begun: dict[str, str]) -> Call | None:
    """Read a line of strace; one of a call that has only begun is kept for the line that ends it."""
    found = _LINE.match(line.removeprefix("[pid").replace("] ", " ", 1).strip())
    if found is None:
        return None
    process = line.partition("]")[0] if line.startswith("[pid") else ""
    name, rest = found[1], found[2]
    if "<unfinished ...>" in rest:
        begun[process] = rest
        return None
    if "resumed>" in line:
        rest = begun.pop(process, "") + rest
    arguments, _, result = rest.rpartition(" = ")
    if result.startswith("-1"):
        return None
    return Call(name, tuple(quoted or of_fd for quoted, of_fd in _PATH.findall(arguments)))
