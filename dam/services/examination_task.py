"""Files to be examined, as they travel to a worker process; importing this costs the worker next to nothing."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from dam.core.exceptions import NotARegularFile, os_reason
from dam.services.facts import Fact, Facts


class ExaminationTask(NamedTuple):
    """A file, its type, which of its readers are wanted, and the pixels that may be decoded."""

    entity_id: int
    path: str
    mime_type: str | None
    readers: tuple[str, ...]
    max_pixels: int


type PlainTask = tuple[int, str, str | None, tuple[str, ...], int]
"""A task as it travels: a plain tuple is pickled in a tenth of the time that a named one takes."""

type PlainFacts = tuple[list[tuple[type[Fact], tuple[Any, ...]]], tuple[str, ...]]
"""Facts as they travel: of each its kind and its values, and the problems."""


def warm_up() -> None:
    """Import what the first task would otherwise wait for."""
    from dam.services import examination  # noqa: F401 - importing it is the point


def run(task: ExaminationTask) -> Facts:
    """Examine a file here and now. One that can't be opened is a problem of that file."""
    [facts] = _examined([task])
    return facts


def run_all(tasks: Iterable[PlainTask]) -> list[PlainFacts]:
    """Examine files one after the other; see ``run``."""
    return [([(type(fact), fact[:]) for fact in facts.found], facts.problems) for facts in _examined(tasks)]


def facts_of(outcomes: Iterable[PlainFacts]) -> list[Facts]:
    """Return the facts that have come back."""
    return [Facts(tuple([kind(*values) for kind, values in found]), problems) for found, problems in outcomes]


def _examined(tasks: Iterable[PlainTask]) -> Iterator[Facts]:
    from dam.services.examination import Limits, examine

    for _, path, mime_type, readers, max_pixels in tasks:
        try:
            yield examine(path, mime_type, readers, Limits(max_pixels=max_pixels))
        except OSError as error:
            yield Facts(problems=(f"can't be read: {os_reason(error)}",))
        except NotARegularFile as error:
            yield Facts(problems=(str(error),))
