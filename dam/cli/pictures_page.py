"""Writes look-alikes as a page with their pictures."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import replace
from pathlib import Path

from sqlalchemy.orm import Session

from dam.cli import working_world
from dam.cli.border import UnusableInput
from dam.core.config import WorldConfig
from dam.core.exceptions import TaskFailed
from dam.core.waiting import result_of
from dam.services import content_service, examination, html_report
from dam.services.file_storage import LocalFileStorage
from dam.services.html_report import Section, Tile

THUMBNAIL_SIDE = 256


def refuse_other_than_html(target: str | None) -> None:
    """Raise UnusableInput for a name that is no page's: a slip of the hand could overwrite a picture."""
    if target is not None and Path(target).suffix.lower() not in (".html", ".htm"):
        raise UnusableInput(f"{target}: the report's name must end with .html")


def files_of(session: Session, config: WorldConfig, entity_ids: Sequence[int]) -> dict[int | None, str]:
    """Return the file of each asset whose whereabouts are known."""
    found = content_service.locate(session, LocalFileStorage(config.storage_path), entity_ids)
    return {entity_id: content.path for entity_id, content in found.items()}


def write(
    target: str, title: str, sections: Iterable[Section], files: Mapping[int | None, str], config: WorldConfig
) -> None:
    """Write the page; ``files`` are the pictures' files by asset, under None that of a picture that is no asset.

    A picture that can't be decoded is shown as a place without preview. Raises OSError when the page can't be written.
    """
    with (
        working_world.workers(config, jobs=None) as workers,
        Path(target).open("w", encoding="utf-8") as page,
    ):
        limits = examination.Limits(max_pixels=config.limits.max_pixels)
        page.writelines(html_report.parts(title, _with_thumbnails(sections, files, workers, limits)))


def _with_thumbnails(
    sections: Iterable[Section], files: Mapping[int | None, str], workers: Executor, limits: examination.Limits
) -> Iterator[Section]:
    for section in sections:
        paths = [files.get(tile.picture.entity_id) for tile in section.tiles]
        begun = [
            workers.submit(examination.thumbnail, path, limits, THUMBNAIL_SIDE) if path is not None else None
            for path in paths
        ]
        yield replace(section, tiles=tuple(map(_with_thumbnail, section.tiles, begun)))


def _with_thumbnail(tile: Tile, begun: Future[bytes | None] | None) -> Tile:
    try:
        return replace(tile, thumbnail=result_of(begun) if begun is not None else None)
    except (TaskFailed, OSError):
        return tile
