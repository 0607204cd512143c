import random
import re
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, event
from sqlalchemy.orm import Session

from dam.services import similarity_service
from dam.services.facts import PerceptualHashes
from dam.services.perceptual_hashing import HashKind, is_degenerate
from dam.services.similarity_service import Match, MatchRule, Thresholds, find_similar
from tests.services.stored_pictures import BUSY, Stored, flipped, store

KINDS: tuple[HashKind, ...] = ("phash", "ahash", "dhash")
ONLY_PHASH = Thresholds(phash=4, ahash=None, dhash=None)
FAR = BUSY ^ (2**64 - 1)


def hashes(phash: int = BUSY, ahash: int = BUSY, dhash: int = BUSY) -> PerceptualHashes:
    return PerceptualHashes(phash=phash.to_bytes(8), ahash=ahash.to_bytes(8), dhash=dhash.to_bytes(8))


def library(seed: int) -> tuple[list[Stored], list[PerceptualHashes]]:
    """Return pictures around some centres, at every distance in every hash, and the centres."""
    chance = random.Random(seed)

    def near(centre: int, distance: int) -> int:
        return flipped(centre, chance.sample(range(64), distance))

    def any_hash() -> int:
        return chance.choice([chance.getrandbits(64), chance.getrandbits(64), near(0, chance.randint(0, 4)), 2**64 - 1])

    centres = [(any_hash(), any_hash(), any_hash()) for _ in range(3)]
    planted = []
    for phash, ahash, dhash in centres:
        for distance in range(65):
            others = [chance.choice([distance, chance.randint(0, 8), chance.randint(0, 64)]) for _ in range(2)]
            values: list[int | None] = [near(phash, distance), near(ahash, others[0]), near(dhash, others[1])]
            if chance.random() < 0.1:
                values[chance.randrange(3)] = None
            planted.append(Stored(phash=values[0], ahash=values[1], dhash=values[2]))
            if chance.random() < 0.5:
                chance.shuffle(values)
                planted.append(Stored(phash=values[0], ahash=values[1], dhash=values[2]))
    return planted, [hashes(*centre) for centre in centres]


def expected(
    stored: Mapping[int, Stored], queries: Mapping[int, PerceptualHashes], asked: Thresholds, match: MatchRule
) -> list[tuple[Any, ...]]:
    found = []
    for entity_id, picture in stored.items():
        judged = (_judged(picture, query, orientation, asked, match) for orientation, query in queries.items())
        best = min(filter(None, judged), default=None)
        if best is not None:
            found.append((*best[:2], entity_id, *best[2:]))
    return sorted(found)


def _judged(
    picture: Stored, query: PerceptualHashes, orientation: int, asked: Thresholds, match: MatchRule
) -> tuple[Any, ...] | None:
    distances, agree, carry = {}, [], []
    for kind in KINDS:
        stored, wanted, threshold = getattr(picture, kind), getattr(query, kind), getattr(asked, kind)
        distances[kind] = None if stored is None else (stored ^ int.from_bytes(wanted)).bit_count()
        if threshold is not None and distances[kind] is not None and distances[kind] <= threshold:
            agree.append(kind)
            carry.append(not is_degenerate(kind, wanted) and not is_degenerate(kind, stored.to_bytes(8)))
    enough = match == "any" or len(agree) == sum(getattr(asked, kind) is not None for kind in KINDS)
    if not (enough and any(carry)):
        return None
    return -len(agree), sum(d or 0 for d in distances.values()), orientation, tuple(agree), tuple(distances.items())


def shown(match: Match) -> tuple[Any, ...]:
    total = sum(distance or 0 for distance in match.distances.values())
    details = match.orientation, match.matched_by, tuple(match.distances.items())
    return -len(match.matched_by), total, match.entity_id, *details


THRESHOLDS = st.tuples(*(st.none() | st.integers(0, 8) | st.integers(0, 64) for _ in KINDS)).filter(any)


def test_finds_what_comparing_with_everything_finds(session: Session) -> None:
    pictures, centres = library(random.getrandbits(32))
    stored = dict(zip(store(session, pictures), pictures, strict=True))

    @settings(max_examples=40)
    @given(
        queries=st.dictionaries(st.integers(1, 8), st.sampled_from(centres), min_size=1, max_size=3),
        bits=st.sets(st.integers(0, 63), max_size=5),
        limits=THRESHOLDS,
        match=st.sampled_from(["any", "all"]),
    )
    def holds(
        queries: dict[int, PerceptualHashes], bits: set[int], limits: tuple[int | None, ...], match: MatchRule
    ) -> None:
        asked = Thresholds(phash=limits[0], ahash=limits[1], dhash=limits[2])
        turned = {number: _moved(query, bits) for number, query in queries.items()}
        found = [shown(one) for one in find_similar(session, turned, thresholds=asked, match=match)]
        assert found == expected(stored, turned, asked, match)

    holds()


def _moved(query: PerceptualHashes, bits: set[int]) -> PerceptualHashes:
    return hashes(*(flipped(int.from_bytes(getattr(query, kind)), bits) for kind in KINDS))


@pytest.mark.parametrize("kind", KINDS)
def test_each_hash_has_its_own_threshold_exactly(session: Session, kind: HashKind) -> None:
    values: list[dict[str, Any]] = [{kind: flipped(BUSY, range(distance))} for distance in range(65)]
    pictures = [Stored(**value) for value in values]
    ids = store(session, pictures)
    for threshold in (*range(10), 31, 32, 33, 63, 64):
        asked = Thresholds(**dict.fromkeys(KINDS) | {kind: threshold})
        near = [i for i, one in zip(ids, pictures, strict=True) if _is_near(kind, one, threshold)]
        assert [match.entity_id for match in find_similar(session, hashes(), thresholds=asked)] == near


def _is_near(kind: HashKind, picture: Stored, threshold: int) -> bool:
    value: int = getattr(picture, kind)
    return (value ^ BUSY).bit_count() <= threshold and not is_degenerate(kind, value.to_bytes(8))


def test_a_match_tells_its_name_and_all_distances(session: Session) -> None:
    [entity_id] = store(session, [Stored(phash=flipped(BUSY, [3]), ahash=None, dhash=FAR, filename="b\udcff.jpg")])
    assert find_similar(session, hashes(), thresholds=ONLY_PHASH) == [
        Match(
            entity_id=entity_id,
            filename="b\udcff.jpg",
            distances={"phash": 1, "ahash": None, "dhash": 64},
            matched_by=("phash",),
            orientation=1,
        )
    ]


def test_best_is_first_by_hashes_that_agree_then_distance_then_id(session: Session) -> None:
    two_agree = Stored(ahash=flipped(BUSY, [1, 2]), dhash=FAR)
    near = Stored(phash=flipped(BUSY, [1]))
    ids = store(session, [two_agree, near, near, Stored()])
    found = [match.entity_id for match in find_similar(session, hashes())]
    assert found == [ids[3], ids[1], ids[2], ids[0]]


def test_limit_keeps_the_best(session: Session) -> None:
    ids = store(session, [Stored(phash=flipped(BUSY, range(3 - number))) for number in range(3)])
    found = find_similar(session, hashes(), limit=2)
    assert [match.entity_id for match in found] == [ids[2], ids[1]]


def test_the_asset_itself_is_left_out(session: Session) -> None:
    ids = store(session, [Stored(), Stored()])
    assert [match.entity_id for match in find_similar(session, hashes(), exclude_entity=ids[0])] == [ids[1]]


def test_all_needs_every_hash_that_is_asked_for(session: Session) -> None:
    ids = store(session, [Stored(dhash=FAR), Stored(), Stored(ahash=None)])
    assert [match.entity_id for match in find_similar(session, hashes(), match="all")] == [ids[1]]
    asked = Thresholds(dhash=None)
    assert [match.entity_id for match in find_similar(session, hashes(), match="all", thresholds=asked)] == ids[1::-1]


def test_the_orientation_that_fits_is_told(session: Session) -> None:
    turned = flipped(BUSY, range(30))
    ids = store(session, [Stored(phash=turned), Stored(phash=flipped(BUSY, [1]))])
    found = find_similar(session, {1: hashes(), 6: hashes(phash=turned)}, thresholds=ONLY_PHASH)
    assert [(match.entity_id, match.orientation) for match in found] == [(ids[0], 6), (ids[1], 1)]


@pytest.mark.parametrize("match", ["any", "all"])
@pytest.mark.parametrize("threshold", [4, 64])
def test_flat_pictures_do_not_look_like_each_other(session: Session, match: MatchRule, threshold: int) -> None:
    store(session, [Stored(phash=1 << 63, ahash=0, dhash=0)])
    asked = Thresholds(phash=threshold, ahash=threshold, dhash=threshold)
    assert find_similar(session, hashes(1 << 63, 0, 0), thresholds=asked, match=match) == []


def test_a_degenerate_hash_supports_another(session: Session) -> None:
    store(session, [Stored(dhash=0)])
    asked = Thresholds(ahash=None)
    for match in ("any", "all"):
        [found] = find_similar(session, hashes(dhash=1), thresholds=asked, match=match)
        assert found.matched_by == ("phash", "dhash")


def test_an_empty_library_has_no_match(session: Session) -> None:
    assert find_similar(session, hashes()) == []
    assert find_similar(session, hashes(), thresholds=Thresholds(phash=64)) == []


def test_thresholds_out_of_range_or_none_at_all_are_refused() -> None:
    with pytest.raises(ValueError, match="0 to 64"):
        Thresholds(phash=65)
    with pytest.raises(ValueError, match="0 to 64"):
        Thresholds(dhash=-1)
    with pytest.raises(ValueError, match="at least one"):
        Thresholds(phash=None, ahash=None, dhash=None)


def test_stored_hashes_come_back(session: Session) -> None:
    ids = store(session, [Stored(ahash=7), Stored(dhash=None)])
    assert similarity_service.hashes_of(session, ids[0]) == hashes(ahash=7)
    assert similarity_service.hashes_of(session, ids[1]) is None
    assert similarity_service.hashes_of(session, max(ids) + 1) is None


@pytest.mark.parametrize("threshold", [0, 3, 4, 7])
def test_bands_are_looked_up_in_indexes_that_hold_all_that_is_asked(engine: Engine, threshold: int) -> None:
    asked: list[tuple[str, Any]] = []
    with Session(engine) as session:
        store(session, [Stored() for _ in range(300)])
        session.commit()
        event.listen(engine, "before_cursor_execute", lambda _c, _x, sql, values, *_: asked.append((sql, values)))
        find_similar(session, hashes(), thresholds=Thresholds(phash=threshold, ahash=threshold, dhash=threshold))
    [(sql, values)] = [(sql, values) for sql, values in asked if "substr" in sql]
    plan = _plan(engine, sql, values)
    look_ups = sql.count("substr(")
    assert look_ups == 3 * min(threshold + 1, 4)
    covered = re.findall(
        r"COVERING INDEX ix_image_perceptual_[pad]hash_band_\d|Index Only Scan using ix_\w+_band_\d", plan
    )
    assert len(covered) == look_ups


def _plan(engine: Engine, sql: str, values: Any) -> str:
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            return str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values).all())
        # So small a table is quicker read whole; what counts is that the index can serve.
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        connection.exec_driver_sql("SET LOCAL enable_bitmapscan = off")
        return str(connection.exec_driver_sql(f"EXPLAIN {sql}", values).all())
