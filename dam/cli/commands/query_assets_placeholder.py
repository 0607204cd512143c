"""``query-assets-placeholder``: lists assets, a page at a time, where a query language may stand one day."""

from dam.cli import output, program
from dam.cli.border import ExitStatus
from dam.models import FilePropertiesComponent
from dam.services import ecs_service


def run(world: str | None, *, after: int, limit: int, as_json: bool) -> int:
    """Show the assets that follow the one given."""
    with program.open_database(program.world_config(world)) as database, database.reading() as session:
        page = ecs_service.entities_with(session, FilePropertiesComponent, after=after, limit=limit)
        known = ecs_service.get_components_of(session, page, FilePropertiesComponent)
    rows = [(entity_id, known[entity_id][0].original_filename) for entity_id in page]
    if as_json:
        output.show_json({"assets": [{"entity_id": entity_id, "filename": name} for entity_id, name in rows]})
    else:
        for line in output.table([(str(entity_id), name) for entity_id, name in rows], right=(0,)):
            output.show(line)
    return ExitStatus.DONE if page else ExitStatus.NOTHING_FOUND
