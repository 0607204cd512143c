import os
import struct
import time
from pathlib import Path

import pytest
from PIL import Image

from dam.core.components_markers import NeedsMetadataExtractionComponent
from dam.core.events import FilesImported
from dam.core.exceptions import EventHandlingError
from dam.core.resources import FileOperationsResource
from dam.core.systems import listens_for
from dam.core.world import World
from dam.models import (
    FileLocationComponent,
    FilePropertiesComponent,
    ImageDimensionsComponent,
    OriginalSourceInfoComponent,
    ProcessingFailureComponent,
)
from dam.models.base import Component
from dam.services import ecs_service, ingestion
from dam.services.content_id import ContentId
from dam.services.file_storage import FileStorage
from dam.services.ingestion import Options, Outcome, Status, Summary
from tests.databases import SQLITE

LONG_AGO = (1_600_000_000, 1_600_000_000)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    return folder


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    os.utime(path, LONG_AGO)
    return path


def take_in(world: World, path: Path, options: Options | None = None) -> list[Outcome]:
    outcomes: list[Outcome] = []
    ingestion.ingest(world, [str(path)], options or Options(recursive=True), outcomes.append)
    return outcomes


def statuses(outcomes: list[Outcome]) -> dict[str, str]:
    return {Path(outcome.path).name: outcome.status.value for outcome in outcomes}


def all_of[C: Component](world: World, kind: type[C]) -> list[C]:
    with world.reading() as session:
        found = ecs_service.get_components_of(session, ecs_service.entities_with(session, kind), kind)
    return [component for components in found.values() for component in components]


def test_a_file_becomes_an_asset_with_a_stored_object(world: World, source: Path) -> None:
    path = write(source / "a.txt", b"hello")
    [outcome] = take_in(world, path)
    assert outcome.status is Status.ADDED
    assert outcome.sha256 is not None
    stored = Path(world.resources.get(FileStorage).path_of(ContentId(outcome.sha256)))  # type: ignore[type-abstract]  # as above
    assert stored.read_bytes() == b"hello"


def test_the_same_bytes_twice_make_one_asset(world: World, source: Path) -> None:
    write(source / "a.txt", b"same")
    write(source / "b.txt", b"same")
    assert statuses(take_in(world, source)) == {"a.txt": "added", "b.txt": "linked"}
    assert [one.original_filename for one in all_of(world, FilePropertiesComponent)] == ["a.txt"]
    assert len(all_of(world, FileLocationComponent)) == 2


def test_the_outcomes_come_in_the_order_of_the_walk(world: World, source: Path) -> None:
    for number in range(100):
        write(source / f"{number:03}", str(number).encode())
    assert [Path(outcome.path).name for outcome in take_in(world, source)] == [f"{number:03}" for number in range(100)]


def test_many_files_are_recorded_together_in_the_order_of_the_walk(world: World, source: Path) -> None:
    recorded = sizes_of_what_is_recorded(world)
    for number in range(3000):
        write(source / f"{number:04}", str(number).encode())
    outcomes = take_in(world, source)
    assert [Path(outcome.path).name for outcome in outcomes] == [f"{number:04}" for number in range(3000)]
    assert recorded[0] == 8
    assert 256 < max(recorded) <= 1280
    assert sum(recorded) == 3000


class Slow(FileOperationsResource):
    """A disk that gives some four hundred files a second to two threads."""

    def open_regular(self, path: str) -> int:
        time.sleep(0.005)
        return super().open_regular(path)


@SQLITE
def test_files_of_a_slow_disk_are_recorded_as_they_come(world: World, source: Path) -> None:
    recorded = sizes_of_what_is_recorded(world)
    world.resources.bind(FileOperationsResource).to(Slow())
    for number in range(1300):
        write(source / f"{number:04}", b"")
    take_in(world, source, Options(copy=False, recursive=True))
    assert max(recorded) < 768
    assert sum(recorded) == 1300


def sizes_of_what_is_recorded(world: World) -> list[int]:
    recorded: list[int] = []

    @listens_for(FilesImported)
    def count(event: FilesImported) -> None:
        recorded.append(len(event.files))

    world.register_system(count)
    return recorded


def test_an_unchanged_file_is_not_read_again(world: World, source: Path) -> None:
    path = write(source / "a.txt", b"before")
    take_in(world, source)
    write(path, b"after!")  # the same length and times: what a stat can't tell apart
    assert statuses(take_in(world, source)) == {"a.txt": "unchanged"}
    assert statuses(take_in(world, source, Options(recursive=True, rehash=True))) == {"a.txt": "added"}


def test_a_file_modified_just_now_is_read_again(world: World, source: Path) -> None:
    path = source / "a.txt"
    path.write_bytes(b"before")
    take_in(world, source)
    times = path.stat()
    path.write_bytes(b"after!")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert statuses(take_in(world, source)) == {"a.txt": "added"}


def test_adding_again_changes_only_when_it_was_last_seen(world: World, source: Path) -> None:
    write(source / "a.txt", b"x")
    take_in(world, source)
    [before] = all_of(world, OriginalSourceInfoComponent)
    take_in(world, source)
    [after] = all_of(world, OriginalSourceInfoComponent)
    assert after.last_seen_at > before.last_seen_at
    assert (after.id, after.first_seen_at, after.seen_stat) == (before.id, before.first_seen_at, before.seen_stat)


def test_an_unchanged_file_whose_object_is_gone_is_stored_again(world: World, source: Path) -> None:
    path = write(source / "a.txt", b"x")
    [outcome] = take_in(world, path)
    stored = Path(world.resources.get(FileStorage).path_of(ContentId(outcome.sha256 or b"")))  # type: ignore[type-abstract]  # as above
    stored.unlink()
    take_in(world, path)
    assert stored.read_bytes() == b"x"


def test_a_file_can_stay_where_it_is_and_be_copied_later(world: World, source: Path) -> None:
    path = write(source / "a.txt", b"x")
    assert statuses(take_in(world, path, Options(copy=False))) == {"a.txt": "added"}
    assert [one.physical_path_or_key for one in all_of(world, FileLocationComponent)] == [str(path)]
    assert statuses(take_in(world, path)) == {"a.txt": "linked"}
    assert {one.storage_type for one in all_of(world, FileLocationComponent)} == {"local_reference", "local_cas"}


def test_a_file_that_cannot_be_read_does_not_stop_the_others(world: World, source: Path) -> None:
    write(source / "a.txt", b"a")
    (source / "b.txt").symlink_to(source / "nowhere")
    os.mkfifo(source / "c.txt")
    write(source / "d.txt", b"d")
    expected = {"a.txt": "added", "b.txt": "failed", "c.txt": "skipped", "d.txt": "added"}
    assert statuses(take_in(world, source)) == expected


def test_the_summary_balances(world: World, source: Path) -> None:
    for name in ("a", "b"):
        write(source / name, b"same")
    (source / "c").symlink_to("nowhere")
    summary = ingestion.ingest(world, [str(source)], Options(recursive=True))
    assert summary == Summary(found=3, added=1, linked=1, unchanged=0, skipped=0, failed=1)


def test_its_own_files_are_never_taken_in(world: World, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_bytes(b"mine")
    outcomes = take_in(world, tmp_path)
    assert [Path(outcome.path).name for outcome in outcomes if outcome.status is Status.ADDED] == ["mine.txt"]


def test_the_facts_of_a_picture_are_read(world: World, source: Path) -> None:
    Image.new("RGB", (30, 20), "red").save(source / "a.png")
    take_in(world, source)
    [dimensions] = all_of(world, ImageDimensionsComponent)
    assert (dimensions.width_pixels, dimensions.height_pixels) == (30, 20)
    assert all_of(world, NeedsMetadataExtractionComponent) == []


def test_the_facts_of_the_last_files_are_read_before_it_ends(world: World, source: Path) -> None:
    for number in range(40):
        Image.new("RGB", (30, 20), (number, 0, 0)).save(source / f"{number}.png")
    outcomes: list[Outcome] = []

    def linger(outcome: Outcome) -> None:
        outcomes.append(outcome)
        if len(outcomes) == 9:  # so that the facts of the first eight are read meanwhile
            time.sleep(0.3)

    ingestion.ingest(world, [str(source)], Options(recursive=True), linger)

    assert len(all_of(world, ImageDimensionsComponent)) == len(outcomes) == 40
    assert all_of(world, NeedsMetadataExtractionComponent) == []


def test_reading_the_facts_can_be_deferred(world: World, source: Path) -> None:
    Image.new("RGB", (30, 20), "red").save(source / "a.png")
    take_in(world, source, Options(recursive=True, defer=True))
    assert all_of(world, ImageDimensionsComponent) == []
    assert len(all_of(world, NeedsMetadataExtractionComponent)) == 1


def test_a_broken_picture_is_stored_and_its_failure_recorded(world: World, source: Path) -> None:
    header = struct.pack(">II", 10, 10)
    write(source / "a.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + header + b"broken")
    assert statuses(take_in(world, source)) == {"a.png": "added"}
    [failure] = all_of(world, ProcessingFailureComponent)
    assert (failure.system, failure.attempts) == ("extract_metadata", 1)


def test_a_broken_database_ends_the_run_and_leaves_nothing_staged(world: World, source: Path) -> None:
    write(source / "a.txt", b"x")
    with world.session() as session, session.begin():
        session.connection().exec_driver_sql("DROP TABLE file_location")
    with pytest.raises(EventHandlingError):
        take_in(world, source)
    assert list(world.resources.get(FileStorage).leftovers()) == []  # type: ignore[type-abstract]  # as above
