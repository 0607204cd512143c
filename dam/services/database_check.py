"""Whether the database is sound in itself: by its own checks, and in what its rows say of each other."""

from collections.abc import Iterator

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from dam.models import ContentHashSHA256Component, FileLocationComponent, FilePropertiesComponent
from dam.models.file_location_component import LOCAL_CAS

_SHOWN = 100


def broken_parts(session: Session) -> Iterator[str]:
    """Say what SQLite finds broken in its file and in the references between rows, the first 100 of it.

    PostgreSQL has no such check to ask for; it refuses such rows when they are written.
    """
    if session.get_bind().dialect.name != "sqlite":
        return
    connection = session.connection()
    for (said,) in connection.exec_driver_sql(f"PRAGMA integrity_check({_SHOWN})"):
        if said != "ok":
            yield str(said)
    for table, row_id, parent, _ in connection.exec_driver_sql("PRAGMA foreign_key_check").fetchmany(_SHOWN):
        yield f"row {row_id} of {table} refers to a row of {parent} that is not there"


def contradictions(session: Session) -> Iterator[tuple[int, str]]:
    """Give assets whose rows do not agree on what their bytes are, and what is wrong with them."""
    location, sha256, properties = FileLocationComponent, ContentHashSHA256Component, FilePropertiesComponent
    statement = (
        select(location.entity_id, sha256.hash_value.is_(None), properties.file_size_bytes.is_(None))
        .outerjoin(sha256, sha256.entity_id == location.entity_id)
        .outerjoin(properties, properties.entity_id == location.entity_id)
        .where(
            or_(
                sha256.hash_value.is_(None),
                properties.file_size_bytes.is_(None),
                location.content_identifier != _hexadecimal(session, sha256.hash_value),
                and_(location.storage_type == LOCAL_CAS, location.physical_path_or_key != location.content_identifier),
            )
        )
        .order_by(location.entity_id)
    )
    for entity_id, has_no_hash, has_no_size in session.execute(statement):
        yield entity_id, _wording(has_no_hash=has_no_hash, has_no_size=has_no_size)


def _hexadecimal(session: Session, column: InstrumentedAttribute[bytes]) -> ColumnElement[str]:
    if session.get_bind().dialect.name == "sqlite":
        return func.lower(func.hex(column))
    return func.encode(column, "hex")


def _wording(*, has_no_hash: bool, has_no_size: bool) -> str:
    if has_no_hash:
        return "it has a location but no SHA-256"
    if has_no_size:
        return "it has a location but no size"
    return "a location names another content than its SHA-256"
