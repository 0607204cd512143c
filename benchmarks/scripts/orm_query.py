"""Opens a library with SQLAlchemy, a component as a mapped class, and asks who has a SHA-256: ``… URL DIGEST``."""

import sys

from sqlalchemy import LargeBinary, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class Base(DeclarativeBase):
    """The root of all tables."""


class Hash(Base):
    """One component of the seventeen."""

    __tablename__ = "content_hash_sha256"

    entity_id: Mapped[int] = mapped_column(primary_key=True)
    hash_value: Mapped[bytes] = mapped_column(LargeBinary(32))


url, digest = sys.argv[1:]
with Session(create_engine(url)) as session:
    print(session.scalars(select(Hash.entity_id).where(Hash.hash_value == bytes.fromhex(digest))).all())
