"""``work``: does what is marked, beside any number of others, until nothing is left or somebody says stop."""

import asyncio
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from dam.cli import output, program
from dam.cli.border import ExitStatus, UnusableInput
from dam.cli.working_world import open_world
from dam.core.runner import Runner
from dam.core.stages import SystemStage
from dam.core.world import World
from dam.services import draining, failure_service


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What to drain, for how long, and where the heavy part is done: by processes here, or at an executor's address."""

    stages: Sequence[str]
    watch: bool = False
    jobs: int | None = None
    executor: str | None = None


def run(world: str | None, work: Work, *, as_json: bool) -> int:
    """Drain the stages; the exit status says whether any asset failed meanwhile, by whomever it was worked on.

    A signal ends a watching worker as it is meant to be ended, and interrupts any other.
    """
    stages = [_stage(name) for name in work.stages] or list(SystemStage)
    if work.executor is not None and work.jobs is not None:
        raise UnusableInput("--jobs is for the processes of this machine; how much --executor does is its own matter")
    try:
        failed = _drain(world, stages, work)
    except KeyboardInterrupt:
        if not work.watch:
            raise
        output.note("Stopped. What was under way is left to others, or to the next start.")
        return ExitStatus.DONE
    if as_json:
        output.show_json({"summary": {"failed": failed}})
    else:
        output.show(f"Nothing is left to do; {output.counted(failed, 'asset')} failed.")
    if failed:
        output.note("See: dam-cli list-failures")
    return ExitStatus.SOME_FAILED if failed else ExitStatus.DONE


def _stage(name: str) -> SystemStage:
    try:
        return SystemStage(name.lower().replace("-", "_"))
    except ValueError:
        known = ", ".join(SystemStage)
        raise UnusableInput(f"there is no stage {name!r}, only: {known}") from None


def _drain(world: str | None, stages: Sequence[SystemStage], work: Work) -> int:
    begun_at = datetime.now(UTC)
    config = program.world_config(world)
    with open_world(config, jobs=work.jobs, storing=False, executor_address=work.executor) as opened:
        with Runner() as runner:
            runner.run(_drain_until_signalled, opened, stages, watch=work.watch)
        with opened.reading() as session:
            return failure_service.failed_since(session, begun_at)


async def _drain_until_signalled(world: World, stages: Sequence[SystemStage], *, watch: bool) -> None:
    """Drain; a signal that asks for its end cancels that and is raised as KeyboardInterrupt, whichever it is."""
    task = asyncio.ensure_future(draining.drain(world, stages, watch=watch))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
