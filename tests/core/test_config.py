"""Settings: from the environment, else from .env, else defaults; and the worlds they describe."""

import json
import re
from pathlib import Path

import pytest

from dam.core.config import Settings, WorldConfig, read_settings
from dam.core.exceptions import InvalidConfiguration

ROOT = Path(__file__).parents[2]
WORLDS = json.dumps(
    {
        "photos": {"database_url": "sqlite:////p.db", "storage_path": "/p"},
        "music": {"database_url": "sqlite:////m.db", "storage_path": "/m"},
    }
)


def test_with_nothing_set_everything_lives_in_the_users_data_folder(own_home: Path) -> None:
    config = read_settings().world_config()
    assert config.name == "default"
    assert config.database_url == f"sqlite:///{own_home}/data/dam/dam.db"
    assert config.storage_path == own_home / "data/dam/storage"


def test_the_environment_says_where_things_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://h/n")
    monkeypatch.setenv("DAM_STORAGE_PATH", "/store")
    config = read_settings().world_config()
    assert (config.database_url, config.storage_path) == ("postgresql://h/n", Path("/store"))


def test_a_file_in_the_current_folder_says_it_too_and_the_environment_wins(
    own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (own_home / ".env").write_text("DATABASE_URL=sqlite:///from-file.db\nDAM_LOG_LEVEL=INFO\nOTHER=7\n")
    monkeypatch.setenv("DATABASE_URL", "sqlite:///from-environment.db")
    settings = read_settings()
    assert settings.world_config().database_url == "sqlite:///from-environment.db"
    assert settings.log_level == "INFO"


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "")
    assert read_settings().world_config().database_url.endswith("/dam.db")


@pytest.mark.parametrize(("path", "absolute"), [("store", "{home}/store"), ("~/store", "{home}/store")])
def test_the_storage_path_is_absolute(
    own_home: Path, monkeypatch: pytest.MonkeyPatch, path: str, absolute: str
) -> None:
    monkeypatch.setenv("DAM_STORAGE_PATH", path)
    assert str(read_settings().world_config().storage_path) == absolute.format(home=own_home)


def test_limits_of_parsers_are_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAM_PARSER_TIMEOUT_SECONDS", "1.5")
    monkeypatch.setenv("DAM_PARSER_MEMORY_BYTES", "300000000")
    monkeypatch.setenv("DAM_MAX_PIXELS", "5000")
    limits = read_settings().world_config().limits
    assert (limits.timeout_seconds, limits.memory_bytes, limits.max_pixels) == (1.5, 300_000_000, 5000)


def test_a_world_is_chosen_by_name_before_the_environments_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAM_WORLDS", WORLDS)
    monkeypatch.setenv("DAM_WORLD", "photos")
    settings = read_settings()
    assert settings.world_config().storage_path == Path("/p")
    assert settings.world_config("music") == WorldConfig(
        name="music", database_url="sqlite:////m.db", storage_path=Path("/m"), limits=settings.world_config().limits
    )


def test_the_only_world_needs_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAM_WORLDS", '{"mine": {"database_url": "sqlite:////p.db", "storage_path": "/p"}}')
    assert read_settings().world_config().name == "mine"


@pytest.mark.parametrize(
    ("worlds", "name", "words"),
    [
        (WORLDS, "videos", "there is no world 'videos' in DAM_WORLDS, only: music, photos"),
        (WORLDS, None, "there is no world 'default' in DAM_WORLDS, only: music, photos"),
        ("", "videos", "there is no world 'videos': DAM_WORLDS names none"),
    ],
)
def test_a_world_that_is_not_there_is_refused(
    monkeypatch: pytest.MonkeyPatch, worlds: str, name: str | None, words: str
) -> None:
    monkeypatch.setenv("DAM_WORLDS", worlds)
    with pytest.raises(InvalidConfiguration, match=words):
        read_settings().world_config(name)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DAM_LOG_LEVEL", "secret"),
        ("DAM_MAX_PIXELS", "secret"),
        ("DAM_MAX_PIXELS", "0"),
        ("DAM_PARSER_TIMEOUT_SECONDS", "-1"),
        ("DAM_WORLDS", "{secret"),
        ("DAM_WORLDS", '{"a": {"database_url": "sqlite:///secret"}}'),
        ("DAM_WORLDS", '{"a": {"database_url": "sqlite:///secret", "storage_path": "/s", "secret": 1}}'),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_without_its_value(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(InvalidConfiguration, match=variable) as caught:
        read_settings()
    assert "sqlite" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_configuration_does_not_print_its_address() -> None:
    config = WorldConfig(database_url="postgresql://u:secret@h/n", storage_path=Path("/s"))
    assert "secret" not in f"{config!r} {config}"


def test_the_example_file_names_every_setting() -> None:
    example = (ROOT / ".env.example").read_text()
    named = set(re.findall(r"^#? ?([A-Z_]+)=", example, re.MULTILINE))
    assert named == {field.alias for field in Settings.model_fields.values()}
