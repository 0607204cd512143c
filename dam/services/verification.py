"""Checks that every byte is still there and right: the database, the storage in both directions, and the references."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from dam.core.resources import FileOperationsResource
from dam.core.world import World
from dam.services import content_reading, database_check, object_repair, verification_queue
from dam.services.content_reading import Verdict
from dam.services.file_storage import ContentId, FileStorage
from dam.services.reading_threads import ReadingThreads
from dam.services.verification_queue import Reference, StoredObject, Subject, Window
from dam.services.verification_report import Finding, Problem, Summary

RECORDED_TOGETHER = 1000
RECORDED_AFTER_SECONDS = 30
PATIENCE_SECONDS = 30.0
LOOK_AGAIN_SECONDS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What to read, and for how long; existence and lengths are always checked for all objects.

    ``since`` reads only assets added or changed in that time, ``older_than`` only what was not found good in that
    time; after ``limit_time`` nothing more is begun. ``repair`` takes lost content back from files that have it.
    """

    since: timedelta | None = None
    older_than: timedelta | None = None
    limit_time: timedelta | None = None
    repair: bool = False
    jobs: int = 1


def verify(
    world: World,
    options: Options,
    on_finding: Callable[[Finding], None] = lambda _: None,
    on_read: Callable[[int], None] = lambda _: None,
) -> Summary:
    """Check everything, and return the balance; ``on_finding`` is told at once, ``on_read`` of each content's bytes.

    Nothing is changed but the record of what was found good, unless to repair. Contents are read by threads, longest
    unverified first; meanwhile no transaction is open.
    """
    window = _window(options)
    with ReadingThreads(options.jobs) as readers:
        run = _Verification(world, options, window, readers, on_finding, on_read)
        run.check_database()
        run.compare_lists()
        run.read_due()
        run.judge_unknown()
    return run.summary()


def count_due(world: World, options: Options) -> int:
    """Return how many contents these options ask to be read now."""
    with world.reading() as session:
        return verification_queue.count_due(session, _window(options))


class _Verification:
    """One run: what was found, and what was found good and is not written down yet."""

    def __init__(
        self,
        world: World,
        options: Options,
        window: Window,
        readers: ReadingThreads,
        on_finding: Callable[[Finding], None],
        on_read: Callable[[int], None],
    ) -> None:
        self._world = world
        self._options = options
        self._window = window
        self._readers = readers
        self._on_finding = on_finding
        self._on_read = on_read
        self._storage = world.resources.get(FileStorage)  # type: ignore[type-abstract]  # an interface is a key too
        self._files = world.resources.get(FileOperationsResource)
        self._limit = None if options.limit_time is None else time.monotonic() + options.limit_time.total_seconds()
        self._problems: Counter[Problem] = Counter()
        self._counts: Counter[str] = Counter()
        self._known_wrong: set[int] = set()
        self._unknown: list[tuple[ContentId, int]] = []
        self._patience_seconds = PATIENCE_SECONDS
        self._good: list[Subject] = []
        self._recorded = time.monotonic()

    def check_database(self) -> None:
        """Look for what contradicts itself in the database."""
        with self._world.reading() as session:
            for detail in database_check.broken_parts(session):
                self._tell(Finding(problem=Problem.DATABASE, detail=detail))
            for entity_id, detail in database_check.contradictions(session):
                self._tell(Finding(problem=Problem.CONTRADICTION, entity_id=entity_id, detail=detail))
            self._counts["references"] = verification_queue.count_references(session)
            self._counts["due"] = verification_queue.count_due(session, self._window)

    def compare_lists(self) -> None:
        """Compare what the database names with what lies in the storage, by name and length."""
        known = verification_queue.stored_objects(self._world.database)
        for stored, found in _side_by_side(known, self._storage.objects()):
            if stored is not None:
                self._counts["objects"] += 1
                self._compare(stored, found[1] if found else None)
            elif found is not None:
                self._unknown.append(found)
                if len(self._unknown) >= verification_queue.PAGE:
                    self.judge_unknown()
        for path in self._storage.leftovers():
            self._tell(Finding(problem=Problem.LEFTOVER, path=path))

    def read_due(self) -> None:
        """Read what is due and time allows."""
        judge = partial(
            content_reading.judge, storage=self._storage, files=self._files, is_stopped=self._readers.is_stopped
        )
        subjects = self._while_time(verification_queue.due(self._world.database, self._window))
        for subject, verdict in self._readers.map(judge, subjects):
            self._counts["read"] += 1
            self._counts["bytes_read"] += verdict.size_bytes
            self._settle(subject, verdict)
            self._on_read(verdict.size_bytes)
        self._record()

    def judge_unknown(self) -> None:
        """Read the objects that the database did not name, if it still does not.

        Whoever is adding objects names them soon, and is waited for, 30 seconds in all.
        """
        while self._unknown:
            may_become_known = self._patience_seconds > 0 and self._storage.others_are_adding()
            self._unknown = self._still_unknown()
            if not may_become_known:
                break
            time.sleep(LOOK_AGAIN_SECONDS)
            self._patience_seconds -= LOOK_AGAIN_SECONDS
        unknown, self._unknown = self._unknown, []
        for (content_id, _), verdict in self._readers.map(self._judge_found, unknown):
            self._tell(
                Finding(
                    problem=verdict.problem or Problem.UNKNOWN,
                    path=self._storage.path_of(content_id),
                    sha256=content_id.sha256,
                    detail="no asset has it" + (f"; {verdict.detail}" if verdict.detail else ""),
                )
            )

    def summary(self) -> Summary:
        """Return the balance."""
        counted = ("objects", "references", "due", "read", "good", "bytes_read", "repaired")
        problems = {problem: self._problems[problem] for problem in Problem}
        return Summary(problems=problems, **{name: self._counts[name] for name in counted})

    def _still_unknown(self) -> list[tuple[ContentId, int]]:
        with self._world.reading() as session:
            known = verification_queue.known_contents(session, [content_id for content_id, _ in self._unknown])
        return [found for found in self._unknown if found[0] not in known]

    def _compare(self, stored: StoredObject, found_size: int | None) -> None:
        if found_size == stored.size or self._storage.contains(stored.content_id, stored.size):
            return
        self._known_wrong.add(stored.entity_id)
        verdict = content_reading.judge_object(self._storage, stored.content_id, stored.size, self._readers.is_stopped)
        if verdict.problem is not None:
            self._tell_of_object(stored, verdict.problem, verdict.detail)

    def _judge_found(self, found: tuple[ContentId, int]) -> Verdict:
        return content_reading.judge_object(self._storage, *found, self._readers.is_stopped)

    def _settle(self, subject: Subject, verdict: Verdict) -> None:
        if verdict.problem is None:
            self._counts["good"] += 1
            self._good.append(subject)
            if len(self._good) >= RECORDED_TOGETHER or time.monotonic() - self._recorded > RECORDED_AFTER_SECONDS:
                self._record()
        elif isinstance(subject, Reference):
            self._tell(
                Finding(
                    problem=verdict.problem,
                    path=subject.path,
                    entity_id=subject.entity_id,
                    sha256=subject.content_id.sha256,
                    detail=verdict.detail,
                )
            )
        elif subject.entity_id not in self._known_wrong:
            self._tell_of_object(subject, verdict.problem, verdict.detail)

    def _tell_of_object(self, stored: StoredObject, problem: Problem, detail: str | None) -> None:
        repaired = object_repair.repair(self._world, stored) if self._options.repair else object_repair.Repair()
        details = [each for each in (detail, repaired.reason) if each]
        self._tell(
            Finding(
                problem=problem,
                path=self._storage.path_of(stored.content_id),
                entity_id=stored.entity_id,
                sha256=stored.content_id.sha256,
                detail="; ".join(details) or None,
                repaired_from=repaired.source,
            )
        )

    def _tell(self, finding: Finding) -> None:
        self._problems[finding.problem] += 1
        self._counts["repaired"] += finding.repaired_from is not None
        self._on_finding(finding)

    def _while_time[T](self, items: Iterable[T]) -> Iterator[T]:
        for item in items:
            if self._limit is not None and time.monotonic() >= self._limit:
                return
            yield item

    def _record(self) -> None:
        good, self._good, self._recorded = self._good, [], time.monotonic()
        with self._world.session() as session, session.begin():
            verification_queue.record_good(session, good, datetime.now(UTC))


def _window(options: Options) -> Window:
    now = datetime.now(UTC)
    return Window(
        good_before=now - (options.older_than or timedelta()),
        changed_since=None if options.since is None else now - options.since,
    )


def _side_by_side(
    known: Iterator[StoredObject], listed: Iterator[tuple[ContentId, int]]
) -> Iterator[tuple[StoredObject | None, tuple[ContentId, int] | None]]:
    """Pair what the database names with what lies in the storage, both in the order of names; None where one lacks."""
    stored, found = next(known, None), next(listed, None)
    while stored is not None or found is not None:
        if found is None or (stored is not None and stored.content_id < found[0]):
            yield stored, None
            stored = next(known, None)
        elif stored is None or found[0] < stored.content_id:
            yield None, found
            found = next(listed, None)
        else:
            yield stored, found
            stored, found = next(known, None), next(listed, None)
