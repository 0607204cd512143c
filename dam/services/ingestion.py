"""Takes files in: walks, reads and stores them, records them in batches, and has their facts read meanwhile."""

import asyncio
import os
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from itertools import batched
from typing import NamedTuple

from dam.core import claims
from dam.core.events import FilesImported, ImportedFile, SourcesSeenAgain
from dam.core.exceptions import DamError, ObjectNotStored, os_reason
from dam.core.resources import FileOperationsResource
from dam.core.waiting import result_of
from dam.core.world import World
from dam.models.file_location_component import LOCAL_CAS, LOCAL_REFERENCE
from dam.models.original_source_info_component import LOCAL_FILE, REFERENCED_FILE
from dam.services import asset_service, media_type
from dam.services.asset_service import KnownSource
from dam.services.extraction_lane import ExtractionLane
from dam.services.file_storage import ContentId, FileStorage, StagedFile
from dam.services.readers import catalogue
from dam.services.source_reading import Digest, digest_file
from dam.services.source_walk import OwnFiles, WalkEntry, stat_signature, walk

READING_THREADS = 2
LOOKED_UP_TOGETHER = 1000
READ_TOGETHER = 16
READ_TOGETHER_BYTES = 1 << 20
FILES_UNDER_WAY = 512
RECORDED_TOGETHER = 256
RECORDED_FIRST = 8  # the first batches are small, so that the first facts are being read soon
RECORDED_BYTES_A_FILE = 128 << 10


class Status(StrEnum):
    """What became of a path."""

    ADDED = "added"
    LINKED = "linked"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    FAILED = "failed"


class Outcome(NamedTuple):
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
        ThreadPoolExecutor(READING_THREADS, thread_name_prefix="reading") as readers,
        ThreadPoolExecutor(1, thread_name_prefix="publishing") as publisher,
        nullcontext() if options.defer else ExtractionLane(world) as lane,
        asyncio.Runner() as runner,
    ):
        pipeline = _Pipeline(world, options, readers, publisher, runner, on_outcome, lane)
        try:
            for entries in batched(_walk(world, paths, recursive=options.recursive), LOOKED_UP_TOGETHER):
                pipeline.take(entries)
            pipeline.finish()
        finally:
            pipeline.abandon()
    return pipeline.summary()


@dataclass(frozen=True, slots=True)
class _Read:
    """A file whose bytes have been read, and copied unless it stays where it is."""

    file: ImportedFile
    staged: StagedFile | None


@dataclass(frozen=True, slots=True)
class _Publishing:
    """A batch of files that is being made durable: for each, what went wrong, if anything did."""

    batch: Sequence[_Read]
    results: Future[list[ObjectNotStored | None]]


class _Pipeline:
    """Files under way: read by threads in groups, made durable by another in batches, recorded here when they are.

    So the disk works for one batch while the database works for the one before. All in the order of the walk.
    """

    def __init__(
        self,
        world: World,
        options: Options,
        readers: ThreadPoolExecutor,
        publisher: ThreadPoolExecutor,
        runner: asyncio.Runner,
        on_outcome: Callable[[Outcome], None],
        lane: ExtractionLane | None,
    ) -> None:
        self._world = world
        self._options = options
        self._readers = readers
        self._publisher = publisher
        self._runner = runner
        self._on_outcome = on_outcome
        self._lane = lane
        self._storage = world.resources.get(FileStorage)  # type: ignore[type-abstract]  # an interface is a key too
        self._files = world.resources.get(FileOperationsResource)
        self._stopped = threading.Event()
        self._counts: Counter[Status] = Counter()
        self._under_way: deque[tuple[int, Future[list[_Read | Outcome]]]] = deque()
        self._files_under_way = 0
        self._batch: list[_Read] = []
        self._batch_bytes = 0
        self._batch_limit = RECORDED_FIRST
        self._publishing: _Publishing | None = None

    def take(self, entries: Sequence[WalkEntry]) -> None:
        """Take the next paths of the walk."""
        files = [entry for entry in entries if not self._is_passed_over(entry)]
        for group in _groups(self._without_unchanged(files)):
            while self._files_under_way >= FILES_UNDER_WAY:
                self._collect()
            self._under_way.append((len(group), self._readers.submit(self._read_group, group)))
            self._files_under_way += len(group)

    def finish(self) -> None:
        """Wait for everything under way and record it."""
        while self._under_way:
            self._collect()
        self._publish()
        self._record_published()

    def abandon(self) -> None:
        """Give back what is still under way, when something went wrong."""
        self._stopped.set()
        if self._publishing is not None:
            self._publishing.results.cancel()
            self._publishing = None
        for _, future in self._under_way:
            future.cancel()
        read = [one for _, future in self._under_way if not future.cancelled() for one in future.result()]
        for one in [*self._batch, *read]:
            if isinstance(one, _Read) and one.staged is not None:
                self._storage.discard(one.staged)
        self._under_way.clear()
        self._batch = []

    def summary(self) -> Summary:
        """Return the balance so far."""
        return Summary(found=self._counts.total(), **{status.value: self._counts[status] for status in Status})

    def _tell(self, outcome: Outcome) -> None:
        self._counts[outcome.status] += 1
        self._on_outcome(outcome)

    def _is_passed_over(self, entry: WalkEntry) -> bool:
        if entry.failed is not None:
            self._tell(Outcome(path=entry.path, status=Status.FAILED, reason=entry.failed))
        elif entry.skipped is not None:
            self._tell(Outcome(path=entry.path, status=Status.SKIPPED, reason=entry.skipped))
        return entry.failed is not None or entry.skipped is not None

    def _without_unchanged(self, entries: list[WalkEntry]) -> list[WalkEntry]:
        if self._options.rehash or not entries:
            return entries
        stats = {entry.path: stat_signature(entry.stat) for entry in entries if entry.stat is not None}
        source_type = LOCAL_FILE if self._options.copy else REFERENCED_FILE
        with self._world.reading() as session:
            known = asset_service.find_known_sources(session, stats, source_type=source_type)
        unchanged = {path: source for path, source in known.items() if self._is_still_stored(source)}
        if unchanged:
            sources = [source.id for source in unchanged.values()]
            self._runner.run(self._world.dispatch(SourcesSeenAgain(sources=sources, seen_at=datetime.now(UTC))))
        for path, source in unchanged.items():
            self._tell(_unchanged(path, source))
        return [entry for entry in entries if entry.path not in unchanged]

    def _is_still_stored(self, source: KnownSource) -> bool:
        return not self._options.copy or self._storage.contains(ContentId(source.sha256), source.size_bytes)

    def _collect(self) -> None:
        """Wait for the oldest group that is being read; publish the batch when it is large enough."""
        count, future = self._under_way.popleft()
        self._files_under_way -= count
        for one in result_of(future):
            if isinstance(one, Outcome):
                self._tell(one)
                continue
            self._batch.append(one)
            self._batch_bytes += one.file.size_bytes
            if one.file.has_facts and self._lane is not None:
                self._lane.prepare()
        limit = self._batch_limit
        if len(self._batch) >= limit or self._batch_bytes >= limit * RECORDED_BYTES_A_FILE:
            self._publish()
        elif self._publishing is not None and self._publishing.results.done():
            self._record_published()

    def _publish(self) -> None:
        """Begin to make the batch's objects durable, and meanwhile record the batch before it."""
        batch, self._batch, self._batch_bytes = self._batch, [], 0
        self._batch_limit = min(2 * self._batch_limit, RECORDED_TOGETHER)
        published = self._publisher.submit(self._store, batch)
        self._record_published()
        self._publishing = _Publishing(batch, published)

    def _record_published(self) -> None:
        publishing, self._publishing = self._publishing, None
        if publishing is not None:
            self._record(publishing)

    def _record(self, publishing: _Publishing) -> None:
        """Write the rows of a batch once its objects are durable."""
        stored = []
        problems = result_of(publishing.results)
        for one, problem in zip(publishing.batch, problems, strict=True):
            if problem is not None:
                self._tell(_failed(one.file.path, problem))
            else:
                stored.append(one.file)
        if not stored:
            return
        for results in self._runner.run(self._world.dispatch(FilesImported(files=stored))):
            for file, result in zip(stored, results, strict=True):
                self._tell(_taken_in(file, Status(result.status), result.entity_id))
        if self._lane is not None:
            self._lane.wake()

    def _store(self, batch: Sequence[_Read]) -> list[ObjectNotStored | None]:
        staged = [one.staged for one in batch if one.staged is not None]
        published = self._storage.publish(staged) if staged else [None] * len(batch)
        return [result if isinstance(result, ObjectNotStored) else None for result in published]

    def _read_group(self, entries: Sequence[WalkEntry]) -> list[_Read | Outcome]:
        return [self._read(entry) for entry in entries]

    def _read(self, entry: WalkEntry) -> _Read | Outcome:
        try:
            if self._options.copy:
                staged = self._storage.stage(entry.path, self._stopped.is_set)
                file = self._imported(entry.path, staged.digest)
                return _Read(file, replace(staged, digest=replace(staged.digest, head=b"")))
            return _Read(self._imported(entry.path, self._digest(entry.path)), None)
        except (OSError, DamError) as error:
            return _failed(entry.path, error)

    def _digest(self, path: str) -> Digest:
        fd = self._files.open_regular(path)
        try:
            return digest_file(fd, files=self._files, is_stopped=self._stopped.is_set)
        finally:
            os.close(fd)

    def _imported(self, path: str, digest: Digest) -> ImportedFile:
        name = path.rpartition("/")[2]
        mime_type = media_type.media_type(digest.head, name, size=digest.size)
        return ImportedFile(
            path=path,
            filename=name,
            size_bytes=digest.size,
            sha256=digest.sha256,
            md5=digest.md5,
            mime_type=mime_type,
            storage_type=LOCAL_CAS if self._options.copy else LOCAL_REFERENCE,
            key=digest.sha256.hex() if self._options.copy else path,
            source_type=LOCAL_FILE if self._options.copy else REFERENCED_FILE,
            seen_at=datetime.now(UTC),
            seen_stat=digest.seen_stat,
            has_facts=bool(catalogue.readers_for(mime_type)),
        )


def _walk(world: World, paths: Iterable[str], *, recursive: bool) -> Iterator[WalkEntry]:
    files = world.resources.get(FileOperationsResource)
    database = world.database.file
    locks = [claims.lock_file(database)] if database is not None else []
    own = OwnFiles.at(storage=world.config.storage_path, database=database, others=locks)
    for path in paths:
        yield from walk(path, recursive=recursive, own=own, files=files)


def _groups(entries: Iterable[WalkEntry]) -> Iterator[list[WalkEntry]]:
    """Divide files into groups that a thread reads in one go: several small ones, or a large one by itself."""
    group: list[WalkEntry] = []
    size = 0
    for entry in entries:
        group.append(entry)
        size += entry.stat.st_size if entry.stat is not None else 0
        if len(group) >= READ_TOGETHER or size >= READ_TOGETHER_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _unchanged(path: str, source: KnownSource) -> Outcome:
    return Outcome(
        path=path,
        status=Status.UNCHANGED,
        entity_id=source.entity_id,
        sha256=source.sha256,
        size_bytes=source.size_bytes,
    )


def _taken_in(file: ImportedFile, status: Status, entity_id: int) -> Outcome:
    return Outcome(path=file.path, status=status, entity_id=entity_id, sha256=file.sha256, size_bytes=file.size_bytes)


def _failed(path: str, error: Exception) -> Outcome:
    reason = os_reason(error) if isinstance(error, OSError) else str(error)
    return Outcome(path=path, status=Status.FAILED, reason=reason)
