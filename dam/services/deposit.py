"""Where files become objects: what a storage offers for adding, and that of a local one for other processes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

from dam.core.exceptions import ObjectNotStored
from dam.core.file_operations import FileOperationsResource
from dam.services.publication import Publication, Published, drop
from dam.services.shared_sync import SharedSync
from dam.services.source_reading import never
from dam.services.staging import StagedFile, Stager, UnsyncedFiles


class Deposit(Protocol):
    """Adds objects. It never overwrites or deletes a sound one."""

    def stage(self, source: int | str | Path, is_stopped: Callable[[], bool] = never) -> StagedFile:
        """Read a source, by path or descriptor, to where it can be published from.

        May be called by several threads. Raises NotARegularFile, SourceUnreadable, SourceChanged, ObjectNotStored, and
        ReadingStopped soon after ``is_stopped`` says so.
        """

    def publish(self, batch: Sequence[StagedFile]) -> list[Published | ObjectNotStored]:
        """Make staged files objects, durable on return; what fails stands in its place and leaves the others."""

    def discard(self, staged: StagedFile) -> None:
        """Drop a staged file that is not wanted. One that is gone is no matter."""


@dataclass(frozen=True)
class LocalDeposit:
    """Adds objects to the local storage in ``root`` by way of the staging folder that its owner keeps; see Deposit.

    It can be pickled, so that another process does it for the owner, who removes what that one leaves in the folder.
    For one thread at a time, and what is published together was staged one after another: so many files can be synced
    by one call.
    """

    root: str
    staging_folder: str
    files: FileOperationsResource

    def __reduce__(self) -> tuple[type["LocalDeposit"], tuple[str, str, FileOperationsResource]]:
        """Leave out what is open."""
        return type(self), (self.root, self.staging_folder, self.files)

    def stage(self, source: int | str | Path, is_stopped: Callable[[], bool] = never) -> StagedFile:
        """Read a source into a temporary file; see ``Stager.stage``."""
        return self._stager.stage(source, is_stopped)

    def publish(self, batch: Sequence[StagedFile]) -> list[Published | ObjectNotStored]:
        """Make staged files objects; see ``Publication.of``."""
        return self._publication.of(batch)

    def discard(self, staged: StagedFile) -> None:
        """Drop a staged file that is not wanted."""
        self._unsynced.discard(staged.temporary)
        drop(staged.temporary)

    @cached_property
    def _unsynced(self) -> UnsyncedFiles:
        return UnsyncedFiles(self.files)

    @cached_property
    def _stager(self) -> Stager:
        return Stager(self.staging_folder, self.files, self._unsynced)

    @cached_property
    def _publication(self) -> Publication:
        return Publication(self.root, self.files, self._unsynced, SharedSync(self.files))
