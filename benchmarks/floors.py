"""The least that could be done: programs without a database or a promise. Run as ``-m benchmarks.floors``."""

import hashlib
import os
import queue
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

BLOCK = 1 << 20


def decode_and_hash(path: str) -> None:
    """Hash the bytes, decode the picture, hash its bits: what two processes can do at the most."""
    from io import BytesIO

    from PIL import Image, ImageOps

    from dam.services.perceptual_hashing import hash_image

    data = Path(path).read_bytes()
    hashlib.sha256(data).digest()
    hashlib.md5(data, usedforsecurity=False).digest()
    with Image.open(BytesIO(data), formats=("JPEG", "PNG")) as image:
        hash_image(ImageOps.exif_transpose(image))


def decode_tree(root: str, processes: int) -> None:
    """Decode and hash every picture below a folder."""
    paths = [os.path.join(folder, name) for folder, _, names in os.walk(root) for name in names]
    with ProcessPoolExecutor(processes) as pool:
        for _ in pool.map(decode_and_hash, paths, chunksize=4):
            pass


def copy_and_hash(source: str, target: str) -> None:
    """Read a file once into a copy and SHA-256, with MD5 beside it in a thread, and sync the copy."""
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    blocks: queue.Queue[bytes] = queue.Queue(4)

    def feed() -> None:
        while block := blocks.get():
            md5.update(block)

    thread = threading.Thread(target=feed)
    thread.start()
    with Path(source).open("rb", buffering=0) as reading, Path(target).open("wb", buffering=0) as writing:
        while block := reading.read(BLOCK):
            blocks.put(block)
            writing.write(block)
            sha256.update(block)
        blocks.put(b"")
        thread.join()
        os.fsync(writing.fileno())


def add_without_syncing(root: str, home: str) -> None:
    """Take a folder in as the program does, into a database that is set up, but let nothing wait for the disk."""
    from concurrent.futures import Executor

    from benchmarks.careless import Careless
    from dam.core.config import WorldConfig
    from dam.core.world import World
    from dam.core.world_registrar import register_core_systems
    from dam.services import ingestion
    from dam.services.executors import PRELOADED
    from dam.services.file_storage import FileStorage, LocalFileStorage
    from dam.services.intake_pool import IntakeProcesses
    from dam.services.isolation import IsolatedExecutor

    world = World(WorldConfig(database_url=f"sqlite:///{home}/dam.db", storage_path=Path(home) / "storage"))
    storage = LocalFileStorage(world.config.storage_path, Careless())
    storage.open_for_use(expect_objects=False)
    executor = IsolatedExecutor(jobs=2, preload=PRELOADED)
    world.resources.bind(FileStorage).to(storage)  # type: ignore[type-abstract]  # an interface is a key too
    world.resources.bind(Executor).to(executor)
    world.resources.add(IntakeProcesses(2))
    register_core_systems(world)
    with world:
        ingestion.ingest(world, [root], ingestion.Options(recursive=True))
    executor.shutdown()


def main(arguments: list[str]) -> None:
    """Run one of them."""
    match arguments:
        case ["decode", root, processes]:
            decode_tree(root, int(processes))
        case ["copy", source, target]:
            copy_and_hash(source, target)
        case ["careless", root, home]:
            add_without_syncing(root, home)
        case _:
            raise SystemExit(f"unknown: {arguments}")


if __name__ == "__main__":
    main(sys.argv[1:])
