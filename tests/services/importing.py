"""Imported files for tests, and a process that records them beside others.

``python -m tests.services.importing DATABASE_URL NAME`` says ``ready``, waits for a line, records the same twenty
contents as all others do under names of its own, and prints the entities.
"""

import hashlib
import sys
from contextlib import closing
from datetime import UTC, datetime
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
    """Record, in an order that differs from that of the others."""
    url, name = sys.argv[1:]
    files = [imported(f"/{name}/{number}.jpg", bytes([number])) for number in range(20)]
    if name == "backwards":
        files.reverse()
    with closing(Database(url)) as database, database.session() as session:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        results = asset_service.record_files(session, files)
        session.commit()
    sys.stdout.write(" ".join(str(result.entity_id) for result in results) + "\n")


if __name__ == "__main__":
    main()
