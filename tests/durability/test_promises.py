"""The tests that the README names beside its promises are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROMISES = (
    (ROOT / "README.md").read_text().partition("## What DAM promises about your files\n")[2].partition("\n## ")[0]
)
NAMED = re.findall(r"`((?:tests/)?[\w/]+\.py)(?:::(\w+))?`", PROMISES)


def test_the_promises_name_tests() -> None:
    assert len(NAMED) > 15


@pytest.mark.parametrize(("file", "test"), sorted(set(NAMED)))
def test_a_named_test_is_there(file: str, test: str) -> None:
    path = ROOT / file if file.startswith("tests/") else Path(__file__).parent / file
    assert path.is_file()
    assert f"def {test}(" in path.read_text() if test else True
