"""Fresh databases for tests: empty, or with the schema copied from a template, which is quicker than making it."""

import shutil
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import create_engine, make_url

from dam.core.database import Database


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
        self._template = self._create(template="template0")
        _make_schema(self._url_of(self._template))

    @contextmanager
    def fresh(self, *, schema: bool) -> Iterator[str]:
        """Give the URL of a database that is dropped at the end."""
        name = self._create(template=self._template if schema else "template0")
        try:
            yield self._url_of(name)
        finally:
            self._drop(name)

    def close(self) -> None:
        """Leave the server as it was."""
        self._drop(self._template)
        self._server.dispose()

    def _create(self, *, template: str) -> str:
        name = f"dam_test_{uuid.uuid4().hex}"
        # Copying files takes a third of the time of the default, which sends every block through the log.
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        return name

    def _drop(self, name: str) -> None:
        self._execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def _execute(self, statement: str) -> None:
        with self._server.connect() as connection:
            connection.exec_driver_sql(statement)

    def _url_of(self, name: str) -> str:
        return self._url.set(database=name).render_as_string(hide_password=False)


def url_of(path: Path) -> str:
    """Return the URL of the SQLite database in that file."""
    return f"sqlite:///{path}"


def _make_schema(url: str) -> None:
    with closing(Database(url)) as database:
        database.upgrade()
