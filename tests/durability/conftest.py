from collections.abc import Iterator

import pytest

from tests.durability.forks import ForkServer


@pytest.fixture(scope="session")
def forks() -> Iterator[ForkServer]:
    """Give what starts the program quickly."""
    with ForkServer.started() as server:
        yield server
