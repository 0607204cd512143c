"""The database: addresses, transactions, and the state of its schema."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import inspect, text
from sqlalchemy.exc import IntegrityError, OperationalError

from dam.core.database import SCHEMA_REVISION, Database, is_unavailable, metadata, parse_url
from dam.core.exceptions import (
    DatabaseUnavailable,
    InvalidDatabaseUrl,
    SchemaMismatch,
    SchemaMissing,
    SchemaTooNew,
    SchemaTooOld,
)
from dam.services import ecs_service


@pytest.fixture
def empty(database_url: str) -> Iterator[Database]:
    """Give a database in which nothing is set up."""
    with closing(Database(database_url)) as database:
        yield database


def _say_revision(database: Database, revision: str) -> None:
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :it"), {"it": revision})


@pytest.mark.parametrize(
    "url", ["", "nonsense", "mysql://u:secret@h/n", "postgresql://u:secret@h:port/n", "sqlite+nothing:///x"]
)
def test_an_address_that_cannot_be_used_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(InvalidDatabaseUrl, match="DATABASE_URL can't be used: ") as caught:
        Database(url)
    assert "secret" not in str(caught.value)


def test_postgresql_means_its_third_driver() -> None:
    assert parse_url("postgresql://h/n").drivername == "postgresql+psycopg"
    assert parse_url("sqlite:///x.db").drivername == "sqlite"


def test_the_address_for_people_has_no_password() -> None:
    with closing(Database("postgresql://u:secret@h/n")) as database:
        assert "secret" not in database.address
        assert "h/n" in database.address


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("sqlite:////data/dam.db", Path("/data/dam.db")),
        ("sqlite://", None),
        ("sqlite:///:memory:", None),
        ("postgresql://h/n", None),
    ],
)
def test_only_a_sqlite_database_has_a_file(url: str, file: Path | None) -> None:
    with closing(Database(url)) as database:
        assert database.file == file


def test_nothing_is_made_until_it_is_asked_for(tmp_path: Path) -> None:
    with closing(Database(f"sqlite:///{tmp_path / 'folder' / 'dam.db'}")) as database:
        assert database.is_new()
    assert list(tmp_path.iterdir()) == []


def test_upgrading_sets_a_new_database_up_with_its_folders(tmp_path: Path) -> None:
    with closing(Database(f"sqlite:///{tmp_path / 'a' / 'b' / 'dam.db'}")) as database:
        assert database.upgrade()
        database.check_schema()


def test_upgrading_says_whether_anything_was_to_be_done(empty: Database) -> None:
    assert empty.is_new()
    assert empty.upgrade()
    assert not empty.is_new()
    assert not empty.upgrade()


def test_the_schema_of_this_program_is_accepted(database: Database) -> None:
    database.check_schema()
    assert set(metadata.tables) <= set(inspect(database.engine).get_table_names())


def test_a_database_that_is_not_set_up_is_refused_with_what_mends_it(empty: Database) -> None:
    with pytest.raises(SchemaMissing, match="is not set up; run: dam-cli setup-db"):
        empty.check_schema()


def test_a_foreign_database_is_not_new(empty: Database) -> None:
    with empty.engine.begin() as connection:
        connection.execute(text("CREATE TABLE theirs (id INTEGER)"))
    assert not empty.is_new()
    with pytest.raises(SchemaMissing):
        empty.check_schema()


def test_an_older_schema_is_refused_with_what_mends_it(database: Database) -> None:
    _say_revision(database, "0000")
    with pytest.raises(SchemaTooOld, match=f"has schema 0000, this program needs {SCHEMA_REVISION}; run: dam-cli"):
        database.check_schema()


@pytest.mark.parametrize("revision", ["9999", "f00d"])
def test_a_newer_schema_is_refused_by_check_and_upgrade(database: Database, revision: str) -> None:
    _say_revision(database, revision)
    with pytest.raises(SchemaTooNew, match="install a newer DAM"):
        database.check_schema()
    with pytest.raises(SchemaTooNew):
        database.upgrade()


@pytest.mark.parametrize("method", ["check_schema", "upgrade", "is_new"])
def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path, method: str) -> None:
    path = tmp_path / "picture.jpg"
    path.write_bytes(b"\xff\xd8" + bytes(5000))
    with closing(Database(f"sqlite:///{path}")) as database, pytest.raises(DatabaseUnavailable, match="not a database"):
        getattr(database, method)()
    assert path.stat().st_size == 5002


def test_a_place_where_no_file_can_be_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    url = f"sqlite:///{tmp_path / 'file' / 'dam.db'}"
    with closing(Database(url)) as database, pytest.raises(DatabaseUnavailable):
        database.upgrade()


def test_a_server_that_does_not_answer_is_unavailable(tmp_path: Path) -> None:
    url = f"postgresql://u:secret@/n?host={tmp_path}"
    with closing(Database(url)) as database, pytest.raises(DatabaseUnavailable) as caught:
        database.check_schema()
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_wrong_statement_does_not_mean_that_the_database_is_gone(database: Database) -> None:
    with pytest.raises(IntegrityError) as caught, database.session() as session:
        session.execute(text("INSERT INTO image_dimensions VALUES (99, 1, 1)"))
    assert not is_unavailable(caught.value)


def test_what_is_not_committed_is_rolled_back(database: Database) -> None:
    with database.session() as session:
        ecs_service.create_entity(session)
    with database.reading() as session:
        assert ecs_service.entities_with(session) == []


def test_tables_made_in_a_transaction_are_rolled_back_with_it(database: Database) -> None:
    with database.session() as session:
        session.execute(text("CREATE TABLE theirs (id INTEGER)"))
        session.rollback()
    assert not inspect(database.engine).has_table("theirs")


def test_a_savepoint_does_not_escape_a_rollback(database: Database) -> None:
    with database.session() as session:
        with session.begin_nested():
            ecs_service.create_entity(session)
        session.rollback()
        assert ecs_service.entities_with(session) == []


def test_reading_does_not_wait_for_a_writer(database: Database) -> None:
    with database.session() as writer, database.reading() as reader:
        ecs_service.create_entity(writer)
        assert ecs_service.entities_with(reader) == []


def test_a_writer_waits_for_its_turn(database: Database) -> None:
    def write() -> None:
        with database.session() as session:
            ecs_service.create_entity(session)
            session.commit()

    with database.session() as session:
        ecs_service.create_entity(session)
        other = threading.Thread(target=write)
        other.start()
        other.join(timeout=0.1)
        session.commit()
    other.join()
    with database.reading() as session:
        assert len(ecs_service.entities_with(session)) == 2


def test_after_a_commit_that_fails_nobody_waits_for_its_transaction(database: Database) -> None:
    with database.engine.begin() as connection:
        connection.execute(
            text("CREATE TABLE promise (entity_id BIGINT REFERENCES entity (id) DEFERRABLE INITIALLY DEFERRED)")
        )
    with database.session() as session:
        session.execute(text("INSERT INTO promise VALUES (99)"))
        with pytest.raises(IntegrityError):
            session.commit()
    with database.session() as session:
        assert session.scalar(text("SELECT count(*) FROM promise")) == 0


def test_sqlite_keeps_what_it_promises_on_every_connection(sqlite_url: str, schema: None) -> None:
    with closing(Database(sqlite_url)) as database, database.session() as one, database.reading() as two:
        for session in (one, two):
            found = [session.scalar(text(f"PRAGMA {name}")) for name in ("foreign_keys", "synchronous", "journal_mode")]
            assert found == [1, 2, "wal"]


def test_a_full_disk_is_unavailable(sqlite_url: str, schema: None) -> None:
    with closing(Database(sqlite_url)) as database, database.session() as session:
        session.execute(text("PRAGMA max_page_count = 1"))
        with pytest.raises(OperationalError) as caught:
            session.execute(text("CREATE TABLE big AS SELECT zeroblob(1000000)"))
        assert is_unavailable(caught.value)


def test_a_database_in_memory_is_one_for_all_sessions() -> None:
    with closing(Database("sqlite://")) as database:
        database.upgrade()
        with database.session() as session:
            ecs_service.create_entity(session)
            session.commit()
        with database.reading() as session:
            assert len(ecs_service.entities_with(session)) == 1


def test_a_broken_reference_stops_a_migration(sqlite_url: str, schema: None) -> None:
    with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as connection:
        connection.execute("INSERT INTO image_dimensions VALUES (99, 1, 1)")
    connection.close()
    with (
        closing(Database(sqlite_url)) as database,
        pytest.raises(SchemaMismatch) as caught,
        database.migrating(),
    ):
        pass
    assert caught.value.found == "broken references in image_dimensions"
