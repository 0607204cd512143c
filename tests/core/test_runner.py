import asyncio
import signal

import pytest

from dam.core.runner import Runner
from tests.forks import ForkServer


async def _twice(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


def test_it_runs_one_after_another_and_returns_what_they_return() -> None:
    with Runner() as runner:
        assert [runner.run(_twice, number) for number in range(3)] == [0, 2, 4]


def test_an_interruption_cancels_what_runs_and_is_raised_when_that_has_ended() -> None:
    reached = []

    async def work() -> None:
        signal.raise_signal(signal.SIGINT)
        reached.append("goes on to where it waits")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            reached.append("clears up")
            raise

    with Runner() as runner, pytest.raises(KeyboardInterrupt):
        runner.run(work)

    assert reached == ["goes on to where it waits", "clears up"]


def test_an_interruption_of_one_that_waits_no_more_is_not_lost() -> None:
    async def work() -> None:
        signal.raise_signal(signal.SIGINT)

    with Runner() as runner, pytest.raises(KeyboardInterrupt):
        runner.run(work)


RUN = """
import asyncio
from dam.core.runner import Runner
from tests.interruptions import interrupted_everywhere

def run():
    with Runner() as runner:
        runner.run(asyncio.sleep, 0.001)
        runner.run(asyncio.sleep, 0)

print(interrupted_everywhere(run))
"""


def test_wherever_it_is_interrupted_nothing_is_left_undone(forks: ForkServer) -> None:
    with forks.start_python(RUN) as process:
        out, err = process.communicate(timeout=60)

    assert process.returncode == 0, err
    assert int(out) > 100
    for sign in ("never awaited", "pending", "event loop", "EventLoop", "Cancelled"):
        assert sign not in err
