"""Which photo formats are read, how bytes are recognised as one of them, and what is said of those that are not."""

from typing import ClassVar

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIC")
ACCEPTED = "Send the photo as JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF or HEIC."


class PhotoError(Exception):
    """A photo that cannot be read. `code` is the problem's code; the text says what to do about it."""

    code: ClassVar[str] = "undecodable_image"


class EmptyImage(PhotoError):
    """There are no bytes."""

    code = "empty_image"


class UnsupportedFormat(PhotoError):
    """The bytes are of no format that is read, or of none at all."""

    code = "unsupported_media_type"


class ImageTooLarge(PhotoError):
    """The header names more pixels than the limits allow."""

    code = "image_too_large"


class UndecodableImage(PhotoError):
    """The format is right, the data is damaged, cut short or of a kind no decoder here reads."""

    code = "undecodable_image"


def ends_early(format: str) -> UndecodableImage:
    return UndecodableImage(f"The {format} data ends early. Send the whole file.")


def damaged(format: str) -> UndecodableImage:
    return UndecodableImage(f"The {format} data is damaged. Save the photo again, or as JPEG, and send that.")


def recognise(data: bytes) -> str:
    """One of `FORMATS`, by the first bytes alone. Raises `EmptyImage` or `UnsupportedFormat`."""
    if not data:
        raise EmptyImage("The photo has no bytes. Send the file's content.")
    for signature, format in _SIGNATURES:
        if data.startswith(signature):
            return format
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    # Text may well begin with BM (a BMW's papers do), so the size of the second header decides.
    if data[:2] == b"BM" and data[14:18] in _BITMAP_HEADERS:
        return "BMP"
    if data[4:8] == b"ftyp":
        return _by_brand(data)
    raise UnsupportedFormat(f"{_description(data)} {ACCEPTED}")


_SIGNATURES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
)
_BITMAP_HEADERS = {size.to_bytes(4, "little") for size in (12, 40, 52, 56, 64, 108, 124)}
_HEVC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_AVIF_BRANDS = {b"avif", b"avis"}


def _by_brand(data: bytes) -> str:
    size = min(int.from_bytes(data[:4], "big"), 4096)
    brands = {data[8:12]} | {data[at : at + 4] for at in range(16, size, 4)}
    if brands & _AVIF_BRANDS:
        return "AVIF"
    if brands & _HEVC_BRANDS:
        return "HEIC"
    raise UnsupportedFormat(f"This is a video, or a picture in a container that is not read. {ACCEPTED}")


_KNOWN_OTHERS = (
    (b"PK\x03\x04", "This is a ZIP archive, whatever its name says."),
    (b"%PDF", "This is a PDF document."),
    (b"%!", "This is PostScript (EPS)."),
    (b"\xc5\xd0\xd3\xc6", "This is PostScript (EPS)."),
    (b"8BPS", "This is a Photoshop document."),
    (b"\0\0\1\0", "This is an icon file."),
    (b"II+\0", "This is a BigTIFF."),
    (b"MM\0+", "This is a BigTIFF."),
    (b"\x1f\x8b", "This is gzip-compressed data."),
    (b"\xff\x0a", "This is JPEG XL."),
    (b"\0\0\0\x0cJXL ", "This is JPEG XL."),
    (b"\0\0\0\x0cjP  ", "This is JPEG 2000."),
    (b"\xff\x4f\xff\x51", "This is JPEG 2000."),
)


def _description(data: bytes) -> str:
    for signature, sentence in _KNOWN_OTHERS:
        if data.startswith(signature):
            return sentence
    start = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<svg", b"<?xml", b"<!doctype svg")) and b"<svg" in data[:4096].lower():
        return "This is an SVG drawing."
    if start.startswith((b"<!doctype html", b"<html")):
        return "This is an HTML page."
    if b"\0" not in data[:1024]:
        try:
            data[:1024].decode("ascii")
        except UnicodeDecodeError:
            pass
        else:
            return "This is text, not a photo."
    return "This is not a photo, or not in a format that is read."
