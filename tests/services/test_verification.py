import os
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, select, text, update

from dam.core.config import WorldConfig
from dam.core.exceptions import DamError
from dam.core.world import World
from dam.core.world_registrar import register_core_systems
from dam.models import (
    ContentHashSHA256Component,
    Entity,
    FileLocationComponent,
    ObjectVerificationComponent,
    ReferenceVerificationComponent,
)
from dam.services import ingestion, verification, verification_queue
from dam.services.file_storage import ContentId, FileStorage, LocalFileStorage
from dam.services.reading_threads import ReadingThreads
from dam.services.verification import Options
from dam.services.verification_queue import Window
from dam.services.verification_report import Finding, Problem, Summary
from tests import invariant

HOUR = timedelta(hours=1)


@pytest.fixture
def storage(tmp_path: Path) -> LocalFileStorage:
    return LocalFileStorage(tmp_path / "storage")


@pytest.fixture
def world(database_url: str, schema: None, storage: LocalFileStorage) -> Iterator[World]:
    world = World(WorldConfig(database_url=database_url, storage_path=storage.root))
    world.resources.bind(FileStorage).to(storage)  # type: ignore[type-abstract]  # an interface is a key too
    register_core_systems(world)
    with world:
        yield world


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    folder = tmp_path / "sources"
    folder.mkdir()
    for name in ("one", "two", "three"):
        (folder / name).write_text(f"the bytes of {name}")
    return folder


@pytest.fixture
def stored(world: World, storage: LocalFileStorage, sources: Path) -> Path:
    """Return the path of the object of ``one``, beside two others."""
    storage.open_for_use(expect_objects=False)
    add(world, sources)
    return object_of(storage, sources / "one")


@pytest.fixture
def referenced(world: World, sources: Path) -> Path:
    """Return a file that is referred to, beside two others."""
    add(world, sources, copy=False)
    return sources / "one"


def add(world: World, path: Path, *, copy: bool = True) -> None:
    ingestion.ingest(world, [str(path)], ingestion.Options(copy=copy, recursive=True, defer=True))


def object_of(storage: LocalFileStorage, source: Path) -> Path:
    staged = storage.stage(source)
    storage.discard(staged)
    return Path(storage.path_of(ContentId(staged.digest.sha256)))


def found_by(world: World, **options: object) -> tuple[list[Finding], Summary]:
    findings: list[Finding] = []
    summary = verification.verify(world, Options(**options), findings.append)  # type: ignore[arg-type]  # as given
    return findings, summary


def problems_in(world: World, **options: object) -> list[Problem]:
    return [finding.problem for finding in found_by(world, **options)[0]]


def overwrite(path: Path, data: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(data)


def flip_a_bit(path: Path) -> None:
    data = path.read_bytes()
    overwrite(path, bytes([data[0] ^ 1]) + data[1:])


def test_a_sound_library_has_no_findings(world: World, stored: Path, sources: Path, tmp_path: Path) -> None:
    (tmp_path / "left").write_text("a file that stays where it is")
    add(world, tmp_path / "left", copy=False)

    findings, summary = found_by(world)

    assert findings == []
    assert summary.is_sound
    assert (summary.objects, summary.references, summary.due, summary.read, summary.good) == (3, 1, 4, 4, 4)
    assert summary.bytes_read == sum(path.stat().st_size for path in sources.iterdir()) + 29


def test_an_empty_world_without_a_storage_is_sound(world: World) -> None:
    assert problems_in(world) == []


def test_a_missing_object_is_found_once(world: World, stored: Path) -> None:
    stored.unlink()

    (finding,), summary = found_by(world)

    assert finding.problem is Problem.MISSING
    assert finding.path == str(stored)
    assert finding.sha256 is not None
    assert finding.sha256.hex() == stored.name
    assert (summary.problems[Problem.MISSING], summary.good, summary.is_sound) == (1, 2, False)


def test_changed_bytes_of_the_same_length_are_found(world: World, stored: Path) -> None:
    flip_a_bit(stored)

    assert problems_in(world) == [Problem.DAMAGED]


def test_a_truncated_object_is_found_once(world: World, stored: Path) -> None:
    overwrite(stored, b"")

    assert problems_in(world) == [Problem.WRONG_LENGTH]


def test_a_folder_in_the_place_of_an_object_is_found(world: World, stored: Path) -> None:
    stored.unlink()
    stored.mkdir()

    assert problems_in(world) == [Problem.DAMAGED]


def test_an_object_that_no_asset_has_is_found(world: World, stored: Path) -> None:
    forget_asset_of(world, stored)

    (finding,), _ = found_by(world)

    assert (finding.problem, finding.path, finding.entity_id) == (Problem.UNKNOWN, str(stored), None)


def test_a_partial_file_under_a_final_name_is_damage_also_when_no_asset_has_it(world: World, stored: Path) -> None:
    forget_asset_of(world, stored)
    overwrite(stored, b"the by")

    assert problems_in(world) == [Problem.DAMAGED]


def test_an_object_that_is_recorded_while_the_check_runs_is_not_unknown(
    world: World, storage: LocalFileStorage, stored: Path, tmp_path: Path
) -> None:
    (tmp_path / "late").write_text("late")
    (published,) = storage.publish([storage.stage(tmp_path / "late")])
    assert not isinstance(published, DamError)
    findings: list[Finding] = []

    def record_late(_: int) -> None:
        add(world, tmp_path / "late")

    verification.verify(world, Options(), findings.append, record_late)

    assert findings == []


def test_leftovers_are_found_in_tmp_and_among_the_objects(
    world: World, stored: Path, storage: LocalFileStorage
) -> None:
    dead = storage.root / "tmp" / "1-dead"
    dead.mkdir()
    (dead / "half").write_text("half a fi")
    (stored.parent / "notes.txt").write_text("what is this doing here?")

    paths = [finding.path for finding in found_by(world)[0] if finding.problem is Problem.LEFTOVER]

    assert paths == [str(dead / "half"), str(stored.parent / "notes.txt")]


def test_a_reference_whose_file_is_gone_is_found(world: World, referenced: Path) -> None:
    referenced.unlink()

    (finding,), _ = found_by(world)

    assert (finding.problem, finding.path) == (Problem.REFERENCE_GONE, str(referenced))


@pytest.mark.parametrize("change", [flip_a_bit, lambda path: overwrite(path, b"shorter")])
def test_a_reference_whose_file_changed_is_found(
    world: World, referenced: Path, change: Callable[[Path], None]
) -> None:
    change(referenced)

    assert problems_in(world) == [Problem.REFERENCE_CHANGED]


def test_a_reference_that_became_a_fifo_is_found_without_waiting_for_it(world: World, referenced: Path) -> None:
    referenced.unlink()
    os.mkfifo(referenced)

    assert problems_in(world) == [Problem.REFERENCE_CHANGED]


def test_rows_that_contradict_each_other_are_found(world: World, stored: Path) -> None:
    with world.session() as session, session.begin():
        session.execute(
            update(FileLocationComponent)
            .where(FileLocationComponent.content_identifier == stored.name)
            .values(content_identifier="0" * 64)
        )

    assert problems_in(world) == [Problem.CONTRADICTION]


def test_an_asset_that_lost_its_hash_is_found(world: World, stored: Path) -> None:
    with world.session() as session, session.begin():
        session.execute(
            delete(ContentHashSHA256Component).where(
                ContentHashSHA256Component.hash_value == bytes.fromhex(stored.name)
            )
        )

    assert problems_in(world) == [Problem.CONTRADICTION, Problem.UNKNOWN]


@pytest.mark.parametrize("database_url", ["sqlite_url"], indirect=True)
def test_a_row_that_refers_to_nothing_is_found(world: World, stored: Path) -> None:
    with world.database.engine.connect() as connection:
        connection.rollback()
        raw = connection.connection.driver_connection
        assert raw is not None
        raw.execute("PRAGMA foreign_keys = OFF")
        raw.execute("INSERT INTO object_verification VALUES (999, '2020-01-01 00:00:00')")
        raw.execute("PRAGMA foreign_keys = ON")

    (finding,), _ = found_by(world)

    assert finding.problem is Problem.DATABASE
    assert finding.detail == "row 999 of object_verification refers to a row of entity that is not there"


def test_what_was_found_good_is_written_down_and_what_was_not_is_not(world: World, stored: Path) -> None:
    flip_a_bit(stored)
    before = datetime.now(UTC)

    found_by(world)

    with world.reading() as session:
        moments = list(session.scalars(select(ObjectVerificationComponent.found_good_at)))
    assert len(moments) == 2
    assert min(moments) >= before


def test_only_what_was_not_found_good_lately_is_read(world: World, stored: Path, sources: Path) -> None:
    found_by(world)
    (sources / "four").write_text("new")
    add(world, sources)

    assert found_by(world, older_than=HOUR)[1].read == 1
    assert found_by(world)[1].read == 4


def test_only_assets_that_were_added_lately_are_read(world: World, stored: Path) -> None:
    with world.session() as session, session.begin():
        first = session.scalars(select(Entity).order_by(Entity.id)).first()
        assert first is not None
        first.updated_at = datetime.now(UTC) - 2 * HOUR

    assert found_by(world, since=HOUR)[1].read == 2


def test_when_time_is_up_nothing_more_is_read_but_all_lengths_were_compared(world: World, stored: Path) -> None:
    overwrite(stored, b"")

    (finding,), summary = found_by(world, limit_time=timedelta())

    assert finding.problem is Problem.WRONG_LENGTH
    assert (summary.due, summary.read) == (3, 0)


def test_what_was_longest_unverified_is_read_first(world: World, stored: Path, sources: Path, tmp_path: Path) -> None:
    add(world, sources, copy=False)
    now = datetime.now(UTC)
    with world.session() as session, session.begin():
        entities = list(session.scalars(select(Entity.id).order_by(Entity.id)))
        for age, entity in enumerate(entities[1:], start=1):
            session.add(ObjectVerificationComponent(entity_id=entity, found_good_at=now - age * HOUR))
        path = session.scalar(select(FileLocationComponent.physical_path_or_key).where(
            FileLocationComponent.entity_id == entities[0], FileLocationComponent.storage_type == "local_reference"
        ))  # fmt: skip
        assert path is not None
        session.add(
            ReferenceVerificationComponent(
                entity_id=entities[0], physical_path=path, found_good_at=now - timedelta(minutes=90)
            )
        )

    order = [
        (type(one).__name__, one.entity_id) for one in verification_queue.due(world.database, Window(good_before=now))
    ]

    never, verified = order[:3], order[3:]
    assert sorted(never) == [("Reference", entities[1]), ("Reference", entities[2]), ("StoredObject", entities[0])]
    assert verified == [("StoredObject", entities[2]), ("Reference", entities[0]), ("StoredObject", entities[1])]


def test_pages_leave_nothing_out(world: World, stored: Path, sources: Path) -> None:
    add(world, sources, copy=False)
    names = sorted(path.name for path in stored.parents[2].glob("??/??/*"))
    now = datetime.now(UTC)

    in_order = verification_queue.stored_objects(world.database, page_size=2)
    never = list(verification_queue.due(world.database, Window(good_before=now), page_size=2))
    with world.session() as session, session.begin():
        verification_queue.record_good(session, never, now - HOUR)
    verified = list(verification_queue.due(world.database, Window(good_before=now), page_size=2))

    assert [str(one.content_id) for one in in_order] == names
    assert len(never) == len(verified) == 6
    assert {(type(one), one.entity_id) for one in never} == {(type(one), one.entity_id) for one in verified}


def test_verifying_changes_no_file(world: World, stored: Path, sources: Path, storage: LocalFileStorage) -> None:
    flip_a_bit(stored)
    before = invariant.seen_but_for_access(storage.root), invariant.seen(sources)

    found_by(world)

    assert (invariant.seen_but_for_access(storage.root), invariant.seen(sources)) == before


def test_others_can_write_while_contents_are_read(world: World, stored: Path) -> None:
    waited = []

    def write(_: int) -> None:
        begun = time.monotonic()
        with world.session() as session, session.begin():
            session.execute(text("UPDATE entity SET updated_at = updated_at"))
        waited.append(time.monotonic() - begun)

    verification.verify(world, Options(), on_read=write)

    assert len(waited) == 3
    assert max(waited) < 5


def test_reading_stops_when_nobody_waits_any_more() -> None:
    begun = threading.Event()

    def read_for_ever(_: int) -> None:
        begun.set()
        while not readers.is_stopped():
            time.sleep(0.01)

    def interrupt(results: Iterator[object]) -> None:
        next(results)
        begun.wait(10)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), ReadingThreads(2) as readers:
        interrupt(readers.map(lambda number: None if number == 0 else read_for_ever(number), range(1000)))


@pytest.mark.parametrize("harm", [Path.unlink, flip_a_bit, lambda path: overwrite(path, b"?")])
def test_an_object_is_repaired_from_the_file_it_came_from(
    world: World, stored: Path, sources: Path, harm: Callable[[Path], None]
) -> None:
    good = stored.read_bytes()
    harm(stored)

    (finding,), summary = found_by(world, repair=True)

    assert finding.repaired_from == str(sources / "one")
    assert stored.read_bytes() == good
    assert (summary.repaired, summary.is_sound) == (1, False)
    assert problems_in(world) == []


def test_an_object_is_repaired_from_a_reference(world: World, stored: Path, sources: Path, tmp_path: Path) -> None:
    reference = tmp_path / "reference"
    (sources / "one").rename(reference)
    add(world, reference, copy=False)
    flip_a_bit(stored)

    (finding,), _ = found_by(world, repair=True)

    assert finding.repaired_from == str(reference)


def test_wrong_bytes_are_put_aside_and_not_deleted(world: World, stored: Path, storage: LocalFileStorage) -> None:
    overwrite(stored, b"precious in its own way")

    found_by(world, repair=True)

    (aside,) = (storage.root / "damaged").iterdir()
    assert aside.read_bytes() == b"precious in its own way"


def test_a_source_that_has_other_bytes_by_now_repairs_nothing(world: World, stored: Path, sources: Path) -> None:
    (sources / "one").write_text("other bytes now")
    stored.unlink()

    (finding,), _ = found_by(world, repair=True)

    assert finding.repaired_from is None
    assert finding.detail == "no file that is known for it has its bytes"
    assert not stored.exists()


def test_a_source_of_the_same_length_but_other_bytes_repairs_nothing(
    world: World, stored: Path, sources: Path, storage: LocalFileStorage
) -> None:
    flip_a_bit(sources / "one")
    stored.unlink()

    (finding,), _ = found_by(world, repair=True)

    assert finding.repaired_from is None
    assert not stored.exists()
    assert list(storage.leftovers()) == []


def forget_asset_of(world: World, stored: Path) -> None:
    with world.session() as session, session.begin():
        entity = session.scalar(
            select(ContentHashSHA256Component.entity_id).where(
                ContentHashSHA256Component.hash_value == bytes.fromhex(stored.name)
            )
        )
        session.execute(delete(Entity).where(Entity.id == entity))


def test_an_object_of_a_process_that_is_still_adding_is_not_called_unknown(
    world: World, storage: LocalFileStorage, stored: Path, tmp_path: Path
) -> None:
    (tmp_path / "late").write_text("late")
    adding = LocalFileStorage(storage.root)
    (published,) = adding.publish([adding.stage(tmp_path / "late")])
    assert not isinstance(published, DamError)

    def commit_and_leave() -> None:
        add(world, tmp_path / "late")
        adding.close()

    finishing = threading.Timer(0.5, commit_and_leave)
    finishing.start()
    problems = problems_in(world)
    finishing.join()

    assert problems == []
