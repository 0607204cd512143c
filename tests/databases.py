"""Fresh databases for tests: empty, or with the schema copied from a template, which is quicker than making it."""

import shutil
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Compiled, Connection, Engine, create_engine, event, make_url

from dam.core.database import Database

# For a test in which the kind of database takes no part.
SQLITE = pytest.mark.parametrize("database_url", ["sqlite_url"], indirect=True)


class CompiledStatements(dict[Any, Compiled]):
    """Statements as SQLAlchemy compiled them, for all databases of a kind.

    The program compiles a statement once, for its one engine; each test has an engine of its own, and compiling took a
    fifth of the suite's time.
    """

    def get(self, key: Any, default: Any = None) -> Any:
        """Return a statement that was compiled for this kind of database."""
        return super().get(_of_kind(key), default)

    def __setitem__(self, key: Any, statement: Compiled) -> None:
        super().__setitem__(_of_kind(key), statement)

    def share(self) -> None:
        """Let all connections from now on take statements from here."""

        @event.listens_for(Engine, "engine_connect")
        def take_from_here(connection: Connection) -> None:
            connection.execution_options(compiled_cache=self)


class SqliteDatabases:
    """Databases in files; ``folder`` keeps the template."""

    def __init__(self, folder: Path) -> None:
        self._template = folder / "template.db"
        _make_schema(url_of(self._template))

    def fresh(self, path: Path, *, schema: bool) -> str:
        """Return the URL of a database in that file, which does not exist yet unless the schema is wanted."""
        if schema:
            shutil.copyfile(self._template, path)
        return url_of(path)


class PostgresDatabases:
    """Databases in a running server, whose URL names a user that may create them."""

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self._server = create_engine(self._url, isolation_level="AUTOCOMMIT")
        self._used: list[str] = []
        self._template = self._create(template="template0")
        _make_schema(self._url_of(self._template))

    @contextmanager
    def fresh(self, *, schema: bool) -> Iterator[str]:
        """Give the URL of a database, which is dropped before the next: by then the server saw its connections end."""
        self._drop_used()
        name = self._create(template=self._template if schema else "template0")
        self._used.append(name)
        yield self._url_of(name)

    def close(self) -> None:
        """Leave the server as it was."""
        self._used.append(self._template)
        self._drop_used()
        self._server.dispose()

    def _create(self, *, template: str) -> str:
        name = f"dam_test_{uuid.uuid4().hex}"
        # Copying files takes a third of the time of the default, which sends every block through the log.
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        return name

    def _drop_used(self) -> None:
        while self._used:
            self._execute(f"DROP DATABASE IF EXISTS {self._used.pop()} WITH (FORCE)")

    def _execute(self, statement: str) -> None:
        with self._server.connect() as connection:
            connection.exec_driver_sql(statement)

    def _url_of(self, name: str) -> str:
        return self._url.set(database=name).render_as_string(hide_password=False)


def url_of(path: Path) -> str:
    """Return the URL of the SQLite database in that file."""
    return f"sqlite:///{path}"


def _of_kind(key: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return SQLAlchemy's key of a statement with what matters of the dialect in the place of its object."""
    dialect, *statement = key
    return (dialect.name, dialect.driver, dialect.server_version_info, *statement)


def _make_schema(url: str) -> None:
    with closing(Database(url)) as database:
        database.upgrade()
