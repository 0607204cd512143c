"""Takes the content of a missing or damaged object back from a file that still has it."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from dam.core.exceptions import DamError, ObjectNotStored
from dam.core.file_operations import FileOperationsResource
from dam.core.world import World
from dam.models import FileLocationComponent, OriginalSourceInfoComponent
from dam.models.file_location_component import LOCAL_REFERENCE
from dam.services.file_storage import FileStorage, StagedFile
from dam.services.verification_queue import StoredObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """The file that an object's content was taken back from, or why there was none that could serve."""

    source: str | None = None
    reason: str | None = None


def repair(world: World, wanted: StoredObject) -> Repair:
    """Store an object again from the first of its references and original paths whose bytes have its SHA-256.

    Bytes that are wrong are put aside by the storage, never deleted. No transaction is open while files are read.
    """
    storage = world.resources.get(FileStorage)  # type: ignore[type-abstract]  # an interface is a key too
    with world.reading() as session:
        paths = list(dict.fromkeys(_paths(session, wanted.entity_id)))
    files = world.resources.get(FileOperationsResource)
    try:
        for path in paths:
            staged = _staged(storage, files, path, wanted)
            if staged is not None:
                return _published(storage, staged, path)
    except ObjectNotStored as error:
        return Repair(reason=str(error))
    return Repair(reason="no file that is known for it has its bytes")


def _paths(session: Session, entity_id: int) -> Iterator[str]:
    location, source = FileLocationComponent, OriginalSourceInfoComponent
    references = select(location.physical_path_or_key).where(
        location.entity_id == entity_id, location.storage_type == LOCAL_REFERENCE
    )
    yield from session.scalars(references.order_by(location.id))
    originals = select(source.original_path).where(source.entity_id == entity_id)
    yield from session.scalars(originals.order_by(source.last_seen_at.desc(), source.id))


def _staged(storage: FileStorage, files: FileOperationsResource, path: str, wanted: StoredObject) -> StagedFile | None:
    """Stage a file that has the wanted bytes; None for any other. Raises ObjectNotStored."""
    try:
        if files.stat(path).st_size != wanted.size:
            return None
        staged = storage.stage(path)
    except ObjectNotStored:
        raise
    except (OSError, DamError):
        return None
    if staged.digest.sha256 == wanted.content_id.sha256:
        return staged
    storage.discard(staged)
    return None


def _published(storage: FileStorage, staged: StagedFile, path: str) -> Repair:
    (published,) = storage.publish([staged])
    if isinstance(published, ObjectNotStored):
        return Repair(reason=str(published))
    return Repair(source=path)
