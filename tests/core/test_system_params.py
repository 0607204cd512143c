"""Parameters: every form in which a system may ask for what it needs."""

import asyncio
import re
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from sqlalchemy.orm import Session

from dam.core.components_markers import MarkerComponent
from dam.core.components_markers import NeedsMetadataExtractionComponent as Marker
from dam.core.config import WorldConfig
from dam.core.events import Event
from dam.core.exceptions import SystemRegistrationError, TaskFailed, TaskOutOfMemory
from dam.core.system_params import (
    ConfigParameter,
    ContextParameter,
    EntityFailures,
    EventParameter,
    FailuresParameter,
    Invocation,
    MarkedEntities,
    MarkedEntityList,
    Offload,
    OffloadParameter,
    Request,
    Resolver,
    Resource,
    ResourceParameter,
    SessionParameter,
    Unsuppliable,
    WorldContext,
    WorldSession,
)
from dam.core.system_plan import compile_plan
from dam.core.world import World
from dam.models import FilePropertiesComponent


class Storage:
    """A resource."""


class ImportedEvent(Event[int]):
    """An event."""


class SpecialImportedEvent(ImportedEvent):
    """A special case of it."""


@dataclass(frozen=True)
class WorldNameParameter:
    """A kind of parameter that the core knows nothing of."""

    suffix: str

    def compile(self, request: Request) -> Resolver:
        """Refuse anything but a text."""
        if request.kind is not str:
            raise Unsuppliable("a world's name is a text")
        return lambda invocation: invocation.context.world_name + self.suffix


type StorageAlias = Resource[Storage]
type Marked[M: MarkerComponent] = MarkedEntityList[M]


def _invocation(world: World, *, event: object = None, entities: Sequence[int] = ()) -> Invocation:
    context = WorldContext(Session(), world.name, world.config, world.resources)
    return Invocation(context, event=event, entities=entities)


def _given(
    world: World, annotation: Any, *, event: Event[Any] | None = None, **invocation: Any
) -> tuple[object, Invocation]:
    """Return what a parameter of this annotation is given, and the invocation it comes from."""
    plan = compile_plan(_taking(annotation), world.resources, event_type=type(event) if event is not None else None)
    call = _invocation(world, event=event, **invocation)
    return asyncio.run(plan.call(call)), call


def _taking(annotation: Any) -> Callable[..., object]:
    def function(value: object, todo: object = ()) -> object:
        return value

    function.__annotations__["value"] = annotation
    if annotation in (Offload, EntityFailures) or "Offload" in str(annotation) or "Failures" in str(annotation):
        function.__annotations__["todo"] = MarkedEntityList[Marker]
    return function


def _refusal(world: World, annotation: Any, event_type: type[Event[Any]] | None = None) -> str:
    with pytest.raises(SystemRegistrationError) as caught:
        compile_plan(_taking(annotation), world.resources, event_type=event_type)
    [(parameter, reason)] = caught.value.problems
    assert parameter == "value"
    return reason


@pytest.mark.parametrize("annotation", [WorldSession, Annotated[Session, SessionParameter()], "WorldSession"])
def test_a_session_is_that_of_the_transaction(bare_world: World, annotation: Any) -> None:
    given, invocation = _given(bare_world, annotation)
    assert given is invocation.context.session


@pytest.mark.parametrize("annotation", [WorldConfig, Annotated[WorldConfig, ConfigParameter()], "WorldConfig"])
def test_the_configuration_is_the_worlds(bare_world: World, annotation: Any) -> None:
    assert _given(bare_world, annotation)[0] is bare_world.config


@pytest.mark.parametrize("annotation", [WorldContext, Annotated[WorldContext, ContextParameter()]])
def test_the_context_holds_session_and_resources(bare_world: World, annotation: Any) -> None:
    context, invocation = _given(bare_world, annotation)
    assert isinstance(context, WorldContext)
    assert (context.session, context.resources) == (invocation.context.session, bare_world.resources)


@pytest.mark.parametrize(
    "annotation",
    [
        Resource[Storage],
        Annotated[Storage, ResourceParameter()],
        Annotated[Storage, "a remark", ResourceParameter()],
        Annotated[Resource[Storage], "a remark"],
        StorageAlias,
        Resource[Storage] | None,
        Annotated[Storage | None, ResourceParameter()],
        Annotated[Storage, ResourceParameter()] | None,
        StorageAlias | None,
        "Resource[Storage]",
        "Resource[Storage] | None",
        Resource["Storage"],
    ],
)
def test_a_resource_is_found_by_its_type_in_every_form(bare_world: World, annotation: Any) -> None:
    storage = Storage()
    bare_world.resources.add(storage)
    assert _given(bare_world, annotation)[0] is storage


@pytest.mark.parametrize(
    "annotation",
    [
        Resource[Storage] | None,
        None | Resource[Storage],
        Annotated[Storage | None, ResourceParameter()],
        Annotated[Storage, ResourceParameter()] | None,
        StorageAlias | None,
    ],
)
def test_an_optional_resource_may_be_missing_and_come_later(bare_world: World, annotation: Any) -> None:
    plan = compile_plan(_taking(annotation), bare_world.resources)
    assert asyncio.run(plan.call(_invocation(bare_world))) is None
    storage = Storage()
    bare_world.resources.add(storage)
    assert asyncio.run(plan.call(_invocation(bare_world))) is storage


@pytest.mark.parametrize(
    "annotation",
    [
        MarkedEntityList[Marker],
        Annotated[Sequence[int], MarkedEntities(Marker)],
        Marked[Marker],
        "MarkedEntityList[Marker]",
    ],
)
def test_marked_entities_name_their_marker_in_every_form(bare_world: World, annotation: Any) -> None:
    assert compile_plan(_taking(annotation), bare_world.resources).marker is Marker
    assert _given(bare_world, annotation, entities=[3, 5])[0] == [3, 5]


@pytest.mark.parametrize("annotation", [EntityFailures, Annotated[EntityFailures, FailuresParameter()]])
def test_failures_are_reported_to_the_invocation(bare_world: World, annotation: Any) -> None:
    given, invocation = _given(bare_world, annotation)
    assert given is invocation.failures


@pytest.mark.parametrize("annotation", [Offload, Annotated[Offload, OffloadParameter()]])
def test_offloading_uses_the_worlds_executor(bare_world: World, annotation: Any) -> None:
    with ThreadPoolExecutor(1, thread_name_prefix="elsewhere") as executor:
        bare_world.resources.bind(Executor).to(executor)
        offload, _ = _given(bare_world, annotation)
        assert isinstance(offload, Offload)
        [name] = asyncio.run(offload.map(_thread_name, [0]))
    assert str(name).startswith("elsewhere")


@pytest.mark.parametrize(
    "annotation", [ImportedEvent, Annotated[ImportedEvent, EventParameter()], Event[Any], Event, "ImportedEvent"]
)
def test_an_event_is_given_to_its_handler(bare_world: World, annotation: Any) -> None:
    event = ImportedEvent()
    assert _given(bare_world, annotation, event=event)[0] is event


def test_a_new_kind_of_parameter_needs_only_its_own_class(bare_world: World) -> None:
    assert _given(bare_world, Annotated[str, WorldNameParameter("!")])[0] == "default!"


@pytest.mark.parametrize(
    ("annotation", "reason"),
    [
        (Session, "nothing supplies Session; dam.core.system_params lists what can be asked for"),
        (int | None, "nothing supplies int;"),
        (Annotated[int, "a remark"], "nothing supplies int;"),
        (Annotated[Storage, ResourceParameter], "nothing supplies Storage;"),
        (Resource[Storage], "the world has no resource of type Storage"),
        (Resource[list[int]], "a resource is asked for by its class, not by list"),
        (Resource, "its annotation does not resolve"),
        (Annotated[int, SessionParameter()], "a session is of type Session, not int"),
        (Annotated[int, WorldNameParameter("")], "a world's name is a text"),
        (MarkedEntityList[FilePropertiesComponent], "FilePropertiesComponent is no marker component"),
        (MarkedEntityList[MarkerComponent], "MarkerComponent is no marker component"),
        (MarkedEntityList, "None is no marker component"),
        (Annotated[Sequence[int], MarkedEntities()], "None is no marker component"),
        (Annotated[Sequence[int], MarkedEntities(int)], "int is no marker component"),
        (ImportedEvent, "only a handler can be given an event"),
        ("Nowhere", "its annotation does not resolve: name 'Nowhere' is not defined"),
        ("Resource[Nowhere]", "its annotation does not resolve: name 'Nowhere'"),
        ("Resource[", "its annotation does not resolve"),
        ("re.nowhere", "its annotation does not resolve"),
    ],
)
def test_what_cannot_be_supplied_is_said_at_registration(bare_world: World, annotation: Any, reason: str) -> None:
    assert re.escape(reason) in re.escape(_refusal(bare_world, annotation))


def test_an_alias_that_does_not_resolve_is_said_at_registration(bare_world: World) -> None:
    type Lost = Resource[Nowhere]  # type: ignore[name-defined]  # noqa: F821 - on purpose
    assert "its annotation does not resolve" in _refusal(bare_world, Lost)


@pytest.mark.parametrize(
    ("annotation", "reason"),
    [
        (MarkedEntityList[Marker], "a handler can't be given marked entities"),
        (SpecialImportedEvent, "the handler listens for ImportedEvent, not for SpecialImportedEvent"),
        (Annotated[int, EventParameter()], "the handler listens for ImportedEvent, not for int"),
    ],
)
def test_what_a_handler_cannot_be_given_is_said_at_registration(
    bare_world: World, annotation: Any, reason: str
) -> None:
    assert reason in _refusal(bare_world, annotation, ImportedEvent)


def test_a_base_class_of_the_event_may_be_asked_for(bare_world: World) -> None:
    event = SpecialImportedEvent()
    assert _given(bare_world, ImportedEvent, event=event)[0] is event


def test_offloaded_results_come_in_the_order_of_the_inputs() -> None:
    with ThreadPoolExecutor(3) as executor:
        results = asyncio.run(Offload(executor).map(abs, range(-9, 0)))
    assert results == list(range(9, 0, -1))


@pytest.mark.parametrize("threads", [0, 2])
def test_a_task_that_fails_for_its_input_is_a_value(threads: int) -> None:
    with ThreadPoolExecutor(threads or 1) as executor:
        results = asyncio.run(Offload(executor if threads else None).map(_double_small, [1, 1000, 2]))
    assert results[0::2] == [2, 4]
    assert isinstance(results[1], TaskFailed)


@pytest.mark.parametrize("threads", [0, 2])
def test_a_broken_function_is_an_error(threads: int) -> None:
    with ThreadPoolExecutor(threads or 1) as executor, pytest.raises(ZeroDivisionError):
        asyncio.run(Offload(executor if threads else None).map(_divide_by, [1, 0, 2]))


def test_what_breaks_is_raised_before_what_comes_first_is_done() -> None:
    end = threading.Event()

    def wait_for_end(number: int) -> bool:
        return end.wait(10) if number else bool(1 / number)

    with ThreadPoolExecutor(2) as executor:
        try:
            with pytest.raises(ZeroDivisionError):
                asyncio.run(Offload(executor).map(wait_for_end, [1, 0]))
            assert not end.is_set()
        finally:
            end.set()


class Batches(ThreadPoolExecutor):
    """Takes many tasks at once, and notes how many."""

    def __init__(self) -> None:
        super().__init__(1)
        self.sizes: list[int] = []

    def submit_all[T, R](self, function: Callable[[T], R], inputs: Iterable[T]) -> list[Future[R]]:
        futures = [self.submit(function, value) for value in inputs]
        self.sizes.append(len(futures))
        return futures


def test_an_executor_that_takes_many_tasks_at_once_gets_them_so() -> None:
    with Batches() as executor:
        assert asyncio.run(Offload(executor).map(abs, [-1, -2, -3])) == [1, 2, 3]
        assert asyncio.run(Offload(executor).map(abs, [])) == []
    assert executor.sizes == [3, 0]


def test_a_failure_that_is_reported_again_has_the_last_reason() -> None:
    failures = EntityFailures()
    failures.record(7, "first")
    failures.record(7, "last")
    assert failures.reasons == {7: "last"}


def _thread_name(_: int) -> str:
    return threading.current_thread().name


def _double_small(number: int) -> int:
    if number > 100:
        raise TaskOutOfMemory
    return 2 * number


def _divide_by(number: int) -> float:
    return 1 / number
