"""The roll-call of components: none is forgotten, and each has its table and what its kind promises."""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator

import pytest
from sqlalchemy import Table, UniqueConstraint

import dam
from dam import models
from dam.core import components_markers
from dam.core.components_markers import MarkerComponent
from dam.models import Entity
from dam.models.base import Base, Component, RepeatableComponent, SingleComponent
from dam.services import ecs_service

KINDS = ecs_service.component_kinds()
REPEATABLE = [kind for kind in KINDS if issubclass(kind, RepeatableComponent)]


def _table(kind: type[Base]) -> Table:
    assert isinstance(kind.__table__, Table)
    return kind.__table__


def _defined_tables() -> Iterator[type[Base]]:
    for module in pkgutil.walk_packages(dam.__path__, "dam."):
        if module.name.startswith(("dam.models", "dam.core", "dam.services", "dam.systems")):
            yield from _tables_of(module.name)


def _tables_of(module: str) -> Iterator[type[Base]]:
    for _, value in inspect.getmembers(importlib.import_module(module), inspect.isclass):
        if issubclass(value, Base) and "__tablename__" in vars(value):
            yield value


def test_every_component_of_the_package_is_in_a_roll_call() -> None:
    named = {getattr(models, name) for name in models.__all__}
    markers = {value for value in vars(components_markers).values() if isinstance(value, type)}
    defined = set(_defined_tables())
    assert {kind for kind in defined if not issubclass(kind, MarkerComponent)} == named
    assert {kind for kind in defined if issubclass(kind, MarkerComponent)} <= markers
    assert defined == {*ecs_service.component_kinds(), Entity}


def test_the_roll_call_is_sorted() -> None:
    assert sorted(models.__all__) == models.__all__


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_table_is_named_after_its_class(kind: type[Component]) -> None:
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__.removesuffix("Component"))
    assert kind.__tablename__ == words.lower()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_component_goes_with_its_entity(kind: type[Component]) -> None:
    [key] = _table(kind).foreign_keys
    assert (key.target_fullname, key.ondelete) == ("entity.id", "CASCADE")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_component_says_what_its_row_means(kind: type[Component]) -> None:
    assert vars(kind).get("__doc__")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_single_component_has_its_entity_for_a_key(kind: type[Component]) -> None:
    key = [column.name for column in _table(kind).primary_key]
    assert key == (["entity_id"] if issubclass(kind, SingleComponent) else ["id"])


@pytest.mark.parametrize("kind", REPEATABLE, ids=lambda kind: kind.__name__)
def test_a_repeatable_component_says_what_makes_two_rows_the_same_fact(kind: type[RepeatableComponent]) -> None:
    unique = [one for one in _table(kind).constraints if isinstance(one, UniqueConstraint)]
    assert [[column.name for column in one.columns] for one in unique] == [["entity_id", "fact_digest"]]
    assert set(kind.same_fact) <= set(_table(kind).columns.keys())


def test_every_constraint_and_index_has_a_name() -> None:
    for table in Base.metadata.tables.values():
        assert all(one.name for one in table.constraints), table.name
        assert all(one.name for one in table.indexes), table.name
