"""The README is true: its examples print what it shows, and it names every command, option and setting."""

import doctest
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from dam.cli.application import app
from dam.cli.border import ExitStatus
from dam.core.config import Settings
from tests import shell_program
from tests.forks import ForkServer

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
HOME, PROJECT = "/home/ada", "/home/ada/dam"
# In the README every command is run by uv; here the program is installed already.
COMMANDS = {
    name: command for name, command in cast("TyperGroup", get_command(app)).commands.items() if not command.hidden
}
UV = 'uv() { shift; "$@"; }; '


def test_the_examples_print_what_is_shown(own_home: Path, forks: ForkServer) -> None:
    with tempfile.TemporaryDirectory() as folder, shell_program.placed(Path(folder), forks):
        _compare_examples(own_home, programs=folder)


def _compare_examples(own_home: Path, *, programs: str) -> None:
    project = own_home / "dam"
    project.mkdir()
    shutil.copytree(ROOT / "examples", project / "examples")
    (project / "pyproject.toml").write_text("[project]")
    environment = {
        **{name: value for name, value in os.environ.items() if name != "XDG_DATA_HOME"},
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONUNBUFFERED": "1",
    }
    for command, wanted in _examples():
        done = subprocess.run(
            ["bash", "-c", UV + command],
            cwd=project,
            env=environment,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        got = done.stdout.replace(str(project), PROJECT).replace(str(own_home), HOME)
        assert _is_as_shown(wanted, got), f"{command}\n--- shown:\n{wanted}--- printed:\n{got}"


def _examples() -> Iterator[tuple[str, str]]:
    """Give each command of the README's console blocks with the output that is shown for it."""
    for block in re.findall(r"^```console\n(.*?)^```", README, re.DOTALL | re.MULTILINE):
        for example in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = example.partition("\n")
            yield command, output


def _is_as_shown(wanted: str, got: str) -> bool:
    return doctest.OutputChecker().check_output(wanted, got, doctest.ELLIPSIS)


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_its_section(name: str) -> None:
    assert f"### {name}\n" in README


@pytest.mark.parametrize(
    ("command", "option"),
    [
        (name, option)
        for name, command in COMMANDS.items()
        for parameter in command.params
        for option in [*parameter.opts, *parameter.secondary_opts]
        if option.startswith("-")
    ],
)
def test_every_option_is_named_in_its_command_s_section(command: str, option: str) -> None:
    section = README.partition(f"### {command}\n")[2].partition("\n### ")[0]
    assert re.search(rf"(?<![\w-]){option}(?![\w-])", section) or option == "--json"


@pytest.mark.parametrize("option", [option for p in get_command(app).params for option in p.opts])
def test_every_option_of_the_program_is_named(option: str) -> None:
    assert f"`{option}" in README


@pytest.mark.parametrize("setting", [field.alias for field in Settings.model_fields.values()])
def test_every_setting_is_in_the_table(setting: str) -> None:
    assert f"| `{setting}` |" in README


def test_the_example_of_the_settings_names_each_once() -> None:
    named = re.findall(r"^# ([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert sorted(named) == sorted(field.alias or "" for field in Settings.model_fields.values())


def test_the_example_of_the_settings_can_be_used(own_home: Path) -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    (own_home / ".env").write_text("\n".join(re.sub(r"^# (?=[A-Z_]+=)", "", line) for line in lines))
    settings = Settings()
    assert settings.world_config().name == "home"
    assert settings.max_pixels == Settings.model_fields["max_pixels"].default
    assert settings.parser_memory_bytes == Settings.model_fields["parser_memory_bytes"].default
    assert settings.parser_timeout_seconds == Settings.model_fields["parser_timeout_seconds"].default
    assert settings.log_level == Settings.model_fields["log_level"].default


def test_every_exit_status_is_in_the_table() -> None:

    for status in ExitStatus:
        assert f"\n| {int(status)} |" in README
