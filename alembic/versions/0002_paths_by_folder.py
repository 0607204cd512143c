"""The digests of paths begin with those of their folders."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from alembic.util import CommandError

from alembic import context, op
from dam.models.types import unescape_file_name

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

ROWS_AT_ONCE = 10_000
INDEX = "ix_original_source_info_fact_digest"

sources = sa.table(
    "original_source_info",
    sa.column("id", sa.BigInteger()),
    sa.column("original_path", sa.Text()),
    sa.column("fact_digest", sa.LargeBinary(16)),
)


def upgrade() -> None:
    _rewrite(lambda path: _digest(path.rpartition("/")[0], 4) + _digest(path, 12))


def downgrade() -> None:
    _rewrite(lambda path: _digest(path, 16))


def _rewrite(digest_of: Callable[[str], bytes]) -> None:
    """Give every row its new digest, with the index put aside, since each would fall on another of its pages."""
    if context.is_offline_mode():
        _refuse_unless_from_nothing()
        return
    change = sa.update(sources).where(sources.c.id == sa.bindparam("of_row")).values(fact_digest=sa.bindparam("digest"))
    op.drop_index(INDEX, "original_source_info")
    for rows in _rows():
        changes = [{"of_row": row.id, "digest": digest_of(unescape_file_name(row.original_path))} for row in rows]
        op.get_bind().execute(change, changes)
    op.create_index(INDEX, "original_source_info", ["fact_digest"])


def _refuse_unless_from_nothing() -> None:
    if context.get_starting_revision_argument() is not None:
        raise CommandError(f"revision {revision} computes digests, which SQL cannot: run it on the database itself")


def _rows() -> Iterator[Sequence[sa.Row[Any, Any]]]:
    """Give all rows, some at a time."""
    latest = 0
    following = sa.select(sources.c.id, sources.c.original_path).order_by(sources.c.id).limit(ROWS_AT_ONCE)
    while rows := op.get_bind().execute(following.where(sources.c.id > latest)).all():
        yield rows
        latest = rows[-1].id


def _digest(text: str, size: int) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=size).digest()
