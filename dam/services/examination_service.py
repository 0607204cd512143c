"""Has files examined elsewhere, many at once, and saves what can be saved when a reader brings its process down."""

from collections.abc import Mapping

from dam.core.config import ParserLimits
from dam.core.exceptions import TaskFailed
from dam.core.system_params import Offload
from dam.services import examination_task
from dam.services.content_service import Content
from dam.services.examination_task import ExaminationTask
from dam.services.facts import Facts
from dam.services.readers import catalogue


async def examine_all(offload: Offload, limits: ParserLimits, contents: Mapping[int, Content]) -> dict[int, Facts]:
    """Return the facts of each asset's file.

    All readers of a file share one process, so that it is opened and decoded once. When that process dies, each of them
    is tried again by itself: the entity keeps what the others find.
    """
    tasks = [_task(entity_id, content, limits) for entity_id, content in contents.items()]
    found: dict[int, list[Facts]] = {entity_id: [] for entity_id in contents}
    dead = await _examine(offload, [task for task in tasks if task.readers], found)
    await _examine(offload, [task._replace(readers=(reader,)) for task in dead for reader in task.readers], found)
    return {entity_id: _merged(facts) for entity_id, facts in found.items()}


async def _examine(
    offload: Offload, tasks: list[ExaminationTask], found: dict[int, list[Facts]]
) -> list[ExaminationTask]:
    """Add to what was found; return the tasks that brought their process down and can be split."""
    dead = []
    outcomes = await offload.map(examination_task.run, tasks) if tasks else []
    for task, outcome in zip(tasks, outcomes, strict=True):
        if not isinstance(outcome, TaskFailed):
            found[task.entity_id].append(outcome)
        elif len(task.readers) > 1:
            dead.append(task)
        else:
            found[task.entity_id].append(Facts(problems=(str(outcome),)))
    return dead


def _task(entity_id: int, content: Content, limits: ParserLimits) -> ExaminationTask:
    return ExaminationTask(
        entity_id=entity_id,
        path=content.path,
        mime_type=content.mime_type,
        readers=catalogue.readers_for(content.mime_type),
        max_pixels=limits.max_pixels,
    )


def _merged(parts: list[Facts]) -> Facts:
    return Facts(
        found=tuple(fact for facts in parts for fact in facts.found),
        problems=tuple(problem for facts in parts for problem in facts.problems),
    )
