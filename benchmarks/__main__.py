"""Measures taking files in: ``python -m benchmarks [--quick] [--case NAME …] [--profile]``."""

import argparse
import os
import platform
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import ingestion
from benchmarks.measuring import clear


def main() -> None:
    """Run the cases and print a table of medians and ratios."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="less of everything, one run each")
    parser.add_argument("--runs", type=int, help="times that each is run, after once to warm up; 0: just once")
    parser.add_argument("--case", action="append", choices=ingestion.names(), help="only this one; may be repeated")
    parser.add_argument("--home", type=Path, default=Path("build/benchmarks"), help="where corpora and runs lie")
    parser.add_argument(
        "--profile", metavar="FOLDER", type=Path, help="instead, show where the time of taking this folder in goes"
    )
    arguments = parser.parse_args()
    home = arguments.home.absolute()
    home.mkdir(parents=True, exist_ok=True)
    if arguments.profile:
        _profile(arguments.profile.absolute(), home)
        return
    sizes = ingestion.QUICK if arguments.quick else ingestion.FULL
    if arguments.runs is not None:
        sizes = replace(sizes, runs=arguments.runs)
    print(
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}\n"
    )
    print("| case | what | seconds (median) | files/s | ratio | processor seconds | ratio | to | does |")
    print("|---|---|---|---|---|---|---|---|---|")
    try:
        for case in arguments.case or ingestion.names():
            for row in ingestion.run(case, sizes, home):
                _show(row)
    finally:
        clear(home)


def _show(row: ingestion.Row) -> None:
    print(
        f"| {row.case} | {row.contender} | {row.seconds:.2f} | {row.per_second:,.1f} | {row.ratio:.2f} "
        f"| {row.processor_seconds:.2f} | {row.processor_ratio:.2f} | {row.beside} | {row.note} |"
    )
    sys.stdout.flush()


def _profile(folder: Path, home: Path) -> None:
    env = {**os.environ, "DATABASE_URL": f"sqlite:///{home}/profile.db", "DAM_STORAGE_PATH": f"{home}/profile-storage"}
    command = [sys.executable, "-m", "cProfile", "-s", "tottime", "-m", "dam.cli", "add-asset", "-r", str(folder)]
    subprocess.run(command, env=env, check=False)


if __name__ == "__main__":
    main()
