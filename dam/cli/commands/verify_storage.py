"""``verify-storage``: whether every byte is still there and right."""

from dataclasses import asdict, replace

from dam.cli import output, program
from dam.cli.border import ExitStatus
from dam.cli.progress import Progress
from dam.cli.working_world import open_world
from dam.services import verification
from dam.services.verification import Options
from dam.services.verification_report import Finding, Summary


def run(world: str | None, how: Options, *, jobs: int | None, as_json: bool) -> int:
    """Verify and tell what is wrong; the exit status says whether anything was, mended or not."""
    show = _show_as_json if as_json else _show_as_text
    how = replace(how, jobs=jobs or program.usable_cores())
    with (
        open_world(program.world_config(world), jobs=jobs, storing=False) as opened,
        Progress("files", lambda: verification.count_due(opened, how)) as progress,
    ):
        summary = verification.verify(
            opened, how, lambda finding: show(finding, progress), lambda _: progress.advance()
        )
    if as_json:
        output.show_json({"summary": _document(summary)})
    else:
        output.show(_sentence(summary))
    return ExitStatus.DONE if summary.is_sound else ExitStatus.SOME_FAILED


def _show_as_json(finding: Finding, progress: Progress) -> None:
    document = asdict(finding) | {"sha256": finding.sha256.hex() if finding.sha256 else None}
    progress.above(output.show_json, document)


def _show_as_text(finding: Finding, progress: Progress) -> None:
    parts = [
        finding.problem.replace("_", " ").capitalize(),
        finding.path or "the database",
        *([f"asset {finding.entity_id}"] if finding.entity_id is not None else []),
        *([finding.detail] if finding.detail else []),
        *([f"repaired from {finding.repaired_from}"] if finding.repaired_from else []),
    ]
    progress.above(output.show, output.visible(": ".join(parts[:2])) + _rest(parts[2:]))


def _rest(parts: list[str]) -> str:
    return f" ({', '.join(map(output.visible, parts))})" if parts else ""


def _document(summary: Summary) -> dict[str, int]:
    counts = asdict(summary)
    problems = counts.pop("problems")
    return counts | {problem.value: count for problem, count in problems.items()}


def _sentence(summary: Summary) -> str:
    known = f"{output.counted(summary.objects, 'object')}, {output.counted(summary.references, 'reference')}"
    read = f"{summary.read:,} of {summary.due:,} due were read ({output.size(summary.bytes_read)})"
    found = [f"{count:,} {problem.replace('_', ' ')}" for problem, count in summary.problems.items() if count]
    mended = [f"{summary.repaired:,} repaired"] if summary.repaired else []
    return f"{known}: {read}; {', '.join([*found, *mended]) or 'nothing is wrong'}."
