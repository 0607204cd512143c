"""Puts the program together: from the settings to an open database, or to a world that can work."""

import gc
import logging
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager

from dam.cli import output
from dam.core.config import WorldConfig, read_settings
from dam.core.database import Database
from dam.core.exceptions import SchemaMissing, stems_from_interruption

OPEN_FILES = 8192


class _EscapingFormatter(logging.Formatter):
    """Keeps what names and metadata contain from acting on the terminal."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the base's name
        return output.visible(super().formatMessage(record))


def world_config(name: str | None) -> WorldConfig:
    """Read the settings, begin logging as they say, and return the configuration of the world.

    With this the work begins: everything is imported.
    """
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
    settings = read_settings()
    _log_at(settings.log_level)
    return settings.world_config(name)


@contextmanager
def open_database(config: WorldConfig) -> Iterator[Database]:
    """Open the world's database for a command that reads; a brand-new SQLite database is set up.

    When the database stops to answer, ``DatabaseUnavailable`` says so.
    """
    with closing(Database(config.database_url)) as database, database.unavailable_is_said():
        check_schema(database)
        yield database


def check_schema(database: Database) -> None:
    """Set a brand-new SQLite database up, with a note; raise ``SchemaMismatch`` for any other that does not fit."""
    try:
        database.check_schema()
    except SchemaMissing:
        if not (database.is_sqlite and database.is_new()):
            raise
        database.upgrade()
        output.note(output.visible(f"Note: set up a new database: {database.address}"))


def allow_many_open_files() -> None:
    """Take as many descriptors as the system lets this process take, so that many copies can be synced together.

    The usual first limit is there for programs that use select(2), which this one does not.
    """
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def usable_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _log_at(level: str) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_EscapingFormatter("%(levelname)s %(name)s: %(message)s"))
    handler.addFilter(_is_no_interruption)
    logging.basicConfig(handlers=[handler])
    logging.getLogger("dam").setLevel(level)
    # Its warnings are of errors on the way out of another error, which is said by itself.
    logging.getLogger("psycopg").setLevel(logging.ERROR)


def _is_no_interruption(record: logging.LogRecord) -> bool:
    """Leave out what SQLAlchemy says of Ctrl-C while it closes a connection: it is raised, too, and said once."""
    return record.levelno <= logging.DEBUG or not record.exc_info or not stems_from_interruption(record.exc_info[1])
