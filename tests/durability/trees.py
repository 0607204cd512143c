"""Trees of small files, and what became of them."""

import os
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.media import picture, picture_bytes


def small_files(folder: Path, count: int, *, seed: int = 0, pictures: int = 0) -> Path:
    """Make files of a few kilobytes in folders of a hundred, the first of them pictures, each with its own bytes.

    Noise by itself may look like a sound or a picture.
    """
    numbers = random.Random(seed)
    for number in range(count):
        below = folder / f"{number // 100:02}"
        below.mkdir(parents=True, exist_ok=True)
        if number < pictures:
            (below / f"{number:04}.png").write_bytes(picture_bytes("PNG", picture(32, 24, shift=number + 100 * seed)))
        else:
            (below / f"{number:04}.bin").write_bytes(b"noise" + numbers.randbytes(numbers.randrange(1, 4000)))
    return folder


def let_age(folder: Path) -> None:
    """Set the files' times back, so that they need not be read again to be known as unchanged."""
    for path in folder.rglob("*"):
        os.utime(path, ns=(10**18, 10**18))


def balance(documents: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Return the summary of add-asset, which ends its output, having counted the lines before it."""
    *outcomes, last = documents
    summary: dict[str, int] = last["summary"]
    for status in ("added", "linked", "unchanged", "skipped", "failed"):
        assert summary[status] == sum(1 for outcome in outcomes if outcome["status"] == status)
    assert summary["found"] == len(outcomes)
    return summary
