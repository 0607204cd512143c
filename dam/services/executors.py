"""Where heavy work is done: on worker processes of this machine, or on a Dask cluster that sees the same files."""

import re
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager

from dam.core.config import ParserLimits
from dam.core.exceptions import InvalidConfiguration
from dam.services.isolation import IsolatedExecutor

PRELOADED = ("dam.services.examination", "dam.services.readers.image_reader")
_DASK = re.compile(r"dask://(?P<place>[^/@?#\s]+:\d{1,5})/?")


@contextmanager
def opened(limits: ParserLimits, *, jobs: int, address: str | None = None) -> Iterator[Executor]:
    """Give an executor whose tasks have these limits, wherever they run; on an error its tasks are given up.

    Without an address it has at most ``jobs`` processes here, started when the first task comes. ``dask://HOST:PORT``
    names the scheduler of a Dask cluster, which decides itself how much it does at a time. Raises
    ``InvalidConfiguration`` for any other address and without the ``cluster`` extra, ``ClusterUnavailable`` when the
    cluster does not answer.
    """
    executor = _local(limits, jobs) if address is None else _cluster(limits, address)
    try:
        yield executor
    except BaseException:
        executor.shutdown(cancel_futures=True)
        raise
    executor.shutdown()


def _local(limits: ParserLimits, jobs: int) -> Executor:
    return IsolatedExecutor(
        jobs=jobs, timeout_seconds=limits.timeout_seconds, memory_bytes=limits.memory_bytes, preload=PRELOADED
    )


def _cluster(limits: ParserLimits, address: str) -> Executor:
    found = _DASK.fullmatch(address)
    if found is None:
        raise InvalidConfiguration(f"an executor is named as in dask://HOST:PORT, not {address!r}")
    try:
        from dam.services.cluster import ClusterExecutor, Isolation  # distributed takes half a second to import
    except ImportError as error:
        raise InvalidConfiguration(f"{address} needs {error.name}; install dam[cluster]") from error
    isolation = Isolation(timeout_seconds=limits.timeout_seconds, memory_bytes=limits.memory_bytes, preload=PRELOADED)
    return ClusterExecutor(found["place"], isolation)
