"""Dispatching events: handlers in order, in one transaction, whose answers come back."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from dam.core.events import Event
from dam.core.exceptions import EventHandlingError
from dam.core.system_params import WorldSession
from dam.core.systems import listens_for
from dam.core.world import World
from dam.models import ImageDimensionsComponent
from dam.services import ecs_service

PROMISE = "CREATE TABLE promise (entity_id BIGINT REFERENCES entity (id) DEFERRABLE INITIALLY DEFERRED)"


@dataclass(frozen=True)
class GreetedEvent(Event[str]):
    """Somebody was greeted; answered with what to say."""

    name: str


@dataclass(frozen=True)
class KissedEvent(GreetedEvent):
    """A warmer greeting."""


def _answering(answer: str | None) -> Callable[..., str | None]:
    @listens_for(GreetedEvent)
    def handle(event: GreetedEvent) -> str | None:
        return answer and f"{answer} {event.name}"

    return handle


@listens_for(GreetedEvent)
def make_entity(event: GreetedEvent, session: WorldSession) -> str:
    """Write something."""
    return str(ecs_service.create_entity(session))


def _dispatch(world: World, event: GreetedEvent, *handlers: Callable[..., object]) -> list[str]:
    for handler in handlers:
        world.register_system(handler)
    return asyncio.run(world.dispatch(event))


def _entities(world: World) -> list[int]:
    with world.reading() as session:
        return ecs_service.entities_with(session)


def test_answers_come_back_in_order_without_none(bare_world: World) -> None:
    handlers = [_answering("hello"), _answering(None), _answering(""), _answering("good day")]
    assert _dispatch(bare_world, GreetedEvent("Ada"), *handlers) == ["hello Ada", "", "good day Ada"]


def test_an_event_that_nobody_listens_for_has_no_answers(bare_world: World) -> None:
    assert _dispatch(bare_world, GreetedEvent("Ada")) == []


def test_async_handlers_answer_too(bare_world: World) -> None:
    @listens_for(GreetedEvent)
    async def handle(event: GreetedEvent) -> str:
        await asyncio.sleep(0)
        return event.name

    assert _dispatch(bare_world, GreetedEvent("Ada"), handle) == ["Ada"]


def test_handlers_of_a_base_class_hear_the_special_event_in_order(bare_world: World) -> None:
    @listens_for(KissedEvent)
    def blush(event: KissedEvent) -> str:
        return "blush"

    first, last = _answering("hello"), _answering("bye")
    assert _dispatch(bare_world, KissedEvent("Ada"), first, blush, last) == ["hello Ada", "blush", "bye Ada"]
    assert _dispatch(bare_world, GreetedEvent("Ada")) == ["hello Ada", "bye Ada"]


def test_after_bends_the_order_of_handlers_of_different_kinds(bare_world: World) -> None:
    last = _answering("last")

    @listens_for(KissedEvent, before=[last])
    def blush(event: KissedEvent) -> str:
        return "blush"

    assert _dispatch(bare_world, KissedEvent("Ada"), last, blush) == ["blush", "last Ada"]


def test_what_handlers_wrote_is_committed_at_once(world: World) -> None:
    [made] = _dispatch(world, GreetedEvent("Ada"), make_entity)
    assert _entities(world) == [int(made)]


def test_handlers_see_what_earlier_ones_wrote(world: World) -> None:
    @listens_for(GreetedEvent)
    def count(session: WorldSession) -> str:
        return str(len(ecs_service.entities_with(session)))

    assert _dispatch(world, GreetedEvent("Ada"), make_entity, count)[1] == "1"


def test_a_failing_handler_rolls_all_of_them_back(world: World) -> None:
    cause = RuntimeError("no")

    @listens_for(GreetedEvent)
    def fail() -> None:
        raise cause

    event = GreetedEvent("Ada")
    with pytest.raises(EventHandlingError, match=r"event GreetedEvent: .*fail failed: RuntimeError: no") as caught:
        _dispatch(world, event, make_entity, fail, _answering("never"))

    assert (caught.value.event, caught.value.handler) == (event, fail)
    assert caught.value.original_exception is cause
    assert caught.value.__cause__ is cause
    assert _entities(world) == []


def test_what_a_handler_left_unflushed_is_its_own_fault(world: World) -> None:
    @listens_for(GreetedEvent)
    def add_to_nobody(session: WorldSession) -> None:
        session.add(ImageDimensionsComponent(entity_id=99, width_pixels=1, height_pixels=1))

    with pytest.raises(EventHandlingError) as caught:
        _dispatch(world, GreetedEvent("Ada"), add_to_nobody, _answering("innocent"))
    assert caught.value.handler is add_to_nobody


def test_a_commit_that_fails_blames_no_handler(world: World) -> None:
    with world.database.engine.begin() as connection:
        connection.execute(text(PROMISE))

    @listens_for(GreetedEvent)
    def promise(session: WorldSession) -> None:
        session.execute(text("INSERT INTO promise VALUES (99)"))

    with pytest.raises(EventHandlingError, match="event GreetedEvent: the commit failed: IntegrityError") as caught:
        _dispatch(world, GreetedEvent("Ada"), make_entity, promise, _answering("innocent"))

    assert caught.value.handler is None
    assert isinstance(caught.value.original_exception, IntegrityError)
    assert _entities(world) == []
