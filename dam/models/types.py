"""Column types that keep what plain ones lose, and refuse what not every database can hold."""

import math
import re
from datetime import UTC, datetime

from sqlalchemy import DateTime, Dialect, Double, Text
from sqlalchemy.types import TypeDecorator

_ESCAPED = re.compile(r"\\(\\|x[0-9a-f]{2})")


class UtcDateTime(TypeDecorator[datetime]):
    """A moment, stored in UTC and always returned aware; a naive value is refused with ValueError."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn an aware moment into UTC, without its zone where the database has none."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a moment needs a time zone: {value!r}")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the moment its zone back."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


class FiniteFloat(TypeDecorator[float]):
    """A number; NaN and infinities are refused with ValueError. SQLite would make NULL of one, PostgreSQL keep it."""

    impl = Double
    cache_ok = True

    def process_bind_param(self, value: float | None, dialect: Dialect) -> float | None:  # noqa: ARG002 - the base's signature
        """Let only numbers through that can be compared."""
        if value is not None and not math.isfinite(value):
            raise ValueError(f"not a number that can be kept: {value!r}")
        return value


class PlainText(TypeDecorator[str]):
    """A text; one that holds NUL is refused with ValueError. SQLite would take it, PostgreSQL can't."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - the base's signature
        """Let only text through that every database can hold."""
        if value is not None and "\0" in value:
            raise ValueError("a text that is kept must not hold NUL")
        return value


class FileNameText(TypeDecorator[str]):
    r"""A file name or path as the operating system gives it, any bytes included.

    In Python it is a ``str`` with ``surrogateescape``, as ``os.fsdecode`` makes it; in the database a backslash is
    doubled and a byte that is not UTF-8 reads ``\xNN``, so that every database can hold it and the way back is exact.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - the base's signature
        """Escape what is no text."""
        return None if value is None else escape_file_name(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - the base's signature
        """Give the name back as the operating system knows it."""
        return None if value is None else unescape_file_name(value)


def escape_file_name(name: str) -> str:
    r"""Double each backslash, and write each byte that is not UTF-8 as ``\xNN``."""
    if "\\" not in name and name.isascii():
        return name
    raw = name.replace("\\", "\\\\").encode("utf-8", "surrogateescape")
    return raw.decode("utf-8", "backslashreplace")


def unescape_file_name(text: str) -> str:
    """Undo ``escape_file_name``."""
    if "\\" not in text:
        return text
    return _ESCAPED.sub(lambda found: "\\" if found[1] == "\\" else chr(0xDC00 + int(found[1][1:], 16)), text)
