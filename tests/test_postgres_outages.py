"""PostgreSQL servers that die, come back, refuse or keep everybody waiting: one line, status 2, and nothing is lost."""

import shutil
import signal
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from PIL import Image
from sqlalchemy import Connection, NullPool, create_engine, text

from dam.cli import main
from dam.core.database import Database
from tests import needs
from tests.cli_process import PATIENCE_SECONDS, DamProgram
from tests.forks import Fork, ForkServer
from tests.postgres import PostgresServer, PostgresUnavailableError

PICTURES = 12


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """Give a server that these tests may kill, as long as they start it again."""
    folder = Path(tempfile.mkdtemp(prefix="dam-out-"))
    folder.chmod(0o755)
    server = PostgresServer(folder, "synchronous_commit=on")  # what it confirmed is there after a crash
    try:
        server.create()
        server.start()
        yield server
    except (PostgresUnavailableError, OSError) as error:
        needs.missing(f"there is no PostgreSQL server: {error}")
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def dam(server: PostgresServer, tmp_path: Path, forks: ForkServer) -> DamProgram:
    """Return the program on a database of the test's own in that server."""
    name = f"dam_{uuid.uuid4().hex}"
    with _connected(server.url) as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text(f"CREATE DATABASE {name}"))
    url = server.url.replace("/postgres?", f"/{name}?")
    with closing(Database(url)) as database:
        database.upgrade()
    return DamProgram(url, tmp_path / "storage", forks)


type Here = Callable[..., tuple[int, str]]


@pytest.fixture
def here(dam: DamProgram, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Here:
    """Return what runs a command in this process, quicker than in one of its own, and gives status and output."""

    def run(*arguments: str, url: str = dam.url) -> tuple[int, str]:
        monkeypatch.setenv("DATABASE_URL", url)
        monkeypatch.setenv("DAM_STORAGE_PATH", str(dam.storage))
        status = main(arguments)
        return status, "".join(capsys.readouterr())

    return run


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Return a folder of pictures."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(PICTURES):
        Image.new("RGB", (8 + number, 8)).save(folder / f"{number}.png")
    return folder


def test_add_asset_survives_a_server_that_crashes_and_comes_back(
    server: PostgresServer, dam: DamProgram, pictures: Path
) -> None:
    with _crash_while_waiting_for(server, dam, "original_source_info"):
        died = dam.start("add-asset", "-r", pictures)
    _said_in_one_line(died)

    again = dam.run("add-asset", "-r", pictures)

    assert again.returncode == 0, again.stderr
    assert f"{PICTURES} found: {PICTURES} added" in again.stdout.replace(" files", "")
    assert _count(dam, "image_dimensions") == PICTURES


def test_a_worker_survives_a_server_that_crashes_and_comes_back(
    server: PostgresServer, dam: DamProgram, pictures: Path
) -> None:
    assert dam.run("add-asset", "--defer", "-r", pictures).returncode == 0
    with _crash_while_waiting_for(server, dam, "image_dimensions"):
        died = dam.start("work", "--watch")
    _said_in_one_line(died)
    assert _count(dam, "needs_metadata_extraction") == PICTURES

    assert dam.run("work").returncode == 0

    assert _count(dam, "image_dimensions") == PICTURES
    assert _count(dam, "needs_metadata_extraction") == 0


def test_a_server_that_is_not_there_is_one_line(server: PostgresServer, here: Here) -> None:
    server.stop()
    try:
        status, said = here("work")
    finally:
        server.start()
    assert (status, said.count("\n")) == (2, 1)
    assert "can't be used" in said


def test_a_wrong_password_is_not_printed(server: PostgresServer, dam: DamProgram, here: Here) -> None:
    with _passwords_asked_for(server):
        for url in (dam.url.replace("postgres@", "postgres:hush-hush@"), f"{dam.url}&password=hush-hush"):
            status, said = here("list-failures", url=url)
            assert status == 2
            assert "password" in said
            assert "hush-hush" not in said


def test_a_lock_is_waited_for_no_longer_than_is_bearable(dam: DamProgram, here: Here, pictures: Path) -> None:
    """Thirty seconds by default, which a URL may change."""
    with _locked(dam, "original_source_info"):
        url = f"{dam.url}&options=-c%20lock_timeout%3D200ms"
        status, said = here("add-asset", "--defer", "-r", str(pictures), url=url)
    assert (status, said.count("\n")) == (2, 1), said
    assert "lock timeout" in said


def _said_in_one_line(process: Fork) -> None:
    with process:
        _, stderr = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, stderr.count("\n")) == (2, 1), stderr
    assert stderr.startswith("Error: the database ")


@contextmanager
def _passwords_asked_for(server: PostgresServer) -> Iterator[None]:
    rules = server.folder / "data" / "pg_hba.conf"
    before = rules.read_text()
    server.stop()
    rules.write_text("local all all scram-sha-256\n")
    server.start()
    try:
        yield
    finally:
        server.stop()
        rules.write_text(before)
        server.start()


@contextmanager
def _crash_while_waiting_for(server: PostgresServer, dam: DamProgram, table: str) -> Iterator[None]:
    """Let somebody wait for a table, kill the server under him, and start it again."""
    with _locked(dam, table):
        yield
        _wait_until_somebody_waits(dam)
        server.stop(signal.SIGKILL)
    deadline = time.monotonic() + 20
    while True:  # processes of the old one may still be ending
        try:
            server.start()
        except PostgresUnavailableError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        else:
            return


@contextmanager
def _locked(dam: DamProgram, table: str) -> Iterator[None]:
    with _connected(dam.url) as connection:
        connection.execute(text(f"LOCK TABLE {table} IN SHARE MODE"))
        yield


def _wait_until_somebody_waits(dam: DamProgram) -> None:
    deadline = time.monotonic() + 30
    with _connected(dam.url) as connection:
        while not connection.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")):
            assert time.monotonic() < deadline, "nobody came to wait"
            time.sleep(0.05)


def _count(dam: DamProgram, table: str) -> int:
    with _connected(dam.url) as connection:
        return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


@contextmanager
def _connected(url: str) -> Iterator[Connection]:
    """Give a connection that may die with its server."""
    connection = create_engine(url, poolclass=NullPool).connect()
    try:
        yield connection
    finally:
        connection.invalidate()
        connection.close()
