"""How a sound sounds."""

from sqlalchemy.orm import Mapped, mapped_column

from dam.models.base import SingleComponent


class AudioPropertiesComponent(SingleComponent, kw_only=True, eq=False):
    """An audio file, or the first audio track of a video. What the file does not say is NULL.

    ``codec_name`` is FFmpeg's short name; ``bit_rate_kbps`` counts 1,000 bits a second.
    """

    __tablename__ = "audio_properties"

    duration_seconds: Mapped[float | None] = mapped_column(default=None)
    codec_name: Mapped[str | None] = mapped_column(default=None)
    sample_rate_hz: Mapped[int | None] = mapped_column(default=None)
    channels: Mapped[int | None] = mapped_column(default=None)
    bit_rate_kbps: Mapped[float | None] = mapped_column(default=None)
