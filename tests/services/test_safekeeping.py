"""Whether another copy of an asset's bytes may be deleted."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dam.models import FileLocationComponent
from dam.models.file_location_component import LOCAL_CAS, LOCAL_REFERENCE
from dam.services import safekeeping
from dam.services.content_id import ContentId
from dam.services.file_storage import LocalFileStorage
from dam.services.safekeeping import Keeping

CONTENT = b"content"
SHA256 = hashlib.sha256(CONTENT)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return the file that somebody would like to delete."""
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def storage(tmp_path: Path, file: Path) -> LocalFileStorage:
    """Return a storage that has the file's bytes."""
    storage = LocalFileStorage(tmp_path / "storage")
    storage.open_for_use(expect_objects=False)
    storage.publish([storage.stage(file)])
    return storage


def _location(storage_type: str, key: str) -> FileLocationComponent:
    return FileLocationComponent(
        entity_id=1,
        content_identifier=SHA256.hexdigest(),
        storage_type=storage_type,
        physical_path_or_key=key,
        contextual_filename="file",
    )


STORED = _location(LOCAL_CAS, SHA256.hexdigest())


def _referred_to(path: Path) -> FileLocationComponent:
    return _location(LOCAL_REFERENCE, str(path))


def _copy(tmp_path: Path, content: bytes = CONTENT) -> Path:
    path = tmp_path / "copy"
    path.write_bytes(content)
    return path


def _keeping(file: Path, storage: LocalFileStorage, *locations: FileLocationComponent) -> Keeping:
    return safekeeping.keeping_apart_from(str(file), locations, storage, len(CONTENT))


def test_a_stored_object_is_a_copy(file: Path, storage: LocalFileStorage) -> None:
    assert _keeping(file, storage, STORED) is Keeping.KEPT


def test_a_reference_elsewhere_is_a_copy_as_long_as_it_is_unchanged(
    tmp_path: Path, file: Path, storage: LocalFileStorage
) -> None:
    copy = _copy(tmp_path)
    assert _keeping(file, storage, _referred_to(copy)) is Keeping.KEPT
    copy.write_bytes(CONTENT.upper())
    assert _keeping(file, storage, _referred_to(copy)) is Keeping.DAMAGED
    copy.unlink()
    assert _keeping(file, storage, _referred_to(copy)) is Keeping.MISSING


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_the_file_itself_is_no_copy_under_whatever_name(
    tmp_path: Path, file: Path, storage: LocalFileStorage, link: Callable[[Path, Path], None]
) -> None:
    other = tmp_path / "other"
    link(file, other)
    assert _keeping(file, storage, _referred_to(file), _referred_to(other)) is Keeping.ONLY_THIS_FILE


def test_the_stored_object_itself_is_no_copy(storage: LocalFileStorage) -> None:
    stored = Path(storage.path_of(ContentId(SHA256.digest())))
    assert _keeping(stored, storage, STORED) is Keeping.ONLY_THIS_FILE


def test_a_damaged_object_is_no_copy_but_another_place_may_be(
    tmp_path: Path, file: Path, storage: LocalFileStorage
) -> None:
    stored = Path(storage.path_of(ContentId(SHA256.digest())))
    stored.chmod(0o600)
    stored.write_bytes(CONTENT.upper())
    assert _keeping(file, storage, STORED) is Keeping.DAMAGED
    assert _keeping(file, storage, STORED, _referred_to(_copy(tmp_path))) is Keeping.KEPT


def test_a_place_that_became_a_fifo_is_not_waited_for(tmp_path: Path, file: Path, storage: LocalFileStorage) -> None:
    os.mkfifo(tmp_path / "fifo")
    assert _keeping(file, storage, _referred_to(tmp_path / "fifo")) is Keeping.MISSING


def test_without_places_the_bytes_are_missing(file: Path, storage: LocalFileStorage) -> None:
    assert _keeping(file, storage) is Keeping.MISSING
    assert safekeeping.keeping([], storage, len(CONTENT)) is Keeping.MISSING


@pytest.mark.parametrize(("size", "found"), [(len(CONTENT), Keeping.KEPT), (1, Keeping.DAMAGED)])
def test_without_a_file_to_compare_the_size_decides(storage: LocalFileStorage, size: int, found: Keeping) -> None:
    assert safekeeping.keeping([STORED], storage, size) is found
