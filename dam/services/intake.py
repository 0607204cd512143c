"""Reads files and stores them, in this process or in another: all of taking a file in but its rows."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from dam.core.events import ImportedFile
from dam.core.exceptions import DamError, ObjectNotStored, ReadingStopped, os_reason
from dam.core.file_operations import FileOperationsResource
from dam.services import media_type
from dam.services.deposit import Deposit
from dam.services.readers import catalogue
from dam.services.source_reading import Digest, digest_file, never
from dam.services.staging import StagedFile


class Refused(NamedTuple):
    """A file that could not be read or stored, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """How files are taken in. Pickled, it does the same in another process.

    Without a ``deposit`` they stay where they are. ``storage_type`` and ``source_type`` are as in the components.
    """

    deposit: Deposit | None
    files: FileOperationsResource
    storage_type: str
    source_type: str

    def take(self, paths: Sequence[str], is_stopped: Callable[[], bool] = never) -> list[ImportedFile | Refused]:
        """Read files, and store them durably when there is a deposit; return what each came to, in their order.

        Raises ReadingStopped soon after ``is_stopped`` says so; nothing of these files is stored then.
        """
        seen_at = datetime.now(UTC)
        if self.deposit is None:
            return [self._read(path, seen_at, is_stopped) for path in _while_wanted(paths, is_stopped)]
        return self._stored(self.deposit, paths, seen_at, is_stopped)

    def _read(self, path: str, seen_at: datetime, is_stopped: Callable[[], bool]) -> ImportedFile | Refused:
        try:
            fd = self.files.open_regular(path)
            try:
                digest = digest_file(fd, files=self.files, is_stopped=is_stopped)
            finally:
                os.close(fd)
        except ReadingStopped:
            raise
        except (OSError, DamError) as error:
            return _refused(path, error)
        return self._imported(path, digest, seen_at)

    def _stored(
        self, deposit: Deposit, paths: Sequence[str], seen_at: datetime, is_stopped: Callable[[], bool]
    ) -> list[ImportedFile | Refused]:
        taken: list[ImportedFile | Refused] = []
        staged: list[tuple[int, StagedFile]] = []
        try:
            for path in _while_wanted(paths, is_stopped):
                try:
                    one = deposit.stage(path, is_stopped)
                except ReadingStopped:
                    raise
                except (OSError, DamError) as error:
                    taken.append(_refused(path, error))
                else:
                    taken.append(self._imported(path, one.digest, seen_at))
                    staged.append((len(taken) - 1, one.without_head()))
        except BaseException:
            for _, one in staged:
                deposit.discard(one)
            raise
        published = deposit.publish([one for _, one in staged])
        for (index, _), result in zip(staged, published, strict=True):
            if isinstance(result, ObjectNotStored):
                taken[index] = _refused(taken[index].path, result)
        return taken

    def _imported(self, path: str, digest: Digest, seen_at: datetime) -> ImportedFile:
        name = path.rpartition("/")[2]
        mime_type = media_type.media_type(digest.head, name, size=digest.size)
        return ImportedFile(
            path=path,
            filename=name,
            size_bytes=digest.size,
            sha256=digest.sha256,
            md5=digest.md5,
            mime_type=mime_type,
            storage_type=self.storage_type,
            key=path if self.deposit is None else digest.sha256.hex(),
            source_type=self.source_type,
            seen_at=seen_at,
            seen_stat=digest.seen_stat,
            has_facts=bool(catalogue.readers_for(mime_type)),
        )


def _while_wanted(paths: Iterable[str], is_stopped: Callable[[], bool]) -> Iterator[str]:
    for path in paths:
        if is_stopped():
            raise ReadingStopped
        yield path


def _refused(path: str, error: Exception) -> Refused:
    return Refused(path, os_reason(error) if isinstance(error, OSError) else str(error))
