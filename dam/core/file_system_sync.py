"""syncfs(2): one call that makes many new files durable, where the system tells of every failure."""

import ctypes
import os
import re
from collections.abc import Callable

_TOLD_SINCE = (5, 17)
"""Linux before it forgets what a file system's own sync says (fs/sync.c, sync_filesystem)."""

_JOURNALLED = frozenset({0xEF53, 0x58465342, 0x9123683E})
"""Their sync waits until data and names are on the disk (linux/magic.h: ext4 and its elders, XFS, Btrfs)."""

_IN_MEMORY = frozenset({0x01021994})
"""No sync of these does anything (linux/magic.h: tmpfs)."""

_STATFS_BYTES = 512  # more than struct statfs has on any architecture; it begins with the type


def find_sync_file_system() -> Callable[[int], bool] | None:
    """Return what syncs the file system of a descriptor, or says False for one of a kind that we don't know.

    It raises OSError when anything on it could not be written since the descriptor was opened. None where the system
    has no such call, or one that leaves failures out.
    """
    if _release() < _TOLD_SINCE:
        return None
    library = ctypes.CDLL(None, use_errno=True)
    try:
        syncfs, fstatfs = library.syncfs, library.fstatfs
    except AttributeError:
        return None

    def sync(fd: int) -> bool:
        state = ctypes.create_string_buffer(_STATFS_BYTES)
        _demand_success(fstatfs(fd, state))
        if ctypes.c_long.from_buffer(state).value not in _JOURNALLED | _IN_MEMORY:
            return False
        _demand_success(syncfs(fd))
        return True

    return sync


def _release() -> tuple[int, int]:
    """Return the kernel's version; that of a kernel other than Linux is none."""
    system = os.uname()
    found = re.match(r"(\d+)\.(\d+)", system.release)
    return (int(found[1]), int(found[2])) if system.sysname == "Linux" and found else (0, 0)


def _demand_success(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
