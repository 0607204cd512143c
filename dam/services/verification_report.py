"""What a verification finds, and the balance of it."""

from dataclasses import dataclass
from enum import StrEnum


class Problem(StrEnum):
    """What is wrong with an object, a reference, a file in the storage, or the database."""

    MISSING = "missing"
    DAMAGED = "damaged"
    WRONG_LENGTH = "wrong_length"
    UNREADABLE = "unreadable"
    UNKNOWN = "unknown"
    LEFTOVER = "leftover"
    REFERENCE_GONE = "reference_gone"
    REFERENCE_CHANGED = "reference_changed"
    CONTRADICTION = "contradiction"
    DATABASE = "database"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that is wrong: with what, why, and the file from which the content was taken back if it was."""

    problem: Problem
    path: str | None = None
    entity_id: int | None = None
    sha256: bytes | None = None
    detail: str | None = None
    repaired_from: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """How many objects and references there are, how many contents were to be read, were read, were good.

    ``problems`` counts the findings of each kind, ``repaired`` those that were mended.
    """

    objects: int
    references: int
    due: int
    read: int
    good: int
    bytes_read: int
    problems: dict[Problem, int]
    repaired: int

    @property
    def is_sound(self) -> bool:
        """Say whether nothing was found wrong, mended or not."""
        return not any(self.problems.values())
