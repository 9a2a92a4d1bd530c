"""How large the pictures in an AVIF file are by their own headers: the container around them may say anything, and the
decoder allocates what they say."""

import struct
from collections.abc import Iterator

from models.formats import damaged

MOST_DATA = 2
"""So many times the file's length its items may have together: items may lie over each other."""

MAX_ENTRIES = 10_000
"""Boxes, pieces of items and units of coded data that are looked at; photos of many tiles have hundreds."""

FIRST = 4096
"""Bytes of a film within which the size of its first frame stands: it comes first."""

_PARENTS = {b"meta": 4, b"moov": 0, b"trak": 0, b"mdia": 0, b"minf": 0, b"stbl": 0}
"""Boxes that hold boxes, and what stands before the first of them."""

_SEQUENCE_HEADER = 1


def sizes(data: bytes) -> Iterator[tuple[int, int]]:
    """Width and height of every coded picture. Raises `UndecodableImage`, `struct.error`."""
    for number, size in enumerate(size for piece in _coded(data) for size in _units(piece)):
        if number > MAX_ENTRIES:
            raise damaged("AVIF")
        if size:
            yield size


def _boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, first byte and end of every box, those inside others too."""
    seen, rest = 0, [(start, end)]
    while rest:
        at, stop = rest.pop()
        while at + 8 <= stop:
            seen += 1
            size, name = struct.unpack_from(">I4s", data, at)
            inside = at + 8
            if size == 1:
                (size,) = struct.unpack_from(">Q", data, inside)
                inside += 8
            after = stop if size == 0 else at + size
            if after < inside or after > stop or seen > MAX_ENTRIES:
                raise damaged("AVIF")
            yield name, inside, after
            if name in _PARENTS:
                rest.append((inside + _PARENTS[name], after))
            at = after


def _coded(data: bytes) -> Iterator[bytes]:
    """The bytes of every item, and the first ones of every film."""
    boxes = list(_boxes(data, 0, len(data)))
    inline = next((start for name, start, _ in boxes if name == b"idat"), 0)
    allowed = MOST_DATA * len(data)
    for name, start, _ in boxes:
        if name == b"iloc":
            for extents in _locations(data, start, inline):
                piece = b"".join(data[begin : begin + length] for begin, length in extents)
                allowed -= len(piece)
                if allowed < 0:
                    raise damaged("AVIF")
                yield piece
        elif name in (b"stco", b"co64"):
            (count,) = struct.unpack_from(">I", data, start + 4)
            wide = "Q" if name == b"co64" else "I"
            for begin in struct.unpack_from(f">{min(count, 1)}{wide}", data, start + 8):  # the first frame's alone
                yield data[begin : begin + FIRST]


def _locations(data: bytes, at: int, inline: int) -> Iterator[list[tuple[int, int]]]:
    """Of every item in an `iloc` box its pieces, as start and length (ISO/IEC 14496-12, 8.11.3)."""
    version, _, sizes = struct.unpack_from(">B3sH", data, at)
    offset_size, length_size, base_size, index_size = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    at += 6

    def number(size: int) -> int:
        nonlocal at
        if at + size > len(data):
            raise damaged("AVIF")
        at += size
        return int.from_bytes(data[at - size : at], "big")

    left = MAX_ENTRIES
    for _ in range(number(2 if version < 2 else 4)):
        number(2 if version < 2 else 4)
        method = number(2) & 15 if version else 0
        number(2)
        base = number(base_size) + (inline if method == 1 else 0)
        extents = []
        for _ in range(number(2)):
            if version:
                number(index_size)
            begin, length = base + number(offset_size), number(length_size)
            extents.append((begin, length or len(data)))
        left -= 1 + len(extents)
        if left < 0:
            raise damaged("AVIF")
        yield extents


def _units(coded: bytes) -> Iterator[tuple[int, int] | None]:
    """Largest width and height by each unit of `coded` that is a sequence header, None by the others."""
    at = 0
    while at < len(coded):
        head = coded[at]
        at += 2 if head & 4 else 1
        size = len(coded) - at
        if head & 2:
            size, at = _leb128(coded, at)
        yield _largest(_Bits(coded[at : at + min(size, 1024)])) if head >> 3 & 15 == _SEQUENCE_HEADER else None
        at += size


def _leb128(data: bytes, at: int) -> tuple[int, int]:
    """A number of up to eight bytes with seven bits each, and where it ends."""
    value = 0
    for n, byte in enumerate(data[at : at + 8]):
        value |= (byte & 127) << 7 * n
        if byte < 128:
            return value, at + n + 1
    return len(data), len(data)


class _Bits:
    """Reads numbers of any width; what lies behind the end is zeros."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data, "big"), 8 * len(data)

    def take(self, width: int) -> int:
        self._left -= width
        shifted = self._value >> self._left if self._left >= 0 else self._value << -self._left
        return shifted & ((1 << width) - 1)


def _largest(bits: _Bits) -> tuple[int, int]:
    """Width and height in a sequence header (AV1 specification, 5.5.1)."""
    take = bits.take
    take(4)  # profile, still picture
    if take(1):  # the short form
        take(5)
    else:
        delay_bits = 0
        if take(1):  # timing
            take(64)
            if take(1):
                _skip_exponential(bits)
            if take(1):  # decoder model
                delay_bits = take(5) + 1
                take(42)
        delays = take(1)
        for _ in range(take(5) + 1):  # operating points
            take(12)
            if take(5) > 7:
                take(1)
            if delay_bits and take(1):
                take(2 * delay_bits + 1)
            if delays and take(1):
                take(4)
    across, down = take(4) + 1, take(4) + 1
    return take(across) + 1, take(down) + 1


def _skip_exponential(bits: _Bits) -> None:
    zeros = 0
    while zeros < 32 and not bits.take(1):
        zeros += 1
    bits.take(zeros)
