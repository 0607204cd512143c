"""Asks the same as ``orm_query`` in plain SQL, without a mapped class: ``… URL DIGEST``."""

import sys

from sqlalchemy import create_engine, text

url, digest = sys.argv[1:]
statement = text("SELECT entity_id FROM content_hash_sha256 WHERE hash_value = :digest")
with create_engine(url).connect() as connection:
    print(connection.execute(statement, {"digest": bytes.fromhex(digest)}).scalars().all())
