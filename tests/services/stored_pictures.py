"""Pictures put into a database as rows, without files."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import insert
from sqlalchemy.orm import Session

from dam.models import FilePropertiesComponent, ImageDimensionsComponent
from dam.services import ecs_service
from dam.services.similarity_service import COMPONENTS

BUSY = int.from_bytes(b"\x3c\xa5\x96\x5a\x0f\xd2\x69\xc3")  # 32 bits are set: not degenerate


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A picture as the tests think of it: hashes are 64-bit numbers, None where it has none."""

    phash: int | None = BUSY
    ahash: int | None = BUSY
    dhash: int | None = BUSY
    width: int = 10
    height: int = 10
    file_size_bytes: int = 100
    filename: str = "a.jpg"


def store(session: Session, pictures: Sequence[Stored]) -> list[int]:
    """Store the pictures and return their ids, in order."""
    ids = ecs_service.create_entities(session, len(pictures))
    stored = list(zip(ids, pictures, strict=True))
    session.execute(
        insert(FilePropertiesComponent),
        [
            {"entity_id": i, "original_filename": picture.filename, "file_size_bytes": picture.file_size_bytes}
            for i, picture in stored
        ],
    )
    session.execute(
        insert(ImageDimensionsComponent),
        [{"entity_id": i, "width_pixels": picture.width, "height_pixels": picture.height} for i, picture in stored],
    )
    for kind, component in COMPONENTS.items():
        rows = [{"entity_id": i, "hash_value": value.to_bytes(8)} for i, value in _known(stored, kind)]
        if rows:
            session.execute(insert(component), rows)
    return ids


def flipped(value: int, bits: Iterable[int]) -> int:
    """Return the number with these bits flipped."""
    for bit in bits:
        value ^= 1 << bit
    return value


def _known(stored: list[tuple[int, Stored]], kind: str) -> list[tuple[int, int]]:
    return [(i, getattr(picture, kind)) for i, picture in stored if getattr(picture, kind) is not None]
