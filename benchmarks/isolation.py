"""What isolation costs: ``python -m benchmarks.isolation`` times tasks beside direct calls and ProcessPoolExecutor.

All contenders take turns in each round; the table shows medians over the rounds and ratios of those.
"""

import argparse
import multiprocessing
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from functools import partial
from hashlib import pbkdf2_hmac
from statistics import median

import PIL.Image

from dam.services.isolation import IsolatedExecutor

type Contender = Callable[[int, int], None]
"""Does so many tasks of so many iterations each."""

CASES = {"empty": (1_000, 1), "1 ms": (200, 1_000), "5 ms": (100, 5_000), "50 ms": (20, 50_000)}
"""Number of tasks, and microseconds of each."""

ONE, TWO = "1 process", "2 processes"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    context = multiprocessing.get_context("forkserver")
    with (
        IsolatedExecutor(jobs=1) as isolated_1,
        IsolatedExecutor(jobs=2) as isolated_2,
        ProcessPoolExecutor(1, mp_context=context) as pool_1,
        ProcessPoolExecutor(2, mp_context=context) as pool_2,
    ):
        contenders: dict[str, Contender] = {
            "direct": direct,
            f"isolated, {ONE}": through(isolated_1),
            f"pool, {ONE}": through(pool_1),
            f"isolated, {TWO}": through(isolated_2),
            f"pool, {TWO}": through(pool_2),
        }
        report_tasks(contenders, rounds)
    report_starts(rounds)


def direct(count: int, iterations: int) -> None:
    for _ in range(count):
        pbkdf2_hmac("sha256", b"", b"", iterations)


def through(executor: Executor) -> Contender:
    def run(count: int, iterations: int) -> None:
        futures: list[Future[bytes]] = [
            executor.submit(pbkdf2_hmac, "sha256", b"", b"", iterations) for _ in range(count)
        ]
        for future in futures:
            future.result()

    return run


def report_tasks(contenders: dict[str, Contender], rounds: int) -> None:
    print(f"{'task':8}{'contender':24}{'ms a task':>10}{'/ direct':>10}{'/ pool':>8}")
    iterations_a_second = 100_000 / min(seconds(lambda: direct(10, 10_000)) for _ in range(5))
    for case, (count, microseconds) in CASES.items():
        iterations = max(1, round(microseconds * iterations_a_second / 1e6))
        taken = in_turns({name: partial(run, count, iterations) for name, run in contenders.items()}, rounds)
        for name, whole in taken.items():
            pool = taken.get(name.replace("isolated", "pool"), whole)
            print(f"{case:8}{name:24}{whole / count * 1e3:10.3f}{whole / taken['direct']:10.2f}{whole / pool:8.2f}")


def report_starts(rounds: int) -> None:
    """Time from nothing to the first result, beside a bare interpreter that imports the same."""
    print(f"\n{'first result with':24}{'ms':>8}{'bare interpreter, ms':>22}{'/ bare':>8}")
    for modules in (["PIL.Image"], ["PIL.Image", "numpy"], ["PIL.Image", "numpy", "av"]):
        taken = in_turns({"isolated": partial(first_result, modules), "bare": partial(bare, modules)}, rounds)
        isolated, floor = taken["isolated"] * 1e3, taken["bare"] * 1e3
        print(f"{', '.join(modules):24}{isolated:8.0f}{floor:22.0f}{isolated / floor:8.2f}")


def first_result(modules: list[str]) -> None:
    with IsolatedExecutor(jobs=1, preload=modules) as executor:
        executor.submit(PIL.Image.getmodebase, "L").result()


def bare(modules: list[str]) -> None:
    subprocess.run([sys.executable, "-c", f"import {', '.join(modules)}"], check=True)


def in_turns(jobs: dict[str, Callable[[], None]], rounds: int) -> dict[str, float]:
    """Return the median seconds of each job; a first round warms up uncounted, and each begins with another job."""
    taken: dict[str, list[float]] = {name: [] for name in jobs}
    order = list(jobs.items())
    for number in range(rounds + 1):
        order.append(order.pop(0))
        for name, job in order:
            spent = seconds(job)
            if number > 0:
                taken[name].append(spent)
    return {name: median(spent) for name, spent in taken.items()}


def seconds(job: Callable[[], None]) -> float:
    begin = time.perf_counter()
    job()
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
