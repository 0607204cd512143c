"""Ctrl-C at each place of some code, one after another."""

import faulthandler
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

PATIENCE_SECONDS = 30


def interrupted_everywhere(do: Callable[[], object], then: Callable[[], object] = lambda: None) -> int:
    """Run something with SIGINT at its first step, then at its second, until it has no more; return how many it has.

    A step is the begin or the end of a call of any Python function, those of libraries too; at other places, as where
    ``with`` is left, a trace function could raise, but no signal does. ``then`` runs after each. For a process of its
    own, which ends with the stacks of all threads when this or its own end takes too long.
    """
    faulthandler.dump_traceback_later(PATIENCE_SECONDS, exit=True)
    steps = 0
    while _is_interrupted_at(steps + 1, do):
        steps += 1
        then()
    return steps


def _is_interrupted_at(step: int, do: Callable[[], object]) -> bool:
    steps_left = step

    def trace(frame: FrameType, _event: str, _arg: Any) -> Any:
        nonlocal steps_left
        frame.f_trace_lines = False
        steps_left -= 1
        if steps_left == 0:
            sys.settrace(None)
            signal.raise_signal(signal.SIGINT)
        return trace

    sys.settrace(trace)
    try:
        do()
    except KeyboardInterrupt:  # without a call, as of suppress(), that would be a step
        pass
    finally:
        sys.settrace(None)
    return steps_left <= 0
