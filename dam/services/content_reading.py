"""Reads a content whole and says whether it is what the database says."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from dam.core.exceptions import NotARegularFile, ReadingStopped, os_reason
from dam.core.file_operations import FileOperationsResource
from dam.services.content_id import ContentId
from dam.services.file_storage import FileStorage
from dam.services.verification_queue import Reference, Subject
from dam.services.verification_report import Problem

_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What reading a content found: nothing wrong, or a problem; and how many bytes were read."""

    problem: Problem | None = None
    detail: str | None = None
    size_bytes: int = 0


def judge(
    subject: Subject, storage: FileStorage, files: FileOperationsResource, is_stopped: Callable[[], bool]
) -> Verdict:
    """Read an object or a reference and compare it with its length and SHA-256. Raises ReadingStopped when told to."""
    if isinstance(subject, Reference):
        return _judge_reference(subject, files, is_stopped)
    return judge_object(storage, subject.content_id, subject.size, is_stopped)


def judge_object(storage: FileStorage, content_id: ContentId, size: int, is_stopped: Callable[[], bool]) -> Verdict:
    """Read an object and compare it with its name and length in bytes, as ``judge``."""
    try:
        with storage.open_object(content_id) as stream:
            sha256, found_size = _digest(stream, size, is_stopped)
    except FileNotFoundError:
        return Verdict(problem=Problem.MISSING)
    except NotARegularFile as error:
        return Verdict(problem=Problem.DAMAGED, detail=str(error))
    except OSError as error:
        return Verdict(problem=Problem.UNREADABLE, detail=os_reason(error))
    if found_size != size:
        return Verdict(problem=Problem.WRONG_LENGTH, detail=f"{found_size:,} bytes instead of {size:,}")
    if sha256 != content_id.sha256:
        return Verdict(problem=Problem.DAMAGED, detail="its bytes have another SHA-256", size_bytes=size)
    return Verdict(size_bytes=size)


def _judge_reference(subject: Reference, files: FileOperationsResource, is_stopped: Callable[[], bool]) -> Verdict:
    try:
        fd = files.open_regular(subject.path)
    except (FileNotFoundError, NotADirectoryError):
        return Verdict(problem=Problem.REFERENCE_GONE)
    except NotARegularFile as error:
        return Verdict(problem=Problem.REFERENCE_CHANGED, detail=str(error))
    except OSError as error:
        return Verdict(problem=Problem.UNREADABLE, detail=os_reason(error))
    with os.fdopen(fd, "rb") as stream:
        return _compared(stream, subject, is_stopped)


def _compared(stream: BinaryIO, subject: Reference, is_stopped: Callable[[], bool]) -> Verdict:
    found_size = os.fstat(stream.fileno()).st_size
    if found_size != subject.size:
        detail = f"{found_size:,} bytes instead of {subject.size:,}"
        return Verdict(problem=Problem.REFERENCE_CHANGED, detail=detail)
    try:
        sha256, read = _digest(stream, subject.size, is_stopped)
    except OSError as error:
        return Verdict(problem=Problem.UNREADABLE, detail=os_reason(error))
    if sha256 != subject.content_id.sha256:
        return Verdict(problem=Problem.REFERENCE_CHANGED, detail="it has other bytes", size_bytes=read)
    return Verdict(size_bytes=read)


def _digest(stream: BinaryIO, expected_size: int, is_stopped: Callable[[], bool]) -> tuple[bytes, int]:
    """Return the SHA-256 of what is left in a stream, and its length; a buffer no larger than the file is used."""
    sha256 = hashlib.sha256()
    buffer = memoryview(bytearray(min(expected_size + 1, _BLOCK_BYTES)))
    size = 0
    while count := stream.readinto(buffer):  # type: ignore[attr-defined]  # typeshed's BinaryIO lacks it; every binary stream has it
        if is_stopped():
            raise ReadingStopped
        sha256.update(buffer[:count])
        size += count
    return sha256.digest(), size
