"""``find-file-by-hash``: tells whether a content is in the library, and whether its bytes are there."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.orm import Session

from dam.cli import output, program, query_file, rendering
from dam.cli.border import ExitStatus, UnusableInput
from dam.cli.options import HashTypeName
from dam.cli.rendering import ComponentsByClass
from dam.models import ContentHashSHA256Component, FileLocationComponent, FilePropertiesComponent
from dam.services import asset_service, safekeeping
from dam.services.file_storage import FileStorage, LocalFileStorage
from dam.services.safekeeping import Keeping

DIGITS = {"sha256": 64, "md5": 32}
NAMES = {"sha256": "SHA-256", "md5": "MD5"}
HEX_DIGITS = frozenset("0123456789abcdefABCDEF")
REASONS = {
    Keeping.ONLY_THIS_FILE: "DAM has no copy of it, only a reference to this very file",
    Keeping.DAMAGED: "what is in its places are other bytes; add-asset puts them right",
    Keeping.MISSING: "its bytes are in none of its places; add-asset puts them there",
}


@dataclass(frozen=True, slots=True)
class Question:
    """The digest to look for, and the file it was taken from, with its SHA-256, if it was."""

    hash_type: HashTypeName
    digest: bytes
    file: str | None = None
    file_sha256: bytes | None = None


def run(world: str | None, hash_value: str | None, hash_type: HashTypeName, file: str | None, *, as_json: bool) -> int:
    """Show the assets with this content; the exit status says whether there is one whose bytes are there."""
    question = _question(hash_value, hash_type, file)
    config = program.world_config(world)
    with program.open_database(config) as database, database.reading() as session:
        assets = asset_service.components_of(session, _find(session, question))
    _show(assets, as_json=as_json)
    if not assets:
        output.note("No asset has this content.")
        return ExitStatus.NOTHING_FOUND
    storage = LocalFileStorage(config.storage_path)
    kept = [_is_kept(entity_id, assets[entity_id], question, storage) for entity_id in assets]
    return ExitStatus.DONE if any(kept) else ExitStatus.NOTHING_FOUND


def _question(hash_value: str | None, hash_type: HashTypeName, file: str | None) -> Question:
    if (hash_value is None) == (file is None):
        raise UnusableInput("give either a HASH or a file with --file")
    if file is not None:
        digest = query_file.digest(file)
        return Question(hash_type, digest.sha256 if hash_type == "sha256" else digest.md5, file, digest.sha256)
    return Question(hash_type, _parsed(hash_value or "", hash_type))


def _parsed(text: str, hash_type: HashTypeName) -> bytes:
    if len(text) != DIGITS[hash_type] or not HEX_DIGITS.issuperset(text):
        hint = "; for an MD5 say --hash-type md5" if len(text) == DIGITS["md5"] and hash_type == "sha256" else ""
        raise UnusableInput(f"{text!r} is no {NAMES[hash_type]}: it has {DIGITS[hash_type]} hexadecimal digits{hint}")
    return bytes.fromhex(text)


def _find(session: Session, question: Question) -> list[int]:
    if question.hash_type == "md5":
        return asset_service.find_by_md5(session, question.digest)
    return asset_service.find_by_sha256(session, question.digest)


def _show(assets: Mapping[int, ComponentsByClass], *, as_json: bool) -> None:
    if as_json:
        output.show_json({"assets": [rendering.asset_document(*asset) for asset in assets.items()]})
        return
    for number, asset in enumerate(assets.items()):
        if number:
            output.show()
        for line in rendering.asset_lines(*asset):
            output.show(line)


def _is_kept(entity_id: int, components: ComponentsByClass, question: Question, storage: FileStorage) -> bool:
    """Say whether the bytes that were asked about are in the asset's places; if not, tell why."""
    if question.file_sha256 is not None and question.file_sha256 != _sha256(components):
        output.note(f"Note: asset {entity_id} has the same MD5, but other content than the file.")
        return False
    locations = rendering.rows(components, FileLocationComponent)
    size = sum(row.file_size_bytes for row in rendering.rows(components, FilePropertiesComponent))
    if question.file is None:
        kept = safekeeping.keeping(locations, storage, size)
    else:
        kept = safekeeping.keeping_apart_from(question.file, locations, storage, size)
    if kept is not Keeping.KEPT:
        output.note(f"Note: keep your file! Asset {entity_id} is known, but {REASONS[kept]}.")
    return kept is Keeping.KEPT


def _sha256(components: ComponentsByClass) -> bytes | None:
    return next((row.hash_value for row in rendering.rows(components, ContentHashSHA256Component)), None)
