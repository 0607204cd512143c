"""The database: engine, transactions, schema; publishes ``metadata``, which knows all tables."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, NullPool, StaticPool, create_engine, event, inspect, make_url, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, NoSuchModuleError, OperationalError
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

import dam
from dam.core import components_markers
from dam.core.exceptions import (
    DatabaseUnavailable,
    InvalidDatabaseUrl,
    SchemaMismatch,
    SchemaMissing,
    SchemaTooNew,
    SchemaTooOld,
    os_reason,
)
from dam.models import Entity

__all__ = ["SCHEMA_REVISION", "Database", "components_markers", "metadata"]

SCHEMA_REVISION = "0002"
BUSY_SECONDS = 30
CACHE_KIB = 512  # for each connection; it bounds what memory grows by in a large library
CHECKPOINT_PAGES = 16384  # 64 MiB of log; the same pages of the indexes change again and again meanwhile
STATEMENTS_KEPT = 16  # by a connection; more are the same few statements with other numbers of parameters
# Read-only (a standby), no privilege, damaged: https://www.postgresql.org/docs/current/errcodes-appendix.html
POSTGRESQL_TROUBLE = ("25006", "42501", "XX001", "XX002")
metadata = Entity.metadata


class Database:
    """One database, reached through a pool of connections. Opening nothing until it is asked."""

    def __init__(self, url: str) -> None:
        self.url = parse_url(url)
        self.engine = _make_engine(self.url)

    @property
    def is_sqlite(self) -> bool:
        """Say whether this is SQLite, where one process writes at a time."""
        return self.url.get_backend_name() == "sqlite"

    @property
    def address(self) -> str:
        """Return where the database is, without a password or anything else that libpq takes, for people."""
        shown = self.url.set(query={"host": self.url.query["host"]} if "host" in self.url.query else {})
        return (self.url if self.is_sqlite else shown).render_as_string(hide_password=True)

    @property
    def file(self) -> Path | None:
        """Return the database's own file, or None when it has none."""
        name = self.url.database
        if not self.is_sqlite or not name or name == ":memory:" or name.startswith("file:"):
            return None
        return Path(name).absolute()

    def session(self) -> Session:
        """Return a session that may write: on SQLite it waits for its turn when its transaction begins."""
        return Session(self.engine, expire_on_commit=False)

    def reading(self) -> Session:
        """Return a session that only reads and never waits for a writer."""
        return Session(self.engine.execution_options(reads_only=True), expire_on_commit=False)

    def upgrade(self) -> bool:
        """Bring the schema up to date, making the database when there is none; say whether anything was to be done.

        Processes that do so at the same time wait for each other. Raises ``SchemaTooNew`` and ``DatabaseUnavailable``.
        """
        with self.unavailable_is_said(), self.migrating() as connection:
            found = _revision(connection)
            if found == SCHEMA_REVISION:
                return False
            self._refuse_newer(found)
            _run_alembic(connection)
        return True

    def check_schema(self) -> None:
        """Raise ``SchemaMissing``, ``SchemaTooOld`` or ``SchemaTooNew`` unless the schema is this program's."""
        if self.file is not None and not self.file.exists():
            raise SchemaMissing(self.address, None, SCHEMA_REVISION)
        with self.unavailable_is_said(), self.engine.execution_options(reads_only=True).connect() as connection:
            found = _revision(connection)
        if found is None:
            raise SchemaMissing(self.address, None, SCHEMA_REVISION)
        self._refuse_newer(found)
        if found != SCHEMA_REVISION:
            raise SchemaTooOld(self.address, found, SCHEMA_REVISION)

    def is_new(self) -> bool:
        """Say whether there is nothing at all in the database yet."""
        if self.file is not None and not self.file.exists():
            return True
        with self.unavailable_is_said(), self.engine.execution_options(reads_only=True).connect() as connection:
            return not inspect(connection).get_table_names()

    def migrating(self) -> AbstractContextManager[Connection]:
        """Begin a transaction that no other migration runs beside, on a connection that may rebuild tables."""
        return _migrating(self)

    def unavailable_is_said(self) -> AbstractContextManager[None]:
        """Turn the driver's word that the database does not answer into ``DatabaseUnavailable``."""
        return _unavailable_is_said(self)

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()

    def _refuse_newer(self, found: str | None) -> None:
        if found is None or (found.isdigit() and int(found) <= int(SCHEMA_REVISION)):
            return
        raise SchemaTooNew(self.address, found, SCHEMA_REVISION)


def parse_url(url: str) -> URL:
    """Parse a database's address, or raise ``InvalidDatabaseUrl``, which does not repeat it.

    ``postgresql://`` means Psycopg 3, the driver that the ``postgres`` extra installs.
    """
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
        if backend not in ("sqlite", "postgresql"):
            raise InvalidDatabaseUrl(f"it names {backend!r}; sqlite:///FILE and postgresql://HOST/NAME are known")
        return parsed.set(drivername="postgresql+psycopg") if parsed.drivername == "postgresql" else parsed
    except (ArgumentError, ValueError):
        raise InvalidDatabaseUrl("it is no URL such as sqlite:////path/to/dam.db or postgresql://HOST/NAME") from None


def is_unavailable(error: DBAPIError) -> bool:
    """Say whether the error means that the database is gone, full, locked or unreadable, not that we asked wrongly."""
    # SQLite's word for a file that is damaged, or no database at all, is a plain DatabaseError.
    if isinstance(error, OperationalError) or type(error) is DatabaseError or error.connection_invalidated:
        return True
    return str(getattr(error.orig, "sqlstate", None)).startswith(POSTGRESQL_TROUBLE)


def _make_engine(url: URL) -> Engine:
    try:
        if url.get_backend_name() == "sqlite":
            return _make_sqlite_engine(url)
        return create_engine(url, pool_pre_ping=True, connect_args=_postgresql_options(url))
    except NoSuchModuleError:
        raise InvalidDatabaseUrl(f"{url.drivername!r} is no driver that is known") from None
    except ImportError as error:
        raise InvalidDatabaseUrl(f"its driver is not installed ({error.name}); install dam[postgres]") from error


def _postgresql_options(url: URL) -> dict[str, Any]:
    """Return what is asked of every connection; what the URL itself asks for goes before.

    A lock is waited for so long, and no longer. A machine that vanishes, at either end, is noticed after 60 s: then its
    connection ends, and with it its locks.
    """
    settings = {
        "lock_timeout": f"{BUSY_SECONDS}s",
        "idle_in_transaction_session_timeout": "0",  # a claim is held, idle, while its files are decoded
        "tcp_keepalives_idle": "30",
        "tcp_keepalives_interval": "10",
        "tcp_keepalives_count": "3",
        "tcp_user_timeout": "60s",
    }
    ours = " ".join(f"-c {name}={value}" for name, value in settings.items())
    theirs = url.query.get("options", "")
    options = {
        "options": " ".join([ours, theirs] if isinstance(theirs, str) else [ours, *theirs]).strip(),
        "application_name": "dam",
        "connect_timeout": BUSY_SECONDS,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 60_000,
    }
    return {name: value for name, value in options.items() if name == "options" or name not in url.query}


def _sqlite_options() -> dict[str, Any]:
    return {"timeout": BUSY_SECONDS, "check_same_thread": False, "cached_statements": STATEMENTS_KEPT}


def _make_sqlite_engine(url: URL, *, foreign_keys: bool = True) -> Engine:
    in_memory = url.database in (None, "", ":memory:")
    pool = StaticPool if in_memory else None if foreign_keys else NullPool
    engine = create_engine(url, poolclass=pool, connect_args=_sqlite_options())

    @event.listens_for(engine, "connect")
    def prepare(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # Python's own transaction handling lets DDL and savepoints escape
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA foreign_keys = {'ON' if foreign_keys else 'OFF'}")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        cursor.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        cursor.close()

    @event.listens_for(engine, "checkin")
    def end_transaction(connection: DBAPIConnection | None, _: ConnectionPoolEntry) -> None:
        # SQLAlchemy takes a transaction whose COMMIT failed for ended; in SQLite it goes on and keeps its lock.
        if connection is not None:
            connection.rollback()
            # The next writer makes what is cached worthless; kept, it would grow with the library.
            connection.cursor().execute("PRAGMA shrink_memory")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A transaction that reads first and then writes fails at once when another wrote in between: begin as a writer.
        reads_only = connection.get_execution_options().get("reads_only", False)
        connection.exec_driver_sql("BEGIN" if reads_only else "BEGIN IMMEDIATE")

    return engine


@contextmanager
def _unavailable_is_said(database: Database) -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        if not is_unavailable(error):
            raise
        raise DatabaseUnavailable(database.address, _first_line(error)) from error


def _first_line(error: DBAPIError) -> str:
    lines = str(error.orig).strip().splitlines() or [type(error).__name__]
    return lines[0]


@contextmanager
def _migrating(database: Database) -> Iterator[Connection]:
    """Begin a transaction that no other migration runs beside, with SQLite's foreign keys off.

    With them on, rebuilding a table deletes by cascade every row that refers to it.
    """
    if not database.is_sqlite:
        with database.engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('dam schema'))"))
            yield connection
        return
    if database.file is None:
        with database.engine.begin() as connection:
            yield connection
        return
    try:
        database.file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseUnavailable(database.address, os_reason(error)) from error
    _use_write_ahead_log(database)
    engine = _make_sqlite_engine(database.url, foreign_keys=False)
    with engine.begin() as connection:
        yield connection
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
        if broken:
            raise SchemaMismatch(database.address, f"broken references in {broken[0][0]}", SCHEMA_REVISION)


def _use_write_ahead_log(database: Database) -> None:
    """Switch a SQLite file to WAL, which lasts; SQLite does not wait by itself for others who do the same."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            with closing(database.engine.raw_connection()) as connection:
                connection.cursor().execute("PRAGMA journal_mode = WAL")
                return
        except sqlite3.DatabaseError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise DatabaseUnavailable(database.address, str(error)) from error
            time.sleep(0.05)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _run_alembic(connection: Connection) -> None:
    from alembic.config import Config

    from alembic import command

    config = Config()
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def migrations_folder() -> Path:
    """Return the folder of the migrations: inside an installed package, or beside it in a checkout."""
    package = Path(dam.__file__).parent
    shipped = package / "migrations"
    return shipped if shipped.is_dir() else package.parent / "alembic"


def note_write(session: Session) -> None:
    """Remember of a session that its connection was written to directly, which it would not know."""
    session.info[note_write] = True


def was_written_directly(session: Session) -> bool:
    """Say whether ``note_write`` was told of this session."""
    return note_write in session.info
