"""The options that several commands share, as annotations of their parameters."""

from typing import Annotated, Literal

import typer

HashTypeName = Literal["sha256", "md5"]
MatchRuleName = Literal["any", "all"]

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of text for people.")]
Jobs = Annotated[
    int | None,
    typer.Option("--jobs", "-j", min=1, help="Worker processes; by default one for each core that may be used."),
]
PHashThreshold = Annotated[
    int, typer.Option("--phash-threshold", min=0, max=64, help="Largest distance at which two pHashes agree, in bits.")
]
AHashThreshold = Annotated[
    int, typer.Option("--ahash-threshold", min=0, max=64, help="Largest distance at which two aHashes agree, in bits.")
]
DHashThreshold = Annotated[
    int, typer.Option("--dhash-threshold", min=0, max=64, help="Largest distance at which two dHashes agree, in bits.")
]
Match = Annotated[
    MatchRuleName, typer.Option("--match", help="Which of the three hashes must agree: one of them, or all.")
]
Report = Annotated[
    str | None, typer.Option("--report", metavar="FILE.html", help="Write the result as one page with pictures, too.")
]
