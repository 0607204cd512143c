"""Takes files in: walks, reads and stores them, records them in batches, and has their facts read meanwhile."""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from itertools import batched, repeat

from dam.core import claims
from dam.core.events import FilesImported, ImportedFile, ImportResult, SourcesSeenAgain
from dam.core.resources import FileOperationsResource
from dam.core.runner import Runner
from dam.core.waiting import interruption_put_off
from dam.core.world import World
from dam.models.file_location_component import LOCAL_CAS, LOCAL_REFERENCE
from dam.models.original_source_info_component import LOCAL_FILE, REFERENCED_FILE
from dam.services.extraction_lane import ExtractionLane
from dam.services.file_storage import FileStorage
from dam.services.intake import Intake, Refused
from dam.services.intake_pool import Group, IntakePool, IntakeProcesses
from dam.services.known_sources import KnownSource, KnownSources
from dam.services.source_reading import WHOLE_BYTES
from dam.services.source_walk import OwnFiles, Walk, WalkEntry
from dam.services.walk_ahead import WalkAhead

LOOKED_UP_TOGETHER = 1000
WALKED_PER_READ = 10  # when fewer than one in so many is read, most of the work is to walk over them
SEEN_TOGETHER = 10_000
TAKEN_IN_TOGETHER = 256
TAKEN_IN_FIRST = 8  # the first groups are small, so that the first facts are being read soon
GROUPS_UNDER_WAY = 8
GROUPS_RECORDED_TOGETHER = 5  # fewer than those under way, so that others are taken in meanwhile
PATIENCE_SECONDS = 1.0  # no longer are files of a slow disk kept waiting for others to be recorded with them
BYTES_A_FILE = 128 << 10


class Status(StrEnum):
    """What became of a path."""

    ADDED = "added"
    LINKED = "linked"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(slots=True)  # as WalkEntry
class Outcome:
    """What became of one path, and why when it was not taken in."""

    path: str
    status: Status
    entity_id: int | None = None
    sha256: bytes | None = None
    reason: str | None = None
    size_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to take files in: copied into the storage or left where they are, and what is read again."""

    copy: bool = True
    recursive: bool = False
    rehash: bool = False
    defer: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """How many paths were found, and what became of them; ``found`` is the sum of the others."""

    found: int
    added: int
    linked: int
    unchanged: int
    skipped: int
    failed: int


def ingest(
    world: World, paths: Sequence[str], options: Options, on_outcome: Callable[[Outcome], None] = lambda _: None
) -> Summary:
    """Take in files and folders, and return the balance; ``on_outcome`` is told of each path when it is safe.

    A file that can't be read or stored is an outcome; a database or storage that fails raises, and what was told as
    safe before is safe. Unless deferred, it returns when the facts of all that is marked are read.
    """
    with (
        _opened_pool(world, options) as pool,
        nullcontext() if options.defer else ExtractionLane(world) as lane,
        Runner() as runner,
        WalkAhead(_walk(world, paths, recursive=options.recursive)) as walk,
    ):
        pipeline = _Pipeline(world, options, pool, runner, on_outcome, lane)
        for entries in batched(walk, LOOKED_UP_TOGETHER):
            few_are_read = pipeline.take(entries) * WALKED_PER_READ < len(entries)
            if few_are_read and _processes(world) > 1:
                walk.hurry()
            del entries  # before as many more are made
        pipeline.finish()
    return pipeline.summary()


class _Pipeline:
    """Files under way: taken in by others in groups, each recorded here as one. All in the order of the walk."""

    def __init__(
        self,
        world: World,
        options: Options,
        pool: IntakePool,
        runner: Runner,
        on_outcome: Callable[[Outcome], None],
        lane: ExtractionLane | None,
    ) -> None:
        self._world = world
        self._options = options
        self._pool = pool
        self._runner = runner
        self._on_outcome = on_outcome
        self._lane = lane
        self._storage = world.resources.get(FileStorage)  # type: ignore[type-abstract]  # an interface is a key too
        self._counts: Counter[Status] = Counter()
        self._groups = _Groups()
        self._under_way: deque[Group] = deque()
        self._known_sources = KnownSources(source_type=LOCAL_FILE if options.copy else REFERENCED_FILE)
        self._seen_again: list[int] = []
        self._recorded_at = time.monotonic()

    def take(self, entries: Sequence[WalkEntry]) -> int:
        """Take the next paths of the walk; return how many of them are read."""
        files = []
        for entry in entries:
            if entry.skipped is None and entry.failed is None:
                files.append(entry)
            else:
                self._tell(_passed_over(entry))
        changed = self._without_unchanged(files)
        for entry in changed:
            if self._groups.add(entry):
                self._submit()
        return len(changed)

    def finish(self) -> None:
        """Wait for everything under way and record it."""
        self._submit()
        while self._under_way:
            self._record_first()
        self._note_seen()

    def summary(self) -> Summary:
        """Return the balance so far."""
        return Summary(found=self._counts.total(), **{status.value: self._counts[status] for status in Status})

    def _tell(self, outcome: Outcome) -> None:
        self._counts[outcome.status] += 1
        self._on_outcome(outcome)

    def _without_unchanged(self, entries: list[WalkEntry]) -> list[WalkEntry]:
        if self._options.rehash or not entries:
            return entries
        files = [(entry.path, entry.signature) for entry in entries]
        with interruption_put_off(), self._world.reading() as session:
            known = self._known_sources.among(session, files)
        changed = []
        stored = self._are_still_stored(known, entries)
        for entry, source, is_stored in zip(entries, known, stored, strict=True):
            if source is None or not is_stored:
                changed.append(entry)
                continue
            source_id, entity_id, sha256 = source
            self._seen_again.append(source_id)
            self._on_outcome(Outcome(entry.path, Status.UNCHANGED, entity_id, sha256, None, entry.size_bytes))
        self._counts[Status.UNCHANGED] += len(entries) - len(changed)
        if len(self._seen_again) >= SEEN_TOGETHER:
            self._note_seen()
        return changed

    def _are_still_stored(self, known: Sequence[KnownSource | None], entries: Sequence[WalkEntry]) -> Iterator[bool]:
        """Say of each known file whether the storage has what it is to have of it."""
        if not self._options.copy:
            return repeat(True, len(known))
        sought = [source and (source[2], entry.size_bytes) for source, entry in zip(known, entries, strict=True)]
        contained = iter(self._storage.contains_each(filter(None, sought)))
        return (each is not None and next(contained) for each in sought)

    def _note_seen(self) -> None:
        """Write down which sources were seen again."""
        sources, self._seen_again = self._seen_again, []
        if sources:
            self._runner.run(self._world.dispatch, SourcesSeenAgain(sources=sources, seen_at=datetime.now(UTC)))

    def _submit(self) -> None:
        """Have the group taken in, and record what is done."""
        if group := self._groups.next():
            self._under_way.append(self._pool.submit([entry.path for entry in group], are_small=_are_small(group)))
        while self._under_way and (len(self._under_way) > GROUPS_UNDER_WAY or self._is_first_due()):
            self._record_first()

    def _is_first_due(self) -> bool:
        group = self._under_way[0]
        return group.is_taken and (not _is_full(group) or time.monotonic() > self._recorded_at + PATIENCE_SECONDS)

    def _record_first(self) -> None:
        """Write the rows of the files of the oldest groups, whose bytes are safe now."""
        taken = list(self._first_taken())
        stored = [one for one in taken if isinstance(one, ImportedFile)]
        if self._lane is not None and any(file.has_facts for file in stored):
            self._lane.prepare()
        results = iter(self._recorded(stored))
        for one in taken:
            self._tell(_failed(one) if isinstance(one, Refused) else _taken_in(one, next(results)))
        if self._lane is not None and stored:
            self._lane.wake()
        self._recorded_at = time.monotonic()

    def _first_taken(self) -> Iterator[ImportedFile | Refused]:
        """Wait for the oldest group, or the oldest few if they are full and come quickly.

        In a large library every digest falls on a page of its own in its index: fewer transactions change fewer pages.
        """
        for _ in range(GROUPS_RECORDED_TOGETHER):
            group = self._under_way.popleft()
            yield from self._pool.result(group)
            is_late = time.monotonic() > self._recorded_at + PATIENCE_SECONDS
            if not _is_full(group) or not self._under_way or (is_late and not self._under_way[0].is_taken):
                return

    def _recorded(self, files: Sequence[ImportedFile]) -> list[ImportResult]:
        if not files:
            return []
        results, *_ = self._runner.run(self._world.dispatch, FilesImported(files=files))
        return results


class _Groups:
    """Divides files into groups that are taken in together: of 8 files or 1 MiB first, then more."""

    def __init__(self) -> None:
        self._group: list[WalkEntry] = []
        self._bytes = 0
        self._limit = TAKEN_IN_FIRST

    def add(self, entry: WalkEntry) -> bool:
        """Add a file and say whether the group is large enough."""
        self._group.append(entry)
        self._bytes += entry.size_bytes
        return len(self._group) >= self._limit or self._bytes >= self._limit * BYTES_A_FILE

    def next(self) -> list[WalkEntry]:
        """Return the group and begin another."""
        group, self._group, self._bytes = self._group, [], 0
        self._limit = min(2 * self._limit, TAKEN_IN_TOGETHER)
        return group


def _opened_pool(world: World, options: Options) -> IntakePool:
    storage = world.resources.get(FileStorage) if options.copy else None  # type: ignore[type-abstract]  # as above
    intake = Intake(
        deposit=storage,
        files=world.resources.get(FileOperationsResource),
        storage_type=LOCAL_CAS if options.copy else LOCAL_REFERENCE,
        source_type=LOCAL_FILE if options.copy else REFERENCED_FILE,
    )
    return IntakePool(intake, storage, _processes(world))


def _processes(world: World) -> int:
    return world.resources.get(IntakeProcesses).count if world.resources.has(IntakeProcesses) else 0


def _is_full(group: Group) -> bool:
    return len(group.paths) == TAKEN_IN_TOGETHER


def _are_small(group: Iterable[WalkEntry]) -> bool:
    return all(entry.size_bytes <= WHOLE_BYTES for entry in group)


def _walk(world: World, paths: Iterable[str], *, recursive: bool) -> Walk:
    files = world.resources.get(FileOperationsResource)
    database = world.database.file
    locks = [claims.lock_file(database)] if database is not None else []
    own = OwnFiles.at(storage=world.config.storage_path, database=database, others=locks)
    return Walk(paths, recursive=recursive, own=own, files=files)


def _taken_in(file: ImportedFile, result: ImportResult) -> Outcome:
    return Outcome(
        path=file.path,
        status=Status(result.status),
        entity_id=result.entity_id,
        sha256=file.sha256,
        size_bytes=file.size_bytes,
    )


def _passed_over(entry: WalkEntry) -> Outcome:
    if entry.failed is not None:
        return Outcome(path=entry.path, status=Status.FAILED, reason=entry.failed)
    return Outcome(path=entry.path, status=Status.SKIPPED, reason=entry.skipped)


def _failed(refused: Refused) -> Outcome:
    return Outcome(path=refused.path, status=Status.FAILED, reason=refused.reason)
