"""Runs migrations: on the connection that the program hands over, or by hand on the database of its settings."""

import warnings
from typing import Literal

from alembic.autogenerate.api import AutogenContext
from sqlalchemy import Connection
from sqlalchemy.schema import SchemaItem

from alembic import context
from dam.core.config import read_settings
from dam.core.database import Database, metadata
from dam.models.types import FileNameText, FiniteFloat, PlainText, UtcDateTime


def include_object(_: SchemaItem, name: str | None, kind: str, *_rest: object) -> bool:
    """Leave out what Alembic can't compare: indexes on expressions, which SQLite does not reflect."""
    return not (kind == "index" and name is not None and "_band_" in name)


def render_item(kind: str, item: object, _: AutogenContext) -> str | Literal[False]:
    """Write the column types of ours as what they are in the database, so that a migration stands by itself."""
    plain = {
        UtcDateTime: "sa.DateTime(timezone=True)",
        FiniteFloat: "sa.Double()",
        PlainText: "sa.Text()",
        FileNameText: "sa.Text()",
    }
    return plain.get(type(item), False) if kind == "type" else False


def migrate(connection: Connection) -> None:
    """Run the migrations in the connection's transaction."""
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=True,
        compare_type=True,
        render_item=render_item,
        include_object=include_object,
    )
    with context.begin_transaction():
        context.run_migrations()


def migrate_offline() -> None:
    """Print the SQL instead of running it."""
    url = Database(read_settings().world_config().database_url).url
    context.configure(url=url, target_metadata=metadata, literal_binds=True, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()


def main() -> None:
    """Choose how to run."""
    for message in ("autogenerate skipping metadata-specified expression", "Skipped unsupported reflection of express"):
        warnings.filterwarnings("ignore", message=message)
    if context.is_offline_mode():
        migrate_offline()
        return
    given = context.config.attributes.get("connection")
    if given is not None:
        migrate(given)
        return
    database = Database(read_settings().world_config().database_url)
    with database.migrating() as connection:
        migrate(connection)


main()
