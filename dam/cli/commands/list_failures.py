"""``list-failures``: which assets could not be read, and why."""

from dataclasses import asdict

from dam.cli import output, program, rendering
from dam.cli.border import ExitStatus
from dam.services import failure_service
from dam.services.failure_service import Failure


def run(world: str | None, *, as_json: bool) -> int:
    """Show all recorded failures; that there are some is no failure of this command."""
    with program.open_database(program.world_config(world)) as database, database.reading() as session:
        failures = failure_service.list_failures(session)
    if as_json:
        documents = [{name: rendering.plain(value) for name, value in asdict(f).items()} for f in failures]
        output.show_json({"failures": documents})
    elif failures:
        _show(failures)
    else:
        output.note("There are no failures.")
    return ExitStatus.DONE


def _show(failures: list[Failure]) -> None:
    header = ("asset", "file", "attempts", "when", "why")
    rows = [(str(f.entity_id), f.filename or "", str(f.attempts), f"{f.failed_at:%F %T}", f.error) for f in failures]
    for line in output.table([header, *rows], right=(0, 2)):
        output.show(line)
