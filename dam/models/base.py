"""The declarative bases: what every table, single component and repeatable component shares."""

import hashlib
from typing import Any, ClassVar, dataclass_transform

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, LargeBinary, MetaData, UniqueConstraint
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, declared_attr, mapped_column
from sqlalchemy.schema import SchemaItem

from dam.models.types import FiniteFloat, PlainText

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

# SQLite gives ids of its own only to a column whose type is exactly INTEGER (which is 64 bits wide there).
BigId = BigInteger().with_variant(Integer(), "sqlite")


class Base(MappedAsDataclass, DeclarativeBase, kw_only=True, eq=False):
    """The root of all tables. Instances compare by identity, so that they can be hashed."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map: ClassVar[dict[Any, Any]] = {float: FiniteFloat(), str: PlainText()}


@dataclass_transform(kw_only_default=True, eq_default=False, field_specifiers=(mapped_column,))
class Component(Base, kw_only=True, eq=False):
    """A fact about one entity, removed with it by the database. Components are keyword-only."""

    __abstract__ = True

    entity_id: Mapped[int]


@dataclass_transform(kw_only_default=True, eq_default=False, field_specifiers=(mapped_column,))
class SingleComponent(Component, kw_only=True, eq=False):
    """A component of which an entity has one at most: the database refuses a second."""

    __abstract__ = True

    entity_id: Mapped[int] = mapped_column(
        BigId, ForeignKey("entity.id", ondelete="CASCADE"), primary_key=True, autoincrement=False, sort_order=-1
    )


def fact_digest(*values: object, size: int = 16) -> bytes:
    """Return so many bytes (BLAKE2b) that stand for these values together."""
    text = "\0".join(map(str, values))
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=size).digest()


@dataclass_transform(kw_only_default=True, eq_default=False, field_specifiers=(mapped_column,))
class RepeatableComponent(Component, kw_only=True, eq=False):
    """A component of which an entity may have many; a unique constraint says when two rows are the same fact.

    ``same_fact`` names the columns that, beside the entity, say so. ``fact_digest`` stands for them in the constraint,
    because databases limit how long an indexed value may be and a path may be longer. ``indexed`` names columns that
    are searched by.
    """

    __abstract__ = True
    same_fact: ClassVar[tuple[str, ...]]
    indexed: ClassVar[tuple[str, ...]] = ()

    id: Mapped[int] = mapped_column(BigId, primary_key=True, init=False, sort_order=-2)
    entity_id: Mapped[int] = mapped_column(BigId, ForeignKey("entity.id", ondelete="CASCADE"), sort_order=-1)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse a subclass that does not say what makes two rows the same fact."""
        if not hasattr(cls, "same_fact") and "__abstract__" not in cls.__dict__:
            raise TypeError(f"{cls.__name__} needs same_fact, the columns that make two rows the same fact")
        super().__init_subclass__(**kwargs)

    @declared_attr
    @classmethod
    def fact_digest(cls) -> Mapped[bytes]:
        """Return the column that is filled from the ``same_fact`` columns when a row is inserted."""
        return mapped_column(LargeBinary(16), insert_default=cls._digest_of_row, init=False, repr=False, sort_order=9)

    @declared_attr.directive
    @classmethod
    def __table_args__(cls) -> tuple[SchemaItem, ...]:
        """Return the unique constraint, which also serves look-ups by entity, and the indexes the class asks for."""
        indexes = (Index(f"ix_{cls.__tablename__}_{column}", column) for column in cls.indexed)
        return (UniqueConstraint("entity_id", "fact_digest"), *indexes)

    @classmethod
    def digest_of(cls, *values: object) -> bytes:
        """Return the 16 bytes that stand for these values of the ``same_fact`` columns."""
        return fact_digest(*values)

    @classmethod
    def _digest_of_row(cls, context: DefaultExecutionContext) -> bytes:
        row = context.get_current_parameters()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it untyped
        return cls.digest_of(*(row[column] for column in cls.same_fact))
