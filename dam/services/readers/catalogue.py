"""Which reader reads which type, in plain lists, so that asking costs no library."""

# Pillow's name of the format and the module that registers it, which for PAM is our own. These are the only formats
# that Pillow is ever asked to open: PostScript, WMF and the stubs, which start programs or hand the file to strangers,
# are not among them.
PILLOW_PLUGINS = {
    "image/avif": ("AVIF", "PIL.AvifImagePlugin"),
    "image/bmp": ("BMP", "PIL.BmpImagePlugin"),
    "image/gif": ("GIF", "PIL.GifImagePlugin"),
    "image/heic": ("HEIF", "pillow_heif"),
    "image/heic-sequence": ("HEIF", "pillow_heif"),
    "image/heif": ("HEIF", "pillow_heif"),
    "image/heif-sequence": ("HEIF", "pillow_heif"),
    "image/jp2": ("JPEG2000", "PIL.Jpeg2KImagePlugin"),
    "image/jpeg": ("JPEG", "PIL.JpegImagePlugin"),
    "image/jpx": ("JPEG2000", "PIL.Jpeg2KImagePlugin"),
    "image/jxl": ("JXL", "pillow_jxl"),
    "image/png": ("PNG", "PIL.PngImagePlugin"),
    "image/qoi": ("QOI", "PIL.QoiImagePlugin"),
    "image/tiff": ("TIFF", "PIL.TiffImagePlugin"),
    "image/vnd.adobe.photoshop": ("PSD", "PIL.PsdImagePlugin"),
    "image/vnd.microsoft.icon": ("ICO", "PIL.IcoImagePlugin"),
    "image/vnd.zbrush.pcx": ("PCX", "PIL.PcxImagePlugin"),
    "image/webp": ("WEBP", "PIL.WebPImagePlugin"),
    "image/x-dds": ("DDS", "PIL.DdsImagePlugin"),
    "image/x-icns": ("ICNS", "PIL.IcnsImagePlugin"),
    "image/x-jp2-codestream": ("JPEG2000", "PIL.Jpeg2KImagePlugin"),
    "image/x-portable-arbitrarymap": ("PAM", "dam.services.readers.pam_plugin"),
    "image/x-portable-bitmap": ("PPM", "PIL.PpmImagePlugin"),
    "image/x-portable-graymap": ("PPM", "PIL.PpmImagePlugin"),
    "image/x-portable-pixmap": ("PPM", "PIL.PpmImagePlugin"),
    "image/x-sgi": ("SGI", "PIL.SgiImagePlugin"),
    "image/x-sun-raster": ("SUN", "PIL.SunImagePlugin"),
    "image/x-tga": ("TGA", "PIL.TgaImagePlugin"),
    "image/x-win-bitmap": ("CUR", "PIL.CurImagePlugin"),
    "image/x-xbitmap": ("XBM", "PIL.XbmImagePlugin"),
    "image/x-xpixmap": ("XPM", "PIL.XpmImagePlugin"),
}

# Camera files that are TIFF inside: they have EXIF, but the size that a TIFF reader sees is a preview's.
RAW_TYPES = (
    "image/x-adobe-dng",
    "image/x-canon-cr2",
    "image/x-nikon-nef",
    "image/x-pentax-pef",
    "image/x-sony-arw",
)

# Pictures of which only the size is read, from their first bytes.
SIZE_ONLY_TYPES = (
    "image/ktx",
    "image/ktx2",
    "image/svg+xml",
    "image/x-portable-floatmap",
)

# FFmpeg's demuxer for each type. It never guesses: playlists, concatenations and devices are out of reach.
DEMUXERS = {
    "application/mxf": "mxf",
    "application/vnd.rn-realmedia": "rm",
    "audio/AMR": "amr",
    "audio/AMR-WB": "amr",
    "audio/aac": "aac",
    "audio/ac3": "ac3",
    "audio/basic": "au",
    "audio/eac3": "eac3",
    "audio/flac": "flac",
    "audio/mp4": "mov",
    "audio/mpeg": "mp3",
    "audio/ogg": "ogg",
    "audio/vnd.dts": "dts",
    "audio/webm": "matroska",
    "audio/x-8svx": "iff",
    "audio/x-aiff": "aiff",
    "audio/x-ape": "ape",
    "audio/x-caf": "caf",
    "audio/x-dff": "iff",
    "audio/x-dsf": "dsf",
    "audio/x-matroska": "matroska",
    "audio/x-ms-wma": "asf",
    "audio/x-musepack": "mpc",
    "audio/x-pn-realaudio": "rm",
    "audio/x-qoa": "qoa",
    "audio/x-tak": "tak",
    "audio/x-tta": "tta",
    "audio/x-voc": "voc",
    "audio/x-w64": "w64",
    "audio/x-wav": "wav",
    "audio/x-wavpack": "wv",
    "video/3gpp": "mov",
    "video/3gpp2": "mov",
    "video/mj2": "mov",
    "video/mp2t": "mpegts",
    "video/mp4": "mov",
    "video/mpeg": "mpeg",
    "video/ogg": "ogg",
    "video/quicktime": "mov",
    "video/webm": "matroska",
    "video/x-flc": "flic",
    "video/x-fli": "flic",
    "video/x-flv": "flv",
    "video/x-ivf": "ivf",
    "video/x-matroska": "matroska",
    "video/x-ms-asf": "asf",
    "video/x-ms-wmv": "asf",
    "video/x-msvideo": "avi",
    "video/x-nut": "nut",
    "video/x-yuv4mpeg": "yuv4mpegpipe",
}

# Types that Hachoir reads when FFmpeg can't, or alone; the tag by which it knows its parser.
HACHOIR_TYPES = {
    "application/x-shockwave-flash": "application/x-shockwave-flash",
    "audio/x-ms-wma": "video/x-ms-asf",
    "image/x-xcf": "image/x-xcf",
    "video/x-ms-asf": "video/x-ms-asf",
    "video/x-ms-wmv": "video/x-ms-asf",
}


def readers_for(mime_type: str | None) -> tuple[str, ...]:
    """Return the names of the readers worth running for a type, none for what no reader knows."""
    if mime_type is None:
        return ()
    if mime_type in PILLOW_PLUGINS:
        return ("image", "pixels")
    if mime_type in RAW_TYPES or mime_type in SIZE_ONLY_TYPES:
        return ("image",)
    if mime_type == "application/pdf":
        return ("document",)
    readers = (("stream", DEMUXERS), ("hachoir", HACHOIR_TYPES))
    return tuple(name for name, types in readers if mime_type in types)
