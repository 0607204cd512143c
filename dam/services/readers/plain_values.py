"""Makes values from files fit for the database: bounded texts without NUL, whole numbers of 32 bits, finite floats."""

import math

LARGEST_INTEGER = 2**31 - 1


def plain_text(value: object, longest: int) -> str | None:
    """Return a text without NUL, lone surrogates and blank ends, at most so many characters; None when none is left."""
    if not isinstance(value, str):
        return None
    storable = value.replace("\x00", "").encode("utf-8", "ignore").decode("utf-8")
    return storable.strip()[:longest] or None


def whole_number(value: object) -> int | None:
    """Return a number from 1 to 2**31 - 1 as it is, None for anything else."""
    return value if isinstance(value, int) and 0 < value <= LARGEST_INTEGER else None


def positive(value: float | None) -> float | None:
    """Return a finite number above zero as it is, None for anything else."""
    return value if value is not None and math.isfinite(value) and value > 0 else None
