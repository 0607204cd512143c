"""What only a process of its own shows: streams that close, signals, a terminal, and what is imported."""

import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli_process import PATIENCE_SECONDS, PROGRAM, DamProgram
from tests.databases import SQLITE
from tests.forks import ForkServer

HEAVY = {"PIL", "numpy", "alembic", "av", "hachoir", "imagehash", "scipy", "rich", "distributed", "psycopg"}
IMPORTED = "import sys; from dam.cli import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"


@pytest.fixture
def environment(dam: DamProgram) -> dict[str, str]:
    """Return the environment of the program's processes."""
    return dam.environment


def _imported(*arguments: str, env: dict[str, str]) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED, *arguments], env=env, check=True, capture_output=True, text=True
    )
    return {name.partition(".")[0] for name in done.stderr.splitlines()[-1].split()}


@SQLITE
@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_import_nothing_heavy(environment: dict[str, str], option: str) -> None:
    assert not _imported(option, env=environment) & (HEAVY | {"sqlalchemy", "pydantic", "asyncio"})


@SQLITE
def test_looking_for_a_hash_imports_neither_decoders_nor_migrations(environment: dict[str, str]) -> None:
    assert not _imported("find-file-by-hash", "0" * 64, env=environment) & HEAVY


@SQLITE
def test_the_module_is_the_program_too(environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "dam.cli", "query-assets-placeholder"]
    assert subprocess.run(command, env=environment, check=False).returncode == 1


@pytest.mark.parametrize(("hard", "soft"), [(900, 900), (5000, 5000), (20000, 8192)])
def test_as_many_files_as_the_system_lets_may_be_open(hard: int, soft: int, forks: ForkServer) -> None:
    code = (
        f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (256, {hard}))\n"
        "from dam.cli import program; program.allow_many_open_files()\n"
        "print(*resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    assert forks.run_python(code) == f"{soft} {hard}\n"


def _filled(dam: DamProgram, tmp_path: Path, count: int) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    for number in range(count):
        (folder / f"{number:04}.txt").write_text(str(number))
    return folder


def test_a_reader_that_leaves_ends_the_program_quietly(dam: DamProgram, tmp_path: Path) -> None:
    dam.run("add-asset", "--defer", _filled(dam, tmp_path, 500))
    with dam.start("query-assets-placeholder", "--limit", "100000") as process:
        process.stdout.close()
        assert process.wait() == 141
        assert process.stderr.read() == ""


@SQLITE
def test_results_that_can_t_be_written_are_an_error(
    dam: DamProgram, tmp_path: Path, environment: dict[str, str]
) -> None:
    note = tmp_path / "note.txt"
    note.write_text("content")
    dam.run("add-asset", "--defer", note)
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [PROGRAM, "find-file-by-hash", "--file", note],
            env=environment,
            check=False,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 2
    assert done.stderr == "Error: the output can't be written: No space left on device\n"


@SQLITE
def test_closed_streams_do_no_harm(dam: DamProgram, tmp_path: Path, environment: dict[str, str]) -> None:
    note = tmp_path / "note.txt"
    note.write_text("content")
    command: list[str | Path] = ["/bin/sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-', PROGRAM]
    for arguments in (["add-asset"], ["find-file-by-hash", "--file"]):
        assert subprocess.run([*command, *arguments, note], env=environment, check=False).returncode == 0


def test_an_interrupt_is_one_line_and_the_next_run_completes(dam: DamProgram, tmp_path: Path) -> None:
    folder = _filled(dam, tmp_path, 1500)
    with dam.start("add-asset", "--json", folder) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 130
    assert re.fullmatch(r"Note: .*\nInterrupted\. .*\n", errors), errors
    again = dam.json_lines("add-asset", folder)[-1]["summary"]
    assert (again["found"], again["failed"]) == (1500, 0)


@SQLITE
def test_a_terminal_shows_progress_and_a_pipe_does_not(dam: DamProgram, tmp_path: Path) -> None:
    folder = _filled(dam, tmp_path, 2000)  # enough to last until the line is drawn
    terminal, program_s_end = pty.openpty()
    with dam.start("add-asset", "--defer", "-r", folder, stderr=program_s_end) as process:
        os.close(program_s_end)
        shown = _read_all(terminal)
        printed = process.stdout.read()
    assert re.search(rb"[\d,]+ of 2,000 files, [\d,.]+/s, \d+:\d\d left", shown), shown
    assert printed == "2,000 files found: 2,000 added, 0 linked, 0 unchanged, 0 skipped, 0 failed.\n"
    assert dam.run("add-asset", "-r", folder).stderr == ""


def _read_all(terminal: int) -> bytes:
    shown = b""
    try:
        while part := os.read(terminal, 65536):
            shown += part
    except OSError:  # what Linux says when the other end closes
        pass
    os.close(terminal)
    return shown


def test_logs_go_to_stderr_and_are_escaped(dam: DamProgram, tmp_path: Path) -> None:
    missing = tmp_path / "missing\x1b[31m"
    done = dam.run("find-file-by-hash", "0" * 64, env={"DAM_LOG_LEVEL": "DEBUG"})
    assert done.returncode == 1
    assert done.stdout == ""
    wrong = dam.run("--world", str(missing), "list-failures", env={"DAM_LOG_LEVEL": "DEBUG"})
    assert "\x1b" not in wrong.stderr


LOGGED = """
import logging
from dam.cli import program

program.world_config(None)
too_late = OSError("closed already")
too_late.__context__ = KeyboardInterrupt()
for error in (KeyboardInterrupt(), too_late, ValueError("a fault")):
    logging.getLogger("pool").error("closing a connection", exc_info=error)
logging.getLogger("asyncio").error("without an exception", exc_info=False)
logging.getLogger("psycopg").warning("error ignored: the connection is lost")
"""


@SQLITE
def test_what_is_raised_too_is_not_logged(forks: ForkServer, environment: dict[str, str]) -> None:
    with forks.start_python(LOGGED, environment=environment) as process:
        _, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert "error ignored" not in err
    assert err.count("closing a connection") == 1
    assert err.count("without an exception") == 1
    assert "ValueError: a fault" in err
    assert "KeyboardInterrupt" not in err


SWALLOWED = """
import time
from dam.cli import border

class Dying:
    def __del__(self):
        raise KeyboardInterrupt

def run():
    Dying()  # which Python could only say on stderr
    for _ in range(1000):  # not at once: a signal just before a wait does not end it
        time.sleep(0.1)

print(border.guarded(run))
"""


@SQLITE
def test_an_interrupt_while_an_object_is_destroyed_is_not_lost(forks: ForkServer, environment: dict[str, str]) -> None:
    with forks.start_python(SWALLOWED, environment=environment) as process:
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert out == "130\n"
    assert re.fullmatch(r"Interrupted\. .*\n", err), err


LATE = """
import os, signal, sys
from dam.cli import main

status = main()
os.kill(os.getpid(), signal.SIGINT)
sys.exit(status)
"""


@SQLITE
def test_an_interruption_after_the_end_changes_nothing(environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LATE, "--version"], env=environment, check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
