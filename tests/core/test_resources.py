"""Resources: opened with the world, closed with it in reverse order."""

import pytest

from dam.core.exceptions import ResourceNotFound
from dam.core.resources import ResourceManager


class Lamp:
    """Writes down when it is switched on and off."""

    def __init__(self, name: str, log: list[str], *, breaks_on: str = "") -> None:
        self._name = name
        self._log = log
        self._breaks_on = breaks_on

    def open(self) -> None:
        self._note("open")

    def close(self) -> None:
        self._note("close")

    def _note(self, what: str) -> None:
        self._log.append(f"{what} {self._name}")
        if what == self._breaks_on:
            raise RuntimeError(f"{self._name} is broken")


class FirstLamp(Lamp):
    """A kind of its own."""


class SecondLamp(Lamp):
    """Another kind."""


class ThirdLamp(Lamp):
    """And another."""


def _lamps(log: list[str], *, breaks_on: str = "") -> ResourceManager:
    resources = ResourceManager()
    resources.add(FirstLamp("first", log))
    resources.add(SecondLamp("second", log, breaks_on=breaks_on))
    resources.add(ThirdLamp("third", log))
    return resources


def test_resources_open_in_order_and_close_in_reverse() -> None:
    log: list[str] = []
    resources = _lamps(log).open()
    resources.close()
    assert log == ["open first", "open second", "open third", "close third", "close second", "close first"]


def test_when_one_does_not_open_those_before_it_are_closed() -> None:
    log: list[str] = []
    resources = _lamps(log, breaks_on="open")
    with pytest.raises(RuntimeError, match="second is broken"):
        resources.open()
    assert log == ["open first", "open second", "close first"]


def test_when_one_does_not_close_the_others_still_do() -> None:
    log: list[str] = []
    resources = _lamps(log, breaks_on="close").open()
    with pytest.raises(RuntimeError, match="second is broken"):
        resources.close()
    assert log[3:] == ["close third", "close second", "close first"]


def test_opening_and_closing_twice_is_doing_so_once() -> None:
    log: list[str] = []
    resources = _lamps(log).open().open()
    resources.close()
    resources.close()
    assert len(log) == 6


def test_closed_resources_can_be_opened_again() -> None:
    log: list[str] = []
    resources = _lamps(log).open()
    resources.close()
    resources.open()
    assert log[6:] == ["open first", "open second", "open third"]


def test_a_resource_of_two_kinds_is_opened_and_closed_once() -> None:
    log: list[str] = []
    lamp = FirstLamp("only", log)
    resources = ResourceManager()
    resources.add(lamp)
    resources.bind(Lamp).to(lamp)
    resources.open().close()
    assert log == ["open only", "close only"]


def test_a_resource_that_is_added_late_opens_at_once_and_closes_first() -> None:
    log: list[str] = []
    resources = _lamps(log).open()
    resources.bind(Lamp).to(Lamp("late", log))
    resources.close()
    assert log[3:5] == ["open late", "close late"]


def test_a_later_resource_takes_the_place_of_an_earlier_of_its_kind() -> None:
    resources = ResourceManager()
    resources.add("old")
    resources.add("new")
    assert resources.get(str) == "new"


def test_a_resource_is_found_by_the_kind_it_is_bound_to_and_no_other() -> None:
    resources = ResourceManager()
    resources.bind(Lamp).to(FirstLamp("bound", []))
    assert resources.has(Lamp)
    assert not resources.has(FirstLamp)


def test_a_missing_resource_is_named() -> None:
    with pytest.raises(ResourceNotFound, match="no resource of type Lamp") as caught:
        ResourceManager().get(Lamp)
    assert caught.value.kind is Lamp


def test_a_resource_without_open_and_close_is_left_alone() -> None:
    resources = ResourceManager()
    resources.add(7)
    resources.open().close()
    assert resources.get(int) == 7
