"""Shows assets: as JSON for programs, as text for people. Knows no component by name but the one that goes first."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from dam.cli import output
from dam.models import FilePropertiesComponent
from dam.models.base import Component
from dam.services import asset_service

type ComponentsByClass = Mapping[str, Sequence[Component]]


def asset_document(entity_id: int, components: ComponentsByClass) -> dict[str, Any]:
    """Return an asset as JSON has it: class name to list of rows, hashes in hex, times as ISO 8601 in UTC."""
    documents = {name: [_fields(component) for component in found] for name, found in components.items()}
    return {"entity_id": entity_id, "components": documents}


def asset_lines(entity_id: int, components: ComponentsByClass) -> list[str]:
    """Return an asset as text; what a file does not say is left out."""
    first = FilePropertiesComponent.__name__
    lines = [f"Asset {entity_id}"]
    for name in sorted(components, key=lambda name: (name != first, name)):
        for component in components[name]:
            lines += _component_lines(component)
    return lines


def rows[C: Component](components: ComponentsByClass, kind: type[C]) -> list[C]:
    """Return an asset's components of one kind."""
    return [row for row in components.get(kind.__name__, ()) if isinstance(row, kind)]


def plain(value: Any) -> Any:
    """Return a field's value as JSON has it."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return value


def _fields(component: Component) -> dict[str, Any]:
    return {name: plain(value) for name, value in asset_service.fields_of(component).items()}


def _component_lines(component: Component) -> list[str]:
    title = component.__tablename__.replace("_", " ").capitalize()
    known = [(name, str(value)) for name, value in _fields(component).items() if value is not None]
    return [f"  {title}", *(f"    {line}" for line in output.table(known))]
