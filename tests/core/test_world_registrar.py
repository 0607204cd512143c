"""The roll-call of systems: none is forgotten, and all can be registered."""

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any

import dam.systems
from dam.core.systems import declaration_of
from dam.core.world_registrar import CORE_SYSTEMS


def _declared_systems() -> set[Callable[..., Any]]:
    found = pkgutil.walk_packages(dam.systems.__path__, "dam.systems.")
    modules = [importlib.import_module(module.name) for module in found]
    return {value for module in modules for value in vars(module).values() if declaration_of(value) is not None}


def test_every_declared_system_is_in_the_roll_call_once() -> None:
    assert _declared_systems() == set(CORE_SYSTEMS)
    assert len(set(CORE_SYSTEMS)) == len(CORE_SYSTEMS)
