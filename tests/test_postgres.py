"""The tests' own PostgreSQL server: nothing of it is left when a test run ends, and a missing one is not overlooked."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import create_engine, inspect, make_url, text

from dam.core.database import metadata
from tests.postgres import PostgresGuard, ask_guard

START_AND_DIE = """
import os, pathlib, signal
from tests.postgres import PostgresGuard, ask_guard
url = ask_guard(PostgresGuard.start().address)
folder = pathlib.Path(url.partition("host=")[2])
print(url, (folder / "data" / "postmaster.pid").read_text().split()[0], flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
ROOT = Path(__file__).parents[1]


def test_every_test_gets_a_database_of_its_own(database_url: str) -> None:
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE mine (id INTEGER)"))
        assert inspect(connection).get_table_names() == ["mine"]
    engine.dispose()


def test_a_test_that_asks_for_the_schema_finds_it_complete(database_url: str, schema: None) -> None:
    engine = create_engine(database_url)
    assert set(metadata.tables) <= set(inspect(engine).get_table_names())
    engine.dispose()


def test_the_server_ends_when_the_test_run_is_killed() -> None:
    killed = subprocess.run(
        [sys.executable, "-c", START_AND_DIE], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    url, server = killed.stdout.split()

    assert _comes_true(lambda: not _is_alive(int(server)) and not _folder(url).exists())


def test_the_server_ends_when_its_guard_is_killed() -> None:
    guard = PostgresGuard.start()
    url = ask_guard(guard.address)
    assert ask_guard(guard.address) == url, "asking again starts no other server"
    server = _server_process(url)

    os.kill(guard.process_id, signal.SIGKILL)

    assert _comes_true(lambda: not _is_alive(server))
    guard.stop()
    shutil.rmtree(_folder(url))


def _folder(url: str) -> Path:
    return Path(str(make_url(url).query["host"]))


def _server_process(url: str) -> int:
    return int((_folder(url) / "data" / "postmaster.pid").read_text().split()[0])


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def _comes_true(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()
