"""Digests of an asset's bytes."""

from sqlalchemy import CheckConstraint, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from dam.models.base import SingleComponent


class ContentHashSHA256Component(SingleComponent, kw_only=True, eq=False):
    """The SHA-256 (32 bytes): the asset's identity, so no two assets share one."""

    __tablename__ = "content_hash_sha256"
    __table_args__ = (CheckConstraint("length(hash_value) = 32", name="length"),)

    hash_value: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)


class ContentHashMD5Component(SingleComponent, kw_only=True, eq=False):
    """The MD5 (16 bytes): a key to search by, not an identity; two assets may share one."""

    __tablename__ = "content_hash_md5"
    __table_args__ = (CheckConstraint("length(hash_value) = 16", name="length"),)

    hash_value: Mapped[bytes] = mapped_column(LargeBinary(16), index=True)
