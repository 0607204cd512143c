"""One file of each kind, made by ``tests.media``, with the facts that are known of it."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from dam.services.facts import AudioProperties, DocumentProperties, Fact, FrameProperties, ImageDimensions
from tests import media
from tests.media import picture, picture_bytes

SIZE = ImageDimensions(width_pixels=64, height_pixels=48)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A file: its name, its type, how it is made, and its facts; a field that is None is not known beforehand."""

    name: str
    mime_type: str
    make: Callable[[Path], object]
    facts: tuple[Fact, ...]
    hashed: bool = False


def all_samples() -> list[Sample]:
    """Return a sample of every format of the table in ``doc/formats.md`` that can be made here."""
    return [*_pictures(), *_animations(), *_headers_only(), *_sounds(), *_videos(), *_documents()]


def _written(content: Callable[[], bytes]) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content())


def _picture(
    name: str, mime_type: str, content: Callable[[], bytes], facts: tuple[Fact, ...] = (SIZE,)
) -> Sample:  # fmt: skip
    return Sample(name=name, mime_type=mime_type, make=_written(content), facts=facts, hashed=True)


def _pictures() -> list[Sample]:
    turned = ImageDimensions(width_pixels=48, height_pixels=64)
    return [
        _picture("rgb.jpg", "image/jpeg", lambda: picture_bytes("JPEG")),
        _picture("cmyk.jpg", "image/jpeg", lambda: picture_bytes("JPEG", picture(mode="CMYK"))),
        _picture("grey.jpg", "image/jpeg", lambda: picture_bytes("JPEG", picture(mode="L"), progressive=True)),
        _picture("turned.jpg", "image/jpeg", lambda: picture_bytes("JPEG", exif=media.exif(Orientation=6)), (turned,)),
        _picture("rgb.png", "image/png", lambda: picture_bytes("PNG")),
        _picture("turned.png", "image/png", lambda: picture_bytes("PNG", exif=media.exif(Orientation=8)), (turned,)),
        _picture("palette.png", "image/png", lambda: picture_bytes("PNG", picture(mode="P"), transparency=3)),
        _picture("deep.png", "image/png", lambda: picture_bytes("PNG", picture(mode="I;16"))),
        _picture("still.gif", "image/gif", lambda: picture_bytes("GIF")),
        _picture("still.webp", "image/webp", lambda: picture_bytes("WEBP")),
        _picture("turned.webp", "image/webp", lambda: picture_bytes("WEBP", exif=media.exif(Orientation=5)), (turned,)),
        _picture("still.avif", "image/avif", lambda: picture_bytes("AVIF")),
        _picture("turned.avif", "image/avif", lambda: picture_bytes("AVIF", exif=media.exif(Orientation=6)), (turned,)),
        _picture("still.heic", "image/heic", _heic),
        _picture("still.jxl", "image/jxl", _jxl),
        _picture("still.jp2", "image/jp2", lambda: picture_bytes("JPEG2000")),
        _picture("still.j2k", "image/x-jp2-codestream", lambda: picture_bytes("JPEG2000", no_jp2=True)),
        _picture("pages.tif", "image/tiff", _pages),
        _picture("packed.tif", "image/tiff", lambda: picture_bytes("TIFF", compression="tiff_adobe_deflate")),
        _picture("turned.tif", "image/tiff", lambda: picture_bytes("TIFF", exif=media.exif(Orientation=6)), (turned,)),
        _picture("big.tif", "image/tiff", lambda: picture_bytes("TIFF", big_tiff=True)),
        _picture("still.bmp", "image/bmp", lambda: picture_bytes("BMP")),
        _picture("still.psd", "image/vnd.adobe.photoshop", media.psd_bytes),
        _picture("still.tga", "image/x-tga", lambda: picture_bytes("TGA")),
        _picture("still.dds", "image/x-dds", lambda: picture_bytes("DDS")),
        _picture("still.qoi", "image/qoi", lambda: picture_bytes("QOI")),
        _picture("still.pcx", "image/vnd.zbrush.pcx", lambda: picture_bytes("PCX")),
        _picture("still.sgi", "image/x-sgi", lambda: picture_bytes("SGI")),
        _picture("still.ras", "image/x-sun-raster", media.sun_raster_bytes),
        _picture("still.pbm", "image/x-portable-bitmap", lambda: picture_bytes("PPM", picture(mode="1"))),
        _picture("still.pgm", "image/x-portable-graymap", lambda: picture_bytes("PPM", picture(mode="L"))),
        _picture("still.ppm", "image/x-portable-pixmap", lambda: picture_bytes("PPM")),
        _picture("still.pam", "image/x-portable-arbitrarymap", media.pam_bytes),
        _picture("still.xbm", "image/x-xbitmap", lambda: picture_bytes("XBM", picture(mode="1"))),
        _picture("still.xpm", "image/x-xpixmap", media.xpm_bytes, (_size(2, 3),)),
        _picture("two.ico", "image/vnd.microsoft.icon", _icons, (_size(48, 48),)),
        _picture("still.cur", "image/x-win-bitmap", media.cursor_bytes, (_size(32, 32),)),
        _picture("still.icns", "image/x-icns", lambda: picture_bytes("ICNS", picture(128, 128)), (_size(1024, 1024),)),
    ]  # fmt: skip


def _animations() -> list[Sample]:
    frames = FrameProperties(frame_count=3, nominal_frame_rate=5.0, animation_duration_seconds=0.6)
    return [
        _picture(f"moving.{suffix}", f"image/{suffix}", _animation(image_format), (SIZE, frames))
        for suffix, image_format in (("gif", "GIF"), ("png", "PNG"), ("webp", "WEBP"), ("avif", "AVIF"))
    ]


def _headers_only() -> list[Sample]:
    kinds: list[tuple[str, str, Callable[[], bytes]]] = [
        ("still.svg", "image/svg+xml", media.svg_bytes),
        ("still.ktx", "image/ktx", media.ktx_bytes),
        ("still.ktx2", "image/ktx2", media.ktx2_bytes),
        ("still.pfm", "image/x-portable-floatmap", media.pfm_bytes),
        ("still.xcf", "image/x-xcf", media.xcf_bytes),
    ]
    return [Sample(name=name, mime_type=kind, make=_written(make), facts=(SIZE,)) for name, kind, make in kinds]


def _sounds() -> list[Sample]:
    dsf = AudioProperties(duration_seconds=0.01, codec_name="dsd_lsbf_planar", sample_rate_hz=2822400, channels=2)
    return [
        _sound("vbr.mp3", "audio/mpeg", "mp3", "libmp3lame", _heard("mp3", 4.0), seconds=4, noisy_from=2, quality=2),
        _sound("headless.mp3", "audio/mpeg", "mp3", "libmp3lame", _heard("mp3", 4.05), seconds=4, noisy_from=2,
               quality=2, container_options={"write_xing": "0"}),
        _sound("cbr.mp3", "audio/mpeg", "mp3", "libmp3lame", _heard("mp3", kbps=128.0), bit_rate=128000),
        _sound("mono.mp2", "audio/mpeg", "mp2", "mp2", _heard("mp2", 1.0188, channels=1), channels=1),
        _sound("vbr.aac", "audio/aac", "adts", "aac", _heard("aac", 4.03), seconds=4, noisy_from=2),
        _sound("tone.m4a", "audio/mp4", "ipod", "aac", _heard("aac")),
        _sound("alac.m4a", "audio/mp4", "ipod", "alac", _heard("alac")),
        _sound("tone.flac", "audio/flac", "flac", "flac", _heard("flac")),
        _sound("tone.ogg", "audio/ogg", "ogg", "vorbis", _heard("vorbis", 1.001), options={"strict": "-2"}),
        _sound("tone.opus", "audio/ogg", "ogg", "libopus", _heard("opus", 1.0065, rate=48000), rate=48000),
        _sound("tone.oga", "audio/ogg", "ogg", "flac", _heard("flac")),
        _sound("tone.wav", "audio/x-wav", "wav", "pcm_s16le", _heard("pcm_s16le", kbps=1411.2)),
        _sound("float.wav", "audio/x-wav", "wav", "pcm_f32le", _heard("pcm_f32le", kbps=2822.4)),
        _sound("adpcm.wav", "audio/x-wav", "wav", "adpcm_ima_wav", _heard("adpcm_ima_wav", 1.0147)),
        _sound("tone.w64", "audio/x-w64", "w64", "pcm_s16le", _heard("pcm_s16le", kbps=1411.2)),
        _sound("tone.aiff", "audio/x-aiff", "aiff", "pcm_s16be", _heard("pcm_s16be", kbps=1411.2)),
        _sound("tone.au", "audio/basic", "au", "pcm_s16be", _heard("pcm_s16be", kbps=1411.2)),
        _sound("tone.caf", "audio/x-caf", "caf", "pcm_s16le", _heard("pcm_s16le", kbps=1411.2)),
        _sound("tone.voc", "audio/x-voc", "voc", "pcm_u8", AudioProperties(codec_name="pcm_u8", channels=2)),
        _sound("tone.ac3", "audio/ac3", "ac3", "ac3", _heard("ac3", 1.01, kbps=192.0)),
        _sound("tone.eac3", "audio/eac3", "eac3", "eac3", _heard("eac3", 1.01)),
        _sound("tone.wma", "audio/x-ms-wma", "asf", "wmav2", _heard("wmav2", 1.02, kbps=128.0)),
        _sound("tone.tta", "audio/x-tta", "tta", "tta", _heard("tta")),
        _sound("tone.wv", "audio/x-wavpack", "wv", "wavpack", _heard("wavpack")),
        _sound("tone.mka", "audio/x-matroska", "matroska", "flac", _heard("flac")),
        _sound("sound.webm", "audio/webm", "webm", "libopus", _heard("opus", 1.008, rate=48000), rate=48000),
        Sample(name="tone.dsf", mime_type="audio/x-dsf", make=_written(media.dsf_bytes), facts=(dsf,)),
    ]  # fmt: skip


def _videos() -> list[Sample]:
    ntsc = FrameProperties(
        frame_count=25, nominal_frame_rate=30000 / 1001, animation_duration_seconds=25 * 1001 / 30000
    )
    turned = ImageDimensions(width_pixels=48, height_pixels=64)
    fragments = {"movflags": "frag_keyframe+empty_moov+default_base_moof", "frag_duration": "300000"}
    kinds = [
        _video("film.mp4", "video/mp4", "mp4", "libx264", "aac"),
        _video("fragmented.mp4", "video/mp4", "mp4", "libx264", "aac", container_options=fragments),
        _video("film.mov", "video/quicktime", "mov", "mpeg4", "pcm_s16le"),
        _video("film.3gp", "video/3gpp", "3gp", "mpeg4", "aac"),
        _video("film.mkv", "video/x-matroska", "matroska", "libx264", "aac"),
        _video("film.webm", "video/webm", "webm", "libvpx-vp9", "libopus", audio_rate=48000),
        _video("silent.webm", "video/webm", "webm", "libvpx", None),
        _video("film.ogv", "video/ogg", "ogg", "libvpx", "flac"),
        _video("film.avi", "video/x-msvideo", "avi", "mjpeg", "pcm_s16le", options={"strict": "-2"}),
        _video("film.flv", "video/x-flv", "flv", "flv", "libmp3lame"),
        _video("film.wmv", "video/x-ms-wmv", "asf", "wmv2", "wmav2"),
        _video("film.ts", "video/mp2t", "mpegts", "libx264", "aac"),
        _video("film.mpg", "video/mpeg", "mpeg", "mpeg1video", "mp2"),
        _video("film.vob", "video/mpeg", "vob", "mpeg2video", "ac3"),
        _video("film.m2v", "video/mpeg", "mpeg2video", "mpeg2video", None),
        _video("film.ivf", "video/x-ivf", "ivf", "libvpx", None),
        _video("film.nut", "video/x-nut", "nut", "mpeg4", None),
        _video("film.rm", "application/vnd.rn-realmedia", "rm", "rv10", None, options={"g": "1"}),
    ]
    return [
        *kinds,
        _video(
            "ntsc.mkv", "video/x-matroska", "matroska", "mpeg4", None, facts=(SIZE, ntsc), rate=Fraction(30000, 1001)
        ),
        _video("turned.mp4", "video/mp4", "mp4", "mpeg4", None, facts=(turned,), rotation=90),
        _video("upside_down.mp4", "video/mp4", "mp4", "mpeg4", None, facts=(SIZE,), rotation=180),
    ]


def _documents() -> list[Sample]:
    known = DocumentProperties(page_count=3, title="Über alles")
    flash = (_size(550, 400), FrameProperties(nominal_frame_rate=12.0))
    return [
        Sample(name="three.pdf", mime_type="application/pdf", facts=(known,),
               make=_written(lambda: media.pdf_bytes(3, "Über alles"))),
        Sample(name="film.swf", mime_type="application/x-shockwave-flash", facts=flash,
               make=_written(media.flash_bytes)),
    ]  # fmt: skip


def _size(width: int, height: int) -> ImageDimensions:
    return ImageDimensions(width_pixels=width, height_pixels=height)


def _heard(
    codec: str, seconds: float = 1.0, *, rate: int = 44100, channels: int = 2, kbps: float | None = None
) -> AudioProperties:  # fmt: skip
    return AudioProperties(
        duration_seconds=seconds, codec_name=codec, sample_rate_hz=rate, channels=channels, bit_rate_kbps=kbps
    )


def _sound(
    name: str, mime_type: str, container: str, codec: str, known: AudioProperties, **options: object
) -> Sample:  # fmt: skip
    def make(path: Path) -> object:
        return media.sound(path, container, codec, **options)  # type: ignore[arg-type]  # the caller's keywords

    return Sample(name=name, mime_type=mime_type, make=make, facts=(known,))


def _video(
    name: str, mime_type: str, container: str, codec: str, audio_codec: str | None,
    facts: tuple[Fact, ...] = (), **options: object,
) -> Sample:  # fmt: skip
    def make(path: Path) -> object:
        return media.video(path, container, codec, audio_codec=audio_codec, **options)  # type: ignore[arg-type]  # the caller's keywords

    frames = FrameProperties(frame_count=25, nominal_frame_rate=25.0, animation_duration_seconds=1.0)
    heard = (AudioProperties(channels=2, codec_name=_short(audio_codec)),) if audio_codec else ()
    return Sample(name=name, mime_type=mime_type, make=make, facts=facts or (SIZE, frames, *heard))


def _short(encoder: str) -> str:
    return {"libopus": "opus", "libmp3lame": "mp3"}.get(encoder, encoder)


def _animation(image_format: str) -> Callable[[], bytes]:
    return lambda: media.animation_bytes(image_format, [100, 200, 300])


def _pages() -> bytes:
    return picture_bytes("TIFF", save_all=True, append_images=[picture(30, 20)])


def _icons() -> bytes:
    return picture_bytes("ICO", picture(48, 48), sizes=[(16, 16), (48, 48)])


def _heic() -> bytes:
    import pillow_heif

    pillow_heif.register_heif_opener()
    return picture_bytes("HEIF")


def _jxl() -> bytes:
    import pillow_jxl  # noqa: F401 - registers the format

    return picture_bytes("JXL")
