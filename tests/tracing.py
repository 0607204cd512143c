"""The system calls of a program, by strace, for tests that prove an order or make calls fail."""

import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from tests import needs

_LINE = re.compile(r"^(?:\d+ +)?(?:<\.\.\. )?(\w+)(?:\(| resumed>)(.*)$")
_PATH = re.compile(r'"((?:[^"\\]|\\.)*)"|\b\d+<([^>]*)>')


class Call(NamedTuple):
    """A system call that came back without an error: its name, and the paths it was about."""

    name: str
    paths: tuple[str, ...]


def calls(code: str, *arguments: str | Path, only: str) -> list[Call]:
    """Run a Python program and return those of its system calls that succeeded, in the order in which they ended."""
    trace = _run(["-y", "-s", "5000", "-e", f"trace={only}"], code, arguments).stderr
    begun: dict[str, str] = {}
    return [call for line in trace.splitlines() if (call := _read(line, begun))]


def run_with_fault(code: str, *arguments: str | Path, fault: str, about: Path | None = None) -> str:
    """Run a Python program in which some system calls fail (strace's ``inject``) and return what it prints.

    A number after ``when=`` counts each thread's calls by themselves; ``about`` spares the calls about other paths.
    """
    only = [] if about is None else ["-P", str(about)]
    return _run(["-o", "/dev/null", *only, "-e", f"inject={fault}"], code, arguments).stdout


def kill_at(code: str, *arguments: str | Path, call: str, number: int) -> None:
    """Run a Python program and kill it with SIGKILL when one of its threads makes a call for the n-th time."""
    _strace(["-o", "/dev/null", "-e", f"inject={call}:signal=KILL:when={number}"], code, arguments)


def _run(options: list[str], code: str, arguments: tuple[str | Path, ...]) -> subprocess.CompletedProcess[str]:
    done = _strace(options, code, arguments)
    assert done.returncode == 0, done.stderr
    return done


def _strace(options: list[str], code: str, arguments: tuple[str | Path, ...]) -> subprocess.CompletedProcess[str]:
    command = [
        needs.program("strace"),
        "-f",
        "--seccomp-bpf",
        "-qq",
        *options,
        sys.executable,
        "-c",
        code,
        *map(str, arguments),
    ]
    here = Path(__file__).parents[1]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=here)


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
