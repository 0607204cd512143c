"""Assets: files become rows, content that is known is linked, and everything known can be told."""

from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from dam.core.components_markers import NeedsMetadataExtractionComponent
from dam.core.database import Database
from dam.core.events import ImportedFile, ImportStatus
from dam.models import (
    ContentHashMD5Component,
    ContentHashSHA256Component,
    Entity,
    FileLocationComponent,
    FilePropertiesComponent,
    OriginalSourceInfoComponent,
)
from dam.models.base import Base, Component
from dam.services import asset_service, ecs_service, fact_service
from dam.services.facts import Facts, ImageDimensions
from tests.forks import ForkServer
from tests.services.importing import NOW, imported, referenced
from tests.services.statements import statements_to

RECORD = "from tests.services import importing; importing.main()"
ADDED, LINKED, UNCHANGED = ImportStatus.ADDED, ImportStatus.LINKED, ImportStatus.UNCHANGED
LATER = NOW + timedelta(days=1)


def _record(session: Session, *files: ImportedFile) -> list[tuple[int, ImportStatus]]:
    results = asset_service.record_files(session, files)
    session.commit()
    return [(result.entity_id, result.status) for result in results]


def _record_one(session: Session, file: ImportedFile) -> tuple[int, ImportStatus]:
    [result] = _record(session, file)
    return result


def _all[C: Component](session: Session, kind: type[C]) -> list[C]:
    session.expire_all()
    entities = ecs_service.entities_with(session, kind)
    return [one for of_one in ecs_service.get_components_of(session, entities, kind).values() for one in of_one]


def _count(session: Session, kind: type[Base]) -> int:
    return session.scalar(select(func.count()).select_from(kind)) or 0


def test_a_new_file_becomes_an_asset_with_all_its_rows(session: Session) -> None:
    file = imported()
    entity, status = _record_one(session, file)
    known = asset_service.components_of(session, [entity])[entity]
    assert status is ADDED
    assert {name: [asset_service.fields_of(one) for one in rows] for name, rows in known.items()} == {
        "ContentHashMD5Component": [{"hash_value": file.md5}],
        "ContentHashSHA256Component": [{"hash_value": file.sha256}],
        "FileLocationComponent": [
            {
                "content_identifier": file.sha256.hex(),
                "storage_type": "local_cas",
                "physical_path_or_key": file.sha256.hex(),
                "contextual_filename": "a.jpg",
            }
        ],
        "FilePropertiesComponent": [{"original_filename": "a.jpg", "file_size_bytes": 7, "mime_type": "image/jpeg"}],
        "NeedsMetadataExtractionComponent": [{}],
        "OriginalSourceInfoComponent": [
            {
                "original_filename": "a.jpg",
                "original_path": "/photos/a.jpg",
                "source_type": "local_file",
                "first_seen_at": NOW,
                "last_seen_at": NOW,
            }
        ],
    }


def test_results_are_in_the_order_of_the_files(session: Session) -> None:
    files = [imported(f"/{number}", bytes([number])) for number in (3, 1, 2)]
    results = _record(session, *files)
    found = [asset_service.find_by_sha256(session, file.sha256) for file in files]
    assert found == [[entity] for entity, _ in results]


def test_the_same_content_under_two_names_is_one_asset_with_both(session: Session) -> None:
    results = _record(session, imported("/a.jpg"), imported("/b.jpg"))
    assert [status for _, status in results] == [ADDED, LINKED]
    assert len({entity for entity, _ in results}) == 1
    assert [one.contextual_filename for one in _all(session, FileLocationComponent)] == ["a.jpg", "b.jpg"]
    assert [one.original_path for one in _all(session, OriginalSourceInfoComponent)] == ["/a.jpg", "/b.jpg"]


def test_the_name_of_the_first_time_stays_that_of_the_asset(session: Session) -> None:
    _record(session, imported("/z.jpg"), imported("/a.jpg"))
    _record(session, imported("/b.jpg", mime_type="image/png"))
    [properties] = _all(session, FilePropertiesComponent)
    assert (properties.original_filename, properties.mime_type) == ("z.jpg", "image/jpeg")


def test_the_same_name_in_another_folder_is_another_source_of_one_location(session: Session) -> None:
    _record(session, imported("/one/a.jpg"))
    assert _record_one(session, imported("/two/a.jpg"))[1] is LINKED
    assert len(_all(session, FileLocationComponent)) == 1
    assert len(_all(session, OriginalSourceInfoComponent)) == 2


def test_adding_the_same_path_again_changes_nothing_but_last_seen(session: Session) -> None:
    entity, _ = _record_one(session, imported())
    session.expire_all()
    before = session.get_one(Entity, entity).updated_at
    assert _record_one(session, imported(seen_at=LATER)) == (entity, UNCHANGED)
    [source] = _all(session, OriginalSourceInfoComponent)
    assert (source.first_seen_at, source.last_seen_at) == (NOW, LATER)
    assert len(_all(session, FileLocationComponent)) == 1
    assert session.get_one(Entity, entity).updated_at == before


def test_linking_is_a_change_of_the_asset(session: Session) -> None:
    entity, _ = _record_one(session, imported())
    before = session.get_one(Entity, entity).updated_at
    _record(session, imported("/elsewhere.jpg"))
    session.expire_all()
    assert session.get_one(Entity, entity).updated_at > before


def test_by_reference_first_and_by_copy_later_gives_the_copy_its_own_location(session: Session) -> None:
    _record(session, referenced())
    assert _record_one(session, imported())[1] is LINKED
    locations = _all(session, FileLocationComponent)
    assert [one.storage_type for one in locations] == ["local_reference", "local_cas"]
    assert [one.source_type for one in _all(session, OriginalSourceInfoComponent)] == ["local_file"]


def test_a_path_whose_content_changed_is_a_source_of_both_assets(session: Session) -> None:
    old, _ = _record_one(session, imported(content=b"old"))
    new, status = _record_one(session, imported(content=b"new"))
    assert status is ADDED
    assert [one.entity_id for one in _all(session, OriginalSourceInfoComponent)] == [old, new]


def test_two_contents_with_one_md5_are_two_assets(session: Session) -> None:
    results = _record(session, imported("/a", b"a", md5=bytes(16)), imported("/b", b"b", md5=bytes(16)))
    assert [status for _, status in results] == [ADDED, ADDED]
    assert asset_service.find_by_md5(session, bytes(16)) == sorted(entity for entity, _ in results)


def test_a_missing_hash_is_filled_in(session: Session) -> None:
    file = imported()
    entity, _ = _record_one(session, file)
    ecs_service.remove_components(session, [entity], ContentHashMD5Component)
    _record(session, file)
    assert asset_service.find_by_md5(session, file.md5) == [entity]


def test_names_that_are_no_text_are_the_same_fact_again(session: Session) -> None:
    file = imported("/back\\slash/\udcff\n.jpg")
    entity, _ = _record_one(session, file)
    assert _record_one(session, file) == (entity, UNCHANGED)


def test_an_empty_batch_is_nothing(session: Session) -> None:
    assert _record(session) == []


def test_an_asset_whose_facts_are_known_or_that_has_none_is_not_marked_again(session: Session) -> None:
    known, _ = _record_one(session, imported("/a", b"a"))
    _record(session, imported("/text", b"text", has_facts=False))
    ecs_service.unmark(session, [known], NeedsMetadataExtractionComponent)
    fact_service.write_facts(session, {known: Facts(found=(ImageDimensions(width_pixels=1, height_pixels=1),))})
    _record(session, imported("/b", b"a"), imported("/text2", b"text", has_facts=False))
    assert ecs_service.entities_with(session, NeedsMetadataExtractionComponent) == []


def test_an_asset_whose_facts_are_missing_is_marked_again(session: Session) -> None:
    entity, _ = _record_one(session, imported())
    ecs_service.unmark(session, [entity], NeedsMetadataExtractionComponent)
    _record(session, imported("/other"))
    assert ecs_service.entities_with(session, NeedsMetadataExtractionComponent) == [entity]


def test_a_batch_takes_as_few_statements_as_a_file(session: Session, engine: Engine) -> None:
    session.connection()
    with statements_to(engine) as for_one:
        asset_service.record_files(session, [imported("/x", b"x")])
    with statements_to(engine) as for_many:
        asset_service.record_files(session, [imported(f"/{number}", b"%d" % number) for number in range(200)])
    assert len(for_many) == len(for_one)


def test_assets_are_numbered_in_the_order_of_their_files(session: Session) -> None:
    entities = [entity for entity, _ in _record(session, *(imported(f"/{name}", name.encode()) for name in "dbacfe"))]
    sources = _all(session, OriginalSourceInfoComponent)
    assert entities == sorted(entities)
    assert [one.original_path for one in sorted(sources, key=lambda one: one.id)] == [f"/{name}" for name in "dbacfe"]


@pytest.mark.parametrize("known", [{57}, {0}, {0, 57, 58, 99}, set(range(100))])
def test_known_contents_are_found_among_new_ones(session: Session, known: set[int]) -> None:
    files = [imported(f"/in/{number}", f"{number}".encode()) for number in range(100)]
    before = dict(zip(sorted(known), _record(session, *(files[number] for number in sorted(known))), strict=True))
    moved = [imported(f"/out/{number}", f"{number}".encode()) for number in range(100)]
    for number, (entity, status) in enumerate(_record(session, *moved)):
        assert status is (LINKED if number in known else ADDED)
        assert number not in known or entity == before[number][0]
    for kind in (Entity, ContentHashSHA256Component, ContentHashMD5Component):
        assert _count(session, kind) == 100


def test_unknown_hashes_find_nothing(session: Session) -> None:
    _record(session, imported())
    assert asset_service.find_by_sha256(session, bytes(32)) == []
    assert asset_service.find_by_md5(session, bytes(16)) == []


def test_whether_any_object_is_stored_is_known(session: Session) -> None:
    _record(session, referenced())
    assert not asset_service.has_stored_objects(session, "local_cas")
    _record(session, imported("/b", b"b"))
    assert asset_service.has_stored_objects(session, "local_cas")


def test_an_asset_of_which_nothing_is_known_has_no_components(session: Session) -> None:
    entity = ecs_service.create_entity(session)
    assert asset_service.components_of(session, [entity]) == {entity: {}}


def test_processes_that_record_the_same_contents_at_once_end_with_one_entity_each(
    database: Database, database_url: str, tmp_path: Path, forks: ForkServer
) -> None:
    with ExitStack() as stack:
        processes = [
            stack.enter_context(forks.start_python(RECORD, database_url, name, tmp_path / "go"))
            for name in ("forwards", "backwards")
        ]
        assert [process.stdout.readline() for process in processes] == ["ready\n"] * 2
        (tmp_path / "go").touch()
        said = [process.communicate(timeout=60)[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert len({entity for entities in said for entity in entities}) == 20
    with database.reading() as session:
        assert [_count(session, kind) for kind in (Entity, ContentHashSHA256Component)] == [20, 20]
        assert [_count(session, kind) for kind in (OriginalSourceInfoComponent, FileLocationComponent)] == [40, 20]
