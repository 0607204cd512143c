"""A world: one database with its resources and its scheduler."""

from types import TracebackType
from typing import Self

from sqlalchemy.orm import Session

from dam.core.config import WorldConfig
from dam.core.database import Database
from dam.core.events import Event
from dam.core.resources import FileOperationsResource, ResourceManager
from dam.core.stages import SystemStage
from dam.core.system_plan import AnyFunction
from dam.core.systems import WorldScheduler


class World:
    """Everything that works on one database. Use it as a context manager: its resources open and close with it."""

    def __init__(self, config: WorldConfig) -> None:
        self.config = config
        self.database = Database(config.database_url)
        self.resources = ResourceManager()
        self.resources.add(FileOperationsResource())
        self.scheduler = WorldScheduler(self.database, self.resources, config)

    @property
    def name(self) -> str:
        """Return the world's name."""
        return self.config.name

    def register_system(self, function: AnyFunction) -> None:
        """Make a declared system or handler run in this world; see ``WorldScheduler.register``."""
        self.scheduler.register(function)

    async def execute_stage(self, stage: SystemStage) -> None:
        """Run a stage; see ``WorldScheduler.execute_stage``."""
        await self.scheduler.execute_stage(stage)

    async def dispatch[R](self, event: Event[R]) -> list[R]:
        """Have an event handled; see ``WorldScheduler.dispatch``."""
        return await self.scheduler.dispatch(event)

    def session(self) -> Session:
        """Return a session that may write; whoever opens it commits it."""
        return self.database.session()

    def reading(self) -> Session:
        """Return a session that only reads."""
        return self.database.reading()

    def open(self) -> Self:
        """Open the resources."""
        self.resources.open()
        return self

    def close(self) -> None:
        """Close the resources in reverse order, and then the database."""
        try:
            self.resources.close()
        finally:
            self.database.close()

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
