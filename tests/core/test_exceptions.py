"""Errors: one root, each a line for people, each able to travel between processes."""

import pickle
from collections.abc import Iterator

import pytest

from dam.core import exceptions
from dam.core.exceptions import DamError, EventHandlingError, StageExecutionError, described, os_reason, qualified_name


def _kinds(kind: type[DamError] = DamError) -> Iterator[type[DamError]]:
    for subclass in kind.__subclasses__():
        if subclass.__module__ == exceptions.__name__:
            yield subclass
        yield from _kinds(subclass)


def fail() -> None:
    """Stand for a system."""


def test_every_error_of_the_module_has_the_one_root() -> None:
    defined = {value for value in vars(exceptions).values() if isinstance(value, type)}
    own = {kind for kind in defined if kind.__module__ == exceptions.__name__}
    assert own - {DamError} == set(_kinds())


@pytest.mark.parametrize("kind", [*dict.fromkeys(_kinds())])
def test_every_error_says_what_it_means_in_its_docstring(kind: type[DamError]) -> None:
    assert kind.__doc__


@pytest.mark.parametrize(
    "error",
    [
        exceptions.SchemaTooOld("here", "1", "2"),
        exceptions.DatabaseUnavailable("here", "gone"),
        exceptions.EntityNotFound(7),
        exceptions.TaskTimedOut(20),
        exceptions.WorkerCrashed(-9),
        exceptions.ObjectNotStored(OSError(28, "No space left on device")),
        exceptions.StorageNotWritable("/storage", OSError(13, "Permission denied")),
        StageExecutionError("stage", fail, ValueError("no")),
        EventHandlingError("event", fail, ValueError("no")),
    ],
)
def test_an_error_survives_the_way_between_processes(error: DamError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)


def test_an_error_is_described_by_its_kind_and_first_line() -> None:
    assert described(ValueError("one\ntwo")) == "ValueError: one"
    assert described(ValueError()) == "ValueError"
    assert described(ValueError("\ntwo")) == "ValueError"


def test_what_the_system_said_is_told_without_the_path() -> None:
    assert os_reason(OSError(2, "No such file or directory", "/secret/place")) == "No such file or directory"
    assert os_reason(OSError("odd")) == "odd"
    assert os_reason(TimeoutError()) == "TimeoutError"


def test_a_function_is_named_by_module_and_name() -> None:
    assert qualified_name(fail) == f"{__name__}.fail"
    assert "partial" in qualified_name(__import__("functools").partial(fail))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (exceptions.WorkerCrashed(-11), "decoder crashed (signal 11)"),
        (exceptions.WorkerCrashed(3), "decoder crashed (exit status 3)"),
        (exceptions.TaskTimedOut(20.0), "timed out after 20 s"),
        (exceptions.TaskOutOfMemory(), "ran out of memory"),
        (exceptions.EntityNotFound(7), "there is no asset 7"),
        (exceptions.InvalidDatabaseUrl("odd"), "DATABASE_URL can't be used: odd"),
        (exceptions.DatabaseUnavailable("db", "gone"), "the database db can't be used: gone"),
        (exceptions.NotARegularFile("a socket"), "not a regular file but a socket"),
    ],
)
def test_errors_word_themselves(error: DamError, words: str) -> None:
    assert str(error) == words
