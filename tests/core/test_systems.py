"""Declaring and registering systems, and the order in which they run."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from sqlalchemy.orm import Session

from dam.core.components_markers import NeedsMetadataExtractionComponent as Marker
from dam.core.events import Event
from dam.core.exceptions import StageExecutionError, SystemRegistrationError
from dam.core.stages import SystemStage
from dam.core.system_params import EntityFailures, MarkedEntityList, Resource, WorldContext, WorldSession
from dam.core.systems import declaration_of, listens_for, system
from dam.core.world import World
from dam.models import Entity
from dam.services import ecs_service
from tests.core import queues
from tests.core.queues import STAGE

type Log = list[str]


class Storage:
    """A resource."""


class HappenedEvent(Event[str]):
    """An event."""


class SpecialEvent(HappenedEvent):
    """A special case of it."""


def _noting(
    log: Log,
    name: str,
    *,
    stage: SystemStage = STAGE,
    before: Sequence[Callable[..., object]] = (),
    after: Sequence[Callable[..., object]] = (),
) -> Callable[[], None]:
    """Return a system that writes its name down."""

    @system(stage=stage, before=before, after=after)
    def note() -> None:
        log.append(name)

    return note


def _run(world: World, *systems: Callable[..., Any]) -> None:
    for one in systems:
        world.register_system(one)
    queues.work(world)


def test_a_decorator_returns_the_function_itself() -> None:
    def answer() -> int:
        return 7

    assert system(stage=STAGE)(answer) is answer
    assert answer() == 7


def test_a_declaration_says_when_and_in_which_chunks() -> None:
    @system(stage=SystemStage.CONTENT_ANALYSIS, after=[test_a_decorator_returns_the_function_itself], chunk_size=9)
    def look() -> None:
        pass

    declaration = declaration_of(look)

    assert declaration is not None
    assert (declaration.runs_on, declaration.chunk_size) == (SystemStage.CONTENT_ANALYSIS, 9)
    assert declaration.after == (test_a_decorator_returns_the_function_itself,)


def test_an_undeclared_function_has_no_declaration() -> None:
    assert declaration_of(test_an_undeclared_function_has_no_declaration) is None


def test_a_chunk_holds_at_least_one_entity() -> None:
    with pytest.raises(ValueError, match="chunk_size"):
        system(stage=STAGE, chunk_size=0)


def test_a_function_that_is_declared_twice_is_refused() -> None:
    @listens_for(HappenedEvent)
    def handle() -> None:
        pass

    with pytest.raises(SystemRegistrationError, match="it is declared already"):
        listens_for(SpecialEvent)(handle)


def test_decorating_alone_makes_nothing_run(bare_world: World) -> None:
    log: Log = []
    _noting(log, "never")
    _run(bare_world)
    assert log == []


def test_systems_run_in_the_order_of_their_registration(bare_world: World) -> None:
    log: Log = []
    _run(bare_world, *(_noting(log, name) for name in "cab"))
    assert log == ["c", "a", "b"]


def test_registering_twice_is_registering_once(bare_world: World) -> None:
    log: Log = []
    one = _noting(log, "one")
    _run(bare_world, one, _noting(log, "two"), one)
    assert log == ["one", "two"]


def test_before_and_after_bend_the_order(bare_world: World) -> None:
    log: Log = []
    last = _noting(log, "last")
    middle = _noting(log, "middle", before=[last])
    first = _noting(log, "first", before=[middle])
    _run(bare_world, last, middle, first, _noting(log, "very last", after=[last]))
    assert log == ["first", "middle", "last", "very last"]


def test_what_has_no_say_keeps_its_place(bare_world: World) -> None:
    log: Log = []
    one, two, three = (_noting(log, name) for name in ("one", "two", "three"))
    _run(bare_world, one, two, three, _noting(log, "before two", before=[two]))
    assert log == ["one", "three", "before two", "two"]


def test_before_or_after_a_system_that_is_not_registered_means_nothing(bare_world: World) -> None:
    log: Log = []
    _run(bare_world, _noting(log, "one", after=[_noting(log, "absent")], before=[_noting(log, "away")]))
    assert log == ["one"]


def test_a_cycle_is_refused_at_registration_and_the_rest_still_runs(bare_world: World) -> None:
    log: Log = []
    one = _noting(log, "one")
    two = _noting(log, "two", after=[one])
    between = _noting(log, "between", after=[two], before=[one])
    with pytest.raises(SystemRegistrationError, match="before= and after= make a cycle") as caught:
        _run(bare_world, one, two, between)
    assert caught.value.function is between
    queues.work(bare_world)
    assert log == ["one", "two"]


def test_a_cycle_through_handlers_of_two_kinds_of_an_event_is_refused_at_registration(bare_world: World) -> None:
    @listens_for(HappenedEvent)
    def general() -> None:
        pass

    @listens_for(SpecialEvent, before=[general], after=[general])
    def special() -> None:
        pass

    bare_world.register_system(general)
    with pytest.raises(SystemRegistrationError, match="cycle"):
        bare_world.register_system(special)


def test_a_function_that_is_no_system_is_refused(bare_world: World) -> None:
    with pytest.raises(SystemRegistrationError, match="neither a @system nor does it listen"):
        bare_world.register_system(test_a_function_that_is_no_system_is_refused)


def test_a_system_that_cannot_be_supplied_is_not_registered(bare_world: World) -> None:
    @system(stage=STAGE)
    def store(storage: Resource[Storage]) -> None:
        raise AssertionError

    with pytest.raises(SystemRegistrationError, match="storage: the world has no resource of type"):
        bare_world.register_system(store)
    queues.work(bare_world)


def test_a_stage_runs_its_own_systems_only(bare_world: World) -> None:
    log: Log = []
    _run(bare_world, _noting(log, "mine"), _noting(log, "other", stage=SystemStage.POST_PROCESSING))
    assert log == ["mine"]


def test_an_async_system_is_awaited_before_the_next_begins(bare_world: World) -> None:
    log: Log = []

    @system(stage=STAGE)
    async def slow() -> None:
        await asyncio.sleep(0.01)
        log.append("slow")

    _run(bare_world, slow, _noting(log, "next"))
    assert log == ["slow", "next"]


def test_what_a_system_writes_is_committed(world: World) -> None:
    @system(stage=STAGE)
    def make(session: WorldSession) -> None:
        ecs_service.create_entity(session)

    _run(world, make)
    with world.reading() as session:
        assert len(ecs_service.entities_with(session)) == 1


def test_session_and_context_are_of_one_transaction(world: World) -> None:
    @system(stage=STAGE)
    def look(session: WorldSession, context: WorldContext) -> None:
        assert context.session is session
        assert (context.world_name, context.config) == (world.name, world.config)

    _run(world, look)


def test_a_system_that_raises_leaves_nothing_and_ends_the_stage(world: World) -> None:
    log: Log = []
    cause = RuntimeError("disk full\nreally")

    @system(stage=STAGE)
    def make_and_break(session: WorldSession) -> None:
        ecs_service.create_entity(session)
        raise cause

    with pytest.raises(StageExecutionError) as caught:
        _run(world, make_and_break, _noting(log, "next"))

    assert (caught.value.stage, caught.value.system) == (STAGE, make_and_break)
    assert caught.value.original_exception is cause
    assert caught.value.__cause__ is cause
    assert str(caught.value).endswith("make_and_break failed: RuntimeError: disk full")
    with world.reading() as session:
        assert ecs_service.entities_with(session) == []
    assert log == []


def test_what_earlier_systems_of_the_stage_did_is_kept_when_a_later_one_fails(world: World) -> None:
    @system(stage=STAGE)
    def make(session: WorldSession) -> None:
        ecs_service.create_entity(session)

    @system(stage=STAGE)
    def fail() -> None:
        raise RuntimeError

    with pytest.raises(StageExecutionError):
        _run(world, make, fail)
    with world.reading() as session:
        assert len(ecs_service.entities_with(session)) == 1


def test_a_system_is_called_by_a_test_with_plain_values(session: Session) -> None:
    @system(stage=STAGE)
    def count(session: WorldSession, todo: MarkedEntityList[Marker], failures: EntityFailures) -> int:
        failures.record(todo[0], "too small")
        return session.query(Entity).count() + len(todo)

    failures = EntityFailures()
    assert count(session, [1, 2], failures) == 2
    assert failures.reasons == {1: "too small"}
