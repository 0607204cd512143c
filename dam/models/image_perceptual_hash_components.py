"""Hashes that are near each other when pictures look alike."""

from sqlalchemy import CheckConstraint, ColumnElement, Index, LargeBinary, literal_column
from sqlalchemy.orm import Mapped, declared_attr, mapped_column
from sqlalchemy.schema import SchemaItem

from dam.models.base import SingleComponent

BAND_BYTES = 2
BANDS = 4


def band_expression(band: int) -> ColumnElement[bytes]:
    """Return a 16-bit band (0 to 3) of ``hash_value`` as SQL, worded as its index has it, or else no index is used."""
    return literal_column(f"substr(hash_value, {band * BAND_BYTES + 1}, {BAND_BYTES})", LargeBinary())


class ImagePerceptualHashComponent(SingleComponent, kw_only=True, eq=False):
    """64 bits of a picture as displayed, as the ImageHash library gives them, the first bit first.

    Each of the four 16-bit bands has an index, by which near hashes are found without reading the table: the index
    holds the whole hash and the entity. (On PostgreSQL the migration alone INCLUDEs the entity: naming that option here
    would load PostgreSQL's dialect into every start of the program.)
    """

    __abstract__ = True

    hash_value: Mapped[bytes] = mapped_column(LargeBinary(8))

    @declared_attr.directive
    @classmethod
    def __table_args__(cls) -> tuple[SchemaItem, ...]:
        """Return the length check and the four band indexes."""
        bands = (
            Index(f"ix_{cls.__tablename__}_band_{band}", band_expression(band), "hash_value") for band in range(BANDS)
        )
        return (CheckConstraint("length(hash_value) = 8", name="length"), *bands)


class ImagePerceptualPHashComponent(ImagePerceptualHashComponent, kw_only=True, eq=False):
    """The pHash: signs of the low frequencies of a 32 by 32 grey reduction."""

    __tablename__ = "image_perceptual_phash"


class ImagePerceptualAHashComponent(ImagePerceptualHashComponent, kw_only=True, eq=False):
    """The aHash: which pixels of an 8 by 8 grey reduction are brighter than their mean."""

    __tablename__ = "image_perceptual_ahash"


class ImagePerceptualDHashComponent(ImagePerceptualHashComponent, kw_only=True, eq=False):
    """The dHash: which pixels of a 9 by 8 grey reduction are darker than their right neighbour."""

    __tablename__ = "image_perceptual_dhash"
