"""Declares systems and handlers, and runs them: the scheduler owns every transaction."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.event import listen
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import ORMExecuteState, Session

from dam.core import claims, failures
from dam.core.components_markers import MarkerComponent
from dam.core.config import WorldConfig
from dam.core.conflicts import Patience
from dam.core.database import Database, is_unavailable, was_written_directly
from dam.core.events import Event
from dam.core.exceptions import (
    EventHandlingError,
    StageExecutionError,
    SystemRegistrationError,
    qualified_name,
)
from dam.core.resources import ResourceManager
from dam.core.stages import SystemStage
from dam.core.system_params import Invocation, WorldContext
from dam.core.system_plan import AnyFunction, Plan, compile_plan

CHUNK_SIZE = 500
CHUNKS_IN_FLIGHT = 3

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a decorator wrote down about a function: when it runs, and before and after which others."""

    runs_on: SystemStage | type[Event[Any]]
    before: tuple[AnyFunction, ...]
    after: tuple[AnyFunction, ...]
    chunk_size: int


def system[F: AnyFunction](
    *,
    stage: SystemStage,
    before: Sequence[AnyFunction] = (),
    after: Sequence[AnyFunction] = (),
    chunk_size: int = CHUNK_SIZE,
) -> Callable[[F], F]:
    """Declare a system of a stage. The function comes back unchanged, and runs only once a world registers it.

    ``chunk_size`` is how many marked entities it gets at a time, in one transaction; ValueError when less than one.
    """
    if chunk_size < 1:
        raise ValueError(f"chunk_size is {chunk_size}, and no chunk holds less than one entity")
    return _declare(Declaration(stage, tuple(before), tuple(after), chunk_size))


def listens_for[F: AnyFunction](
    event: type[Event[Any]], *, before: Sequence[AnyFunction] = (), after: Sequence[AnyFunction] = ()
) -> Callable[[F], F]:
    """Declare a handler of an event and of its subclasses. The function comes back unchanged, as from ``system``."""
    return _declare(Declaration(event, tuple(before), tuple(after), CHUNK_SIZE))


def declaration_of(function: AnyFunction) -> Declaration | None:
    """Return what a decorator wrote down about the function, or None when it wore none."""
    declared = getattr(function, "__dam_declaration__", None)
    return declared if isinstance(declared, Declaration) else None


def _declare[F: AnyFunction](declaration: Declaration) -> Callable[[F], F]:
    def decorate(function: F) -> F:
        if declaration_of(function) is not None:
            raise SystemRegistrationError(function, [("", "it is declared already")])
        function.__dam_declaration__ = declaration  # type: ignore[attr-defined]  # any function takes attributes
        return function

    return decorate


@dataclass(frozen=True, slots=True)
class _Registered:
    """A system or handler that the world runs."""

    declaration: Declaration
    plan: Plan


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Marked entities being worked on: their session, the versions of their marks."""

    session: Session
    claimed: dict[int, int]


class WorldScheduler:
    """Runs a world's systems by stage and its handlers by event."""

    def __init__(self, database: Database, resources: ResourceManager, config: WorldConfig) -> None:
        self._database = database
        self._resources = resources
        self._config = config
        self._registered: list[_Registered] = []

    def register(self, function: AnyFunction) -> None:
        """Make a declared function run; registering it again changes nothing.

        Raises ``SystemRegistrationError`` when it was not declared, when a parameter can't be supplied (all of them are
        named), or when its ``before`` and ``after`` make a cycle.
        """
        if any(known.plan.function is function for known in self._registered):
            return
        declaration = declaration_of(function)
        if declaration is None:
            raise SystemRegistrationError(function, [("", "it is neither a @system nor does it listen for an event")])
        runs_on = declaration.runs_on
        event_type = None if isinstance(runs_on, SystemStage) else runs_on
        plan = compile_plan(function, self._resources, event_type=event_type)
        candidate = [*self._registered, _Registered(declaration, plan)]
        _in_order(candidate)
        self._registered = candidate

    async def execute_stage(self, stage: SystemStage) -> None:
        """Run the stage's systems in order; those over marked entities until no mark is left.

        Raises ``StageExecutionError`` when a system raises: its chunk is rolled back and its marks are kept.
        """
        for known in _in_order([known for known in self._registered if known.declaration.runs_on is stage]):
            with _blamed(stage, known.plan.function):
                await self._run(known)

    async def dispatch[R](self, event: Event[R]) -> list[R]:
        """Let the event's handlers run now, in order, in one transaction; return what they answered other than None.

        They run again when the database ends their transaction because of another's. Raises ``EventHandlingError`` when
        one raises: what all of them wrote is rolled back.
        """
        kinds = type(event).__mro__
        handlers = _in_order([known for known in self._registered if known.declaration.runs_on in kinds])
        patience = Patience()
        while True:
            try:
                return await self._handle(event, handlers)
            except EventHandlingError as error:
                if not await patience.forgives(error.original_exception):
                    raise

    def is_idle(self, stage: SystemStage) -> bool:
        """Say whether no mark stands that a system of the stage would drain, be it claimed by somebody or not."""
        known = [known.plan.marker for known in self._registered if known.declaration.runs_on is stage]
        with self._database.reading() as session:
            return all(
                session.scalar(select(marker.entity_id).order_by(marker.entity_id).limit(1)) is None
                for marker in known
                if marker is not None
            )

    async def _handle[R](self, event: Event[R], handlers: Sequence[_Registered]) -> list[R]:
        answers: list[Any] = []
        current: AnyFunction | None = None
        try:
            with self._database.session() as session, session.begin():
                for known in handlers:
                    current = known.plan.function
                    answers.append(await known.plan.call(self._invocation(session, event=event)))
                    session.flush()
                current = None
        except Exception as error:
            raise EventHandlingError(event, current, error) from error
        return [answer for answer in answers if answer is not None]

    async def _run(self, known: _Registered) -> None:
        marker = known.plan.marker
        if marker is None:
            with self._database.session() as session, session.begin():
                await known.plan.call(self._invocation(session))
            return
        async with claims.draining(self._database):
            patience = Patience()
            while await self._drain_once(known, marker, patience):
                pass

    async def _drain_once(self, known: _Registered, marker: type[MarkerComponent], patience: Patience) -> bool:
        """Work once through all marks that stand now, in order of id; say whether there were any."""
        most = self._chunks_in_flight(known.plan)
        last = -1
        errors: Sequence[BaseException] = ()
        try:
            async with asyncio.TaskGroup() as tasks:
                working: set[asyncio.Task[None]] = set()
                while True:
                    if len(working) == most:
                        _, working = await asyncio.wait(working, return_when=asyncio.FIRST_COMPLETED)
                    chunk = self._claim(marker, after=last, limit=known.declaration.chunk_size)
                    if chunk is not None:
                        last = max(chunk.claimed)
                        working.add(self._start(tasks, self._work(known.plan, marker, chunk, patience), chunk))
                    elif working:  # while the last chunks are under way, somebody may mark more
                        _, working = await asyncio.wait(working, return_when=asyncio.FIRST_COMPLETED)
                    else:
                        break
        except BaseExceptionGroup as group:
            errors = group.exceptions
        if errors:
            _log_others(known.plan.function, errors[1:])
            raise errors[0]  # outside the except block, which would put the group in the place of its own cause
        return last >= 0

    def _chunks_in_flight(self, plan: Plan) -> int:
        """Return how many chunks may be under way: others only while one waits for its offloaded work."""
        alone = self._database.is_sqlite and self._database.file is None
        return CHUNKS_IN_FLIGHT if plan.offloads and not alone else 1

    def _claim(self, marker: type[MarkerComponent], *, after: int, limit: int) -> _Chunk | None:
        """Claim a chunk; on PostgreSQL its session keeps the locks, on SQLite no transaction is left open."""
        session = self._database.session()
        try:
            if self._database.is_sqlite:
                claimed = claims.claim(session, marker, after=after, limit=limit)
                session.rollback()
            else:
                share = claims.fair_share(session, marker, after=after, most=limit)
                claimed = claims.claim(session, marker, after=after, limit=share)
        except BaseException:
            session.close()
            raise
        if not claimed:
            session.close()
            return None
        return _Chunk(session, claimed)

    @staticmethod
    def _start(tasks: asyncio.TaskGroup, work: Coroutine[Any, Any, None], chunk: _Chunk) -> asyncio.Task[None]:
        task = tasks.create_task(work)
        task.add_done_callback(lambda _: _close(chunk.session))  # also when it is cancelled before it began
        return task

    async def _work(self, plan: Plan, marker: type[MarkerComponent], chunk: _Chunk, patience: Patience) -> None:
        """Work on a chunk; after a conflict with another transaction its marks are left for the next time round."""
        try:
            await self._work_on(plan, marker, chunk)
            patience.renew()
        except DBAPIError as error:
            if not await patience.forgives(error):
                raise

    async def _work_on(self, plan: Plan, marker: type[MarkerComponent], chunk: _Chunk) -> None:
        """Let the system work on a chunk, and write its results, failures and cleared marks in one transaction."""
        session = chunk.session
        invocation = self._invocation(session, entities=list(chunk.claimed), pause=self._pause(session))
        await plan.call(invocation)
        session.flush()
        failures.settle(session, plan.function, marker, chunk.claimed, invocation.failures.reasons)
        claims.clear(session, marker, chunk.claimed)
        session.commit()
        logger.debug("%s: %d entities done", plan.function.__name__, len(chunk.claimed))

    def _pause(self, session: Session) -> Callable[[], None]:
        written = _writes_of(session)

        def pause() -> None:
            if written or session.new or session.dirty or session.deleted or was_written_directly(session):
                raise RuntimeError("a system must not write before it offloads work: its transaction ends there")
            if self._database.is_sqlite:
                session.rollback()

        return pause

    def _invocation(
        self,
        session: Session,
        *,
        event: object = None,
        entities: Sequence[int] = (),
        pause: Callable[[], None] | None = None,
    ) -> Invocation:
        context = WorldContext(session, self._config.name, self._config, self._resources)
        return Invocation(context, event=event, entities=entities, pause=pause)


def _writes_of(session: Session) -> list[object]:
    """Return a list that is empty as long as nothing has been written through the session."""
    writes: list[object] = []

    def note(execution: ORMExecuteState) -> None:
        if not execution.is_select:
            writes.append(execution.statement)

    listen(session, "do_orm_execute", note)
    listen(session, "after_flush", lambda *flushed: writes.append(flushed))
    return writes


def _close(session: Session) -> None:
    """Give a session's connection back; one that is broken gives its locks back by itself."""
    try:
        session.close()
    except DBAPIError as error:
        logger.debug("a session could not be closed", exc_info=error)


def _log_others(function: AnyFunction, errors: Sequence[BaseException]) -> None:
    for error in errors:
        gone = isinstance(error, DBAPIError) and is_unavailable(error)  # which the first error says already
        level = logging.DEBUG if gone else logging.ERROR
        logger.log(level, "%s failed at another chunk too", qualified_name(function), exc_info=error)


@contextmanager
def _blamed(stage: SystemStage, function: AnyFunction) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise StageExecutionError(stage, function, error) from error


def _in_order(systems: list[_Registered]) -> list[_Registered]:
    """Return the systems in the order of their registration, bent by ``before`` and ``after``."""
    waiting = list(systems)
    ordered: list[_Registered] = []
    while waiting:
        ready = next((one for one in waiting if not _must_wait(one, waiting)), None)
        if ready is None:
            raise SystemRegistrationError(waiting[-1].plan.function, [("", "before= and after= make a cycle")])
        waiting.remove(ready)
        ordered.append(ready)
    return ordered


def _must_wait(one: _Registered, waiting: list[_Registered]) -> bool:
    function = one.plan.function
    return any(
        other is not one and (other.plan.function in one.declaration.after or function in other.declaration.before)
        for other in waiting
    )
