import signal
import threading
from concurrent.futures import Future

import pytest

from dam.core.waiting import interruption_put_off, is_done, result_of


def test_an_interruption_comes_after_the_block() -> None:
    reached = []

    def work() -> None:
        with interruption_put_off(meanwhile=lambda: reached.append("told")):
            signal.raise_signal(signal.SIGINT)
            reached.append("end")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert reached == ["told", "end"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_interruption_comes_at_once() -> None:
    reached = []

    def work() -> None:
        with interruption_put_off():
            signal.raise_signal(signal.SIGINT)
            reached.append("once")
            signal.raise_signal(signal.SIGINT)
            reached.append("twice")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert reached == ["once"]


def test_of_blocks_within_each_other_it_comes_after_the_outer_one() -> None:
    reached = []

    def work() -> None:
        with interruption_put_off():
            with interruption_put_off():
                signal.raise_signal(signal.SIGINT)
            reached.append("between")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert reached == ["between"]


def test_what_is_ignored_stays_so_and_other_threads_may_wait(recwarn: pytest.WarningsRecorder) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interruption_put_off():
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    future: Future[int] = Future()
    results: list[int] = []
    waiting = threading.Thread(target=lambda: results.append(result_of(future)))
    waiting.start()
    assert not is_done(future)
    future.set_result(3)
    waiting.join()

    assert results == [3]
    assert is_done(future)
    assert not recwarn


def test_the_error_of_a_future_is_raised() -> None:
    future: Future[int] = Future()
    future.set_exception(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        result_of(future)
