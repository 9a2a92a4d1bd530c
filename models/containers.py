"""What GIF, PNG, TIFF and WebP files say of themselves, and the same files without what only describes the photo.

Profiles, texts, EXIF directories and further pages are left out before a decoder sees the file: they hold no pixels,
and a few bytes of them can ask for much memory or time.
"""

import re
import struct
from dataclasses import dataclass

from models import exif
from models.formats import UnsupportedFormat, damaged, ends_early


@dataclass(frozen=True, slots=True)
class Container:
    """`width` and `height` as stored, before `orientation`; `data` is what the decoder gets."""

    width: int
    height: int
    orientation: int
    data: bytes
    area: int = 0
    """Pixels the decoder allocates where that is not width x height: a TIFF's tile."""


MAX_CHUNKS = 100_000

_GIF_BLOCK = re.compile(rb"[!,;]")
_CONTROL = 0xF9


def gif(data: bytes) -> Container:
    """The first frame, without the comments before it. Raises `UndecodableImage`."""
    if len(data) < 13:
        raise ends_early("GIF")
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    position = 13 + (3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0)
    screen, control = data[:position], b""
    blocks = 0
    while found := _GIF_BLOCK.search(data, position):  # whatever stands between blocks is skipped, as everywhere
        start, position = found.start(), found.end()
        if data[start:position] == b",":
            return Container(width, height, 1, screen + control + data[start:])
        if data[start:position] == b";":
            raise damaged("GIF")
        position += 1
        while length := int.from_bytes(data[position : position + 1]):
            position += 1 + length
            blocks += 1
            if blocks > MAX_CHUNKS:
                raise damaged("GIF")
        position += 1
        blocks += 1
        if data[start + 1 : start + 2] == bytes([_CONTROL]):
            control = data[start:position]
    raise ends_early("GIF")


_PNG_PIXELS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}


def png(data: bytes) -> Container:
    """Raises `UndecodableImage`."""
    if len(data) < 33:
        raise ends_early("PNG")
    if data[12:16] != b"IHDR":
        raise damaged("PNG")
    width, height = struct.unpack_from(">II", data, 16)
    orientation = 1
    kept = [data[:8]]
    position = 8
    for _ in range(MAX_CHUNKS):
        if position + 12 > len(data):
            raise ends_early("PNG")
        (length,) = struct.unpack_from(">I", data, position)
        name = data[position + 4 : position + 8]
        end = position + 12 + length
        if end > len(data):
            raise ends_early("PNG")
        if name == b"eXIf":
            orientation = exif.orientation(data[position + 8 : end - 4])
        if name in _PNG_PIXELS:
            kept.append(data[position:end])
        if name == b"IEND":
            return Container(width, height, orientation, b"".join(kept))
        position = end
    raise damaged("PNG")


def webp(data: bytes) -> Container:
    """Raises `UndecodableImage`."""
    if len(data) < 30:
        raise ends_early("WEBP")
    size = 8 + int.from_bytes(data[4:8], "little")
    if size > len(data) + 1:  # some writers leave out the last byte of padding
        raise ends_early("WEBP")
    kind = data[12:16]
    if kind == b"VP8X":
        width = int.from_bytes(data[24:27], "little") + 1
        height = int.from_bytes(data[27:30], "little") + 1
    elif kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    else:
        raise damaged("WEBP")
    # EXIF is the decoder's to find (its chunk comes after the pixels); nothing is parsed there.
    return Container(width, height, 1, data)


# One value counts per strip or tile: a row each at the largest side, or small tiles, with room to spare.
MAX_TAG_VALUES = 2**18

_STRIPS = ((273, 279), (324, 325))  # where strips or tiles begin, and how long they are
_WIDTH, _HEIGHT, _TILE_WIDTH, _TILE_HEIGHT, _SUBFILE, _DNG = 0x100, 0x101, 0x142, 0x143, 0xFE, 0xC612
# Sizes, sample layout, compression and its tables, strips and tiles, palette, chroma: what pixels are made of.
_TIFF_PIXELS = frozenset(
    {_WIDTH, _HEIGHT, 258, 259, 262, 266, 273, 277, 278, 279, 284, 292, 293, 317, 320}
    | {_TILE_WIDTH, _TILE_HEIGHT, 324, 325, 332, 338, 339, 347, *range(512, 522), 529, 530, 531, 532}
)


_COMPRESSION = 259
# None, LZW, JPEG, Deflate under both its numbers, PackBits. The others are for faxes or rare, and damage in a fax is
# not an error to its decoder but a line in our log for every row.
_COMPRESSIONS = frozenset({1, 5, 7, 8, 32946, 32773})


def tiff(data: bytes) -> Container:
    """The first page, as a file of its own. Raises `UndecodableImage`, `UnsupportedFormat`."""
    order = exif.byte_order(data)
    if order is None or len(data) < 8:
        raise ends_early("TIFF")
    kept: dict[int, exif.Entry] = {}
    numbers: dict[int, int] = {}
    for entry in exif.entries(data):
        value = exif.integer(data, entry)
        if entry.tag == _DNG or (entry.tag == _SUBFILE and value == 1) or data[8:10] == b"CR":
            raise UnsupportedFormat("This is a camera's raw file. Export the photo as JPEG and send that.")
        if value is not None:
            numbers.setdefault(entry.tag, value)
        if entry.tag in _TIFF_PIXELS and entry.size:
            if entry.offset + entry.size > len(data):
                raise ends_early("TIFF")
            if entry.values > MAX_TAG_VALUES and entry.type != 7:
                raise damaged("TIFF")
            kept.setdefault(entry.tag, entry)
    if _WIDTH not in numbers or _HEIGHT not in numbers:
        raise ends_early("TIFF")
    if numbers.get(_COMPRESSION, 1) not in _COMPRESSIONS:
        raise UnsupportedFormat("This TIFF is compressed in a way that is not read. Save it as JPEG or PNG.")
    _check_strips(data, kept)
    orientation = numbers.get(exif.ORIENTATION, 1)
    directory = struct.pack(order + "H", len(kept)) + b"".join(kept[tag].raw for tag in sorted(kept)) + bytes(4)
    return Container(
        numbers[_WIDTH],
        numbers[_HEIGHT],
        orientation if 1 <= orientation <= 8 else 1,
        data[:4] + struct.pack(order + "I", len(data)) + data[8:] + directory,
        numbers.get(_TILE_WIDTH, 0) * numbers.get(_TILE_HEIGHT, 0),
    )


def _check_strips(data: bytes, kept: dict[int, exif.Entry]) -> None:
    # The directory is put behind the data, where a decoder would take it for the pixels of a file that was cut short.
    for begin, length in _STRIPS:
        if begin in kept:
            lengths = exif.integers(data, kept[length]) if length in kept else ()
            starts = exif.integers(data, kept[begin])
            if len(starts) != len(lengths):
                raise damaged("TIFF")
            if any(start + size > len(data) for start, size in zip(starts, lengths, strict=True)):
                raise ends_early("TIFF")


MAX_BOXES = 1000


def check_boxes(data: bytes, format: str) -> None:
    """Whether an AVIF or HEIC file is there to its end. Raises `UndecodableImage`."""
    position = 0
    for _ in range(MAX_BOXES):
        if position == len(data):
            return
        if position + 8 > len(data):
            raise ends_early(format)
        (size,) = struct.unpack_from(">I", data, position)
        if size == 0:  # the last box, up to the end of the file
            return
        if size == 1 and position + 16 <= len(data):
            (size,) = struct.unpack_from(">Q", data, position + 8)
        if size < 8:
            raise damaged(format)
        position += size
        if position > len(data):
            raise ends_early(format)
    raise damaged(format)
