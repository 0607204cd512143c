"""Whether an asset's bytes are where its locations say, so that a person may delete another copy of them."""

import os
from collections.abc import Iterable
from enum import StrEnum

from dam.core.exceptions import DamError
from dam.core.file_operations import FileOperationsResource
from dam.models import FileLocationComponent
from dam.models.file_location_component import LOCAL_CAS
from dam.services.content_id import ContentId
from dam.services.file_storage import FileStorage, ObjectState
from dam.services.source_reading import digest_file


class Keeping(StrEnum):
    """How an asset's bytes are kept, from the best to the worst."""

    KEPT = "kept"
    ONLY_THIS_FILE = "only this file"
    DAMAGED = "damaged"
    MISSING = "missing"


def keeping(locations: Iterable[FileLocationComponent], storage: FileStorage, size: int) -> Keeping:
    """Say whether one of the asset's locations has a file of its size in bytes; none is read."""
    files = FileOperationsResource()
    return _best(_seen(location, storage, size, files) for location in locations)


def keeping_apart_from(
    path: str, locations: Iterable[FileLocationComponent], storage: FileStorage, size: int
) -> Keeping:
    """Say whether one of the asset's locations, other than the file at ``path``, has its bytes.

    They are read and compared with their SHA-256, until the first that are right. Raises OSError when ``path`` is gone.
    """
    files = FileOperationsResource()
    itself = files.stat(path)
    return _best(_read(location, storage, size, files, itself) for location in locations)


def _best(states: Iterable[Keeping]) -> Keeping:
    best = Keeping.MISSING
    order = list(Keeping)
    for state in states:
        if state is Keeping.KEPT:
            return state
        best = min(best, state, key=order.index)
    return best


def _seen(location: FileLocationComponent, storage: FileStorage, size: int, files: FileOperationsResource) -> Keeping:
    try:
        found = files.stat(_path(location, storage))
    except OSError:
        return Keeping.MISSING
    return Keeping.KEPT if found.st_size == size else Keeping.DAMAGED


def _read(
    location: FileLocationComponent,
    storage: FileStorage,
    size: int,
    files: FileOperationsResource,
    itself: os.stat_result,
) -> Keeping:
    path = _path(location, storage)
    try:
        if os.path.samestat(files.stat(path), itself):
            return Keeping.ONLY_THIS_FILE
    except OSError:
        return Keeping.MISSING
    if location.storage_type == LOCAL_CAS:
        state = storage.check(ContentId.parse(location.content_identifier), size)
        return Keeping.KEPT if state is ObjectState.FINE else Keeping.DAMAGED
    return _compared(path, location.content_identifier, files)


def _compared(path: str, content_identifier: str, files: FileOperationsResource) -> Keeping:
    try:
        fd = files.open_regular(path)
    except (OSError, DamError):
        return Keeping.MISSING
    try:
        digest = digest_file(fd, files=files)
    except DamError:
        return Keeping.DAMAGED
    finally:
        os.close(fd)
    return Keeping.KEPT if digest.sha256.hex() == content_identifier else Keeping.DAMAGED


def _path(location: FileLocationComponent, storage: FileStorage) -> str:
    if location.storage_type == LOCAL_CAS:
        return storage.path_of(ContentId.parse(location.content_identifier))
    return location.physical_path_or_key
