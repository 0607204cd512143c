"""Has files examined elsewhere, many at once, and saves what can be saved when one of them brings its process down."""

from collections.abc import Iterator, Mapping

from dam.core.config import ParserLimits
from dam.core.exceptions import TaskFailed
from dam.core.system_params import Offload
from dam.services import examination_task
from dam.services.content_service import Content
from dam.services.examination_task import PlainTask
from dam.services.facts import Facts
from dam.services.readers import catalogue

FILES_TOGETHER = 32
BYTES_TOGETHER = 8 << 20
SMALL_PICTURE_BYTES = 32 << 10

type _Group = list[PlainTask]


async def examine_all(offload: Offload, limits: ParserLimits, contents: Mapping[int, Content]) -> dict[int, Facts]:
    """Return the facts of each asset's file.

    Files that are quickly examined share a process for a moment, and all readers of a file do, so that it is opened and
    decoded once. When that process dies, or is over its limits, each file is tried again by itself, and then each
    reader: only the file at fault loses facts, and the entity keeps what the other readers find.
    """
    found: dict[int, list[Facts]] = {entity_id: [] for entity_id in contents}
    groups = list(_groups(limits, contents))
    while groups:
        outcomes = await offload.map(examination_task.run_all, groups)
        dead: list[_Group] = []
        for group, outcome in zip(groups, outcomes, strict=True):
            if not isinstance(outcome, TaskFailed):
                _add(found, group, examination_task.facts_of(outcome))
            elif parts := _split(group):
                dead += parts
            else:
                _add(found, group, [Facts(problems=(str(outcome),))])
        groups = dead
    return {entity_id: _merged(facts) for entity_id, facts in found.items()}


def _groups(limits: ParserLimits, contents: Mapping[int, Content]) -> Iterator[_Group]:
    """Give the files that have readers, quick ones many together: handing one over may cost more than examining it."""
    max_pixels = limits.max_pixels
    group: _Group = []
    size = 0
    for entity_id, content in contents.items():
        readers = catalogue.readers_for(content.mime_type)
        if not readers:
            continue
        task = (entity_id, content.path, content.mime_type, readers, max_pixels)
        if content.size_bytes > (SMALL_PICTURE_BYTES if "pixels" in readers else BYTES_TOGETHER):
            yield [task]
            continue
        group.append(task)
        size += content.size_bytes
        if len(group) == FILES_TOGETHER or size >= BYTES_TOGETHER:
            yield group
            group, size = [], 0
    if group:
        yield group


def _split(group: _Group) -> list[_Group]:
    """Return what to try one by one in the place of this; nothing when it can't be split."""
    if len(group) > 1:
        return [[task] for task in group]
    [(entity_id, path, mime_type, readers, max_pixels)] = group
    if len(readers) == 1:
        return []
    return [[(entity_id, path, mime_type, (reader,), max_pixels)] for reader in readers]


def _add(found: dict[int, list[Facts]], group: _Group, outcomes: list[Facts]) -> None:
    for task, facts in zip(group, outcomes, strict=True):
        found[task[0]].append(facts)


def _merged(parts: list[Facts]) -> Facts:
    if len(parts) == 1:
        return parts[0]
    return Facts(
        found=tuple(fact for facts in parts for fact in facts.found),
        problems=tuple(problem for facts in parts for problem in facts.problems),
    )
