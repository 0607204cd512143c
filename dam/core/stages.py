"""The stages that a world's systems run in."""

from enum import StrEnum


class SystemStage(StrEnum):
    """When a system runs; the stages are independent of each other and run when somebody asks for them."""

    PRE_PROCESSING = "pre_processing"
    ASSET_INGESTION = "asset_ingestion"
    METADATA_EXTRACTION = "metadata_extraction"
    CONTENT_ANALYSIS = "content_analysis"
    POST_PROCESSING = "post_processing"
