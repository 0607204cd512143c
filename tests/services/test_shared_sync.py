"""Many files synced by one call: only where that is as good as syncing each, and an error still finds its file."""

import errno
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from dam.core.exceptions import ObjectNotStored
from dam.core.file_operations import FileOperationsResource
from dam.services.deposit import LocalDeposit
from dam.services.file_storage import LocalFileStorage
from dam.services.publication import Published
from dam.services.shared_sync import WORTH_SHARING, SharedSync
from tests.services.test_staging import io_error, size_of, staged_files_open

FILES = WORTH_SHARING + 3
AT_FAULT = 7  # bytes that only one of the files has

type Outcome = bool | OSError


class Told(FileOperationsResource):
    """Files on a file system of which a sync comes to a known outcome; the calls of each kind are counted.

    ``close_written`` and ``sync_file`` can fail at the file at fault.
    """

    def __init__(self, outcome: Outcome, failing: str = "") -> None:
        self.calls: Counter[str] = Counter()
        self._outcome = outcome
        self._failing = failing

    def sync_file_system(self, fd: int) -> bool:
        self.calls["all"] += 1
        os.fstat(fd)  # it must be open
        if isinstance(self._outcome, OSError):
            raise self._outcome
        return self._outcome

    def sync_file(self, fd: int) -> None:
        self._called("file", fd)
        super().sync_file(fd)

    def sync_folder(self, path: str) -> None:
        self.calls["folder"] += 1
        super().sync_folder(path)

    def close_written(self, fd: int) -> None:
        is_at_fault = size_of(fd) == AT_FAULT
        super().close_written(fd)
        if is_at_fault and self._failing == "close":
            raise io_error()

    def _called(self, call: str, fd: int) -> None:
        self.calls[call] += 1
        if self._failing == call and size_of(fd) == AT_FAULT:
            raise io_error()


@pytest.fixture
def publish(storage: LocalFileStorage, tmp_path: Path) -> Callable[..., list[Published | ObjectNotStored]]:
    """Return what publishes files of different lengths as another process does."""

    def publish(files: FileOperationsResource, count: int = FILES) -> list[Published | ObjectNotStored]:
        elsewhere = storage.deposit_elsewhere()
        assert isinstance(elsewhere, LocalDeposit)
        deposit = LocalDeposit(elsewhere.root, elsewhere.staging_folder, files)
        batch = []
        for size in range(1, count + 1):
            (tmp_path / str(size)).write_bytes(os.urandom(size))
            batch.append(deposit.stage(tmp_path / str(size)))
        return deposit.publish(batch)

    return publish


def failures(results: list[Published | ObjectNotStored]) -> list[int]:
    """Return the lengths of the files that were not stored."""
    return [size for size, result in enumerate(results, 1) if isinstance(result, ObjectNotStored)]


def test_two_calls_make_a_whole_batch_durable(
    storage: LocalFileStorage, publish: Callable[..., list[Published | ObjectNotStored]]
) -> None:
    files = Told(outcome=True)

    assert failures(publish(files)) == []

    assert files.calls == {"all": 2}
    assert sorted(size for _, size in storage.objects()) == list(range(1, FILES + 1))
    assert staged_files_open(storage.root) == []


@pytest.mark.parametrize("outcome", [False, io_error()])
def test_each_is_synced_by_itself_where_one_call_is_not_sure_or_fails(
    storage: LocalFileStorage, publish: Callable[..., list[Published | ObjectNotStored]], outcome: Outcome
) -> None:
    files = Told(outcome)

    assert failures(publish(files)) == []

    assert files.calls["file"] == FILES
    assert files.calls["folder"] >= WORTH_SHARING
    assert len(list(storage.objects())) == FILES


@pytest.mark.parametrize(("outcome", "failing"), [(io_error(), "file"), (io_error(), "close"), (True, "close")])
def test_an_error_is_the_failure_of_its_file(
    storage: LocalFileStorage,
    publish: Callable[..., list[Published | ObjectNotStored]],
    outcome: Outcome,
    failing: str,
) -> None:
    results = publish(Told(outcome, failing))

    assert failures(results) == [AT_FAULT]
    assert str(results[AT_FAULT - 1]) == "can't be stored: Input/output error"
    assert AT_FAULT not in {size for _, size in storage.objects()}
    assert staged_files_open(storage.root) == []


def test_few_files_are_synced_one_by_one(publish: Callable[..., list[Published | ObjectNotStored]]) -> None:
    files = Told(outcome=True)

    assert failures(publish(files, WORTH_SHARING - 1)) == []

    assert files.calls["file"] == WORTH_SHARING - 1


def test_what_took_too_long_is_not_done_again(tmp_path: Path) -> None:
    files = Told(outcome=True)
    shared = SharedSync(files, patience_seconds=0.0)
    fd = os.open(tmp_path, os.O_RDONLY)

    assert shared.covers(WORTH_SHARING, fd)
    assert not shared.covers(WORTH_SHARING, fd)

    os.close(fd)
    assert files.calls["all"] == 1


def test_a_descriptor_that_is_gone_covers_nothing(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    os.close(fd)

    assert not SharedSync(FileOperationsResource()).covers(WORTH_SHARING, fd)


def test_the_storage_itself_may_be_out_of_reach(
    storage: LocalFileStorage, publish: Callable[..., list[Published | ObjectNotStored]]
) -> None:
    class OutOfReach(FileOperationsResource):
        def open_folder(self, path: str) -> int:
            raise OSError(errno.EACCES, os.strerror(errno.EACCES), path)

    assert failures(publish(OutOfReach())) == []
    assert len(list(storage.objects())) == FILES
