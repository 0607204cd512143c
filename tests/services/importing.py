"""Imported files for tests, and a program that records them beside others."""

import hashlib
import sys
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dam.core.database import Database
from dam.core.events import ImportedFile
from dam.services import asset_service

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)


def imported(path: str = "/photos/a.jpg", content: bytes = b"content", **changes: Any) -> ImportedFile:
    """Return a file that was copied from there; ``changes`` are fields."""
    sha256 = hashlib.sha256(content).digest()
    fields: dict[str, Any] = {
        "path": path,
        "filename": path.rpartition("/")[2],
        "size_bytes": len(content),
        "sha256": sha256,
        "md5": hashlib.md5(content).digest(),
        "mime_type": "image/jpeg",
        "storage_type": "local_cas",
        "key": sha256.hex(),
        "source_type": "local_file",
        "seen_at": NOW,
        "seen_stat": "1 2 3 4",
        "has_facts": True,
    }
    return ImportedFile(**(fields | changes))


def referenced(path: str = "/photos/a.jpg", content: bytes = b"content", **changes: Any) -> ImportedFile:
    """Return a file that was left there."""
    left_there = {"storage_type": "local_reference", "key": path, "source_type": "referenced_file"}
    return imported(path, content, **(left_there | changes))


def main() -> None:
    """Record the same twenty contents as all others do, under names of its own and in another order.

    The arguments are a database's URL, a name, and a file that is waited for after saying ``ready``. The entities are
    printed.
    """
    url, name, signal = sys.argv[1:]
    files = [imported(f"/{name}/{number}.jpg", bytes([number])) for number in range(20)]
    if name == "backwards":
        files.reverse()
    with closing(Database(url)) as database, database.session() as session:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while not Path(signal).exists():
            time.sleep(0.001)
        results = asset_service.record_files(session, files)
        session.commit()
    sys.stdout.write(" ".join(str(result.entity_id) for result in results) + "\n")
