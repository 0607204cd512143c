"""How a moving picture moves."""

from sqlalchemy.orm import Mapped, mapped_column

from dam.models.base import SingleComponent


class FramePropertiesComponent(SingleComponent, kw_only=True, eq=False):
    """Frames of a video or an animated image: how many, how many a second, and for how many seconds.

    A still picture has no such row; what the file does not say is NULL.
    """

    __tablename__ = "frame_properties"

    frame_count: Mapped[int | None] = mapped_column(default=None)
    nominal_frame_rate: Mapped[float | None] = mapped_column(default=None)
    animation_duration_seconds: Mapped[float | None] = mapped_column(default=None)
