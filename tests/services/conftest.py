"""A storage that is ready for use, for tests that need no special one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dam.services.file_storage import LocalFileStorage


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[LocalFileStorage]:
    storage = LocalFileStorage(tmp_path / "storage")
    storage.open_for_use(expect_objects=False)
    yield storage
    storage.close()
