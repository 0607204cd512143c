"""Systems that find out what is in a file."""

from dam.core.components_markers import NeedsMetadataExtractionComponent
from dam.core.config import WorldConfig
from dam.core.stages import SystemStage
from dam.core.system_params import EntityFailures, MarkedEntityList, Offload, Resource, WorldSession
from dam.core.systems import system
from dam.services import content_service, examination_service, fact_service
from dam.services.file_storage import FileStorage

CHUNK_SIZE = 128


@system(stage=SystemStage.METADATA_EXTRACTION, chunk_size=CHUNK_SIZE)
async def extract_metadata(
    session: WorldSession,
    config: WorldConfig,
    storage: Resource[FileStorage],
    offload: Offload,
    todo: MarkedEntityList[NeedsMetadataExtractionComponent],
    failures: EntityFailures,
) -> None:
    """Read the facts of marked assets from their files; an asset whose file can't be read is reported and goes on."""
    contents = content_service.locate(session, storage, todo)
    for entity_id in todo:
        if entity_id not in contents:
            failures.record(entity_id, "its bytes are in none of the places that are known for it")
    facts = await examination_service.examine_all(offload, config.limits, contents)
    for entity_id, found in facts.items():
        if found.problems:
            failures.record(entity_id, "; ".join(found.problems))
    fact_service.write_facts(session, facts)
