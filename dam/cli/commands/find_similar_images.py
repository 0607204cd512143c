"""``find-similar-images``: tells which stored pictures look like a given one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from dam.cli import output, pictures_page, program, query_file, working_world
from dam.cli.border import ExitStatus, UnusableInput
from dam.cli.options import MatchRuleName
from dam.core.config import WorldConfig
from dam.core.exceptions import EntityNotFound, TaskFailed
from dam.core.waiting import result_of
from dam.services import (
    asset_service,
    content_service,
    ecs_service,
    examination,
    picture_service,
    similarity_service,
)
from dam.services.facts import PerceptualHashes
from dam.services.file_storage import LocalFileStorage
from dam.services.html_report import Section, Tile
from dam.services.picture_service import Picture
from dam.services.similarity_service import Match, Thresholds

TURNED = {
    1: "",
    2: "mirrored",
    3: "turned by 180°",
    4: "mirrored, turned by 180°",
    5: "mirrored, turned left",
    6: "turned right",
    7: "mirrored, turned right",
    8: "turned left",
}

type Hashes = Mapping[int, PerceptualHashes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked: a file or an asset, how near, and how many."""

    image: str | None
    entity: int | None
    thresholds: Thresholds
    match: MatchRuleName
    limit: int | None
    orientations: bool


def run(world: str | None, question: Question, *, report: str | None, as_json: bool) -> int:
    """Show the look-alikes; the exit status says whether there is any."""
    if (question.image is None) == (question.entity is None):
        raise UnusableInput("give either an IMAGE or an asset with --entity")
    pictures_page.refuse_other_than_html(report)
    config = program.world_config(world)
    sha256 = query_file.digest(question.image).sha256 if question.image is not None else None
    with program.open_database(config) as database, database.reading() as session:
        asset = question.entity if sha256 is None else _asset_of(session, sha256)
        matches = _matches(session, config, question, asset)
        page = _page(session, config, question, asset, matches) if report is not None else None
    if report is not None and page is not None:
        pictures_page.write(report, *page, config)
    _show(matches, question, as_json=as_json)
    return ExitStatus.DONE if matches else ExitStatus.NOTHING_FOUND


def _matches(session: Session, config: WorldConfig, question: Question, asset: int | None) -> list[Match]:
    return similarity_service.find_similar(
        session,
        _hashes(session, config, question, asset),
        thresholds=question.thresholds,
        match=question.match,
        exclude_entity=asset,
        limit=question.limit,
    )


def _asset_of(session: Session, sha256: bytes) -> int | None:
    return next(iter(asset_service.find_by_sha256(session, sha256)), None)


def _hashes(session: Session, config: WorldConfig, question: Question, asset: int | None) -> Hashes:
    """Return the hashes to ask with, by orientation: those that are stored, or else from the picture."""
    stored = similarity_service.hashes_of(session, asset) if asset is not None else None
    if stored is not None and not question.orientations:
        return {1: stored}
    path = question.image if question.image is not None else _path_of(session, config, question.entity or 0)
    return _hashes_of_file(path, config, orientations=question.orientations)


def _path_of(session: Session, config: WorldConfig, entity: int) -> str:
    if ecs_service.get_entity(session, entity) is None:
        raise EntityNotFound(entity)
    content = content_service.locate(session, LocalFileStorage(config.storage_path), [entity]).get(entity)
    if content is None:
        raise UnusableInput(f"asset {entity}: its bytes are in none of its places")
    return content.path


def _hashes_of_file(path: str, config: WorldConfig, *, orientations: bool) -> Hashes:
    limits = examination.Limits(max_pixels=config.limits.max_pixels)
    with working_world.workers(config, jobs=1) as executor:
        try:
            query = result_of(executor.submit(examination.query_image, path, limits, orientations=orientations))
        except TaskFailed as error:
            raise UnusableInput(f"{path}: {error}") from error
    if query.problem is not None:
        raise UnusableInput(f"{path}: {query.problem}")
    return query.hashes


def _show(matches: Sequence[Match], question: Question, *, as_json: bool) -> None:
    if as_json:
        output.show_json({"matches": [_document(match, question) for match in matches]})
    elif not matches:
        output.note("No stored picture looks like it.")
    else:
        for line in output.table(_rows(matches), right=(0, 1, 2, 3)):
            output.show(line)


def _document(match: Match, question: Question) -> dict[str, Any]:
    turned = {"orientation": match.orientation} if question.orientations else {}
    return {
        "entity_id": match.entity_id,
        "filename": match.filename,
        "distances": dict(match.distances),
        "matched_by": list(match.matched_by),
        **turned,
    }


def _rows(matches: Sequence[Match]) -> list[Sequence[str]]:
    rows: list[Sequence[str]] = [("asset", "pHash", "aHash", "dHash", "matched by", "file", "")]
    for match in matches:
        distances = [_distance(match.distances[kind]) for kind in ("phash", "ahash", "dhash")]
        turned = TURNED[match.orientation]
        rows.append((str(match.entity_id), *distances, ", ".join(match.matched_by), match.filename or "", turned))
    return rows


def _distance(distance: int | None) -> str:
    return "-" if distance is None else str(distance)


def _page(
    session: Session, config: WorldConfig, question: Question, asset: int | None, matches: Sequence[Match]
) -> tuple[str, list[Section], dict[int | None, str]]:
    """Return title, content and files of the page that shows the result."""
    ids = [match.entity_id for match in matches]
    pictures = picture_service.describe(session, ids if asset is None else [asset, *ids])
    files = pictures_page.files_of(session, config, list(pictures))
    if asset is None:
        files[None] = question.image or ""
    asked = pictures[asset] if asset is not None else _picture_of_file(question.image or "")
    tiles = [Tile(picture=asked), *(_tile(pictures[match.entity_id], match) for match in matches)]
    title = f"Look-alikes of {asked.filename}"
    return title, [Section(title=title, tiles=tuple(tiles))] if matches else [], files


def _tile(picture: Picture, match: Match) -> Tile:
    return Tile(picture=picture, distances=match.distances, matched_by=match.matched_by, orientation=match.orientation)


def _picture_of_file(path: str) -> Picture:
    file = Path(path)
    return Picture(entity_id=None, filename=file.name, file_size_bytes=file.stat().st_size, paths=(path,))
