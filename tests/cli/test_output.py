"""What goes to the terminal: text from outside can't act on it."""

import io
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dam.cli import output


@given(st.text(st.characters(codec=None)))
def test_any_text_becomes_one_printable_line(text: str) -> None:
    assert output.visible(text).isprintable()


@given(st.text(st.characters(categories=["L", "N", "P", "S"])))
def test_text_that_can_be_printed_stays(text: str) -> None:
    assert output.visible(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb", "a\\x0ab"),
        ("\x1b[31m", "\\x1b[31m"),
        (os.fsdecode(b"\xff"), "\\xff"),
        ("\x9b", "\\u009b"),
        ("\u202e", "\\u202e"),
        ("\ud800", "\\ud800"),
        ("\U000e0001", "\\U000e0001"),
        ("[bold]", "[bold]"),
    ],
)
def test_what_has_no_shape_is_written_as_an_escape(text: str, shown: str) -> None:
    assert output.visible(text) == shown


def test_columns_are_aligned_and_their_text_is_harmless() -> None:
    assert output.table([("1", "a"), ("22", "b\n"), ("3", "")], right=[0]) == [" 1  a", "22  b\\x0a", " 3"]


def test_a_table_without_rows_has_no_lines() -> None:
    assert output.table([]) == []


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (None, ""),
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (11485, "11.5 kB"),
        (999_499, "999 kB"),
        (999_500, "1 MB"),
        (5 * 10**12, "5 TB"),
        (10**19, "1e+04 PB"),
    ],
)
def test_sizes_are_in_powers_of_a_thousand(count: int | None, shown: str) -> None:
    assert output.size(count) == shown


@pytest.mark.parametrize(("number", "shown"), [(0, "0 files"), (1, "1 file"), (1200, "1,200 files")])
def test_counts_agree_with_their_nouns(number: int, shown: str) -> None:
    assert output.counted(number, "file") == shown


def test_json_is_ascii_and_keeps_every_character(capsys: pytest.CaptureFixture[str]) -> None:
    output.show_json({"name": "é\udcff\n"})
    assert capsys.readouterr().out == '{"name": "\\u00e9\\udcff\\n"}\n'


def test_a_stream_that_knows_fewer_characters_shows_escapes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "out"
    with io.TextIOWrapper(target.open("wb"), encoding="latin-1") as narrow:
        monkeypatch.setattr("sys.stdout", narrow)
        output.prepare()
        output.show("日")
    assert target.read_text() == "\\u65e5\n"
