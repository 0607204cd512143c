"""How, when and where a photograph was taken."""

from sqlalchemy.orm import Mapped, mapped_column

from dam.models.base import SingleComponent


class ImageCaptureComponent(SingleComponent, kw_only=True, eq=False):
    """What the camera wrote (EXIF). What is absent, unset or nonsense is NULL.

    ``taken_at`` is the local time as written, ISO 8601, with the offset from UTC when the file gives one. Exposure
    time is in seconds, focal length in millimetres, latitude and longitude in degrees (north and east positive),
    altitude in metres above sea level, orientation the EXIF value 1 to 8.
    """

    __tablename__ = "image_capture"

    taken_at: Mapped[str | None] = mapped_column(default=None)
    camera_make: Mapped[str | None] = mapped_column(default=None)
    camera_model: Mapped[str | None] = mapped_column(default=None)
    lens_model: Mapped[str | None] = mapped_column(default=None)
    iso: Mapped[int | None] = mapped_column(default=None)
    exposure_time_seconds: Mapped[float | None] = mapped_column(default=None)
    f_number: Mapped[float | None] = mapped_column(default=None)
    focal_length_mm: Mapped[float | None] = mapped_column(default=None)
    latitude: Mapped[float | None] = mapped_column(default=None)
    longitude: Mapped[float | None] = mapped_column(default=None)
    altitude_metres: Mapped[float | None] = mapped_column(default=None)
    orientation: Mapped[int | None] = mapped_column(default=None)
