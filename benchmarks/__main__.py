"""Measures taking files in: ``python -m benchmarks [--quick] [--case NAME …] [--profile]``."""

import argparse
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import ingestion


def main() -> None:
    """Run the cases and print a table of medians and ratios."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="less of everything, one run each")
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
    print(
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}\n"
    )
    print("| case | what | seconds (median) | files/s | ratio | to | does |\n|---|---|---|---|---|---|---|")
    for case in arguments.case or ingestion.names():
        for row in ingestion.run(case, sizes, home):
            rate = "" if row.per_second is None else f"{row.per_second:,.1f}"
            print(
                f"| {row.case} | {row.contender} | {row.seconds:.2f} | {rate} | {row.ratio:.2f} | {row.beside} "
                f"| {row.note} |"
            )
            sys.stdout.flush()


def _profile(folder: Path, home: Path) -> None:
    env = {**os.environ, "DATABASE_URL": f"sqlite:///{home}/profile.db", "DAM_STORAGE_PATH": f"{home}/profile-storage"}
    command = [sys.executable, "-m", "cProfile", "-s", "tottime", "-m", "dam.cli", "add-asset", "-r", str(folder)]
    subprocess.run(command, env=env, check=False)


if __name__ == "__main__":
    main()
