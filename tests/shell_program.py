"""``dam-cli`` for a shell: a small program that has the tests' fork server start the real one on its own streams."""

import json
import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.forks import ForkServer

MESSAGE_BYTES = 1 << 18
PROGRAM = f"""#!{sys.executable} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
    server.connect(os.path.join(os.path.dirname(__file__), "server"))
    message = {{"arguments": sys.argv[1:], "folder": os.getcwd(), "environment": dict(os.environ)}}
    socket.send_fds(server, [json.dumps(message).encode()], [0, 1, 2])
    sys.exit(int(server.recv(64)))
"""


@contextmanager
def placed(folder: Path, forks: ForkServer) -> Iterator[None]:
    """Put the program into an empty folder, whose path must be short, for as long as the context lasts."""
    program = folder / "dam-cli"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(os.fspath(folder / "server"))
        listener.listen()
        server = threading.Thread(target=_serve, args=(listener, forks), daemon=True)
        server.start()
        yield
        listener.shutdown(socket.SHUT_RDWR)
    server.join()


def _serve(listener: socket.socket, forks: ForkServer) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:  # it was shut down
            return
        with connection:
            message, streams, _, _ = socket.recv_fds(connection, MESSAGE_BYTES, 3)
            status = forks.run_on(streams, json.loads(message))
            connection.send(str(status).encode())
