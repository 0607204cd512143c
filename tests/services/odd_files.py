"""File operations for tests of other processes, which find them by module and name."""

import errno
import os
import signal
import time
from pathlib import Path

from dam.core.file_operations import FileOperationsResource

PROCESSES = "processes"  # beside the source folder: an empty file for each process that opened a source
PROGRAM = "program"
WATCHED = "DAM_TEST_WATCHED"


class Telling(FileOperationsResource):
    """Notes which process opens a source; those named ``locked`` can't be opened.

    One named ``deadly`` kills the process that opens it, unless that is the program, whose id is noted as ``program``.
    """

    def open_regular(self, path: str) -> int:
        source = Path(path)
        beside = source.parent.parent / PROCESSES
        if beside.is_dir():
            (beside / str(os.getpid())).touch()
        if source.name == "locked":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        if source.name == "deadly" and (beside / PROGRAM).read_text() != str(os.getpid()):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().open_regular(path)


class WatchedFolders(FileOperationsResource):
    """Notes which process opens a folder, in the folder that the environment names as WATCHED.

    The process whose id stands there as ``program`` takes its time. To any other, a folder named ``deadly`` is death,
    and one named ``faulty`` a bug.
    """

    def open_folder(self, path: str) -> int:
        notes, process = Path(os.environ[WATCHED]), str(os.getpid())
        (notes / process).touch()
        program = notes / PROGRAM
        if program.exists() and program.read_text() == process:
            time.sleep(0.05)
        elif path.endswith("/deadly"):
            os.kill(os.getpid(), signal.SIGKILL)
        elif path.endswith("/faulty"):
            raise RuntimeError("there is a bug")
        return super().open_folder(path)
