"""What a machine lacks is seen: tests skip with the reason, and where nothing may be skipped they fail."""

import sys

import pytest

from tests import needs


def test_a_missing_program_skips_the_test_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAM_TEST_REQUIRE_ALL", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no-such-program is not installed"):
        needs.program("no-such-program")


def test_a_missing_program_fails_the_test_where_nothing_may_be_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAM_TEST_REQUIRE_ALL", "1")
    with pytest.raises(pytest.fail.Exception, match="no-such-program is not installed"):
        needs.program("no-such-program")


def test_the_first_program_that_is_installed_is_taken() -> None:
    assert needs.program("no-such-program", sys.executable) == sys.executable
