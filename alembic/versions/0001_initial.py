"""The tables of the first release."""

from collections.abc import Sequence

import sqlalchemy as sa

from alembic import op

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

PERCEPTUAL_HASHES = ("image_perceptual_ahash", "image_perceptual_dhash", "image_perceptual_phash")


def upgrade() -> None:
    op.create_table(
        "entity",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_entity")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "audio_properties",
        sa.Column(
            "entity_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("duration_seconds", sa.Double(), nullable=True),
        sa.Column("codec_name", sa.Text(), nullable=True),
        sa.Column("sample_rate_hz", sa.Integer(), nullable=True),
        sa.Column("channels", sa.Integer(), nullable=True),
        sa.Column("bit_rate_kbps", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["entity_id"], ["entity.id"], name=op.f("fk_audio_properties_entity_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("entity_id", name=op.f("pk_audio_properties")),
    )
    op.create_table(
        "content_hash_md5",
        sa.Column(
            "entity_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("hash_value", sa.LargeBinary(length=16), nullable=False),
        sa.CheckConstraint("length(hash_value) = 16", name=op.f("ck_content_hash_md5_length")),
        sa.ForeignKeyConstraint(
            ["entity_id"], ["entity.id"], name=op.f("fk_content_hash_md5_entity_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("entity_id", name=op.f("pk_content_hash_md5")),
    )
    with op.batch_alter_table("content_hash_md5", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_content_hash_md5_hash_value"), ["hash_value"], unique=False)

    op.create_table(
        "content_hash_sha256",
        sa.Column(
            "entity_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("hash_value", sa.LargeBinary(length=32), nullable=False),
        sa.CheckConstraint("length(hash_value) = 32", name=op.f("ck_content_hash_sha256_length")),
        sa.ForeignKeyConstraint(
            ["entity_id"], ["entity.id"], name=op.f("fk_content_hash_sha256_entity_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("entity_id", name=op.f("pk_content_hash_sha256")),
        sa.UniqueConstraint("hash_value", name=op.f("uq_content_hash_sha256_hash_value")),
    )
    op.create_table(
        "document_properties",
        sa.Column(
            "entity_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("page_count", sa.Integer(), nullable=True),
        sa.Column("title", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["entity_id"], ["entity.id"], name=op.f("fk_document_properties_entity_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("entity_id", name=op.f("pk_document_properties")),
    )
    op.create_table(
        "file_location",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("entity_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("content_identifier", sa.Text(), nullable=False),
        sa.Column("storage_type", sa.Text(), nullable=False),
        sa.Column("physical_path_or_key", sa.Text(), nullable=False),
        sa.Column("contextual_filename", sa.Text(), nullable=False),
        sa.Column("fact_digest", sa.LargeBinary(length=16), nullable=False),
        sa.ForeignKeyConstraint(
            ["entity_id"], ["entity.id"], name=op.f("fk_file_location_entity_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_file_location")),
        sa.UniqueConstraint("entity_id", "fact_digest", name=op.f("uq_file_location_entity_id_fact_digest")),
    )
    op.create_table(
        "file_properties",
        sa.Column(
            "entity_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("original_filename", sa.Text(), nullable=False),
        sa.Column("file_size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("mime_type", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["entity_id"], ["entity.id"], name=op.f("fk_file_properties_entity_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("entity_id", name=op.f("pk_file_properties")),
    )
    op.create_table(
        "frame_properties",
        sa.Column(
            "entity_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("frame_count", sa.Integer(), nullable=True),
        sa.Column("nominal_frame_rate", sa.Double(), nullable=True),
        sa.Column("animation_duration_seconds", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["entity_id"], ["entity.id"], name=op.f("fk_frame_properties_entity_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("entity_id", name=op.f("pk_frame_properties")),
    )
    op.create_table(
        "image_capture",
        sa.Column(
            "entity_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("taken_at", sa.Text(), nullable=True),
        sa.Column("camera_make", sa.Text(), nullable=True),
        sa.Column("camera_model", sa.Text(), nullable=True),
        sa.Column("lens_model", sa.Text(), nullable=True),
        sa.Column("iso", sa.Integer(), nullable=True),
        sa.Column("exposure_time_seconds", sa.Double(), nullable=True),
        sa.Column("f_number", sa.Double(), nullable=True),
        sa.Column("focal_length_mm", sa.Double(), nullable=True),
        sa.Column("latitude", sa.Double(), nullable=True),
        sa.Column("longitude", sa.Double(), nullable=True),
        sa.Column("altitude_metres", sa.Double(), nullable=True),
        sa.Column("orientation", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["entity_id"], ["entity.id"], name=op.f("fk_image_capture_entity_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("entity_id", name=op.f("pk_image_capture")),
    )
    op.create_table(
        "image_dimensions",
        sa.Column(
            "entity_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("width_pixels", sa.Integer(), nullable=False),
        sa.Column("height_pixels", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["entity_id"], ["entity.id"], name=op.f("fk_image_dimensions_entity_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("entity_id", name=op.f("pk_image_dimensions")),
    )
    op.create_table(
        "image_perceptual_ahash",
        sa.Column(
            "entity_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("hash_value", sa.LargeBinary(length=8), nullable=False),
        sa.CheckConstraint("length(hash_value) = 8", name=op.f("ck_image_perceptual_ahash_length")),
        sa.ForeignKeyConstraint(
            ["entity_id"], ["entity.id"], name=op.f("fk_image_perceptual_ahash_entity_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("entity_id", name=op.f("pk_image_perceptual_ahash")),
    )
    op.create_table(
        "image_perceptual_dhash",
        sa.Column(
            "entity_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("hash_value", sa.LargeBinary(length=8), nullable=False),
        sa.CheckConstraint("length(hash_value) = 8", name=op.f("ck_image_perceptual_dhash_length")),
        sa.ForeignKeyConstraint(
            ["entity_id"], ["entity.id"], name=op.f("fk_image_perceptual_dhash_entity_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("entity_id", name=op.f("pk_image_perceptual_dhash")),
    )
    op.create_table(
        "image_perceptual_phash",
        sa.Column(
            "entity_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("hash_value", sa.LargeBinary(length=8), nullable=False),
        sa.CheckConstraint("length(hash_value) = 8", name=op.f("ck_image_perceptual_phash_length")),
        sa.ForeignKeyConstraint(
            ["entity_id"], ["entity.id"], name=op.f("fk_image_perceptual_phash_entity_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("entity_id", name=op.f("pk_image_perceptual_phash")),
    )
    op.create_table(
        "needs_metadata_extraction",
        sa.Column(
            "entity_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["entity_id"], ["entity.id"], name=op.f("fk_needs_metadata_extraction_entity_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("entity_id", name=op.f("pk_needs_metadata_extraction")),
    )
    op.create_table(
        "original_source_info",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("entity_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("original_filename", sa.Text(), nullable=False),
        sa.Column("original_path", sa.Text(), nullable=False),
        sa.Column("source_type", sa.Text(), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_stat", sa.Text(), nullable=True),
        sa.Column("fact_digest", sa.LargeBinary(length=16), nullable=False),
        sa.ForeignKeyConstraint(
            ["entity_id"], ["entity.id"], name=op.f("fk_original_source_info_entity_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_original_source_info")),
        sa.UniqueConstraint("entity_id", "fact_digest", name=op.f("uq_original_source_info_entity_id_fact_digest")),
    )
    with op.batch_alter_table("original_source_info", schema=None) as batch_op:
        batch_op.create_index("ix_original_source_info_fact_digest", ["fact_digest"], unique=False)

    op.create_table(
        "processing_failure",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("entity_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("system", sa.Text(), nullable=False),
        sa.Column("marker", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("fact_digest", sa.LargeBinary(length=16), nullable=False),
        sa.ForeignKeyConstraint(
            ["entity_id"], ["entity.id"], name=op.f("fk_processing_failure_entity_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_processing_failure")),
        sa.UniqueConstraint("entity_id", "fact_digest", name=op.f("uq_processing_failure_entity_id_fact_digest")),
    )
    op.create_table(
        "object_verification",
        sa.Column(
            "entity_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("found_good_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["entity_id"], ["entity.id"], name=op.f("fk_object_verification_entity_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("entity_id", name=op.f("pk_object_verification")),
    )
    with op.batch_alter_table("object_verification", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_object_verification_found_good_at"), ["found_good_at"], unique=False)

    op.create_table(
        "reference_verification",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("entity_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("physical_path", sa.Text(), nullable=False),
        sa.Column("found_good_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("fact_digest", sa.LargeBinary(length=16), nullable=False),
        sa.ForeignKeyConstraint(
            ["entity_id"], ["entity.id"], name=op.f("fk_reference_verification_entity_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reference_verification")),
        sa.UniqueConstraint("entity_id", "fact_digest", name=op.f("uq_reference_verification_entity_id_fact_digest")),
    )
    with op.batch_alter_table("reference_verification", schema=None) as batch_op:
        batch_op.create_index("ix_reference_verification_found_good_at", ["found_good_at"], unique=False)

    for table in PERCEPTUAL_HASHES:
        for band in range(4):
            expression = sa.text(f"substr(hash_value, {2 * band + 1}, 2)")
            op.create_index(
                f"ix_{table}_band_{band}", table, [expression, "hash_value"], postgresql_include=["entity_id"]
            )


def downgrade() -> None:
    with op.batch_alter_table("reference_verification", schema=None) as batch_op:
        batch_op.drop_index("ix_reference_verification_found_good_at")

    op.drop_table("reference_verification")
    with op.batch_alter_table("object_verification", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_object_verification_found_good_at"))

    op.drop_table("object_verification")
    op.drop_table("processing_failure")
    with op.batch_alter_table("original_source_info", schema=None) as batch_op:
        batch_op.drop_index("ix_original_source_info_fact_digest")

    op.drop_table("original_source_info")
    op.drop_table("needs_metadata_extraction")
    op.drop_table("image_perceptual_phash")
    op.drop_table("image_perceptual_dhash")
    op.drop_table("image_perceptual_ahash")
    op.drop_table("image_dimensions")
    op.drop_table("image_capture")
    op.drop_table("frame_properties")
    op.drop_table("file_properties")
    op.drop_table("file_location")
    op.drop_table("document_properties")
    op.drop_table("content_hash_sha256")
    with op.batch_alter_table("content_hash_md5", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_content_hash_md5_hash_value"))

    op.drop_table("content_hash_md5")
    op.drop_table("audio_properties")
    op.drop_table("entity")
