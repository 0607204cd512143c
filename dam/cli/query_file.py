"""Reads a file that a person asks about, as safely as one that is taken in."""

import os

from dam.cli.border import UnusableInput
from dam.core.exceptions import DamError, os_reason
from dam.core.file_operations import FileOperationsResource
from dam.services.source_reading import Digest, digest_file


def digest(path: str) -> Digest:
    """Return the file's hashes, or raise UnusableInput; a special file is refused without waiting for it."""
    files = FileOperationsResource()
    try:
        fd = files.open_regular(path)
        try:
            return digest_file(fd, files=files)
        finally:
            os.close(fd)
    except OSError as error:
        raise UnusableInput(f"{path}: {os_reason(error)}") from error
    except DamError as error:
        raise UnusableInput(f"{path}: {error}") from error
