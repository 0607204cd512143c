"""Starting the program, beside the least that starts in its place."""

import sys
from collections.abc import Mapping
from pathlib import Path

from benchmarks.measuring import Contender

_SCRIPTS = Path(__file__).parent / "scripts"


def showing_help(program: str) -> list[Contender]:
    """Return the program and Typer alone, both showing their help."""
    return [
        Contender("dam-cli --help", [program, "--help"], "all commands"),
        Contender("Typer alone, --help", _script("typer_alone", "--help"), "a command that does nothing"),
    ]


def finding_by_hash(program: str, environment: Mapping[str, str]) -> list[Contender]:
    """Return the program and two scripts, all looking for a file of the library that the environment names."""
    digest = min(path.name for path in Path(environment["DAM_STORAGE_PATH"]).glob("??/??/*"))
    asked = (environment["DATABASE_URL"], digest)
    return [
        Contender(
            "dam-cli find-file-by-hash",
            [program, "find-file-by-hash", digest],
            "all that is known, and whether the bytes are there",
            env=environment,
        ),
        Contender("SQLAlchemy, a mapped class", _script("orm_query", *asked), "one query for an id"),
        Contender("SQLAlchemy, plain SQL", _script("core_query", *asked), "one query for an id"),
    ]


def _script(name: str, *arguments: str) -> list[str]:
    return [sys.executable, str(_SCRIPTS / f"{name}.py"), *arguments]
