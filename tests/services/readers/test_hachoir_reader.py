import io
from pathlib import Path

import pytest

from dam.services.facts import AudioProperties, Fact, FrameProperties, ImageDimensions
from dam.services.readers.hachoir_reader import read_with_hachoir
from dam.services.readers.problem import UnreadableFile
from tests import media


def facts(content: bytes, mime_type: str) -> dict[type[Fact], Fact]:
    return {type(fact): fact for fact in read_with_hachoir(io.BytesIO(content), mime_type)}


def test_flash_is_measured_in_pixels() -> None:
    assert facts(media.flash_bytes(550, 400, 24), "application/x-shockwave-flash") == {
        ImageDimensions: ImageDimensions(width_pixels=550, height_pixels=400),
        FrameProperties: FrameProperties(nominal_frame_rate=24.0),
    }


def test_windows_media_sound_is_read(tmp_path: Path) -> None:
    path = media.sound(tmp_path / "a.wma", "asf", "wmav2", seconds=2)

    found = facts(path.read_bytes(), "audio/x-ms-wma")[AudioProperties]

    assert isinstance(found, AudioProperties)
    assert (found.codec_name, found.sample_rate_hz, found.channels) == ("wmav2", 44100, 2)
    assert found.duration_seconds == pytest.approx(2, abs=0.05)


@pytest.mark.parametrize("content", [b"FWS", bytes(100)])
def test_what_it_does_not_know_is_a_problem(content: bytes) -> None:
    with pytest.raises(UnreadableFile):
        facts(content, "application/x-shockwave-flash")
