"""How workers share a PostgreSQL queue: ``python -m benchmarks.workers [--quick] [--assets N] [--dask]``.

Times how long 1, 2 and 4 workers of one process each take to drain a queue of small pictures, and 4 of which 2 are
killed on the way; after each run it checks that every asset has its facts, and got them exactly once.
"""

import argparse
import asyncio
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import text

from dam.core.components_markers import NeedsMetadataExtractionComponent
from dam.core.config import WorldConfig
from dam.core.database import Database
from dam.core.stages import SystemStage
from dam.core.system_params import MarkedEntityList, WorldSession
from dam.core.systems import system
from dam.core.world import World
from dam.services import fact_service
from dam.services.facts import Facts, ImageDimensions, PerceptualHashes
from dam.systems.metadata_systems import CHUNK_SIZE
from tests.dask_cluster import DaskCluster
from tests.databases import PostgresDatabases
from tests.made_assets import made_assets
from tests.postgres import PostgresServer

FULL, QUICK = 20_000, 2_000
SIDE = 64
NOTE_EACH_WRITE = """
CREATE TABLE written (entity_id BIGINT);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO written VALUES (NEW.entity_id); RETURN NEW; END $$;
CREATE TRIGGER note BEFORE INSERT OR UPDATE ON image_perceptual_phash FOR EACH ROW EXECUTE FUNCTION note();
"""
PROGRAM = Path(sys.executable).with_name("dam-cli")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.workers", description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK:,} assets instead of {FULL:,}")
    parser.add_argument("--assets", type=int, help="so many assets")
    parser.add_argument("--dask", action="store_true", help="a Dask cluster of two workers, too")
    arguments = parser.parse_args()
    count = arguments.assets or (QUICK if arguments.quick else FULL)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"{datetime.now(UTC):%Y-%m-%d}, {machine}; {count:,} pictures of {SIDE} x {SIDE}\n")
    print("| who | seconds | assets/s | CPU ms an asset | load of the machine |\n|---|---|---|---|---|", flush=True)
    with servers() as databases, tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        report("no files: claims, rows and commits alone", count, drained_without_files(databases, folder, count))
        for workers, killed in ((1, 0), (2, 0), (4, 0), (4, 2)):
            label = f"{workers}, {killed} of them killed" if killed else f"{workers} worker(s)"
            report(label, count, drained(databases, folder, count, [[]] * workers, killed=killed))
        if arguments.dask:
            with DaskCluster(folder, workers=2) as cluster:
                command = ["--executor", cluster.address]
                report("1 worker, with 2 Dask workers", count, drained(databases, folder, count, [command]))


@dataclass(frozen=True)
class Spent:
    """Seconds of the clock, and of the processors by all processes but those of the server and of Dask."""

    seconds: float
    cpu_seconds: float


class Stopwatch:
    """Measures from its making on."""

    def __init__(self) -> None:
        self._begin = time.perf_counter(), self._cpu()

    def spent(self) -> Spent:
        """Return what was spent so far; of other processes, what those spent that were waited for."""
        begin, cpu = self._begin
        return Spent(time.perf_counter() - begin, self._cpu() - cpu)

    @staticmethod
    def _cpu() -> float:
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(one.ru_utime + one.ru_stime for one in used)


def report(label: str, count: int, spent: Spent) -> None:
    rate, cpu = count / spent.seconds, spent.cpu_seconds / count * 1e3
    print(f"| {label} | {spent.seconds:.1f} | {rate:,.0f} | {cpu:.2f} | {os.getloadavg()[0]:.1f} |", flush=True)


@contextmanager
def servers() -> Iterator[PostgresDatabases]:
    folder = Path(tempfile.mkdtemp(prefix="dam-bench-", dir="/tmp"))
    folder.chmod(0o755)
    server = PostgresServer(folder)
    try:
        server.create()
        server.start()
        yield PostgresDatabases(server.url)
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def drained(
    databases: PostgresDatabases, folder: Path, count: int, commands: list[list[str]], *, killed: int = 0
) -> Spent:
    """Return what the workers take, from the start of the first to the end of the last one."""
    with databases.fresh(schema=True) as url, closing(Database(url)) as database:
        made_assets(database, folder, count, side=SIDE)
        with database.session() as session, session.begin():
            session.execute(text(NOTE_EACH_WRITE))
        environment = {**os.environ, "DATABASE_URL": url, "DAM_STORAGE_PATH": str(folder / "storage")}
        watch = Stopwatch()
        workers = [started(command, environment) for command in commands]
        for number in range(killed):
            wait_until_written(database, count * (number + 1) // (killed + 2))
            workers[number].kill()
        for worker in workers:
            worker.wait()
        spent = watch.spent()
        check(database, count)
    return spent


def drained_without_files(databases: PostgresDatabases, folder: Path, count: int) -> Spent:
    """Return what one process takes when the facts of an asset cost nothing to find out."""
    with databases.fresh(schema=True) as url:
        with closing(Database(url)) as database:
            made_assets(database, folder, count, side=SIDE)
        with World(WorldConfig(database_url=url, storage_path=folder)) as world:
            world.register_system(write_made_facts)
            watch = Stopwatch()
            asyncio.run(world.execute_stage(SystemStage.METADATA_EXTRACTION))
            return watch.spent()


@system(stage=SystemStage.METADATA_EXTRACTION, chunk_size=CHUNK_SIZE)
def write_made_facts(session: WorldSession, todo: MarkedEntityList[NeedsMetadataExtractionComponent]) -> None:
    """Write as much as extraction writes for a picture."""
    hashes = PerceptualHashes(phash=os.urandom(8), ahash=os.urandom(8), dhash=os.urandom(8))
    facts = Facts(found=(ImageDimensions(width_pixels=1, height_pixels=1), hashes))
    fact_service.write_facts(session, dict.fromkeys(todo, facts))


def started(command: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    jobs = [] if command else ["--jobs", "1"]
    return subprocess.Popen([PROGRAM, "work", *command, *jobs], env=environment, stdout=subprocess.DEVNULL)


def wait_until_written(database: Database, count: int) -> None:
    while written(database)[0] < count:
        time.sleep(0.1)


def check(database: Database, count: int) -> None:
    """Fail unless each asset has its facts, written once, and nothing is left to do."""
    with database.reading() as session:
        waiting = session.scalar(text("SELECT count(*) FROM needs_metadata_extraction"))
        hashed = session.scalar(text("SELECT count(*) FROM image_perceptual_phash"))
    found = (waiting, hashed, *written(database))
    if found != (0, count, count, count):
        sys.exit(f"waiting, with facts, times written, assets written: {found}")


def written(database: Database) -> tuple[int, int]:
    with database.reading() as session:
        total, different = session.execute(text("SELECT count(*), count(DISTINCT entity_id) FROM written")).one()
    return total, different


if __name__ == "__main__":
    main()
