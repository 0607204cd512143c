"""``add-asset``: takes files in, telling what became of each."""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from dam.cli import output, program
from dam.cli.border import ExitStatus, UnusableInput
from dam.cli.progress import Progress
from dam.cli.working_world import open_world
from dam.core.components_markers import NeedsMetadataExtractionComponent
from dam.core.exceptions import os_reason
from dam.core.world import World
from dam.services import failure_service, ingestion
from dam.services.ingestion import Options, Outcome, Status, Summary
from dam.services.source_walk import OwnFiles, Walk

NOT_TAKEN = (Status.SKIPPED, Status.FAILED)


def run(world: str | None, paths: Sequence[str], how: Options, *, jobs: int | None, as_json: bool) -> int:
    """Take the paths in; the exit status says whether any file failed."""
    _refuse_missing(paths)
    folders = [path for path in paths if Path(path).is_dir()]
    if not how.recursive:
        _note_what_is_left_out(folders)
    begun_at = datetime.now(UTC)
    with open_world(program.world_config(world), jobs=jobs, storing=how.copy) as opened:
        summary = _ingest(opened, paths, how, _shown_as_json if as_json else _shown_as_text(each=not folders))
        unread = _unread(opened, begun_at)
    _show_summary(summary, as_json=as_json)
    if unread:
        assets = output.counted(unread, "asset is stored but its facts", "assets are stored but their facts")
        output.note(f"Note: {assets} could not all be read; see: dam-cli list-failures")
    return ExitStatus.SOME_FAILED if summary.failed else ExitStatus.DONE


def _refuse_missing(paths: Sequence[str]) -> None:
    """Raise UnusableInput for a path that is not there: a slip of the hand, to be mended before anything is done."""
    for path in paths:
        try:
            os.lstat(path)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise UnusableInput(f"{path}: {os_reason(error)}") from error
        except OSError:
            continue


def _note_what_is_left_out(folders: Sequence[str]) -> None:
    for folder in folders:
        output.note(
            output.visible(f"Note: {folder} is a folder: only the files at its top level are taken; -r takes all below")
        )


def _ingest(world: World, paths: Sequence[str], how: Options, shown: Callable[[Outcome, Progress], None]) -> Summary:
    def total() -> int:
        return Walk(paths, recursive=how.recursive, own=OwnFiles()).count()

    def afterwards() -> str:
        with suppress(DBAPIError), world.reading() as session:
            waiting = failure_service.waiting(session, NeedsMetadataExtractionComponent)
            return f"{output.counted(waiting, 'asset')} whose facts are still to be read" if waiting else ""
        return ""

    with Progress("files", total, afterwards=afterwards) as progress:

        def tell(outcome: Outcome) -> None:
            progress.advance()
            shown(outcome, progress)

        return ingestion.ingest(world, paths, how, tell)


def _shown_as_json(outcome: Outcome, progress: Progress) -> None:
    document = {
        "path": outcome.path,
        "status": outcome.status.value,
        "entity_id": outcome.entity_id,
        "sha256": outcome.sha256.hex() if outcome.sha256 else None,
        "reason": outcome.reason,
    }
    progress.above(output.show_json, document)


def _shown_as_text(*, each: bool) -> Callable[[Outcome, Progress], None]:
    """Return what shows the files that were not taken in, and with ``each`` the others, too."""

    def show(outcome: Outcome, progress: Progress) -> None:
        if outcome.status in NOT_TAKEN:
            path, reason = output.visible(outcome.path), output.visible(outcome.reason or "")
            progress.above(output.note, f"{outcome.status.capitalize()}: {path}: {reason}")
        elif each:
            path = output.visible(outcome.path)
            progress.above(output.show, f"{outcome.status:<9}  asset {outcome.entity_id}  {path}")

    return show


def _unread(world: World, begun_at: datetime) -> int:
    with world.reading() as session:
        return failure_service.failed_since(session, begun_at)


def _show_summary(summary: Summary, *, as_json: bool) -> None:
    counts = asdict(summary)
    if as_json:
        output.show_json({"summary": counts})
        return
    found = output.counted(counts.pop("found"), "file")
    output.show(f"{found} found: {', '.join(f'{count:,} {status}' for status, count in counts.items())}.")
