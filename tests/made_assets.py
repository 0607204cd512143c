"""Assets by the thousand in a database, marked and without facts; few files serve as if each asset had its own."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import batched
from pathlib import Path

from dam.core.database import Database
from dam.core.events import ImportedFile
from dam.models.file_location_component import LOCAL_REFERENCE
from dam.models.original_source_info_component import REFERENCED_FILE
from dam.services import asset_service
from tests.media import picture

BATCH = 500
SHAPES = 20


def made_assets(database: Database, folder: Path, count: int, *, side: int = 64) -> Sequence[Path]:
    """Record so many pictures, ``side`` pixels wide, as if they had been added by reference and deferred.

    Return the files; the first belongs to asset 1, and those that are recorded already stay as they are.
    """
    paths = _pictures(folder, side)
    with database.session() as session:
        for numbers in batched(range(count), BATCH):
            asset_service.record_files(session, [made_file(paths[number % len(paths)], number) for number in numbers])
            session.commit()
    return paths


def _pictures(folder: Path, side: int) -> Sequence[Path]:
    paths = [folder / f"made-{number}.png" for number in range(SHAPES)]
    for number, path in enumerate(paths):
        picture(side, side, shift=number).save(path)
    return paths


def made_file(path: Path, number: int) -> ImportedFile:
    """Return what an import would say of file ``number``, whose bytes are those at ``path``."""
    return ImportedFile(
        path=f"/made/{number}.png",
        filename=f"{number}.png",
        size_bytes=path.stat().st_size,
        sha256=hashlib.sha256(b"%d" % number).digest(),
        md5=hashlib.md5(b"%d" % number).digest(),
        mime_type="image/png",
        storage_type=LOCAL_REFERENCE,
        key=str(path),
        source_type=REFERENCED_FILE,
        seen_at=datetime.now(UTC),
        seen_stat=None,
        has_facts=True,
    )
