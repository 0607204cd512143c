"""Read a source once: its hashes, its first bytes and, when asked, its copy, all of the same bytes."""

import hashlib
import os
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, Self

from dam.core.exceptions import ObjectNotStored, ReadingStopped, SourceChanged, SourceUnreadable
from dam.core.file_operations import FileOperationsResource
from dam.services.source_walk import is_trustworthy, stat_signature

HEAD_BYTES = 64 * 1024
WHOLE_BYTES = 1024 * 1024  # up to this a file is read in one piece: more threads cost more than they bring
BLOCK_BYTES = 1024 * 1024
WRITTEN_BACK_BYTES = 32 * 1024 * 1024  # by itself the kernel would begin only with gigabytes waiting
_HASHED_BYTES = 256 * 1024  # larger ones cost the kernel fresh pages each time
CLONE_FROM_BYTES = 64 * 1024
_BLOCKS_IN_FLIGHT = 4
_CLOCK_TICK_NS = 20_000_000  # coarser than the kernel's clock for file times, which is 10 ms at 100 Hz
_TRIES = 2


class Digest(NamedTuple):
    """What one reading of a file found: its content's hashes, length in bytes and first 64 KiB.

    ``seen_stat`` is the file's ``stat_signature`` while it was read, None when that can't be trusted.
    """

    sha256: bytes
    md5: bytes
    size: int
    head: bytes
    seen_stat: str | None = None


def never() -> bool:
    """Say that reading should not stop."""
    return False


def digest_file(
    fd: int,
    *,
    copy_to: int | None = None,
    files: FileOperationsResource | None = None,
    is_stopped: Callable[[], bool] = never,
) -> Digest:
    """Read a regular file from its start, feeding SHA-256, MD5 and the copy with the same bytes.

    ``copy_to`` is an empty file open for reading and writing; it shares the source's blocks where the file system can
    do that, and then the clone is what is read. A file that changes while it is read is read once more. Raises
    SourceChanged when it changes again, SourceUnreadable, ObjectNotStored for a copy that can't be written, and
    ReadingStopped soon after ``is_stopped`` says so.
    """
    reading = _Reading(fd, copy_to, files or FileOperationsResource(), is_stopped)
    for _ in range(_TRIES):
        if digest := reading.once():
            return digest
        reading.start_again()
    raise SourceChanged


def sha256_of(fd: int) -> bytes:
    """Return the SHA-256 of a file that nobody writes to, such as a stored object. Raises SourceUnreadable."""
    sha256 = hashlib.sha256()
    offset = 0
    while block := _block(fd, offset):
        sha256.update(block)
        offset += len(block)
    return sha256.digest()


class _Reading:
    """A source that others may write to, and its copy."""

    def __init__(
        self, fd: int, copy_to: int | None, files: FileOperationsResource, is_stopped: Callable[[], bool]
    ) -> None:
        self._fd = fd
        self._copy_to = copy_to
        self._files = files
        self._is_stopped = is_stopped

    def once(self) -> Digest | None:
        """Read all of it; None when it changed meanwhile."""
        before = _settled(self._fd)
        if before is None:
            return None
        read_at_ns = time.time_ns()
        digest, after = self._cloned(before) or self._copied(before)
        if _version(after) != _version(before) or digest.size != before.st_size:
            return None
        return Digest(*digest[:4], stat_signature(before)) if is_trustworthy(before, read_at_ns) else digest

    def start_again(self) -> None:
        """Forget the copy so far."""
        if self._copy_to is not None:
            os.lseek(self._copy_to, 0, os.SEEK_SET)
            os.ftruncate(self._copy_to, 0)

    def _cloned(self, before: os.stat_result) -> tuple[Digest, os.stat_result] | None:
        """Clone, look whether the source changed under that, and read the clone, which nobody else writes to."""
        if self._copy_to is None or before.st_size < CLONE_FROM_BYTES or not self._files.clone(self._fd, self._copy_to):
            return None
        after = _stat_of(self._fd)
        return _Pass(self._copy_to, None, self._files, self._is_stopped).run(before.st_size), after

    def _copied(self, before: os.stat_result) -> tuple[Digest, os.stat_result]:
        digest = _Pass(self._fd, self._copy_to, self._files, self._is_stopped).run(before.st_size)
        return digest, _stat_of(self._fd)


class _Pass:
    """One pass over the bytes of a file, from its start to its end."""

    def __init__(
        self, fd: int, copy_to: int | None, files: FileOperationsResource, is_stopped: Callable[[], bool]
    ) -> None:
        self._fd = fd
        self._copy_to = copy_to
        self._files = files
        self._is_stopped = is_stopped

    def run(self, expected_size: int) -> Digest:
        if expected_size > WHOLE_BYTES:
            return self._in_blocks(expected_size)
        try:
            data = os.pread(self._fd, expected_size + 1, 0)
        except OSError as error:
            raise SourceUnreadable(error) from error
        if len(data) != expected_size:
            return self._in_blocks(expected_size)
        self._copy(data)
        return Digest(
            sha256=hashlib.sha256(data).digest(),
            md5=hashlib.md5(data, usedforsecurity=False).digest(),
            size=expected_size,
            head=data[:HEAD_BYTES],
        )

    def _in_blocks(self, expected_size: int) -> Digest:
        """Hash in a thread for each hash, while this one reads and copies, which takes the longer the slower memory is.

        Stops at the expected size, so that a file that grows as fast as it is read comes to an end.
        """
        sha256 = hashlib.sha256()
        md5 = hashlib.md5(usedforsecurity=False)
        size, head = 0, b""
        with (
            ThreadPoolExecutor(1) as for_sha256,
            ThreadPoolExecutor(1) as for_md5,
            _Writeback(self._copy_to, self._files) as writeback,
        ):
            blocks = _Blocks()
            while block := self._fill(blocks.next_free(), size):
                if self._is_stopped():
                    raise ReadingStopped
                blocks.busy_until(for_sha256.submit(sha256.update, block), for_md5.submit(md5.update, block))
                self._copy(block)
                writeback.wrote(len(block))
                head += bytes(block[: HEAD_BYTES - len(head)])
                size += len(block)
                if size >= expected_size:
                    break
            blocks.wait()
            writeback.wait()
        return Digest(sha256=sha256.digest(), md5=md5.digest(), size=size, head=head)

    def _fill(self, buffer: memoryview, offset: int) -> memoryview:
        try:
            return buffer[: os.preadv(self._fd, [buffer], offset)]
        except OSError as error:
            raise SourceUnreadable(error) from error

    def _copy(self, data: bytes | memoryview) -> None:
        if self._copy_to is None or not data:
            return
        try:
            self._files.write_all(self._copy_to, data)
        except OSError as error:
            raise ObjectNotStored(error) from error


class _Blocks:
    """A ring of buffers, each free again when the threads that hash are done with it."""

    def __init__(self) -> None:
        self._free = [memoryview(bytearray(BLOCK_BYTES)) for _ in range(_BLOCKS_IN_FLIGHT)]
        self._busy: deque[tuple[tuple[Future[None], ...], memoryview]] = deque()
        self._latest = self._free[0]

    def next_free(self) -> memoryview:
        self._latest = self._free.pop() if self._free else self._take_back()
        return self._latest

    def busy_until(self, *done: Future[None]) -> None:
        self._busy.append((done, self._latest))

    def wait(self) -> None:
        while self._busy:
            self._take_back()

    def _take_back(self) -> memoryview:
        done, buffer = self._busy.popleft()
        for each in done:
            each.result()
        return buffer


class _Writeback:
    """Has a copy written to the disk while more of it comes, so that the last sync finds little left to do.

    An error is told to a descriptor once, so ``wrote`` and ``wait`` raise it, as ObjectNotStored.
    """

    def __init__(self, fd: int | None, files: FileOperationsResource) -> None:
        self._fd = fd
        self._files = files
        self._waiting_bytes = 0
        self._beside = ThreadPoolExecutor(1)
        self._running: Future[None] | None = None

    def wrote(self, count: int) -> None:
        """Begin when enough is waiting, unless the disk is still busy with what came before."""
        self._waiting_bytes += count
        busy = self._running is not None and not self._running.done()
        if self._fd is None or self._waiting_bytes < WRITTEN_BACK_BYTES or busy:
            return
        self.wait()
        self._waiting_bytes = 0
        self._running = self._beside.submit(self._files.sync_file, self._fd)

    def wait(self) -> None:
        """Wait for what has begun."""
        running, self._running = self._running, None
        if running is None:
            return
        try:
            running.result()
        except OSError as error:
            raise ObjectNotStored(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._beside.shutdown()


def _settled(fd: int) -> os.stat_result | None:
    """Return a file's state once its times are older than a tick of their clock, so that a new change would show.

    None when it is written to all the time.
    """
    for _ in range(3):
        found = _stat_of(fd)
        age_ns = time.time_ns() - max(found.st_mtime_ns, found.st_ctime_ns)
        if not 0 <= age_ns < _CLOCK_TICK_NS:
            return found
        time.sleep((_CLOCK_TICK_NS - age_ns) / 1e9)
    return None


def _block(fd: int, offset: int) -> bytes:
    try:
        return os.pread(fd, _HASHED_BYTES, offset)
    except OSError as error:
        raise SourceUnreadable(error) from error


def _stat_of(fd: int) -> os.stat_result:
    try:
        return os.fstat(fd)
    except OSError as error:
        raise SourceUnreadable(error) from error


def _version(found: os.stat_result) -> tuple[int, int, int, int]:
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino
