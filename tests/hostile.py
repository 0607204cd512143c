"""Trees and processes that are up to no good, for tests: special files, other users, small limits."""

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import needs

NOBODY = 65534


def make_socket(path: Path) -> None:
    """Leave a socket at a path; its name must be short, so it is bound from its own folder."""
    here = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path.name)
    finally:
        os.chdir(here)


def make_device(path: Path) -> None:
    """Make a device node that reads like /dev/zero."""
    need_root("only root makes device nodes")
    os.mknod(path, 0o600 | 0o020000, os.makedev(1, 5))


def deep_folder(root: Path, *, length: int) -> str:
    """Make folders below ``root`` until the path has at least this many bytes; return it."""
    path = str(root)
    fd = os.open(root, os.O_RDONLY)
    while len(path) < length:
        name = "d" * 200
        os.mkdir(name, dir_fd=fd)
        below = os.open(name, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd, path = below, f"{path}/{name}"
    os.close(fd)
    return path


def write_deep(folder: str, name: str, data: bytes) -> str:
    """Write a file into a folder whose path may be longer than the system takes; return its path."""
    fd = os.open("/", os.O_RDONLY)
    for part in folder.strip("/").split("/"):
        below = os.open(part, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    file = os.open(name, os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=fd)
    os.write(file, data)
    os.close(file)
    os.close(fd)
    return f"{folder}/{name}"


@contextmanager
def folder_for_all() -> Iterator[Path]:
    """Give a temporary folder that every user may enter and read."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def become_nobody() -> None:
    """Drop root's rights in this process, whose modules must have been imported by now."""
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


def need_root(reason: str) -> None:
    """Skip the test unless it runs as root, who alone can become somebody else, make devices and mount."""
    if os.geteuid() != 0:
        needs.missing(reason)


def run_python(code: str, *arguments: str | Path) -> str:
    """Run a program in a process of its own and return what it prints; fail with its errors."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    here = Path(__file__).parents[1]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=here)
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def running(code: str, *arguments: str | Path) -> Iterator[None]:
    """Run a program beside the test, to its end."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    with subprocess.Popen(command, cwd=Path(__file__).parents[1]) as process:
        yield
    assert process.returncode == 0


@contextmanager
def small_disk(*, kilobytes: int) -> Iterator[Path]:
    """Give the folder of a file system in memory that holds so much and no more."""
    need_root("only root can mount")
    with tempfile.TemporaryDirectory() as name:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", name]
        if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
            needs.missing("a file system in memory can't be mounted here")
        try:
            yield Path(name)
        finally:
            subprocess.run(["umount", name], check=True)
