"""Opens a world that can take files in and read their facts: with its storage, its systems and its worker processes."""

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import AbstractContextManager, contextmanager

from sqlalchemy.exc import DBAPIError

from dam.cli import program
from dam.core.config import WorldConfig
from dam.core.database import is_unavailable
from dam.core.exceptions import DatabaseUnavailable, EventHandlingError, StageExecutionError
from dam.core.world import World
from dam.core.world_registrar import register_core_systems
from dam.models.file_location_component import LOCAL_CAS
from dam.services import asset_service, executors
from dam.services.file_storage import FileStorage, LocalFileStorage
from dam.services.intake_pool import IntakeProcesses


@contextmanager
def open_world(
    config: WorldConfig, *, jobs: int | None, storing: bool, executor_address: str | None = None
) -> Iterator[World]:
    """Open the world with all its systems; ``storing`` says that objects will be added.

    Heavy work is done by ``jobs`` processes, one for each core by default, or at ``executor_address``.
    Raises ``StorageMissing`` before anything is written when the database knows objects and the storage is not there.
    """
    with (
        workers(config, jobs=jobs, address=executor_address) as executor,
        World(config) as world,
        _unavailable_is_said(world),
    ):
        program.check_schema(world.database)
        _add_storage(world, storing=storing)
        world.resources.bind(Executor).to(executor)
        world.resources.add(IntakeProcesses(jobs or program.usable_cores()))
        register_core_systems(world)
        yield world


def workers(config: WorldConfig, *, jobs: int | None, address: str | None = None) -> AbstractContextManager[Executor]:
    """Give what does heavy work; see ``executors.opened``."""
    return executors.opened(config.limits, jobs=jobs or program.usable_cores(), address=address)


def _add_storage(world: World, *, storing: bool) -> None:
    if storing:
        program.allow_many_open_files()
    storage = LocalFileStorage(world.config.storage_path)
    with world.reading() as session:
        expect_objects = asset_service.has_stored_objects(session, LOCAL_CAS)
    if storing or expect_objects:
        storage.open_for_use(expect_objects=expect_objects)
    world.resources.bind(FileStorage).to(storage)  # type: ignore[type-abstract]  # an interface is a key too


@contextmanager
def _unavailable_is_said(world: World) -> Iterator[None]:
    """Turn the driver's word that the database does not answer into ``DatabaseUnavailable``, wherever it was said."""
    try:
        with world.database.unavailable_is_said():
            yield
    except (StageExecutionError, EventHandlingError) as error:
        cause = error.original_exception
        if isinstance(cause, DBAPIError) and is_unavailable(cause):
            raise DatabaseUnavailable(world.database.address, str(cause.orig).splitlines()[0]) from error
        raise
