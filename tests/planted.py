"""Photos of every format that say a word wherever metadata can: EXIF with a place, comments, XMP, texts."""

import io
from collections.abc import Iterator

import numpy as np
import pillow_heif
from PIL import Image, PngImagePlugin
from PIL.TiffImagePlugin import ImageFileDirectory_v2

MARK = "CARLENS-PLANTED-MARK"
XMP = f"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf>{MARK}</rdf></x:xmpmeta>".encode()

DESCRIPTION, ARTIST, XMP_TAG, EXIF, GPS = 270, 315, 700, 0x8769, 0x8825
USER_COMMENT, GPS_LATITUDE_REF, GPS_LATITUDE, GPS_METHOD, GPS_AREA = 0x9286, 1, 2, 27, 28


def exif() -> bytes:
    """EXIF that names whoever took the photo, and where."""
    found = Image.Exif()
    found[DESCRIPTION] = found[ARTIST] = MARK
    found.get_ifd(EXIF)[USER_COMMENT] = b"ASCII\0\0\0" + MARK.encode()
    place = found.get_ifd(GPS)
    place[GPS_LATITUDE_REF], place[GPS_LATITUDE] = "N", (48.0, 8.0, 14.0)
    place[GPS_METHOD] = place[GPS_AREA] = b"ASCII\0\0\0" + MARK.encode()
    return found.tobytes()


def photos() -> Iterator[tuple[str, bytes]]:
    """Each format's name and a photo of 64 by 48 that is full of the mark."""
    image = Image.fromarray(np.full((48, 64, 3), (200, 40, 90), np.uint8))
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Comment", MARK)
    texts.add_text("Author", MARK, zip=True)
    texts.add_itxt("XML:com.adobe.xmp", XMP.decode())
    tags = ImageFileDirectory_v2()
    tags[DESCRIPTION], tags[ARTIST], tags[XMP_TAG] = MARK, MARK, XMP
    kinds: dict[str, dict[str, object]] = {
        "JPEG": {"exif": exif(), "comment": MARK, "xmp": XMP},
        "PNG": {"pnginfo": texts, "exif": exif()},
        "WEBP": {"exif": exif(), "xmp": XMP},
        "AVIF": {"exif": exif(), "xmp": XMP},
        "GIF": {"comment": MARK},
        "TIFF": {"tiffinfo": tags},
    }
    for kind, said in kinds.items():
        file = io.BytesIO()
        image.save(file, kind, **said)
        yield kind, file.getvalue()
    heic = pillow_heif.from_pillow(image)
    file = io.BytesIO()
    heic.save(file, exif=exif(), xmp=XMP)
    yield "HEIC", file.getvalue()
