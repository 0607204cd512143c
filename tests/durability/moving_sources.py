"""Changes files as long as it runs, each in its own way: ``python -m tests.durability.moving_sources FOLDER``.

At every moment a file holds one letter only, any number of times; a file with two kinds was read while it changed.
"""

import os
import sys
from collections.abc import Callable
from itertools import cycle
from pathlib import Path

SIZE = 2_000_000


def main() -> None:
    """Change all files in turn, for ever."""
    folder = Path(sys.argv[1])
    changes: dict[str, Callable[[Path, bytes], None]] = {
        "rewritten": rewrite,
        "truncated": truncate,
        "appended to": append,
        "replaced": replace,
        "replaced by a link": replace_by_link,
        "vanishing": vanish,
    }
    for name in changes:
        (folder / name).write_bytes(b"a" * SIZE)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for letter in cycle(b"bcdefghij"):
        for name, change in changes.items():
            change(folder / name, bytes([letter]) * SIZE)


def rewrite(path: Path, content: bytes) -> None:
    """Write other bytes in place, in one call."""
    fd = os.open(path, os.O_WRONLY)
    os.pwrite(fd, content, 0)
    os.close(fd)


def truncate(path: Path, content: bytes) -> None:
    """Cut the file, and give it all its bytes anew."""
    os.truncate(path, SIZE // 2)
    os.truncate(path, 0)
    path.write_bytes(content)


def append(path: Path, content: bytes) -> None:
    """Add to a file that is cut now and then."""
    if path.stat().st_size > 2 * SIZE:
        os.truncate(path, 10)
    with path.open("ab") as file:
        file.write(b"a" * len(content[:500_000]))


def replace(path: Path, content: bytes) -> None:
    """Put another file in the place."""
    other = path.with_name(".other")
    other.write_bytes(content)
    other.rename(path)


def replace_by_link(path: Path, content: bytes) -> None:
    """Put a link to another file in the place, and a file again."""
    link = path.with_name(".link")
    link.symlink_to("replaced")
    link.rename(path)
    replace(path, content)


def vanish(path: Path, content: bytes) -> None:
    """Be gone for a moment."""
    path.unlink()
    path.write_bytes(content)


if __name__ == "__main__":
    main()
