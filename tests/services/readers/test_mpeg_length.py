import io
from pathlib import Path

import pytest

from dam.services.readers.mpeg_length import is_stated
from tests import media


@pytest.fixture
def song(tmp_path: Path) -> bytes:
    return media.sound(tmp_path / "a.mp3", "mp3", "libmp3lame").read_bytes()


def stated(content: bytes) -> bool:
    return is_stated(io.BytesIO(content), len(content))


def test_a_length_frame_is_found_behind_tags(song: bytes) -> None:
    tag = b"ID3\x04\x00\x00\x00\x00\x01\x00" + bytes(128)

    assert stated(song)
    assert stated(tag + song)


def test_without_a_length_frame_nothing_is_stated(tmp_path: Path) -> None:
    path = media.sound(tmp_path / "a.mp3", "mp3", "libmp3lame", container_options={"write_xing": "0"})

    assert not stated(path.read_bytes())


def test_the_length_of_a_file_cut_short_is_not_its_own(song: bytes) -> None:
    assert not stated(song[: len(song) // 2])


def test_a_length_of_zero_frames_is_none(song: bytes) -> None:
    at = max(song.find(b"Xing"), song.find(b"Info"))

    assert not stated(song[: at + 8] + bytes(4) + song[at + 12 :])


def test_fraunhofer_s_header_counts() -> None:
    header = b"VBRI" + bytes(6) + (5000).to_bytes(4) + (100).to_bytes(4)

    assert stated(b"\xff\xfb\x90\x64" + bytes(32) + header + bytes(5000))
    assert not stated(b"")
