"""Settings, read once where the program starts, and the configuration of one world that they give."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from dam.core.exceptions import InvalidConfiguration

DEFAULT_WORLD = "default"


class ParserLimits(BaseModel):
    """What one file may cost while it is parsed or decoded; above it, only that file's facts are lost."""

    model_config = ConfigDict(frozen=True)

    timeout_seconds: float = 20
    memory_bytes: int = 1 << 30
    max_pixels: int = 1 << 26


class WorldConfig(BaseModel):
    """One world: its name, its database's address, and the folder of its storage. The address is never printed."""

    model_config = ConfigDict(frozen=True)

    name: str = DEFAULT_WORLD
    database_url: str = Field(repr=False)
    storage_path: Path
    limits: ParserLimits = ParserLimits()


class WorldEntry(BaseModel):
    """One entry of ``DAM_WORLDS``."""

    model_config = ConfigDict(extra="forbid")

    database_url: str
    storage_path: Path


class Settings(BaseSettings):
    """The program's settings: from the environment, else from ``.env`` in the current folder, else these defaults."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", env_ignore_empty=True, populate_by_name=True)

    database_url: str | None = Field(default=None, alias="DATABASE_URL")
    storage_path: Path | None = Field(default=None, alias="DAM_STORAGE_PATH")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = Field(
        default="WARNING", alias="DAM_LOG_LEVEL"
    )
    worlds: dict[str, WorldEntry] = Field(default_factory=dict, alias="DAM_WORLDS")
    world: str | None = Field(default=None, alias="DAM_WORLD")
    parser_timeout_seconds: float = Field(default=20, gt=0, alias="DAM_PARSER_TIMEOUT_SECONDS")
    parser_memory_bytes: int = Field(default=1 << 30, ge=1 << 28, alias="DAM_PARSER_MEMORY_BYTES")
    max_pixels: int = Field(default=1 << 26, gt=0, alias="DAM_MAX_PIXELS")

    def world_config(self, name: str | None = None) -> WorldConfig:
        """Return the configuration of a world.

        Without a name it is ``DAM_WORLD``, else the only world or the one called ``default``. Raises
        ``InvalidConfiguration`` when there is no such world.
        """
        wanted = name or self.world
        if not self.worlds:
            return self._single_world(wanted)
        if wanted is None:
            wanted = next(iter(self.worlds)) if len(self.worlds) == 1 else DEFAULT_WORLD
        if wanted not in self.worlds:
            known = ", ".join(sorted(self.worlds))
            raise InvalidConfiguration(f"there is no world {wanted!r} in DAM_WORLDS, only: {known}")
        entry = self.worlds[wanted]
        return self._config(wanted, entry.database_url, entry.storage_path)

    def _single_world(self, wanted: str | None) -> WorldConfig:
        if wanted not in (None, DEFAULT_WORLD):
            raise InvalidConfiguration(f"there is no world {wanted!r}: DAM_WORLDS names none")
        url = self.database_url or f"sqlite:///{_data_folder() / 'dam.db'}"
        return self._config(DEFAULT_WORLD, url, self.storage_path or _data_folder() / "storage")

    def _config(self, name: str, database_url: str, storage_path: Path) -> WorldConfig:
        limits = ParserLimits(
            timeout_seconds=self.parser_timeout_seconds,
            memory_bytes=self.parser_memory_bytes,
            max_pixels=self.max_pixels,
        )
        storage = storage_path.expanduser().absolute()
        return WorldConfig(name=name, database_url=database_url, storage_path=storage, limits=limits)


def read_settings() -> Settings:
    """Read the settings, or raise ``InvalidConfiguration`` naming each that can't be used, without its value."""
    try:
        return Settings()
    except ValidationError as error:
        reasons = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False))
        raise InvalidConfiguration(f"these settings can't be used: {reasons}") from None
    except SettingsError:
        raise InvalidConfiguration("these settings can't be used: DAM_WORLDS: it is no JSON") from None


def _data_folder() -> Path:
    from platformdirs import user_data_path

    return user_data_path("dam")
