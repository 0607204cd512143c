"""Everything that a system may ask for, by the annotations of its parameters.

=================================  =============================================================================
annotation                         what the system gets
=================================  =============================================================================
``WorldSession``                   the SQLAlchemy session of the transaction it runs in; the scheduler commits it
``WorldConfig``                    the world's configuration
``WorldContext``                   the world's name, configuration and resources, and that session, in one object
``Resource[T]``                    the world's resource of type T; ``Resource[T] | None`` if it may be missing
``MarkedEntityList[M]``            ids of entities marked with M, in chunks; their marks are cleared at the end
``EntityFailures``                 where to report those of the marked entities that can't be worked on
``Offload``                        runs a pure function over many inputs while no transaction is open
an ``Event`` class                 the event that is being handled
=================================  =============================================================================

Each has a written-out form, ``Annotated[T, parameter kind]``: ``Annotated[Session, SessionParameter()]``,
``Annotated[T, ResourceParameter()]``, ``Annotated[Sequence[int], MarkedEntities(M)]`` and so on. A new kind is a class
with one method, ``compile``; the scheduler needs no change for it.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import CancelledError, Executor, Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Annotated, Any, Protocol, get_origin, runtime_checkable

from sqlalchemy.orm import Session

from dam.core.components_markers import MarkerComponent
from dam.core.config import WorldConfig
from dam.core.events import Event
from dam.core.exceptions import TaskFailed, WorkersUnavailable
from dam.core.resources import ResourceManager


@dataclass(frozen=True, slots=True)
class WorldContext:
    """A world as a system sees it in one transaction."""

    session: Session
    world_name: str
    config: WorldConfig
    resources: ResourceManager


@dataclass(frozen=True, slots=True)
class EntityFailures:
    """Entities that can't be worked on, with the reason. They lose their mark and do not stop the others."""

    reasons: dict[int, str] = field(default_factory=dict)

    def record(self, entity_id: int, reason: str) -> None:
        """Report an entity; reporting it again replaces the reason."""
        self.reasons[entity_id] = reason


@runtime_checkable
class BatchExecutor(Protocol):
    """An executor that takes many tasks at once for less than one after the other."""

    def submit_all[T, R](self, function: Callable[[T], R], inputs: Iterable[T], /) -> list[Future[R]]:
        """Queue a call for each input."""
        ...


class Offload:
    """Runs a pure function over many inputs on an executor while the session's transaction is set aside.

    On SQLite the transaction ends first, so that nobody waits for it; on PostgreSQL it keeps the locks of the claimed
    marks. So a system reads, offloads, and then writes: it must not have written anything before.
    """

    def __init__(self, executor: Executor | None = None, pause: Callable[[], None] | None = None) -> None:
        self._executor = executor
        self._pause = pause

    async def map[T, R](self, function: Callable[[T], R], inputs: Iterable[T]) -> list[R | TaskFailed]:
        """Return the function's results in the order of the inputs; a task that failed for its input is a value.

        Without an executor the function runs here and now. What else a task raises ends the others that have not begun.
        """
        if self._pause is not None:
            self._pause()
        if self._executor is None:
            return [_attempt(function, value) for value in inputs]
        futures = _submitted(self._executor, function, inputs)
        try:
            broken = await _first_broken(futures)
            return _outcomes(futures if broken is None else [broken])
        finally:
            for future in futures:
                future.cancel()


def _attempt[T, R](function: Callable[[T], R], value: T) -> R | TaskFailed:
    try:
        return function(value)
    except TaskFailed as failure:
        return failure


def _submitted[T, R](executor: Executor, function: Callable[[T], R], inputs: Iterable[T]) -> list[Future[R]]:
    if isinstance(executor, BatchExecutor):
        return executor.submit_all(function, inputs)
    return [executor.submit(function, value) for value in inputs]


async def _first_broken[R](futures: Sequence[Future[R]]) -> Future[R] | None:
    """Wait until all are done, or one is broken, and return that; the event loop is woken once, not by each of them."""
    loop = asyncio.get_running_loop()
    end: asyncio.Future[Future[R] | None] = loop.create_future()
    waited_for = list(futures)

    def count(future: Future[R]) -> None:
        waited_for.pop()
        broken = _is_broken(future)
        if broken or not waited_for:
            with suppress(RuntimeError):  # the loop has been closed: nobody waits any more
                loop.call_soon_threadsafe(_end_waiting, end, future if broken else None)

    for future in futures:
        future.add_done_callback(count)
    return await end if futures else None


def _is_broken(future: Future[Any]) -> bool:
    return future.cancelled() or not isinstance(future.exception(), TaskFailed | None)


def _end_waiting[R](end: asyncio.Future[R], result: R) -> None:
    if not end.done():
        end.set_result(result)


def _outcomes[R](futures: Iterable[Future[R]]) -> list[R | TaskFailed]:
    outcomes = map(_outcome, futures)  # by itself, or mypy takes the result's type for R
    return list(outcomes)


def _outcome[R](future: Future[R]) -> R | TaskFailed:
    try:
        return future.result(timeout=0)
    except TaskFailed as failure:
        return failure
    except CancelledError:
        # Passed on, this would look as if somebody had cancelled the chunk, which is no error.
        raise WorkersUnavailable("the executor gave the task up") from None


@dataclass(slots=True)
class Invocation:
    """What one call of a system can be given."""

    context: WorldContext
    failures: EntityFailures = field(default_factory=EntityFailures)
    entities: Sequence[int] = ()
    event: object = None
    pause: Callable[[], None] | None = None


type Resolver = Callable[[Invocation], object]


@dataclass(frozen=True, slots=True)
class Request:
    """What is known of a parameter when its system is registered.

    ``kind`` is its annotation without ``Annotated`` and ``| None``; ``arguments`` are those of a generic alias.
    """

    kind: Any
    arguments: tuple[Any, ...]
    optional: bool
    resources: ResourceManager
    event_type: type[Event[Any]] | None


class Unsuppliable(Exception):
    """The parameter can't be supplied; its text says why."""


class ParameterKind(Protocol):
    """A way to supply a parameter."""

    def compile(self, request: Request) -> Resolver:
        """Return what gives the value at each call, or raise ``Unsuppliable``; called once, at registration."""


@dataclass(frozen=True, slots=True)
class SessionParameter:
    """Supplies the session."""

    def compile(self, request: Request) -> Resolver:
        """Check that a ``Session`` is asked for."""
        if request.kind is not Session:
            raise Unsuppliable(f"a session is of type Session, not {_name(request.kind)}")
        return lambda invocation: invocation.context.session


@dataclass(frozen=True, slots=True)
class ConfigParameter:
    """Supplies the world's configuration."""

    def compile(self, request: Request) -> Resolver:  # noqa: ARG002 - the protocol's signature
        """Need nothing."""
        return lambda invocation: invocation.context.config


@dataclass(frozen=True, slots=True)
class ContextParameter:
    """Supplies the world's context."""

    def compile(self, request: Request) -> Resolver:  # noqa: ARG002 - the protocol's signature
        """Need nothing."""
        return lambda invocation: invocation.context


@dataclass(frozen=True, slots=True)
class FailuresParameter:
    """Supplies the place to report entities."""

    def compile(self, request: Request) -> Resolver:  # noqa: ARG002 - the protocol's signature
        """Need nothing."""
        return lambda invocation: invocation.failures


@dataclass(frozen=True, slots=True)
class OffloadParameter:
    """Supplies the way to run pure functions elsewhere: on the world's ``Executor`` resource, or here if none."""

    def compile(self, request: Request) -> Resolver:
        """Look for the executor."""
        resources = request.resources
        return lambda invocation: Offload(
            resources.get(Executor) if resources.has(Executor) else None, invocation.pause
        )


@dataclass(frozen=True, slots=True)
class ResourceParameter:
    """Supplies a resource by its type."""

    def compile(self, request: Request) -> Resolver:
        """Look the resource up once; a missing one is an error unless the parameter may be None."""
        kind, resources = request.kind, request.resources
        if not isinstance(kind, type):
            raise Unsuppliable(f"a resource is asked for by its class, not by {_name(kind)}")
        if request.optional:
            return lambda _: resources.get(kind) if resources.has(kind) else None
        if not resources.has(kind):
            raise Unsuppliable(f"the world has no resource of type {_name(kind)}")
        return lambda _: resources.get(kind)


@dataclass(frozen=True, slots=True)
class MarkedEntities:
    """Supplies a chunk of the entities that bear a mark."""

    marker: Any = None

    def compile(self, request: Request) -> Resolver:
        """Check that the marker is one."""
        self.marker_of(request)
        return lambda invocation: invocation.entities

    def marker_of(self, request: Request) -> type[MarkerComponent]:
        """Return the marker that is named here or as the alias's argument."""
        marker = self.marker if self.marker is not None else next(iter(request.arguments), None)
        if isinstance(marker, type) and issubclass(marker, MarkerComponent) and marker is not MarkerComponent:
            return marker
        raise Unsuppliable(f"{_name(marker)} is no marker component")


@dataclass(frozen=True, slots=True)
class EventParameter:
    """Supplies the event that is being handled."""

    def compile(self, request: Request) -> Resolver:
        """Check that the handler listens for this kind of event."""
        listened = request.event_type
        if listened is None:
            raise Unsuppliable("only a handler can be given an event")
        asked = get_origin(request.kind) or request.kind
        if not (isinstance(asked, type) and issubclass(listened, asked)):
            raise Unsuppliable(f"the handler listens for {_name(listened)}, not for {_name(request.kind)}")
        return lambda invocation: invocation.event


type Resource[T] = Annotated[T, ResourceParameter()]
type MarkedEntityList[M: MarkerComponent] = Annotated[Sequence[int], MarkedEntities()]
WorldSession = Annotated[Session, SessionParameter()]


def implied_kind(annotation: Any) -> ParameterKind | None:
    """Return the kind that a bare class means by itself, or None when it means nothing here."""
    kinds: dict[Any, ParameterKind] = {
        WorldConfig: ConfigParameter(),
        WorldContext: ContextParameter(),
        EntityFailures: FailuresParameter(),
        Offload: OffloadParameter(),
    }
    if annotation in kinds:
        return kinds[annotation]
    event = get_origin(annotation) or annotation
    if isinstance(event, type) and issubclass(event, Event):
        return EventParameter()
    return None


def _name(value: object) -> str:
    return getattr(value, "__qualname__", None) or repr(value)
