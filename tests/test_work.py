"""``dam-cli work``: any number of workers, some of which die; every asset gets its facts, and gets them once."""

import json
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import text

from dam.cli import main
from dam.core.database import Database
from tests.cli_process import PATIENCE_SECONDS, DamProgram
from tests.dask_cluster import DaskCluster
from tests.forks import ForkServer
from tests.made_assets import made_assets

MANY = 1_000
# Notes each time that facts of an asset are written; a second time would otherwise leave no trace.
NOTE_EACH_WRITE = """
CREATE TABLE written (entity_id BIGINT);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO written VALUES (NEW.entity_id); RETURN NEW; END $$;
CREATE TRIGGER note BEFORE INSERT OR UPDATE ON image_perceptual_phash FOR EACH ROW EXECUTE FUNCTION note();
"""


def test_a_worker_does_what_was_deferred(dam: DamProgram, database: Database, tmp_path: Path) -> None:
    paths = made_assets(database, tmp_path, 8)
    paths[0].write_bytes(paths[0].read_bytes()[:60])
    done = dam.run("work", "metadata_extraction", "--until-idle", "--jobs", "1", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (1, {"summary": {"failed": 1}})
    assert _counts(database) == (0, 7)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["nonsense"], "no stage 'nonsense'"),
        (["--executor", "dask://nowhere"], "dask://HOST:PORT"),
        (["--executor", "dask://h:1", "--jobs", "1"], "--jobs"),
    ],
)
def test_what_can_not_be_done_is_refused_in_one_line(
    own_environment: None, schema: None, arguments: Sequence[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["work", *arguments]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert reason in err


@pytest.fixture
def own_environment(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("DAM_STORAGE_PATH", str(tmp_path / "storage"))


def test_a_worker_leaves_other_stages_alone(own_environment: None, database: Database, tmp_path: Path) -> None:
    made_assets(database, tmp_path, 1)
    assert main(["work", "content_analysis", "post-processing"]) == 0
    assert _counts(database) == (1, 0)


def test_a_watching_worker_does_what_comes_and_ends_cleanly(
    dam: DamProgram, database: Database, tmp_path: Path
) -> None:
    made_assets(database, tmp_path, 1)
    with dam.start("work", "--watch", "--jobs", "1") as watching:
        _wait_until(lambda: _counts(database) == (0, 1))
        made_assets(database, tmp_path, 4)
        _wait_until(lambda: _counts(database) == (0, 4))
        watching.send_signal(signal.SIGTERM if database.is_sqlite else signal.SIGINT)
        _, stderr = watching.communicate(timeout=PATIENCE_SECONDS)
    assert (watching.returncode, stderr.count("\n")) == (0, 1), stderr


def test_on_sqlite_workers_and_an_import_take_turns(
    sqlite_url: str, schema: None, tmp_path: Path, forks: ForkServer
) -> None:
    """One of them writes at a time, and nobody hears of a lock."""
    database = Database(sqlite_url)
    dam = DamProgram(sqlite_url, tmp_path / "storage", forks)
    paths = made_assets(database, tmp_path, 60)
    with ExitStack() as stack:
        commands = (["work"], ["work"], ["add-asset", "--no-copy", *paths])
        running = [stack.enter_context(dam.start(*command, "--jobs", "1")) for command in commands]
        results = [process.communicate(timeout=PATIENCE_SECONDS) for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], results
    assert [stderr for _, stderr in results] == ["", "", ""]
    assert _counts(database) == (0, 60 + len(paths))
    database.close()


def test_four_workers_two_of_them_killed_give_each_asset_its_facts_once(
    postgres_url: str, schema: None, tmp_path: Path, forks: ForkServer
) -> None:
    database = Database(postgres_url)
    made_assets(database, tmp_path, MANY)
    with database.session() as session, session.begin():
        session.execute(text(NOTE_EACH_WRITE))
    with ExitStack() as stack:
        dam = DamProgram(postgres_url, tmp_path / "storage", forks)
        workers = [stack.enter_context(dam.start("work", "--jobs", "1")) for _ in range(4)]
        _wait_until(lambda: _counts(database)[1] > 0)
        for victim in workers[:2]:
            victim.kill()
        assert _counts(database)[0] > MANY // 10, "the victims had work left"
        for worker in workers:
            worker.communicate(timeout=PATIENCE_SECONDS)
    assert [worker.returncode for worker in workers] == [-signal.SIGKILL, -signal.SIGKILL, 0, 0]
    assert _counts(database) == (0, MANY)
    with database.reading() as session:
        times = session.execute(text("SELECT count(*), count(DISTINCT entity_id) FROM written")).one()
    assert tuple(times) == (MANY, MANY)
    database.close()


def test_a_dask_cluster_one_of_whose_workers_is_killed_does_the_work(
    postgres_url: str, schema: None, tmp_path: Path, forks: ForkServer
) -> None:
    database = Database(postgres_url)
    made_assets(database, tmp_path, 120)
    dam = DamProgram(postgres_url, tmp_path / "storage", forks)
    with (
        DaskCluster(tmp_path, workers=2, forks=forks) as cluster,
        dam.start("work", "--executor", cluster.address) as work,
    ):
        _wait_until(lambda: _counts(database)[1] > 0)
        cluster.workers[0].kill()
        stdout, stderr = work.communicate(timeout=PATIENCE_SECONDS)
    assert (work.returncode, stderr) == (0, ""), stdout
    assert _counts(database) == (0, 120)
    database.close()


def _counts(database: Database) -> tuple[int, int]:
    """Return how many assets wait, and how many have perceptual hashes."""
    with database.reading() as session:
        waiting = session.scalar(text("SELECT count(*) FROM needs_metadata_extraction"))
        hashed = session.scalar(text("SELECT count(*) FROM image_perceptual_phash"))
    return int(waiting or 0), int(hashed or 0)


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.05)
