"""A staged file is synced by the descriptor that wrote it, and each of them is closed once."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from dam.core.exceptions import ObjectNotStored, ReadingStopped
from dam.core.file_operations import FileOperationsResource
from dam.services.file_storage import LocalFileStorage
from dam.services.publication import Published
from dam.services.source_reading import WRITTEN_BACK_BYTES
from tests import tracing
from tests.forks import ForkServer

SMALL, LARGE, OTHER = 1000, 1_500_000, 2000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "storage"


@pytest.fixture
def sources(tmp_path: Path) -> list[Path]:
    """Return files of three sizes: two that are synced when they are published, and one that is at once."""
    paths = [tmp_path / str(size) for size in (SMALL, LARGE, OTHER)]
    for path in paths:
        path.write_bytes(os.urandom(int(path.name)))
    return paths


@pytest.fixture
def opened(root: Path) -> Iterator[Callable[..., LocalFileStorage]]:
    """Return what makes a storage that is ready for use."""
    LocalFileStorage(root).open_for_use(expect_objects=False)
    storages = []

    def make(files: FileOperationsResource | None = None) -> LocalFileStorage:
        storage = LocalFileStorage(root, files)
        storages.append(storage)
        return storage

    yield make
    for storage in storages:
        storage.close()


def staged_files_open(root: Path) -> list[str]:
    """Return the paths of the temporary files that this process has open."""
    paths = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            paths.append(str(descriptor.readlink()))
    return [path for path in paths if path.startswith(f"{root}/tmp/") and not path.endswith("/lock")]


class Faulty(FileOperationsResource):
    """Files that keep account of their calls; one call, about the file of one size, is made and then fails."""

    def __init__(self, call: str, size: int, error: BaseException) -> None:
        self.calls: list[tuple[str, int]] = []
        self._fault = call, size
        self._error = error

    def sync_file(self, fd: int) -> None:
        with self._called("sync", fd):
            super().sync_file(fd)

    def close_written(self, fd: int) -> None:
        with self._called("close", fd):
            super().close_written(fd)

    def assert_each_call_was_made_once(self) -> None:
        expected = [(call, size) for call in ("sync", "close") for size in (SMALL, LARGE, OTHER)]
        assert sorted(self.calls) == sorted(expected)

    @contextmanager
    def _called(self, call: str, fd: int) -> Iterator[None]:
        about = call, size_of(fd)
        self.calls.append(about)
        yield
        if about == self._fault:
            raise self._error


def size_of(fd: int) -> int:
    try:
        return os.fstat(fd).st_size
    except OSError:  # it was closed before, which must not happen
        return -1


def io_error() -> OSError:
    return OSError(errno.EIO, os.strerror(errno.EIO))


def test_a_file_is_opened_once_and_closed_after_its_sync(root: Path, sources: list[Path], forks: ForkServer) -> None:
    code = """if True:
        import sys
        from dam.services.file_storage import LocalFileStorage
        storage = LocalFileStorage(sys.argv[1])
        storage.open_for_use(expect_objects=False)
        storage.publish([storage.stage(path) for path in sys.argv[2:]])
        storage.close()
    """

    trace = tracing.calls(forks, code, root, *sources, only="openat,write,fsync,close,renameat2")

    temporaries = [
        call.paths[0] for call in trace if call.name == "renameat2" and not call.paths[0].endswith("-storage")
    ]
    assert len(temporaries) == 3
    for temporary in temporaries:
        about = [call.name for call in trace if call.paths and call.paths[0] == temporary]
        assert [name for name in about if name != "write"] == ["openat", "fsync", "close", "renameat2"]
        assert about.index("write") < about.index("fsync")


@pytest.mark.parametrize("call", ["sync", "close"])
def test_an_error_is_that_small_files_failure(
    root: Path, sources: list[Path], opened: Callable[..., LocalFileStorage], call: str
) -> None:
    files = Faulty(call, SMALL, io_error())
    storage = opened(files)
    batch = [storage.stage(path) for path in sources]

    failed, *others = storage.publish(batch)

    assert str(failed) == "can't be stored: Input/output error"
    assert isinstance(failed, ObjectNotStored)
    assert [each.size for each in others if isinstance(each, Published)] == [LARGE, OTHER]
    assert sorted(size for _, size in storage.objects()) == [OTHER, LARGE]
    assert not Path(batch[0].temporary).exists()
    assert staged_files_open(root) == []
    files.assert_each_call_was_made_once()


@pytest.mark.parametrize("call", ["sync", "close"])
def test_an_error_is_that_large_files_failure(
    root: Path, sources: list[Path], opened: Callable[..., LocalFileStorage], call: str
) -> None:
    files = Faulty(call, LARGE, io_error())
    storage = opened(files)
    small = storage.stage(sources[0])

    with pytest.raises(ObjectNotStored, match="Input/output error"):
        storage.stage(sources[1])
    storage.publish([small, storage.stage(sources[2])])

    assert sorted(size for _, size in storage.objects()) == [SMALL, OTHER]
    assert staged_files_open(root) == []
    files.assert_each_call_was_made_once()


class SyncsNothingAt(FileOperationsResource):
    """Files of which one sync, counted from 0, fails; ``sizes`` are those that the files had at each."""

    def __init__(self, failing: int | None) -> None:
        self.sizes: list[int] = []
        self._failing = failing

    def sync_file(self, fd: int) -> None:
        self.sizes.append(size_of(fd))
        if len(self.sizes) - 1 == self._failing:
            raise io_error()
        super().sync_file(fd)


@pytest.fixture
def huge(tmp_path: Path) -> Path:
    """Return a file that is written back while it is still being read."""
    path = tmp_path / "huge"
    path.touch()
    os.truncate(path, WRITTEN_BACK_BYTES + WRITTEN_BACK_BYTES // 2)
    return path


def test_a_very_large_file_is_written_back_while_it_is_read(
    root: Path, huge: Path, opened: Callable[..., LocalFileStorage]
) -> None:
    files = SyncsNothingAt(None)

    staged = opened(files).stage(huge)

    assert staged.synced
    assert WRITTEN_BACK_BYTES <= files.sizes[0] <= files.sizes[1] == huge.stat().st_size


@pytest.mark.parametrize("failing", [0, 1])
def test_an_error_of_writing_back_is_that_files_failure(
    root: Path, huge: Path, opened: Callable[..., LocalFileStorage], failing: int
) -> None:
    files = SyncsNothingAt(failing)
    storage = opened(files)

    with pytest.raises(ObjectNotStored, match="Input/output error"):
        storage.stage(huge)

    assert len(files.sizes) == failing + 1
    assert staged_files_open(root) == []


@pytest.mark.parametrize("call", ["sync", "close"])
@pytest.mark.parametrize("others", [0, 16])  # more than are synced at once
def test_an_interruption_leaves_none_open(
    root: Path, sources: list[Path], opened: Callable[..., LocalFileStorage], call: str, others: int
) -> None:
    storage = opened(Faulty(call, SMALL, KeyboardInterrupt()))
    batch = [storage.stage(path) for path in [sources[0], *[sources[2]] * others]]

    with pytest.raises(KeyboardInterrupt):
        storage.publish(batch)

    assert staged_files_open(root) == []
    assert list(storage.objects()) == []


def test_small_files_stay_open_until_they_are_done_with(
    tmp_path: Path, root: Path, opened: Callable[..., LocalFileStorage]
) -> None:
    (tmp_path / "small").write_bytes(b"small")
    storage = opened()
    one, other, _ = [storage.stage(tmp_path / "small") for _ in range(3)]
    assert len(staged_files_open(root)) == 3

    storage.discard(one)
    storage.discard(one)
    assert len(staged_files_open(root)) == 2
    storage.publish([other])
    assert len(staged_files_open(root)) == 1
    storage.close()
    assert staged_files_open(root) == []


def test_a_file_that_is_not_read_to_its_end_is_closed(
    root: Path, sources: list[Path], opened: Callable[..., LocalFileStorage]
) -> None:
    storage = opened()

    with pytest.raises(ReadingStopped):
        storage.stage(sources[1], lambda: True)

    assert staged_files_open(root) == []


def test_files_that_can_not_stay_open_are_synced_at_once(tmp_path: Path, root: Path, forks: ForkServer) -> None:
    code = """if True:
        import resource, sys
        from concurrent.futures import ThreadPoolExecutor
        from dam.core.file_operations import FileOperationsResource
        from dam.services.file_storage import LocalFileStorage
        class Counting(FileOperationsResource):
            syncs = []
            def sync_file(self, fd):
                super().sync_file(fd)
                self.syncs.append(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24))
        files = Counting()
        storage = LocalFileStorage(sys.argv[1], files)
        for _ in range(2):
            with ThreadPoolExecutor(2) as threads:
                staged = list(threads.map(storage.stage, sys.argv[2:]))
            left = [each.synced for each in staged].count(False)
            print(left, len(files.syncs), {each.outcome.value for each in storage.publish(staged)}, len(files.syncs))
        storage.close()
    """
    LocalFileStorage(root).open_for_use(expect_objects=False)
    for number in range(40):
        (tmp_path / f"{number}.txt").write_bytes(b"%d" % number)

    printed = forks.run_python(code, root, *tmp_path.glob("*.txt"))

    assert printed.splitlines() == ["6 34 {'stored'} 40", "6 74 {'present'} 80"]
