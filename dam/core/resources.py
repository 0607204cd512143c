"""The objects that a world owns, keyed by type: opened with the world, closed with it in reverse order."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Protocol, Self, cast, runtime_checkable

from dam.core.exceptions import ResourceNotFound
from dam.core.file_operations import FileOperationsResource

__all__ = ["Binding", "FileOperationsResource", "Managed", "ResourceManager"]


@runtime_checkable
class Managed(Protocol):
    """A resource that wants to know when its world opens and closes."""

    def open(self) -> object:
        """Make ready; called once, after the resources that were added before."""

    def close(self) -> object:
        """Give back; called once, before the resources that were added before."""


@dataclass(frozen=True, slots=True)
class Binding[T]:
    """The second half of ``resources.bind(Kind).to(value)``, where the type checker holds the two together."""

    _bind: Callable[[object], None]

    def to(self, value: T) -> None:
        """Make ``value`` the world's resource of this kind, in place of an earlier one."""
        self._bind(value)


class ResourceManager:
    """A world's resources. Those with ``open`` and ``close`` are opened with it and closed in reverse order."""

    def __init__(self) -> None:
        self._values: dict[type[Any], object] = {}
        self._opened: ExitStack | None = None

    def add(self, value: object) -> None:
        """Add a resource under its own class."""
        self._set(type(value), value)

    def bind[T](self, kind: type[T]) -> Binding[T]:
        """Add a resource under another type, such as the interface it serves: ``bind(Storage).to(LocalStorage())``."""
        return Binding(lambda value: self._set(kind, value))

    def get[T](self, kind: type[T]) -> T:
        """Return the resource of exactly this kind, or raise ``ResourceNotFound``."""
        if kind not in self._values:
            raise ResourceNotFound(kind)
        return cast("T", self._values[kind])

    def has(self, kind: type[Any]) -> bool:
        """Say whether there is a resource of exactly this kind."""
        return kind in self._values

    def open(self) -> Self:
        """Open all, in the order they were added; when one fails, those already open are closed again.

        Opening twice is opening once.
        """
        if self._opened is not None:
            return self
        with ExitStack() as stack:
            for value in self._distinct():
                self._open_one(stack, value)
            self._opened = stack.pop_all()
        return self

    def close(self) -> None:
        """Close all, last added first, each of them even when another fails. Closing twice is closing once."""
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    def _set(self, kind: type[Any], value: object) -> None:
        new = all(value is not known for known in self._values.values())
        self._values[kind] = value
        if new and self._opened is not None:
            self._open_one(self._opened, value)

    def _distinct(self) -> list[object]:
        return list({id(value): value for value in self._values.values()}.values())

    @staticmethod
    def _open_one(stack: ExitStack, value: object) -> None:
        if isinstance(value, Managed):
            value.open()
            stack.callback(value.close)
