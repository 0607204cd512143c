"""Files that nothing waits for. A module of its own, because other processes find the class by it."""

from typing import override

from dam.core.file_operations import FileOperationsResource


class Careless(FileOperationsResource):
    """Syncs nothing."""

    def sync_file(self, fd: int) -> None:
        """Trust in luck."""

    def sync_folder(self, path: str) -> None:
        """Trust in luck."""

    @override
    def sync_file_system(self, fd: int) -> bool:
        """Trust in luck, and say that all is well."""
        return True
