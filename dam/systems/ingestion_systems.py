"""Systems that take files in."""

from dam.core.events import FilesImported, ImportResult
from dam.core.system_params import WorldSession
from dam.core.systems import listens_for
from dam.services import asset_service


@listens_for(FilesImported)
def record_imported_files(event: FilesImported, session: WorldSession) -> list[ImportResult]:
    """Write the rows about a batch of files, and mark those whose facts are still to be read."""
    return asset_service.record_files(session, event.files)
