"""A command that does nothing, with Typer's own defaults."""

import typer

app = typer.Typer()


@app.command()
def hello() -> None:
    """Do nothing."""


app()
