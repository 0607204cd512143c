"""Fixtures for all tests: an environment of their own, fresh databases of both kinds, and the program."""

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from dam.cli import program
from dam.core.database import Database
from tests import needs, scratch
from tests.cli_process import DamProgram
from tests.databases import CompiledStatements, PostgresDatabases, SqliteDatabases
from tests.forks import ForkServer
from tests.postgres import PostgresGuard, PostgresUnavailableError, ask_guard

# Settings of DAM, of libpq, and of libraries that colour or fold output; left are those of the tests themselves.
FOREIGN_VARIABLES = re.compile(
    r"DATABASE_URL|DAM_(?!TEST_).*|PG[A-Z]+|XDG_.*|(NO|FORCE|CLICOLOR|PY)_?COLORS?.*|GITHUB_ACTIONS|COLUMNS|LINES"
)
GUARD = pytest.StashKey[PostgresGuard]()
GUARD_ADDRESS = "postgres_guard"

# How long an example takes says nothing on a machine whose cores are all testing. Every run draws other examples, so
# few of them at a time find as much in the end; only the gate draws the same ones each time.
hypothesis.settings.register_profile("dam", deadline=None, max_examples=25, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("dam")


def pytest_configure(config: pytest.Config) -> None:
    """Clear the environment before the program is imported; once for all workers, choose a disk and start the guard."""
    for name in filter(FOREIGN_VARIABLES.fullmatch, list(os.environ)):
        del os.environ[name]
    CompiledStatements().share()
    if not hasattr(config, "workerinput"):
        os.environ["TMPDIR"] = tempfile.tempdir = scratch.folder()
        config.stash[GUARD] = PostgresGuard.start()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Run one test more at a time than there are cores: many wait for processes and servers."""
    return program.usable_cores() + 1


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the server, if there is one."""
    if GUARD in config.stash:
        config.stash[GUARD].stop()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker process where the guard is."""
    node.workerinput[GUARD_ADDRESS] = node.config.stash[GUARD].address


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test an empty home, which is the current folder too: no ``.env`` and no data of the developer's."""
    home = tmp_path_factory.getbasetemp() / "homes" / tmp_path.name
    home.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
    monkeypatch.chdir(home)
    return home


@pytest.fixture
def schema() -> None:
    """Ask for the schema in the test's database, which is empty otherwise."""


@pytest.fixture(params=[pytest.param("sqlite_url", id="sqlite"), pytest.param("postgres_url", id="postgresql")])
def database_url(request: pytest.FixtureRequest) -> str:
    """Run the test on each kind of database, fresh; empty unless the test, or a fixture it uses, asks for ``schema``.

    A SQLite database that is empty does not exist yet.
    """
    url: str = request.getfixturevalue(request.param)
    return url


@pytest.fixture
def sqlite_url(request: pytest.FixtureRequest, tmp_path: Path, sqlite_databases: SqliteDatabases) -> str:
    """Return the URL of a fresh SQLite database; see ``database_url``."""
    return sqlite_databases.fresh(tmp_path / "dam.db", schema="schema" in request.fixturenames)


@pytest.fixture
def postgres_url(request: pytest.FixtureRequest, postgres_databases: PostgresDatabases) -> Iterator[str]:
    """Give the URL of a fresh PostgreSQL database; see ``database_url``."""
    with postgres_databases.fresh(schema="schema" in request.fixturenames) as url:
        yield url


@pytest.fixture
def database(database_url: str, schema: None) -> Iterator[Database]:
    """Give the test's database, with the schema."""
    with closing(Database(database_url)) as database:
        yield database


@pytest.fixture
def engine(database: Database) -> Engine:
    """Return the engine of the test's database, with the schema."""
    return database.engine


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    """Give a session on the test's database, with the schema; what the test does not commit is rolled back."""
    with database.session() as session:
        yield session


@pytest.fixture
def dam(database_url: str, schema: None, tmp_path: Path, forks: ForkServer) -> DamProgram:
    """Return the program on the test's database, with the schema, and an empty storage."""
    return DamProgram(database_url, tmp_path / "storage", forks)


@pytest.fixture(scope="session")
def forks() -> Iterator[ForkServer]:
    """Give what starts processes of the program quickly."""
    with ForkServer.started() as server:
        yield server


@pytest.fixture(scope="session")
def sqlite_databases(tmp_path_factory: pytest.TempPathFactory) -> SqliteDatabases:
    """Return the maker of SQLite databases."""
    return SqliteDatabases(tmp_path_factory.mktemp("sqlite"))


@pytest.fixture(scope="session")
def postgres_databases(postgres_server_url: str) -> Iterator[PostgresDatabases]:
    """Give the maker of PostgreSQL databases."""
    with closing(PostgresDatabases(postgres_server_url)) as databases:
        yield databases


@pytest.fixture(scope="session")
def postgres_server_url(pytestconfig: pytest.Config) -> str:
    """Return the URL of the PostgreSQL server that all tests share."""
    given = os.environ.get("DAM_TEST_POSTGRES_URL")
    if given:
        return given
    try:
        return ask_guard(_guard_address(pytestconfig))
    except (PostgresUnavailableError, OSError) as error:
        needs.missing(f"there is no PostgreSQL server: {error}")


def _guard_address(config: pytest.Config) -> str:
    if hasattr(config, "workerinput"):
        return str(config.workerinput[GUARD_ADDRESS])
    return config.stash[GUARD].address
