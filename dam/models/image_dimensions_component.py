"""How large a picture is."""

from sqlalchemy.orm import Mapped

from dam.models.base import SingleComponent


class ImageDimensionsComponent(SingleComponent, kw_only=True, eq=False):
    """Width and height in pixels as displayed: turned as EXIF or the video's rotation says."""

    __tablename__ = "image_dimensions"

    width_pixels: Mapped[int]
    height_pixels: Mapped[int]
