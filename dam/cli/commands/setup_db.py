"""``setup-db``: the database's schema, made or brought up to date."""

from contextlib import closing

from dam.cli import output, program
from dam.cli.border import ExitStatus
from dam.core.database import SCHEMA_REVISION, Database


def run(world: str | None, *, as_json: bool) -> int:
    """Upgrade the world's database and say whether there was anything to do."""
    with closing(Database(program.world_config(world).database_url)) as database:
        changed = database.upgrade()
        address = database.address
    if as_json:
        output.show_json({"database": address, "changed": changed, "schema": SCHEMA_REVISION})
    else:
        done = "is set up" if changed else "was up to date"
        output.show(output.visible(f"The database {address} {done} (schema {SCHEMA_REVISION})."))
    return ExitStatus.DONE
