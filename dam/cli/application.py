"""The roll-call of commands with all their options; ``dam/cli/commands`` holds what they do, imported when they run."""

from functools import partial
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from dam.cli import border, options, output


class GuardedGroup(TyperGroup):
    """The program as a whole, whose errors become one line and an exit status."""

    def main(self, *arguments: Any, **how: Any) -> Any:
        """Run the program; exit with its status, or return it when not ``standalone_mode``."""
        standalone = how.pop("standalone_mode", True)
        how["standalone_mode"] = False
        status = border.guarded(partial(super().main, *arguments, **how))
        if standalone:
            raise SystemExit(status)
        return status


app = typer.Typer(
    cls=GuardedGroup,
    name="dam-cli",
    help="DAM, a digital asset manager: takes files in by their content, and tells what it knows of them.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    invoke_without_command=True,
    subcommand_metavar="COMMAND …",
)


def command() -> Any:
    """Return the program as a command that can be run."""
    return get_command(app)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        output.show(f"dam-cli {version('dam')}")
        raise typer.Exit


@app.callback()
def start(
    context: typer.Context,
    world: Annotated[
        str | None, typer.Option("--world", "-w", metavar="NAME", help="Use this world of those in DAM_WORLDS.")
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Keep what holds for every command."""
    del version  # it was dealt with before anything else was looked at
    if context.invoked_subcommand is None:
        output.note(context.get_help())
        raise typer.Exit(border.ExitStatus.UNUSABLE)
    context.obj = world


@app.command("setup-db")
def setup_db(context: typer.Context, json: options.Json = False) -> None:
    """Make the database, or bring it up to date.

    A new SQLite database is made by the first command that needs one; after an update of the program this command
    brings the schema up to date.
    """
    from dam.cli.commands import setup_db

    raise typer.Exit(setup_db.run(context.obj, as_json=json))


@app.command("add-asset")
def add_asset(  # noqa: PLR0913, PLR0917 - each is an option
    context: typer.Context,
    paths: Annotated[list[str], typer.Argument(metavar="FILEPATH…", help="Files and folders.")],
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Take the folders below a folder, too.")] = False,
    no_copy: Annotated[
        bool, typer.Option("--no-copy", help="Leave the files where they are; don't store them.")
    ] = False,
    rehash: Annotated[bool, typer.Option("--rehash", help="Read files that look unchanged, too.")] = False,
    defer: Annotated[bool, typer.Option("--defer", help="Leave reading the facts to process-pending.")] = False,
    jobs: options.Jobs = None,
    json: options.Json = False,
) -> None:
    """Take in files and the facts in them.

    Each file is stored once, by its content, and then known under all its names. Nothing happens to the files
    themselves.
    """
    from dam.cli.commands import add_asset
    from dam.services.ingestion import Options

    how = Options(copy=not no_copy, recursive=recursive, rehash=rehash, defer=defer)
    raise typer.Exit(add_asset.run(context.obj, paths, how, jobs=jobs, as_json=json))


@app.command("find-file-by-hash")
def find_file_by_hash(
    context: typer.Context,
    hash_value: Annotated[str | None, typer.Argument(metavar="[HASH]", help="In hexadecimal, of any case.")] = None,
    hash_type: Annotated[options.HashTypeName, typer.Option("--hash-type", help="What HASH is.")] = "sha256",
    file: Annotated[str | None, typer.Option("--file", "-f", metavar="PATH", help="Look for this file.")] = None,
    json: options.Json = False,
) -> None:
    """Show what is known of a file or a hash.

    Give either HASH or --file. The exit status is 0 only when the bytes are in safe keeping: then FILE may go.
    """
    from dam.cli.commands import find_file_by_hash

    raise typer.Exit(find_file_by_hash.run(context.obj, hash_value, hash_type, file, as_json=json))


@app.command("find-similar-images")
def find_similar_images(  # noqa: PLR0913, PLR0917 - each is an option
    context: typer.Context,
    image: Annotated[str | None, typer.Argument(metavar="[IMAGE]", help="A picture; it need not be an asset.")] = None,
    entity: Annotated[int | None, typer.Option("--entity", metavar="ID", help="Ask with this asset instead.")] = None,
    phash_threshold: options.PHashThreshold = 4,
    ahash_threshold: options.AHashThreshold = 4,
    dhash_threshold: options.DHashThreshold = 4,
    match: options.Match = "any",
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Show only the best.")] = None,
    orientations: Annotated[bool, typer.Option("--orientations", help="Find turned and mirrored ones, too.")] = False,
    report: options.Report = None,
    json: options.Json = False,
) -> None:
    """Find stored pictures like this one.

    The best come first. The picture itself need not be stored; when it is, it is left out.
    """
    from dam.cli.commands import find_similar_images
    from dam.services.similarity_service import Thresholds

    question = find_similar_images.Question(
        image=image,
        entity=entity,
        thresholds=Thresholds(phash=phash_threshold, ahash=ahash_threshold, dhash=dhash_threshold),
        match=match,
        limit=limit,
        orientations=orientations,
    )
    raise typer.Exit(find_similar_images.run(context.obj, question, report=report, as_json=json))


@app.command("find-duplicate-images")
def find_duplicate_images(
    context: typer.Context,
    phash_threshold: options.PHashThreshold = 4,
    ahash_threshold: options.AHashThreshold = 4,
    dhash_threshold: options.DHashThreshold = 4,
    match: options.Match = "all",
    report: options.Report = None,
    json: options.Json = False,
) -> None:
    """Find pictures that look like each other.

    Shows groups: the largest picture, and those that are near it.
    """
    from dam.cli.commands import find_duplicate_images
    from dam.services.similarity_service import Thresholds

    thresholds = Thresholds(phash=phash_threshold, ahash=ahash_threshold, dhash=dhash_threshold)
    raise typer.Exit(find_duplicate_images.run(context.obj, thresholds, match, report=report, as_json=json))


@app.command("process-pending")
def process_pending(
    context: typer.Context,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try again what failed before.")] = False,
    jobs: options.Jobs = None,
    json: options.Json = False,
) -> None:
    """Read the facts that are still to be read.

    There are some after an add-asset that was interrupted or deferred.
    """
    from dam.cli.commands import process_pending

    raise typer.Exit(process_pending.run(context.obj, retry_failed=retry_failed, jobs=jobs, as_json=json))


@app.command("work")
def work(
    context: typer.Context,
    stages: Annotated[
        list[str] | None, typer.Argument(metavar="[STAGE…]", help="Only these stages, as metadata_extraction.")
    ] = None,
    watch: Annotated[
        bool,
        typer.Option("--watch/--until-idle", help="Go on waiting for more, or end when nothing is left to do."),
    ] = False,
    executor: Annotated[
        str | None, typer.Option("--executor", metavar="dask://HOST:PORT", help="Compute on this Dask cluster.")
    ] = None,
    jobs: options.Jobs = None,
    json: options.Json = False,
) -> None:
    """Be a worker: do what add-asset --defer left to be done, beside any number of other workers."""
    from dam.cli.commands import work

    asked = work.Work(stages=stages or (), watch=watch, jobs=jobs, executor=executor)
    raise typer.Exit(work.run(context.obj, asked, as_json=json))


@app.command("list-failures")
def list_failures(context: typer.Context, json: options.Json = False) -> None:
    """Show which facts could not be read, and why."""
    from dam.cli.commands import list_failures

    raise typer.Exit(list_failures.run(context.obj, as_json=json))


@app.command("verify-storage")
def verify_storage(
    context: typer.Context,
    since: Annotated[
        str | None, typer.Option("--since", metavar="DURATION", help="Read only assets added or changed in this time.")
    ] = None,
    older_than: Annotated[
        str | None,
        typer.Option("--older-than", metavar="DURATION", help="Read only what was not found good in this time."),
    ] = None,
    limit_time: Annotated[
        str | None, typer.Option("--limit-time", metavar="DURATION", help="Begin to read nothing more after this time.")
    ] = None,
    repair: Annotated[bool, typer.Option("--repair", help="Take lost bytes back from files that have them.")] = False,
    jobs: options.Jobs = None,
    json: options.Json = False,
) -> None:
    """Check that every byte is still there and right.

    Reads what was longest unverified first. A DURATION is written 30d, 12h or 45m.
    """
    from dam.cli import durations
    from dam.cli.commands import verify_storage
    from dam.services.verification import Options

    how = Options(
        since=durations.parsed(since),
        older_than=durations.parsed(older_than),
        limit_time=durations.parsed(limit_time),
        repair=repair,
    )
    raise typer.Exit(verify_storage.run(context.obj, how, jobs=jobs, as_json=json))


@app.command("query-assets-placeholder", hidden=True)
def query_assets_placeholder(
    context: typer.Context,
    after: Annotated[int, typer.Option("--after", min=0, metavar="ID", help="Begin after this asset.")] = 0,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many to show.")] = 100,
    json: options.Json = False,
) -> None:
    """List assets, a page at a time. This stands where a query language may come; it filters nothing yet."""
    from dam.cli.commands import query_assets_placeholder

    raise typer.Exit(query_assets_placeholder.run(context.obj, after=after, limit=limit, as_json=json))
