"""What some tests need from the machine: a test skips without it, or fails where ``DAM_TEST_REQUIRE_ALL`` is set."""

import os
import shutil
from typing import NoReturn

import pytest


def missing(reason: str) -> NoReturn:
    """Skip the test, or fail it where nothing may be skipped."""
    if os.environ.get("DAM_TEST_REQUIRE_ALL"):
        pytest.fail(f"DAM_TEST_REQUIRE_ALL is set, but {reason}", pytrace=False)
    pytest.skip(reason)


def program(*names: str) -> str:
    """Return the path of the first of these programs that is installed."""
    for name in names:
        path = shutil.which(name)
        if path is not None:
            return path
    missing(f"{' or '.join(names)} is not installed")
