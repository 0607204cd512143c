from datetime import UTC, datetime

from sqlalchemy.orm import Session

from dam.models import FileLocationComponent, OriginalSourceInfoComponent
from dam.models.file_location_component import LOCAL_CAS, LOCAL_REFERENCE
from dam.services import ecs_service, picture_service
from dam.services.picture_service import Picture
from tests.services.stored_pictures import Stored, store

NOW = datetime(2024, 2, 29, tzinfo=UTC)


def location(entity_id: int, storage_type: str, path: str) -> FileLocationComponent:
    return FileLocationComponent(
        entity_id=entity_id,
        content_identifier="ab",
        storage_type=storage_type,
        physical_path_or_key=path,
        contextual_filename="a.jpg",
    )


def source(entity_id: int, path: str) -> OriginalSourceInfoComponent:
    return OriginalSourceInfoComponent(
        entity_id=entity_id,
        original_filename="a.jpg",
        original_path=path,
        source_type="local_file",
        first_seen_at=NOW,
        last_seen_at=NOW,
    )


def test_a_picture_is_described_with_every_place_it_was_seen_at(session: Session) -> None:
    [first, other] = store(
        session, [Stored(width=4000, height=3000, file_size_bytes=7, filename="\udcff.jpg"), Stored()]
    )
    session.add_all([source(first, "/b/a.jpg"), source(first, "/a/\udcff.jpg"), source(other, "/elsewhere")])
    session.add_all([location(first, LOCAL_CAS, "ab"), location(first, LOCAL_REFERENCE, "/b/a.jpg")])
    session.flush()
    assert picture_service.describe(session, [first]) == {
        first: Picture(
            entity_id=first,
            filename="\udcff.jpg",
            width_pixels=4000,
            height_pixels=3000,
            file_size_bytes=7,
            paths=("/a/\udcff.jpg", "/b/a.jpg"),
        )
    }


def test_what_is_not_known_is_none_and_who_does_not_exist_is_left_out(session: Session) -> None:
    entity_id = ecs_service.create_entity(session)
    assert picture_service.describe(session, [entity_id, entity_id + 1]) == {entity_id: Picture(entity_id=entity_id)}
    assert picture_service.describe(session, []) == {}


def test_more_pictures_than_a_statement_takes_are_described(session: Session) -> None:
    [entity_id] = store(session, [Stored()])
    nobody = range(entity_id + 1, entity_id + 33_000)
    assert list(picture_service.describe(session, [*nobody, entity_id])) == [entity_id]
