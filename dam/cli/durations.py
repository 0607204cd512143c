"""Durations as people write them: 30d, 12h, 1h30m."""

import re
from datetime import timedelta

from dam.cli.border import UnusableInput

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_PART = re.compile(r"([0-9]{1,9})([smhdw])")
_LONGEST = timedelta(days=365_000)  # longer ones lead back to before the calendar begins


def parsed(text: str | None) -> timedelta | None:
    """Return the duration that a text of numbers with units (s, m, h, d, w) names; None stays None.

    Raises UnusableInput. Nothing is longer than a thousand years.
    """
    if text is None:
        return None
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise UnusableInput(f"{text!r} is no duration; write for example 30d, 12h, 45m or 1h30m")
    try:
        return min(_LONGEST, sum((timedelta(**{_UNITS[unit]: int(number)}) for number, unit in parts), timedelta()))
    except OverflowError:
        return _LONGEST
