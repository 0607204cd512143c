from datetime import timedelta

import pytest

from dam.cli import durations
from dam.cli.border import UnusableInput


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("30d", timedelta(days=30)),
        ("12h", timedelta(hours=12)),
        ("45m", timedelta(minutes=45)),
        ("10s", timedelta(seconds=10)),
        ("2w", timedelta(days=14)),
        ("1h30m", timedelta(minutes=90)),
        ("0s", timedelta()),
        (None, None),
    ],
)
def test_numbers_with_units_are_added_up(text: str | None, duration: timedelta | None) -> None:
    assert durations.parsed(text) == duration


@pytest.mark.parametrize("text", ["", "30", "d", "30 d", "-1d", "1.5h", "1h 30m", "30x", "x30d", "٣d"])
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UnusableInput, match="write for example 30d"):
        durations.parsed(text)


@pytest.mark.parametrize("text", ["999999d", "999999999w", "999999999w" * 9])
def test_what_leads_back_to_before_the_calendar_is_cut(text: str) -> None:
    assert durations.parsed(text) == timedelta(days=365_000)
