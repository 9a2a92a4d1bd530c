"""The sizes of coded pictures, wherever in the file they lie and whatever the boxes around them say."""

import io
import struct

import pytest
from PIL import Image

from models import avif
from models.formats import ImageTooLarge, UndecodableImage
from models.photo import Limits, read_header


def encoded(mode: str = "RGB", **options: object) -> bytes:
    file = io.BytesIO()
    Image.new(mode, (70, 50)).save(file, "AVIF", speed=10, **options)
    return file.getvalue()


def box(name: bytes, *inside: bytes) -> bytes:
    data = b"".join(inside)
    return struct.pack(">I4s", 8 + len(data), name) + data


def located(method: int, *extents: tuple[int, int]) -> bytes:
    """A `meta` box with one item in these pieces."""
    pieces = b"".join(struct.pack(">II", *extent) for extent in extents)
    entry = struct.pack(">HHHH", 1, method, 0, len(extents)) + pieces
    return box(b"iloc", b"\1\0\0\0\x44\0", struct.pack(">H", 1), entry)


def bits(*fields: tuple[int, int]) -> bytes:
    """Values in so many bits each, as bytes."""
    text = "".join(format(value, f"0{width}b") for value, width in fields)
    return int(text.ljust(-(-len(text) // 8) * 8, "0"), 2).to_bytes(-(-len(text) // 8), "big")


def unit(payload: bytes) -> bytes:
    """A sequence header as a unit that tells its length."""
    return bytes([1 << 3 | 2, len(payload)]) + payload


SIZE = ((12, 4), (11, 4), (5000 - 1, 13), (4000 - 1, 12))
SHORT = unit(bits((0, 3), (1, 1), (1, 1), (5, 5), *SIZE))
PLAIN = unit(bits((0, 3), (0, 1), (0, 1), (0, 1), (0, 1), (0, 5), (0, 12), (9, 5), (0, 1), *SIZE))
FULL = unit(
    bits(
        *((0, 3), (0, 1), (0, 1)),
        *((1, 1), (1, 32), (25, 32), (1, 1), (0b00101, 5)),  # timing, whose last number takes five bits
        *((1, 1), (9, 5), (1, 32), (3, 5), (3, 5)),  # decoder model: delays of ten bits
        *((1, 1), (1, 5)),
        *((0, 12), (9, 5), (0, 1), (1, 1), (0, 21), (1, 1), (3, 4)),
        *((0, 12), (4, 5), (0, 1), (0, 1)),
        *SIZE,
    )
)


@pytest.mark.parametrize("sequence", [SHORT, PLAIN, FULL], ids=["short", "plain", "full"])
def test_every_form_of_a_sequence_header_is_read(sequence: bytes) -> None:
    data = box(b"ftyp", b"avif\0\0\0\0")
    place = len(data) + 8
    data += box(b"mdat", b"\x12\0" + sequence)
    data += box(b"meta", bytes(4), located(0, (place, 2 + len(sequence))))
    assert list(avif.sizes(data)) == [(5000, 4000)]


def test_pieces_are_put_together_and_data_in_the_box_itself_is_found() -> None:
    head = box(b"ftyp", b"avif\0\0\0\0") + box(b"mdat", SHORT)
    place = head.index(SHORT)
    data = head + box(b"meta", bytes(4), located(0, (place, 3), (place + 3, len(SHORT) - 3)))
    assert list(avif.sizes(data)) == [(5000, 4000)]
    data = box(b"ftyp", b"avif\0\0\0\0") + box(b"meta", bytes(4), located(1, (0, len(SHORT))), box(b"idat", SHORT))
    assert list(avif.sizes(data)) == [(5000, 4000)]


def test_a_second_picture_in_one_item_counts() -> None:
    small = unit(bits((0, 3), (1, 1), (1, 1), (5, 5), (3, 4), (3, 4), (9, 4), (9, 4)))
    data = box(b"ftyp", b"avif\0\0\0\0") + box(b"mdat", small, SHORT)
    data += box(b"meta", bytes(4), located(0, (24, len(small + SHORT))))
    assert list(avif.sizes(data)) == [(10, 10), (5000, 4000)]


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_what_an_encoder_writes_is_read(mode: str) -> None:
    assert set(avif.sizes(encoded(mode))) == {(70, 50)}
    assert len(list(avif.sizes(encoded(mode)))) == len(mode) - 2


def test_a_film_is_read() -> None:
    assert set(avif.sizes(encoded(save_all=True, append_images=[Image.new("RGB", (70, 50), "red")]))) == {(70, 50)}


def test_a_box_that_says_too_little_does_not_help() -> None:
    said = b"ispe\0\0\0\0" + struct.pack(">II", 70, 50)
    lying = encoded().replace(said, said[:8] + struct.pack(">II", 7, 5))
    with pytest.raises(ImageTooLarge, match="70 x 50"):
        read_header(lying, Limits(max_pixels=1000))


@pytest.mark.parametrize(
    "data",
    [
        box(b"meta", bytes(4), box(b"iloc", b"\1\0\0\0\x44\0", b"\xff\xff")),
        box(b"meta", bytes(4), struct.pack(">I4s", 4000, b"iloc")),
        box(b"meta", bytes(4), *[box(b"free")] * 20_000),
        box(b"meta", bytes(4), *[located(0, (0, 100_000))] * 50, bytes(8)),
        box(b"mdat", b"\x12\0" * 15_000) + box(b"meta", bytes(4), located(0, (8, 30_000))),
    ],
    ids=["items", "size", "boxes", "overlapping", "units"],
)
def test_boxes_made_to_be_expensive_are_damage(data: bytes) -> None:
    with pytest.raises(UndecodableImage):
        list(avif.sizes(data))
