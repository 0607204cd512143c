"""Drains stages until nothing is marked any more, or for ever, beside any number of others who do the same."""

import asyncio
from collections.abc import Sequence

from dam.core.stages import SystemStage
from dam.core.world import World

LOOK_AGAIN_SECONDS = 0.25
WATCH_SECONDS = 2.0


async def drain(world: World, stages: Sequence[SystemStage], *, watch: bool) -> None:
    """Run the stages while anything is marked for them; with ``watch`` wait for new marks, and never return.

    Marks that others hold are waited for: should their holder die, they are worked on here. Cancelling gives what is
    under way back.
    """
    while True:
        busy = [stage for stage in stages if not world.scheduler.is_idle(stage)]
        for stage in busy:
            await world.execute_stage(stage)
        if not busy and not watch:
            return
        await asyncio.sleep(LOOK_AGAIN_SECONDS if busy else WATCH_SECONDS)
