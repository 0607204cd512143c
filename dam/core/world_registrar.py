"""The roll-call of systems: one that is not named here does not run."""

from dam.core.system_plan import AnyFunction
from dam.core.world import World
from dam.systems.ingestion_systems import record_imported_files, record_sources_seen_again
from dam.systems.metadata_systems import extract_metadata

CORE_SYSTEMS: tuple[AnyFunction, ...] = (record_imported_files, record_sources_seen_again, extract_metadata)


def register_core_systems(world: World) -> None:
    """Make all systems of the program run in this world; its resources must be there already."""
    for function in CORE_SYSTEMS:
        world.register_system(function)
