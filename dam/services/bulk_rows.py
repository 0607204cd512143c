"""Many rows of one table in one call of the driver.

SQLAlchemy prepares each row of an ``executemany`` by itself, with a dozen calls of Python, which takes longer than the
database takes for the row. Here it words the statement and says how each column's values are prepared, once, and the
values are prepared column by column.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Connection, Dialect, Insert, Table
from sqlalchemy.orm import Session

from dam.core.database import note_write

type Rows = Sequence[Mapping[str, Any]]


def write_rows(session: Session, key: Hashable, statement: Callable[[], Insert], rows: Rows) -> int:
    """Execute an INSERT for many rows, all with the same columns, and return how many rows were written.

    Defaults of Python functions are not filled in.

    ``key`` stands for what ``statement`` returns: it is called once for each connection. The database raises as
    for ``session.execute``, and a column's type what it raises for a value that can't be kept.
    """
    if not rows:
        return 0
    connection = session.connection()
    columns = tuple(rows[0])
    kept = connection.info.setdefault(_Wording, {})
    if (key, columns) not in kept:
        kept[key, columns] = _worded(connection, statement(), columns)
    wording: _Wording = kept[key, columns]
    note_write(session)
    return connection.exec_driver_sql(wording.sql, wording.parameters(rows)).rowcount


@dataclass(frozen=True, slots=True)
class _Wording:
    """A statement as a driver takes it: its parameters by name or, when ``positional``, in the order of ``names``."""

    sql: str
    names: Sequence[str]
    positional: bool
    processors: Mapping[str, Callable[[Any], Any]]
    constants: Mapping[str, Any]

    def parameters(self, rows: Rows) -> Any:
        prepared = [self._prepared(name, rows) for name in self.names]
        if self.positional:
            return list(zip(*prepared, strict=True))
        return [dict(zip(self.names, values, strict=True)) for values in zip(*prepared, strict=True)]

    def _prepared(self, name: str, rows: Rows) -> Sequence[Any]:
        if name in self.constants:
            return [self.constants[name]] * len(rows)
        values = [row[name] for row in rows]
        process = self.processors.get(name)
        if process is None:
            return values
        first = values[0]
        if all(value is first for value in values):
            return [process(first)] * len(rows)
        return [process(value) for value in values]


def _worded(connection: Connection, statement: Insert, columns: Sequence[str]) -> _Wording:
    dialect = connection.dialect
    compiled = statement.compile(dialect=dialect, column_keys=list(columns))
    binds = compiled.params
    return _Wording(
        sql=str(compiled),
        names=tuple(compiled.positiontup or binds),
        positional=compiled.positional,
        processors=_processors(dialect, cast("Table", statement.table), columns),
        constants={name: value for name, value in binds.items() if name not in columns},
    )


def _processors(dialect: Dialect, table: Table, columns: Sequence[str]) -> dict[str, Callable[[Any], Any]]:
    found = {name: table.c[name].type.dialect_impl(dialect).bind_processor(dialect) for name in columns}
    return {name: process for name, process in found.items() if process is not None}
