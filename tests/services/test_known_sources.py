"""Known sources: files that were read before are found by path and stat, in whatever order they come."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import batched

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from dam.core.events import ImportedFile
from dam.models import OriginalSourceInfoComponent
from dam.services import asset_service
from dam.services.known_sources import KnownSource, KnownSources, seen_again
from tests.services.importing import NOW, imported
from tests.services.statements import statements_to

LATER = NOW + timedelta(days=1)
_VERSIONS = st.tuples(st.integers(0, 12), st.sampled_from(["1", "2"]))


def _record(session: Session, files: Sequence[ImportedFile]) -> None:
    asset_service.record_files(session, files)
    session.commit()


def _file(name: str, stat: str | None = "1 2 3 4") -> ImportedFile:
    return imported(f"/{name}", f"{name} {stat}".encode("utf-8", "surrogateescape"), seen_stat=stat)


def _known(session: Session, stats: dict[str, str], source_type: str = "local_file") -> dict[str, KnownSource]:
    return _found(KnownSources(source_type=source_type), session, stats)


def _found(sources: KnownSources, session: Session, stats: dict[str, str]) -> dict[str, KnownSource]:
    known = sources.among(session, list(stats.items()))
    return {path: one for path, one in zip(stats, known, strict=True) if one is not None}


@pytest.mark.parametrize(
    ("path", "stat", "source_type", "known"),
    [
        ("/photos/a.jpg", "1 2 3 4", "local_file", True),
        ("/photos/a.jpg", "1 2 3 5", "local_file", False),
        ("/photos/b.jpg", "1 2 3 4", "local_file", False),
        ("/photos/a.jpg", "1 2 3 4", "referenced_file", False),
    ],
)
def test_a_source_is_known_by_path_stat_and_type(
    session: Session, path: str, stat: str, source_type: str, *, known: bool
) -> None:
    file = imported()
    [recorded] = asset_service.record_files(session, [file])
    session.commit()
    found = _known(session, {path: stat}, source_type)
    assert list(found) == ([path] if known else [])
    assert all(one[1:] == (recorded.entity_id, file.sha256) for one in found.values())


def test_a_source_whose_stat_cannot_be_trusted_is_not_known(session: Session) -> None:
    _record(session, [imported(seen_stat=None)])
    assert _known(session, {"/photos/a.jpg": "1 2 3 4"}) == {}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    recorded=st.lists(st.lists(_VERSIONS, max_size=5), max_size=5),
    walked=st.lists(st.lists(_VERSIONS, max_size=5), max_size=5),
)
def test_whatever_the_order_files_are_found_by_path_and_stat(
    session: Session, recorded: list[list[tuple[int, str]]], walked: list[list[tuple[int, str]]]
) -> None:
    for group in recorded:
        asset_service.record_files(session, [_file(f"{number}", stat) for number, stat in group])
    known = KnownSources(source_type="local_file")
    for batch in walked:
        stats = {f"/{number}": stat for number, stat in batch}
        found = {path: one[2] for path, one in _found(known, session, stats).items()}
        assert found == {
            f"/{number}": _file(f"{number}", stat).sha256
            for group in recorded
            for number, stat in group
            if stats.get(f"/{number}") == stat
        }
    session.rollback()


def test_files_in_the_order_in_which_they_were_recorded_are_looked_up_together(
    session: Session, engine: Engine
) -> None:
    names = [f"{number:03}" for number in range(60)]
    for group in batched(names, 20):
        _record(session, [_file(name) for name in group])
    known = KnownSources(source_type="local_file")
    with statements_to(engine) as asked:
        for batch in batched(names, 15):
            assert len(_found(known, session, {f"/{name}": "1 2 3 4" for name in batch})) == 15
    assert sum("original_source_info" in statement for statement in asked) == 4


def test_names_that_are_not_stored_as_they_are_are_known_all_the_same(session: Session, engine: Engine) -> None:
    names = ["back\\slash", "byte\udcff", "double\\\\slash", "written \\xff"]
    _record(session, [_file(name) for name in names])
    with statements_to(engine) as asked:
        assert list(_known(session, {f"/{name}": "1 2 3 4" for name in names})) == [f"/{name}" for name in names]
    assert sum("original_source_info" in statement for statement in asked) == 1
    assert _known(session, {"/back\\\\slash": "1 2 3 4", "/written \udcff": "1 2 3 4"}) == {}


def test_seeing_sources_again_changes_only_when(session: Session) -> None:
    _record(session, [_file(name) for name in "abcde"])
    seen_again(session, [_known(session, {f"/{name}": "1 2 3 4"})[f"/{name}"][0] for name in "abd"], LATER)
    rows = session.scalars(select(OriginalSourceInfoComponent)).all()
    seen = {row.original_path: (row.first_seen_at, row.last_seen_at) for row in rows}
    assert seen == {f"/{name}": (NOW, LATER if name in "abd" else NOW) for name in "abcde"}


def test_seeing_nothing_again_is_no_error(session: Session) -> None:
    seen_again(session, [], LATER)
