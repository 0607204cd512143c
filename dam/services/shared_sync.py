"""Many files made durable by one call instead of one call each."""

import time

from dam.core.file_operations import FileOperationsResource

WORTH_SHARING = 64
PATIENCE_SECONDS = 2.0


class SharedSync:
    """Syncs all that was written to a file system.

    That waits for what other programs wrote, too: once it took longer than ``patience_seconds``, it is not done again.
    For one thread at a time.
    """

    def __init__(self, files: FileOperationsResource, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._files = files
        self._patience_seconds = patience_seconds
        self._is_quick = True

    def covers(self, count: int, fd: int) -> bool:
        """Sync so many files or folders, all written to since ``fd`` was opened on their file system.

        False when they are too few, when it is not sure that they are on the disk now, or when a file could not be
        written: syncing each by itself then tells which.
        """
        if count < WORTH_SHARING or not self._is_quick:
            return False
        began = time.monotonic()
        try:
            return self._files.sync_file_system(fd)
        except OSError:
            return False
        finally:
            self._is_quick = time.monotonic() - began <= self._patience_seconds
