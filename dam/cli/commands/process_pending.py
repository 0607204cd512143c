"""``process-pending``: reads the facts of the assets that still wait for it."""

import asyncio
from datetime import UTC, datetime

from dam.cli import output, program
from dam.cli.border import ExitStatus
from dam.cli.progress import Progress
from dam.cli.working_world import open_world
from dam.core.components_markers import NeedsMetadataExtractionComponent
from dam.core.runner import Runner
from dam.core.stages import SystemStage
from dam.core.world import World
from dam.services import failure_service

LOOK_AGAIN_SECONDS = 0.5


def run(world: str | None, *, retry_failed: bool, jobs: int | None, as_json: bool) -> int:
    """Run METADATA_EXTRACTION until no mark is left; the exit status says whether any asset failed."""
    begun_at = datetime.now(UTC)
    with open_world(program.world_config(world), jobs=jobs, storing=False) as opened:
        if retry_failed:
            with opened.session() as session, session.begin():
                failure_service.mark_failed_again(session)
        pending = _waiting(opened)
        with Runner() as runner:
            runner.run(_extract, opened, pending)
        with opened.reading() as session:
            failed = failure_service.failed_since(session, begun_at)
    if as_json:
        output.show_json({"summary": {"pending": pending, "failed": failed}})
    else:
        output.show(f"{output.counted(pending, 'asset')} processed, {failed:,} failed.")
    if failed:
        output.note("See: dam-cli list-failures")
    return ExitStatus.SOME_FAILED if failed else ExitStatus.DONE


async def _extract(world: World, pending: int) -> None:
    with Progress("assets", lambda: pending) as progress:
        watching = asyncio.create_task(_watch(world, pending, progress))
        try:
            await world.execute_stage(SystemStage.METADATA_EXTRACTION)
        finally:
            watching.cancel()


async def _watch(world: World, pending: int, progress: Progress) -> None:
    while progress.is_shown:
        progress.reach(max(0, pending - _waiting(world)))
        await asyncio.sleep(LOOK_AGAIN_SECONDS)


def _waiting(world: World) -> int:
    with world.reading() as session:
        return failure_service.waiting(session, NeedsMetadataExtractionComponent)
