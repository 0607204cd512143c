import hashlib
import itertools
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dam.core.exceptions import SourceChanged, SourceUnreadable
from dam.core.file_operations import FileOperationsResource
from dam.services.source_reading import BLOCK_BYTES, HEAD_BYTES, WHOLE_BYTES, Digest, digest_file, sha256_of
from dam.services.source_walk import stat_signature
from tests import hostile, tracing
from tests.forks import ForkServer

LONG_AGO = 1_700_000_000
SIZES = [0, 1, HEAD_BYTES, HEAD_BYTES + 1, WHOLE_BYTES, WHOLE_BYTES + 1, 6 * BLOCK_BYTES, 6 * BLOCK_BYTES + 7]


def pattern(size: int, seed: int = 1) -> bytes:
    """Return bytes no two blocks of which are the same."""
    return hashlib.shake_128(seed.to_bytes(8)).digest(size)


def source_of(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "source"
    path.write_bytes(data)
    os.utime(path, (LONG_AGO, LONG_AGO))
    return path


def digest_of(path: Path, copy: Path | None = None, files: FileOperationsResource | None = None) -> Digest:
    with opened(path, os.O_RDONLY) as source:
        if copy is None:
            return digest_file(source, files=files)
        with opened(copy, os.O_RDWR | os.O_CREAT) as target:
            return digest_file(source, copy_to=target, files=files)


@contextmanager
def opened(path: Path, flags: int) -> Iterator[int]:
    fd = os.open(path, flags, 0o600)
    try:
        yield fd
    finally:
        os.close(fd)


@pytest.mark.parametrize("size", SIZES)
def test_hashes_head_and_copy_are_of_the_same_bytes(tmp_path: Path, size: int) -> None:
    data = pattern(size)
    source = source_of(tmp_path, data)

    digest = digest_of(source, tmp_path / "copy")

    assert (tmp_path / "copy").read_bytes() == data
    assert digest.sha256 == hashlib.sha256(data).digest()
    assert digest.md5 == hashlib.md5(data).digest()
    assert (digest.size, digest.head) == (size, data[:HEAD_BYTES])
    assert digest.seen_stat == stat_signature(source.stat())


@pytest.mark.parametrize("size", SIZES)
def test_no_copy_is_needed(tmp_path: Path, size: int) -> None:
    data = pattern(size)

    assert digest_of(source_of(tmp_path, data)).sha256 == hashlib.sha256(data).digest()


def test_reading_starts_at_the_start_wherever_the_descriptor_is(tmp_path: Path) -> None:
    with opened(source_of(tmp_path, b"123456"), os.O_RDONLY) as source:
        os.lseek(source, 3, os.SEEK_SET)

        assert digest_file(source).sha256 == sha256_of(source) == hashlib.sha256(b"123456").digest()


def test_a_file_modified_just_now_is_read_but_its_state_is_not_remembered(tmp_path: Path) -> None:
    path = tmp_path / "source"
    path.write_bytes(b"new")

    digest = digest_of(path)

    assert (digest.size, digest.seen_stat) == (3, None)


class Meddler(FileOperationsResource):
    """Files that do something else while a copy is written."""

    def __init__(self, meddle: Callable[[], object], times: int) -> None:
        self._meddle = meddle
        self._times = times

    def write_all(self, fd: int, data: bytes | memoryview) -> None:
        super().write_all(fd, data)
        if self._times:
            self._times -= 1
            self._meddle()


@pytest.mark.parametrize("size", [1000, 3 * BLOCK_BYTES])
def test_a_source_rewritten_while_it_is_read_is_read_again(tmp_path: Path, size: int) -> None:
    source, new = source_of(tmp_path, pattern(size)), pattern(size, seed=2)
    files = Meddler(lambda: source.write_bytes(new), times=1)

    digest = digest_of(source, tmp_path / "copy", files)

    assert digest.sha256 == hashlib.sha256(new).digest()
    assert (tmp_path / "copy").read_bytes() == new


@pytest.mark.parametrize("size", [1000, 3 * BLOCK_BYTES])
def test_a_source_truncated_while_it_is_read_is_read_again(tmp_path: Path, size: int) -> None:
    data = pattern(size)
    source = source_of(tmp_path, data)
    files = Meddler(lambda: os.truncate(source, size // 2), times=1)

    digest = digest_of(source, tmp_path / "copy", files)

    assert digest.sha256 == hashlib.sha256(data[: size // 2]).digest()
    assert (tmp_path / "copy").read_bytes() == data[: size // 2]


def test_a_change_shows_although_the_old_time_was_put_back(tmp_path: Path) -> None:
    source, new = source_of(tmp_path, pattern(1000)), pattern(1000, seed=2)

    digest = digest_of(source, tmp_path / "copy", Meddler(lambda: source_of(tmp_path, new), times=1))

    assert digest.sha256 == hashlib.sha256(new).digest()


@pytest.mark.parametrize("size", [1000, 3 * BLOCK_BYTES])
def test_a_source_that_keeps_changing_fails(tmp_path: Path, size: int) -> None:
    source = source_of(tmp_path, pattern(size))

    def append() -> None:
        with source.open("ab") as file:
            file.write(b"more")

    with pytest.raises(SourceChanged, match="kept changing"):
        digest_of(source, tmp_path / "copy", Meddler(append, times=1000))


def test_a_source_replaced_while_it_is_read_gives_the_old_content(tmp_path: Path) -> None:
    data = pattern(3 * BLOCK_BYTES)
    source = source_of(tmp_path, data)
    (tmp_path / "new").write_bytes(b"new")
    files = Meddler(lambda: (tmp_path / "new").rename(source), times=1)

    assert digest_of(source, tmp_path / "copy", files).sha256 == hashlib.sha256(data).digest()


def test_a_file_written_to_all_the_time_is_read_as_it_was_at_one_moment_or_fails(tmp_path: Path) -> None:
    """Each round of the writer puts the next number into every piece, from the first to the last.

    So at any moment the file has numbers of one round in front, and of the round before behind, even when the writer
    has to wait in the middle. Pieces of different moments would have it the other way round, or further apart.
    """
    piece, pieces = 65536, 2 * BLOCK_BYTES // 65536
    source, copy = source_of(tmp_path, bytes(piece * pieces)), tmp_path / "copy"
    code = """if True:
        import sys, time
        piece, pieces, number = int(sys.argv[2]), int(sys.argv[3]), 0
        end = time.monotonic() + 1
        with open(sys.argv[1], "r+b", buffering=0) as file:
            while time.monotonic() < end:
                number = (number + 1) % 256
                file.seek(0)
                for _ in range(pieces):
                    file.write(bytes([number]) * piece)
                time.sleep(0.03)
    """

    with hostile.running(code, source, str(piece), str(pieces)):
        for _ in range(20):
            copy.unlink(missing_ok=True)
            try:
                digest = digest_of(source, copy)
            except SourceChanged:
                time.sleep(0.01)
                continue
            content = copy.read_bytes()
            rounds = content[::piece]
            steps = [(first - second) % 256 for first, second in itertools.pairwise(rounds)]
            assert hashlib.sha256(content).digest() == digest.sha256
            assert content == b"".join(bytes([number]) * piece for number in rounds)
            assert set(steps) <= {0, 1}
            assert steps.count(1) <= 1


def test_a_copy_that_does_not_fit_is_the_storages_failure(tmp_path: Path, forks: ForkServer) -> None:
    code = """if True:
        import os, resource, sys
        from dam.core.exceptions import ObjectNotStored
        from dam.services.source_reading import digest_file
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            digest_file(os.open(sys.argv[1], os.O_RDONLY), copy_to=os.open(sys.argv[2], os.O_RDWR | os.O_CREAT))
        except ObjectNotStored as error:
            print(error)
    """
    for size in (200_000, 3 * BLOCK_BYTES):
        source = source_of(tmp_path, pattern(size))

        assert forks.run_python(code, source, tmp_path / f"copy {size}") == "can't be stored: File too large\n"


def test_a_source_that_the_disk_can_not_give_is_named(tmp_path: Path, forks: ForkServer) -> None:
    code = """if True:
        import os, sys
        from dam.core.exceptions import SourceUnreadable
        from dam.services.source_reading import digest_file
        try:
            digest_file(os.open(sys.argv[1], os.O_RDONLY))
        except SourceUnreadable as error:
            print(error)
    """
    source = source_of(tmp_path, pattern(3 * BLOCK_BYTES))

    printed = tracing.run_with_fault(forks, code, source, fault="preadv,preadv2:error=EIO:when=3")

    assert printed == "can't be read: Input/output error\n"


def test_a_closed_source_is_unreadable(tmp_path: Path) -> None:
    with opened(source_of(tmp_path, b"1"), os.O_WRONLY) as source, pytest.raises(SourceUnreadable):
        digest_file(source)


def test_memory_stays_flat_for_a_file_of_any_length(tmp_path: Path) -> None:
    code = """if True:
        import os, resource, sys
        from dam.services.source_reading import digest_file
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        digest_file(os.open(sys.argv[1], os.O_RDONLY))
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """
    source = tmp_path / "sparse"
    source.touch()
    os.truncate(source, 64 * BLOCK_BYTES)

    kilobytes = int(hostile.run_python(code, source))

    assert kilobytes < 12 * BLOCK_BYTES // 1024
