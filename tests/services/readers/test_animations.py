import io
from collections.abc import Sequence

import pytest
from PIL import Image

from dam.services.facts import FrameProperties
from dam.services.readers.animations import frame_properties, read_frames
from tests import media


def frames(content: bytes, mime_type: str) -> FrameProperties | None:
    return read_frames(io.BytesIO(content), mime_type)


@pytest.mark.parametrize("image_format", ["GIF", "WEBP", "AVIF"])
@pytest.mark.parametrize("durations", [[100, 200, 300, 400], [40] * 10])
def test_frames_are_counted_and_their_times_added_up(image_format: str, durations: Sequence[int]) -> None:
    found = frames(media.animation_bytes(image_format, durations), f"image/{image_format.lower()}")

    seconds = sum(durations) / 1000
    assert found is not None
    assert found.frame_count == len(durations)
    assert found.nominal_frame_rate == pytest.approx(len(durations) / seconds)
    assert found.animation_duration_seconds == pytest.approx(seconds)


@pytest.mark.parametrize("image_format", ["GIF", "WEBP", "AVIF"])
def test_a_single_frame_is_no_animation(image_format: str) -> None:
    assert frames(media.picture_bytes(image_format), f"image/{image_format.lower()}") is None


def test_frames_that_state_no_time_are_counted_all_the_same() -> None:
    content = media.animation_bytes("GIF", [0, 0, 0])

    assert frames(content, "image/gif") == FrameProperties(frame_count=3)


def test_frames_are_as_many_as_pillow_finds() -> None:
    content = media.animation_bytes("GIF", [20] * 7, comment=b"!,;" * 300)

    with Image.open(io.BytesIO(content)) as image:
        found = frames(content, "image/gif")
        assert found is not None
        assert found.frame_count == getattr(image, "n_frames", 1)


def test_a_sequence_cut_short_has_the_frames_that_are_there() -> None:
    content = media.animation_bytes("GIF", [100] * 10)

    found = frames(content[: len(content) // 2], "image/gif")

    assert found is not None
    assert found.frame_count is not None
    assert 2 <= found.frame_count < 10


def test_other_types_are_not_asked() -> None:
    assert frames(b"", "image/jpeg") is None


def test_no_time_has_no_rate() -> None:
    assert frame_properties(2, 0.0) == FrameProperties(frame_count=2)
    assert frame_properties(1, 5.0) is None
