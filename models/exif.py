"""The tag directory that EXIF and TIFF share: read without trust, and without a decoder."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

ORIENTATION = 0x0112

# Bytes of one value, by the type's number: BYTE, ASCII, SHORT, LONG, RATIONAL, SBYTE, UNDEFINED, SSHORT, SLONG,
# SRATIONAL, FLOAT, DOUBLE, IFD.
TYPE_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}


class Entry(NamedTuple):
    """One tag: `raw` is its 12 bytes, `offset` the place of its values, `size` their length in bytes."""

    tag: int
    type: int
    values: int
    offset: int
    size: int
    raw: bytes


def byte_order(data: bytes) -> str | None:
    """`<` or `>` for struct, None where these bytes are no directory's header."""
    return {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])


def entries(data: bytes) -> Iterator[Entry]:
    """The first directory's tags as far as they can be read; nothing is raised, nothing outside is touched."""
    order = byte_order(data)
    if order is None or len(data) < 8:
        return
    (start,) = struct.unpack_from(order + "I", data, 4)
    if start + 2 > len(data):
        return
    (count,) = struct.unpack_from(order + "H", data, start)
    for at in range(start + 2, min(start + 2 + 12 * count, len(data) - 11), 12):
        tag, type, values, offset = struct.unpack_from(order + "HHII", data, at)
        size = TYPE_SIZES.get(type, 0) * values
        yield Entry(tag, type, values, offset if size > 4 else at + 8, size, data[at : at + 12])


def integers(data: bytes, entry: Entry) -> tuple[int, ...]:
    """The entry's values where they are BYTE, SHORT or LONG and inside the data, else none."""
    code = {1: "B", 3: "H", 4: "I"}.get(entry.type)
    if code is None or entry.offset + entry.size > len(data):
        return ()
    return struct.unpack_from(f"{byte_order(data)}{entry.values}{code}", data, entry.offset)


def integer(data: bytes, entry: Entry) -> int | None:
    """The first of `integers`."""
    return next(iter(integers(data, entry._replace(values=min(entry.values, 1)))), None)


def orientation(data: bytes) -> int:
    """The EXIF orientation, 1 to 8; 1 where there is none or where the EXIF data is damaged."""
    data = data.removeprefix(b"Exif\0\0")
    for entry in entries(data):
        if entry.tag == ORIENTATION:
            value = integer(data, entry)
            return value if value is not None and 1 <= value <= 8 else 1
    return 1
