"""A walk that another process can go on with, ahead of what is done here with its entries."""

import os
import pickle
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from itertools import batched, starmap
from operator import attrgetter
from types import TracebackType
from typing import Self

from dam.core.exceptions import WalkerDied
from dam.services import fresh_interpreter
from dam.services.source_walk import Walk, WalkEntry

_READY = b"."
_SENT_TOGETHER = 500


class WalkAhead:
    """Gives the entries of a walk. When told to hurry, it has the rest walked by another process.

    To come upon a file takes half as long as all else that is done with one that has not changed. A thread would not
    help, because Python lets one run at a time. A context manager, which ends the process.
    """

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        self._walker: _Walker | None = None
        self._may_hurry = True

    def hurry(self) -> None:
        """Hand the walk over as soon as another process is ready. When none can be started, it goes on here."""
        if self._may_hurry:
            self._may_hurry = False
            with suppress(OSError):
                self._walker = _Walker()

    def __iter__(self) -> Iterator[WalkEntry]:
        while not self._walk.is_over:
            if self._walker is not None and self._walker.is_ready():
                yield from self._walker.entries_of(self._walk)
                return
            yield from self._walk.step()
        self._may_hurry = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._walker is not None:
            self._walker.close()


class _Walker:
    """The process that walks, and the socket to it. A bug there has its traceback on our stderr."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = subprocess.Popen(  # noqa: S603  our own interpreter and code
                    fresh_interpreter.command(walk_for, theirs.fileno()),
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,  # a key pressed in the terminal is for the program alone
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                )
            except OSError:
                ours.close()
                raise
        self._socket = ours

    def is_ready(self) -> bool:
        """Say whether it waits for a walk. One that could not begin never does."""
        try:
            return self._socket.recv(len(_READY), socket.MSG_DONTWAIT) == _READY
        except (BlockingIOError, ConnectionError):
            return False

    def entries_of(self, walk: Walk) -> Iterator[WalkEntry]:
        """Hand a walk over and give its entries. Raises WalkerDied when the process ends before the walk."""
        try:
            _send(self._socket, walk)
            with self._socket.makefile("rb") as answers:
                while entries := pickle.load(answers):  # noqa: S301  written by our own process
                    yield from starmap(WalkEntry, entries)
        except (EOFError, ConnectionError, pickle.UnpicklingError) as error:
            raise WalkerDied(self._process.wait()) from error

    def close(self) -> None:
        """End the process, wherever it is."""
        self._socket.close()
        self._process.kill()
        self._process.wait()


def walk_for(socket_fd: int) -> None:
    """Be the process that walks: take a walk over the socket, answer with lists of its entries and an empty one."""
    with socket.socket(fileno=socket_fd) as program:
        try:
            _send_all(program)
        except (EOFError, ConnectionError):
            os._exit(0)  # nobody listens any more


def _send_all(program: socket.socket) -> None:
    program.sendall(_READY)
    with program.makefile("rb") as question:
        walk = pickle.load(question)  # noqa: S301  written by our own parent
    fields = attrgetter("path", "size_bytes", "signature", "skipped", "failed")
    for entries in batched(walk, _SENT_TOGETHER):
        _send(program, [fields(entry) for entry in entries])  # tuples, which take a third of what objects would
    _send(program, [])


def _send(to: socket.socket, what: object) -> None:
    to.sendall(pickle.dumps(what, pickle.HIGHEST_PROTOCOL))
