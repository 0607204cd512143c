"""Plans: a function's parameters are worked out once, and every one that can't be is named."""

import asyncio
import functools
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.orm import Session

from dam.core.components_markers import NeedsMetadataExtractionComponent as Marker
from dam.core.config import WorldConfig
from dam.core.exceptions import SystemRegistrationError
from dam.core.system_params import (
    EntityFailures,
    Invocation,
    MarkedEntityList,
    Offload,
    Resource,
    WorldContext,
    WorldSession,
)
from dam.core.system_plan import compile_plan
from dam.core.world import World
from tests.core import future_annotations
from tests.core.future_annotations import CountedEvent, Storage


def _call(world: World, function: Callable[..., object], **plan: Any) -> object:
    context = WorldContext(Session(), world.name, world.config, world.resources)
    invocation = Invocation(context, event=CountedEvent(), entities=[1, 2])
    return asyncio.run(compile_plan(function, world.resources, **plan).call(invocation))


def _problems(world: World, function: Callable[..., object], **plan: Any) -> dict[str, str]:
    with pytest.raises(SystemRegistrationError) as caught:
        compile_plan(function, world.resources, **plan)
    assert caught.value.function is function
    return dict(caught.value.problems)


def test_every_parameter_that_cannot_be_supplied_is_named_at_once(bare_world: World) -> None:
    def need(one: Resource[Storage], config: WorldConfig, two: int, three, *rest: int, **more: int) -> None:  # type: ignore[no-untyped-def]  # on purpose
        pass

    problems = _problems(bare_world, need)

    assert list(problems) == ["one", "two", "three", "rest", "more"]
    assert problems["three"] == "it has no annotation"
    assert problems["rest"] == "a system's parameters are passed by name, one by one"


def test_the_error_names_the_function_and_each_parameter(bare_world: World) -> None:
    def need(one: Resource[Storage], two: int) -> None:
        pass

    with pytest.raises(SystemRegistrationError) as caught:
        compile_plan(need, bare_world.resources)

    assert str(caught.value).startswith(f"{__name__}.{need.__qualname__} can't be registered: one: the world has no")
    assert "; two: nothing supplies int" in str(caught.value)


def test_annotations_that_are_texts_are_resolved_in_their_own_module(bare_world: World) -> None:
    plan = compile_plan(future_annotations.drain, bare_world.resources)
    assert plan.marker is Marker
    assert [name for name, _ in plan.resolvers] == ["session", "config", "storage", "todo"]


def test_a_text_that_does_not_resolve_does_not_hide_the_other_problems(bare_world: World) -> None:
    problems = _problems(bare_world, future_annotations.needs_too_much)
    assert list(problems) == ["storage", "lost"]
    assert "name 'Nowhere' is not defined" in problems["lost"]


def test_an_async_function_is_awaited(bare_world: World) -> None:
    bare_world.resources.add(Storage())
    assert _call(bare_world, future_annotations.count, event_type=CountedEvent) == 7


def test_a_wrapped_function_is_called_through_its_wrapper(bare_world: World) -> None:
    def name_of(config: WorldConfig) -> str:
        return config.name

    @functools.wraps(name_of)
    def loudly(*args: Any, **kwargs: Any) -> str:
        return name_of(*args, **kwargs).upper()

    assert _call(bare_world, loudly) == "DEFAULT"


def test_keyword_only_parameters_are_supplied(bare_world: World) -> None:
    def name_of(*, config: WorldConfig) -> str:
        return config.name

    assert _call(bare_world, name_of) == "default"


def test_a_parameter_that_nothing_supplies_keeps_its_default(bare_world: World) -> None:
    def answer(config: WorldConfig, number: int = 7, anything=8) -> int:  # type: ignore[no-untyped-def]  # on purpose
        return number + int(anything)

    assert _call(bare_world, answer) == 15


def test_a_parameter_that_can_be_supplied_is_in_spite_of_a_default(bare_world: World) -> None:
    def supplied(config: WorldConfig | None = None, todo: MarkedEntityList[Marker] = ()) -> tuple[object, ...]:
        return (config, todo)

    assert _call(bare_world, supplied) == (bare_world.config, [1, 2])


def test_a_positional_only_parameter_is_refused(bare_world: World) -> None:
    def need(session: WorldSession, /) -> None:
        pass

    assert list(_problems(bare_world, need)) == ["session"]


def test_a_system_drains_one_marker_at_the_most(bare_world: World) -> None:
    def drain(one: MarkedEntityList[Marker], two: MarkedEntityList[Marker]) -> None:
        pass

    assert _problems(bare_world, drain) == {"two": "a system drains one marker at the most"}


def test_failures_and_offloading_are_for_systems_over_marked_entities(bare_world: World) -> None:
    def work(failures: EntityFailures, offload: Offload) -> None:
        pass

    assert list(_problems(bare_world, work)) == ["failures", "offload"]
    assert list(_problems(bare_world, work, event_type=CountedEvent)) == ["failures", "offload"]


def test_a_system_without_parameters_is_called(bare_world: World) -> None:
    def answer() -> int:
        return 7

    assert _call(bare_world, answer) == 7
