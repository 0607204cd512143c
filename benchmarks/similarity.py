"""How long exact look-alike search takes, what it costs on disk and at ingestion, and what its peers take.

``python -m benchmarks.similarity [--quick] [--peers] [--postgres]``: libraries of 10,000, 100,000 and 1,000,000 (quick:
10,000 and 50,000) synthetic assets in a database of their own, queries of which half are near a stored picture, and all
pairs of 500,000 (quick: 50,000). Peers are ``faiss-cpu`` and ``pybktree`` where they are installed, and NumPy.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sqlalchemy import Column, Connection, MetaData, Table, event, insert, select, text

from dam.core.database import Database
from dam.models import Entity, FilePropertiesComponent, ImageDimensionsComponent
from dam.services import duplicates_service, similarity_service
from dam.services.facts import PerceptualHashes
from dam.services.similarity_service import COMPONENTS, Thresholds
from tests.postgres import PostgresServer

type Hashes = NDArray[np.uint64]

SEED = 20240229
BATCH = 10_000
QUERIES = 200
ADDED = 2_000
ADDED_AT_ONCE = 200
COMMANDS = 9
PROGRAM = Path(sys.executable).with_name("dam-cli")
NOW = datetime(2024, 2, 29, tzinfo=UTC)
KINDS = tuple(COMPONENTS)
TABLES = [component.metadata.tables[component.__tablename__] for component in COMPONENTS.values()]


def main() -> None:
    arguments = _parse()
    if arguments.all_pairs:
        _all_pairs_of_database(arguments.all_pairs)
        return
    sizes = (10_000, 50_000) if arguments.quick else (10_000, 100_000, 1_000_000)
    pairs = 50_000 if arguments.quick else 500_000
    with tempfile.TemporaryDirectory(prefix="dam-bench-", dir="/tmp") as folder, _urls(folder, arguments) as url_of:
        empty = url_of("library_empty")
        with closing(Database(empty)) as database:
            database.upgrade()
        for size in sizes:
            print(f"\n== {size:,} assets")
            url = url_of(f"library_{size}")
            _measure_library(url, size, peers=arguments.peers)
            _measure_command(Path(folder), full=url, empty=empty)
        print(f"\n== all pairs of {pairs:,} at distance 4")
        _measure_all_pairs(url_of("pairs"), pairs, peers=arguments.peers)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="smaller libraries")
    parser.add_argument("--peers", action="store_true", help="faiss-cpu and pybktree too")
    parser.add_argument("--postgres", action="store_true", help="in PostgreSQL instead of SQLite")
    parser.add_argument("--all-pairs", metavar="URL", help=argparse.SUPPRESS)
    return parser.parse_args()


@contextmanager
def _urls(folder: str, arguments: argparse.Namespace) -> Iterator[Callable[[str], str]]:
    if not arguments.postgres:
        yield lambda name: f"sqlite:///{folder}/{name}.db"
        return
    Path(folder).chmod(0o755)
    server = PostgresServer(Path(folder), "shared_buffers=2GB")  # that of the tests is for small databases
    server.create()
    server.start()
    try:
        yield lambda name: _new_postgres_database(server.url, name)
    finally:
        server.stop()


def _new_postgres_database(url: str, name: str) -> str:
    with closing(Database(url)) as server, server.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text(f"CREATE DATABASE {name}"))
    return url.replace("/postgres?", f"/{name}?")


def _measure_library(url: str, size: int, *, peers: bool) -> None:
    hashes = _random_hashes(size)
    with closing(Database(url)) as database:
        database.upgrade()
        without, with_indexes = _fill(database, hashes)
        print(f"disk: {without / 1e6:.0f} MB without band indexes, {with_indexes / 1e6:.0f} MB with them")
        _measure_ingestion(database, size)
        queries = _queries(hashes)
        for threshold in (3, 4, 7):
            _measure_queries(database, queries, threshold)
        _measure_scan(database, queries)
    _measure_numpy(hashes, queries)
    if peers:
        _measure_faiss(hashes, queries)
        _measure_bk_tree(hashes, queries)


def _random_hashes(size: int, seed: int = SEED) -> Hashes:
    return np.random.default_rng(seed).integers(0, 2**64, (size, len(KINDS)), dtype=np.uint64)


def _queries(hashes: Hashes) -> list[PerceptualHashes]:
    """Return queries of which every second is within 3 bits of a stored picture in each hash."""
    chance = np.random.default_rng(SEED + 1)
    queries = _random_hashes(QUERIES, SEED + 2)
    for number in range(0, QUERIES, 2):
        flips = [np.bitwise_or.reduce(np.uint64(1) << chance.integers(0, 64, 3, dtype=np.uint64)) for _ in KINDS]
        queries[number] = hashes[chance.integers(len(hashes))] ^ np.array(flips)
    return [_as_hashes(row) for row in queries]


def _as_hashes(row: Hashes) -> PerceptualHashes:
    phash, ahash, dhash = (int(value).to_bytes(8) for value in row)
    return PerceptualHashes(phash=phash, ahash=ahash, dhash=dhash)


def _fill(database: Database, hashes: Hashes) -> tuple[int, int]:
    """Fill an empty database; return its size in bytes before and after the band indexes."""
    with database.engine.begin() as connection:
        indexes = _band_indexes(connection)
        for name in indexes:
            connection.execute(text(f"DROP INDEX {name}"))
    for begin in range(0, len(hashes), BATCH):
        with database.engine.begin() as connection:
            _insert(connection, hashes[begin : begin + BATCH], first_id=begin + 1)
    without = _size(database)
    for definition in indexes.values():
        with database.engine.begin() as connection:
            connection.execute(text(definition))
    return without, _size(database)


def _band_indexes(connection: Connection) -> dict[str, str]:
    """Return, by name, how the migrations made the band indexes, in the database's own words."""
    ours = {index.name for table in TABLES for index in table.indexes}
    known = "SELECT name, sql FROM sqlite_master WHERE type = 'index'"
    if connection.dialect.name != "sqlite":
        known = "SELECT indexname, indexdef FROM pg_indexes"
    return {name: definition for name, definition in connection.execute(text(known)) if name in ours}


def _insert(connection: Connection, hashes: Hashes, first_id: int) -> None:
    ids = range(first_id, first_id + len(hashes))
    _insert_rows(connection, Entity, [{"id": i, "created_at": NOW, "updated_at": NOW} for i in ids])
    names = [{"entity_id": i, "original_filename": f"{i}.jpg", "file_size_bytes": i} for i in ids]
    _insert_rows(connection, FilePropertiesComponent, names)
    sizes = [{"entity_id": i, "width_pixels": 4000, "height_pixels": 3000} for i in ids]
    _insert_rows(connection, ImageDimensionsComponent, sizes)
    _insert_hashes(connection, TABLES, hashes, first_id)


def _insert_rows(connection: Connection, model: Any, rows: list[dict[str, Any]]) -> None:
    connection.execute(insert(model.__table__), rows)


def _insert_hashes(connection: Connection, tables: list[Table], hashes: Hashes, first_id: int) -> None:
    for column, table in enumerate(tables):
        raw = hashes[:, column].astype(">u8").tobytes()
        rows = [{"entity_id": first_id + i, "hash_value": raw[8 * i : 8 * i + 8]} for i in range(len(hashes))]
        connection.execute(insert(table), rows)


def _size(database: Database) -> int:
    if database.is_sqlite:
        with database.engine.connect() as connection:
            pages, page_size = (
                connection.exec_driver_sql(f"PRAGMA page_{of}").scalar_one() for of in ("count", "size")
            )
        return int(pages * page_size)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
        return int(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one())


def _measure_ingestion(database: Database, size: int) -> None:
    """Add assets to the full library: with the band indexes, then into tables like these without them."""
    hashes = _random_hashes(ADDED, SEED + 3)
    plain = [Table(f"plain_{table.name}", MetaData(), *_columns_of(table)) for table in TABLES]
    with database.engine.begin() as connection:
        entities = [{"id": i, "created_at": NOW, "updated_at": NOW} for i in range(size + 1, size + 1 + ADDED)]
        _insert_rows(connection, Entity, entities)
        for table, copy in zip(TABLES, plain, strict=True):
            copy.create(connection)
            connection.execute(insert(copy).from_select(["entity_id", "hash_value"], select(table)))
    indexed_time = _time_of_adding(database, TABLES, hashes, size + 1)
    plain_time = _time_of_adding(database, plain, hashes, size + 1)
    with database.engine.begin() as connection:
        for copy in plain:
            copy.drop(connection)
    print(
        f"adding the three hashes of an asset, {ADDED_AT_ONCE} assets a transaction: "
        f"{plain_time} without band indexes, {indexed_time} with them"
    )


def _columns_of(table: Table) -> list[Column[Any]]:
    return [Column(column.name, column.type, primary_key=column.primary_key) for column in table.columns]


def _time_of_adding(database: Database, tables: list[Table], hashes: Hashes, first_id: int) -> str:
    begin, processor = time.perf_counter(), time.process_time()
    for start in range(0, len(hashes), ADDED_AT_ONCE):
        with database.engine.begin() as connection:
            _insert_hashes(connection, tables, hashes[start : start + ADDED_AT_ONCE], first_id + start)
    times = time.perf_counter() - begin, time.process_time() - processor
    whole, busy = (1e6 * seconds / len(hashes) for seconds in times)
    return f"{whole:.0f} µs (processor {busy:.0f} µs)"


def _measure_queries(database: Database, queries: list[PerceptualHashes], threshold: int) -> None:
    asked = Thresholds(phash=threshold, ahash=threshold, dhash=threshold)
    with closing(database.reading()) as session:
        similarity_service.find_similar(session, queries[0], thresholds=asked)
        with _statements(database) as statements:
            whole = [_time_of(similarity_service.find_similar, session, query, thresholds=asked) for query in queries]
        cursor = session.connection().connection.cursor()
        processor = time.process_time()
        inside = sum(_time_of(_run, cursor, sql, values) for sql, values in statements) / len(queries)
        processor = (time.process_time() - processor) / len(queries)
        found = sum(len(similarity_service.find_similar(session, query, thresholds=asked)) for query in queries)
    print(
        f"threshold {threshold}, all three hashes: {inside * 1e3:.2f} ms in the database "
        f"(processor {processor * 1e3:.2f} ms), whole call median {np.median(whole) * 1e3:.2f} ms, "
        f"95 % {np.percentile(whole, 95) * 1e3:.2f} ms; {found} matches"
    )


@contextmanager
def _statements(database: Database) -> Iterator[list[tuple[str, Any]]]:
    """Collect the statements that are run meanwhile."""
    seen: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, sql: str, values: Any, *_: Any) -> None:
        seen.append((sql, values))

    event.listen(database.engine, "before_cursor_execute", note)
    yield seen
    event.remove(database.engine, "before_cursor_execute", note)


def _run(cursor: Any, sql: str, values: Any) -> None:
    cursor.execute(sql, values)
    cursor.fetchall()


def _time_of(function: Callable[..., object], *arguments: Any, **options: Any) -> float:
    begin = time.perf_counter()
    function(*arguments, **options)
    return time.perf_counter() - begin


def _measure_scan(database: Database, queries: list[PerceptualHashes]) -> None:
    asked = Thresholds(phash=10, ahash=None, dhash=None)
    with closing(database.reading()) as session:
        times = [_time_of(similarity_service.find_similar, session, query, thresholds=asked) for query in queries[:5]]
    print(f"threshold 10, one hash, by reading its column: {np.median(times) * 1e3:.0f} ms")


def _measure_command(folder: Path, *, full: str, empty: str) -> None:
    """Time the whole command, from its start to its end, on this library and on one without assets, in turns."""
    picture = folder / "asked.png"
    noise = np.random.default_rng(SEED).integers(0, 256, (48, 64), dtype=np.uint8)
    Image.fromarray(noise).resize((640, 480)).save(picture)
    times: dict[str, list[tuple[float, float]]] = {full: [], empty: []}
    for _ in range(COMMANDS):
        for url, taken in times.items():
            taken.append(_time_of_command(picture, url))
    best_full, best_empty = (np.array(taken).min(axis=0) for taken in times.values())
    wall, processor = best_full / best_empty
    print(
        f"dam-cli find-similar-images: {best_full[0]:.2f} s (processor {best_full[1]:.2f} s), without any asset "
        f"{best_empty[0]:.2f} s ({best_empty[1]:.2f} s): ratio {wall:.2f} ({processor:.2f}), best of {COMMANDS}"
    )


def _time_of_command(picture: Path, url: str) -> tuple[float, float]:
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    env |= {"DATABASE_URL": url, "DAM_STORAGE_PATH": str(picture.parent / "storage")}
    before, begin = os.times(), time.perf_counter()
    done = subprocess.run([PROGRAM, "find-similar-images", picture], env=env, check=False, capture_output=True)
    after, end = os.times(), time.perf_counter()
    if done.returncode > 1:
        raise SystemExit(done.stderr.decode())
    worked = after.children_user + after.children_system - before.children_user - before.children_system
    return end - begin, worked


def _measure_numpy(hashes: Hashes, queries: list[PerceptualHashes]) -> None:
    columns = [np.ascontiguousarray(hashes[:, column]) for column in range(len(KINDS))]

    def search(query: PerceptualHashes) -> None:
        for kind, column in zip(KINDS, columns, strict=True):
            np.flatnonzero(np.bitwise_count(column ^ np.uint64(_number(query, kind))) <= 4)

    times = [_time_of(search, query) for query in queries[:20]]
    print(f"NumPy over three columns in memory: {np.median(times) * 1e3:.2f} ms, without loading them")


def _measure_faiss(hashes: Hashes, queries: list[PerceptualHashes]) -> None:
    import faiss

    begin = time.perf_counter()
    indexes = []
    for column in range(len(KINDS)):
        index = faiss.IndexBinaryFlat(64)
        index.add(np.ascontiguousarray(hashes[:, column]).astype(">u8").view(np.uint8).reshape(-1, 8))
        indexes.append(index)
    loading = time.perf_counter() - begin

    def search(query: PerceptualHashes) -> None:
        for kind, index in zip(KINDS, indexes, strict=True):
            index.range_search(np.frombuffer(getattr(query, kind), np.uint8).reshape(1, 8), 5)

    times = [_time_of(search, query) for query in queries[:20]]
    print(f"faiss IndexBinaryFlat, three in memory: {np.median(times) * 1e3:.2f} ms, after {loading:.2f} s of filling")


def _measure_bk_tree(hashes: Hashes, queries: list[PerceptualHashes]) -> None:
    import pybktree

    begin = time.perf_counter()
    some = hashes[:100_000, 0].tolist()
    tree = pybktree.BKTree(pybktree.hamming_distance, some)
    building = time.perf_counter() - begin
    times = [_time_of(tree.find, _number(query, "phash"), 4) for query in queries[:5]]
    print(f"pybktree, one hash of {len(some):,}: {np.median(times) * 1e3:.0f} ms, after {building:.1f} s of building")


def _number(query: PerceptualHashes, kind: str) -> int:
    return int.from_bytes(getattr(query, kind))


def _measure_all_pairs(url: str, count: int, *, peers: bool) -> None:
    hashes = _random_hashes(count)
    near = np.arange(0, count // 100)
    hashes[near + count // 2] = hashes[near] ^ np.uint64(0b1001)
    with closing(Database(url)) as database:
        database.upgrade()
        _fill(database, hashes)
    # In a process of its own, so that its memory is what the search needs.
    subprocess.run([sys.executable, "-m", "benchmarks.similarity", "--all-pairs", url], check=True)
    if peers:
        _measure_faiss_pairs(np.ascontiguousarray(hashes[:, 0]))


def _all_pairs_of_database(url: str) -> None:
    start = _peak_megabytes()
    with closing(Database(url)) as database, closing(database.reading()) as session:
        for match in ("all", "any"):
            begin, processor = time.perf_counter(), time.process_time()
            groups = list(duplicates_service.find_duplicate_groups(session, match=match))
            times = time.perf_counter() - begin, time.process_time() - processor
            print(f"match {match}: {times[0]:.2f} s with reading the database (processor {times[1]:.2f} s)")
            print(f"  {len(groups)} groups")
            print(f"  memory: {_peak_megabytes():.0f} MB at the most, {start:.0f} MB of it before the start")


def _peak_megabytes() -> float:
    """Return the most memory that this process has had; ``getrusage`` would tell that of the one that started it."""
    [line] = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1e3


def _measure_faiss_pairs(hashes: Hashes) -> None:
    import faiss

    index = faiss.IndexBinaryFlat(64)
    rows = hashes.astype(">u8").view(np.uint8).reshape(-1, 8)
    index.add(rows)
    some = 2_000
    seconds = _time_of(index.range_search, rows[:some], 5)
    print(f"faiss IndexBinaryFlat: {seconds / some * len(rows):.0f} s, reckoned from {some:,} queries")


if __name__ == "__main__":
    main()
