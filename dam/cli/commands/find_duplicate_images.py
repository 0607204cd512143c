"""``find-duplicate-images``: tells which pictures of the whole library look alike."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from dam.cli import output, pictures_page, program
from dam.cli.border import ExitStatus
from dam.cli.options import MatchRuleName
from dam.services import duplicates_service
from dam.services.duplicates_service import DuplicateGroup, GroupMember
from dam.services.html_report import Section, Tile
from dam.services.picture_service import Picture
from dam.services.similarity_service import Thresholds

HEADER = ("asset", "pHash", "aHash", "dHash", "pixels", "size", "file")


def run(world: str | None, thresholds: Thresholds, match: MatchRuleName, *, report: str | None, as_json: bool) -> int:
    """Show the groups; the exit status says whether there is any."""
    pictures_page.refuse_other_than_html(report)
    config = program.world_config(world)
    with program.open_database(config) as database, database.reading() as session:
        groups = list(duplicates_service.find_duplicate_groups(session, thresholds=thresholds, match=match))
        files = pictures_page.files_of(session, config, _entities(groups)) if report is not None else {}
    if report is not None:
        pictures_page.write(report, "Pictures that look alike", map(_section, groups), files, config)
    if as_json:
        output.show_json({"groups": [_group_document(group) for group in groups]})
    else:
        _show(groups)
    return ExitStatus.DONE if groups else ExitStatus.NOTHING_FOUND


def _entities(groups: Iterable[DuplicateGroup]) -> list[int]:
    pictures = (picture for group in groups for picture in _pictures(group))
    return [picture.entity_id for picture in pictures if picture.entity_id is not None]


def _pictures(group: DuplicateGroup) -> list[Picture]:
    return [group.representative, *(member.picture for member in group.members)]


def _section(group: DuplicateGroup) -> Section:
    members = (
        Tile(picture=member.picture, distances=member.distances, matched_by=member.matched_by)
        for member in group.members
    )
    title = output.counted(len(group.members) + 1, "picture")
    return Section(title=title, tiles=(Tile(picture=group.representative), *members))


def _group_document(group: DuplicateGroup) -> dict[str, Any]:
    return {
        "representative": asdict(group.representative),
        "members": [_member_document(member) for member in group.members],
    }


def _member_document(member: GroupMember) -> dict[str, Any]:
    said = {"distances": dict(member.distances), "matched_by": list(member.matched_by)}
    return asdict(member.picture) | said


def _show(groups: Sequence[DuplicateGroup]) -> None:
    if not groups:
        output.note("No two pictures look alike.")
    for number, group in enumerate(groups, start=1):
        output.show(f"Group {number}: {output.counted(len(group.members) + 1, 'picture')}")
        rows = [HEADER, *_rows(group.representative, ("", "", ""))]
        for member in group.members:
            rows += _rows(member.picture, [_distance(member.distances[kind]) for kind in ("phash", "ahash", "dhash")])
        for line in output.table(rows, right=(0, 1, 2, 3, 4, 5)):
            output.show(f"  {line}")


def _rows(picture: Picture, distances: Iterable[str]) -> list[Sequence[str]]:
    """Return a line of what tells the picture from others, and one more for each further place of it."""
    pixels = f"{picture.width_pixels} x {picture.height_pixels}" if picture.width_pixels else ""
    first, *others = picture.paths or (picture.filename or "",)
    row = (str(picture.entity_id), *distances, pixels, output.size(picture.file_size_bytes), first)
    return [row, *(("", "", "", "", "", "", other) for other in others)]


def _distance(distance: int | None) -> str:
    return "-" if distance is None else str(distance)
