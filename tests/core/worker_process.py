"""A program that works on the queue of the world whose database's URL is its argument, until it is killed.

It writes dimensions for up to five entities a chunk, prints the first id of the third, and waits there for ever.
"""

import asyncio
import sys
import time
from pathlib import Path

from dam.core.components_markers import NeedsMetadataExtractionComponent
from dam.core.config import WorldConfig
from dam.core.system_params import MarkedEntityList, WorldSession
from dam.core.systems import system
from dam.core.world import World
from dam.models import ImageDimensionsComponent
from dam.services import ecs_service
from tests.core.queues import STAGE

CHUNK = 5


def main() -> None:
    """Work."""
    chunks = 0

    @system(stage=STAGE, chunk_size=CHUNK)
    def measure(session: WorldSession, todo: MarkedEntityList[NeedsMetadataExtractionComponent]) -> None:
        nonlocal chunks
        chunks += 1
        rows = [{"entity_id": entity, "width_pixels": 1, "height_pixels": 1} for entity in todo]
        ecs_service.add_components(session, ImageDimensionsComponent, rows)
        if chunks == 3:
            sys.stdout.write(f"{todo[0]}\n")
            sys.stdout.flush()
            time.sleep(600)

    with World(WorldConfig(database_url=sys.argv[1], storage_path=Path())) as world:
        world.register_system(measure)
        asyncio.run(world.execute_stage(STAGE))
