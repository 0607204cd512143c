from pathlib import Path

import pytest

from dam.services.facts import AudioProperties, Fact, FrameProperties, ImageDimensions
from dam.services.readers.problem import UnreadableFile
from dam.services.readers.stream_reader import read_streams
from tests import media


def facts(path: Path, mime_type: str) -> dict[type[Fact], Fact]:
    with path.open("rb") as file:
        return {type(fact): fact for fact in read_streams(file, mime_type)}


def heard(path: Path, mime_type: str) -> AudioProperties:
    found = facts(path, mime_type)[AudioProperties]
    assert isinstance(found, AudioProperties)
    return found


def test_a_variable_rate_without_a_length_frame_is_measured(tmp_path: Path) -> None:
    path = media.sound(
        tmp_path / "a.mp3",
        "mp3",
        "libmp3lame",
        seconds=8,
        noisy_from=4,
        quality=2,
        container_options={"write_xing": "0"},
    )

    found = heard(path, "audio/mpeg")

    assert found.duration_seconds == pytest.approx(8, abs=0.06)
    assert found.bit_rate_kbps == pytest.approx(path.stat().st_size * 8 / 8000, rel=0.02)


def test_a_song_cut_short_is_as_long_as_what_is_left(tmp_path: Path) -> None:
    whole = media.sound(tmp_path / "a.mp3", "mp3", "libmp3lame", seconds=8, bit_rate=128000).read_bytes()
    cut = tmp_path / "cut.mp3"
    cut.write_bytes(whole[: len(whole) // 2])

    assert heard(cut, "audio/mpeg").duration_seconds == pytest.approx(4, abs=0.1)


def test_adts_is_measured(tmp_path: Path) -> None:
    path = media.sound(tmp_path / "a.aac", "adts", "aac", seconds=8, noisy_from=4)

    assert heard(path, "audio/aac").duration_seconds == pytest.approx(8, abs=0.06)


@pytest.mark.parametrize(("samples", "seconds"), [("AC44", 1.0), ("5622", 1.045)])
def test_the_length_that_itunes_wrote_is_believed_when_it_adds_up(samples: str, seconds: float, tmp_path: Path) -> None:
    plain = media.sound(
        tmp_path / "a.mp3", "mp3", "libmp3lame", container_options={"write_xing": "0", "write_id3v2": "0"}
    )
    text = f" 00000000 00000840 000002BC 000000000000{samples} 00000000 00000000"
    comment = b"\x00eng" + b"iTunSMPB\x00" + text.encode()
    frame = b"COMM" + len(comment).to_bytes(4) + b"\x00\x00" + comment
    tag = b"ID3\x03\x00\x00\x00\x00" + bytes([len(frame) >> 7, len(frame) & 127]) + frame
    tagged = tmp_path / "tagged.mp3"
    tagged.write_bytes(tag + plain.read_bytes())

    assert heard(tagged, "audio/mpeg").duration_seconds == pytest.approx(seconds, abs=0.001)


def test_a_cover_is_no_video(tmp_path: Path) -> None:
    path = media.sound(tmp_path / "a.flac", "flac", "flac", cover=media.picture_bytes("PNG"))

    assert set(facts(path, "audio/flac")) == {AudioProperties}
    assert heard(path, "audio/flac").bit_rate_kbps == pytest.approx(100, abs=5)


@pytest.mark.parametrize(("rotation", "size"), [(90, (48, 64)), (270, (48, 64)), (-90, (48, 64)), (180, (64, 48))])
def test_videos_are_measured_as_displayed(rotation: int, size: tuple[int, int], tmp_path: Path) -> None:
    path = media.video(tmp_path / "a.mp4", "mp4", "mpeg4", rotation=rotation)

    assert facts(path, "video/mp4")[ImageDimensions] == ImageDimensions(width_pixels=size[0], height_pixels=size[1])


def test_frames_that_vp8_hides_are_not_counted(tmp_path: Path) -> None:
    options = {"auto-alt-ref": "1", "lag-in-frames": "16", "quality": "good"}
    path = media.video(tmp_path / "a.webm", "webm", "libvpx", frames=60, options=options)

    found = facts(path, "video/webm")[FrameProperties]

    assert isinstance(found, FrameProperties)
    assert found.frame_count == 60


def test_a_transport_stream_cut_short_is_as_long_as_what_is_left(tmp_path: Path) -> None:
    whole = media.video(tmp_path / "a.ts", "mpegts", "mpeg2video", frames=100, options={"g": "5"}).read_bytes()
    cut = tmp_path / "cut.ts"
    cut.write_bytes(whole[: len(whole) // 2])

    found = facts(cut, "video/mp2t")[FrameProperties]

    assert isinstance(found, FrameProperties)
    assert found.frame_count is not None
    assert found.animation_duration_seconds == pytest.approx(found.frame_count / 25, abs=0.05)


def test_a_sound_file_s_moving_pictures_are_not_asked_for(tmp_path: Path) -> None:
    path = media.video(tmp_path / "a.m4a", "mp4", "mpeg4", audio_codec="aac")

    assert set(facts(path, "audio/mp4")) == {AudioProperties}


def test_a_file_without_tracks_is_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"\x00\x00\x00\x14ftypisom\x00\x00\x00\x00isom\x00\x00\x00\x08moov")

    with pytest.raises(UnreadableFile):
        facts(path, "video/mp4")
