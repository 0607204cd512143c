"""Files to be examined, as they travel to a worker process; importing this costs the worker next to nothing."""

from collections.abc import Iterable
from typing import NamedTuple

from dam.core.exceptions import NotARegularFile, os_reason
from dam.services.facts import Facts


class ExaminationTask(NamedTuple):
    """A file, its type, which of its readers are wanted, and the pixels that may be decoded.

    A tuple, because that is pickled more quickly than a dataclass.
    """

    entity_id: int
    path: str
    mime_type: str | None
    readers: tuple[str, ...]
    max_pixels: int


def warm_up() -> None:
    """Import what the first task would otherwise wait for."""
    from dam.services import examination  # noqa: F401 - importing it is the point


def run(task: ExaminationTask) -> Facts:
    """Examine a file here and now. One that can't be opened is a problem of that file."""
    [facts] = run_all([task])
    return facts


def run_all(tasks: Iterable[ExaminationTask]) -> list[Facts]:
    """Examine files one after the other; see ``run``."""
    from dam.services.examination import Limits, examine

    def examined(task: ExaminationTask) -> Facts:
        try:
            return examine(task.path, task.mime_type, task.readers, Limits(max_pixels=task.max_pixels))
        except OSError as error:
            return Facts(problems=(f"can't be read: {os_reason(error)}",))
        except NotARegularFile as error:
            return Facts(problems=(str(error),))

    return [examined(task) for task in tasks]
