"""Systems that take files in."""

from dam.core.events import FilesImported, ImportResult, SourcesSeenAgain
from dam.core.system_params import WorldSession
from dam.core.systems import listens_for
from dam.services import asset_service, known_sources


@listens_for(FilesImported)
def record_imported_files(event: FilesImported, session: WorldSession) -> list[ImportResult]:
    """Write the rows about a batch of files, and mark those whose facts are still to be read."""
    return asset_service.record_files(session, event.files)


@listens_for(SourcesSeenAgain)
def record_sources_seen_again(event: SourcesSeenAgain, session: WorldSession) -> None:
    """Write down when files that have not changed were last seen."""
    known_sources.seen_again(session, event.sources, event.seen_at)
