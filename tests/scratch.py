"""Where the tests put their files: in memory where there is room, because a disk takes a minute to forget them all."""

import os
import tempfile
from pathlib import Path

IN_MEMORY = Path("/dev/shm")
NEEDED_BYTES = 4 << 30
# Programs are started and devices made there.
UNFIT = getattr(os, "ST_NOEXEC", 0) | getattr(os, "ST_NODEV", 0) | getattr(os, "ST_RDONLY", 0)


def folder() -> str:
    """Return the folder for temporary files; TMPDIR says which, if it is set. Its path is short."""
    if "TMPDIR" in os.environ or not _has_room(IN_MEMORY):
        return tempfile.gettempdir()
    return str(IN_MEMORY)


def _has_room(path: Path) -> bool:
    if not os.access(path, os.W_OK):
        return False
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize >= NEEDED_BYTES and not found.f_flag & UNFIT
