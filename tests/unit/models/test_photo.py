"""Bytes to Photo: every format and mode, orientation, scales, limits, damage of every kind."""

import errno
import io
import struct
import threading
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from models import containers, exif, jpeg
from models.formats import FORMATS, recognise
from models.photo import (
    EmptyImage,
    Header,
    ImageTooLarge,
    Limits,
    Photo,
    PhotoError,
    Region,
    UndecodableImage,
    UnsupportedFormat,
    around,
    clip_box,
    decode,
    fitted,
    framed,
    read_header,
    whole,
)

LIMITS = Limits()
PILLOW = {"HEIC": "HEIF"}
Pixels = NDArray[np.uint8]


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, PILLOW.get(format, format), **options)
    return out.getvalue()


def read(data: bytes, scale: float = 1.0, limits: Limits = LIMITS) -> Photo:
    return decode(data, read_header(data, limits), scale)


def smooth(width: int = 96, height: int = 64) -> Image.Image:
    """A picture no codec has trouble with: soft colours that differ in all four corners."""
    corners = np.array([[[220, 40, 40], [40, 180, 60]], [[50, 60, 210], [230, 210, 60]]], dtype=np.uint8)
    return Image.fromarray(corners).resize((width, height), Image.Resampling.BICUBIC)


def corners(pixels: Pixels) -> list[tuple[int, int, int]]:
    inset = [pixels[y, x] for y, x in ((2, 2), (2, -3), (-3, 2), (-3, -3))]
    return [(int(r), int(g), int(b)) for r, g, b in inset]


def difference(pixels: Pixels, image: Image.Image) -> float:
    return float(np.abs(pixels.astype(int) - np.asarray(image.convert("RGB")).astype(int)).mean())


@contextmanager
def allocating_at_most(limit: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < limit
    finally:
        tracemalloc.stop()


def with_orientation(value: int) -> Image.Exif:
    data = Image.Exif()
    data[exif.ORIENTATION] = value
    return data


LOSSLESS: dict[str, dict[str, object]] = {
    "JPEG": {"quality": 98, "subsampling": 0},
    "PNG": {},
    "WEBP": {"lossless": True},
    "GIF": {},
    "BMP": {},
    "TIFF": {},
    "AVIF": {"quality": 95},
    "HEIC": {"quality": 95},
}


# ---- formats


@pytest.mark.parametrize("format", FORMATS)
def test_reads_each_format(format: str) -> None:
    image = smooth()
    data = encoded(image, format, **LOSSLESS[format])
    header = read_header(data, LIMITS)
    assert header == Header(96, 64, format)
    photo = decode(data, header)
    assert photo.header is header
    assert photo.pixels.shape == (64, 96, 3)
    assert photo.pixels.dtype == np.uint8
    assert difference(photo.pixels, image) < (8 if format == "GIF" else 3)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 1), (3, 2)])
def test_reads_tiny_photos(format: str, size: tuple[int, int]) -> None:
    photo = read(encoded(Image.new("RGB", size, (10, 200, 30)), format, **LOSSLESS[format]))
    assert photo.pixels.shape == (size[1], size[0], 3)
    assert np.abs(photo.pixels.astype(int) - (10, 200, 30)).max() < 12


@pytest.mark.parametrize("format", FORMATS)
def test_the_content_alone_decides_the_format(format: str) -> None:
    assert recognise(encoded(smooth(), format)) == format


def test_mpo_is_reported_as_jpeg_and_the_first_picture_read() -> None:
    data = encoded(smooth(), "MPO", save_all=True, append_images=[Image.new("RGB", (50, 40), "white")])
    header = read_header(data, LIMITS)
    assert header == Header(96, 64, "JPEG")
    assert difference(decode(data, header).pixels, smooth()) < 4


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "AVIF"])
def test_of_an_animation_the_first_frame_is_read(format: str) -> None:
    first, second = smooth(), Image.new("RGB", (96, 64), "black")
    data = encoded(first, format, save_all=True, append_images=[second], duration=100)
    photo = read(data)
    assert photo.header.format == format
    assert difference(photo.pixels, first) < 8


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"])
def test_of_a_tiff_the_first_page_is_read_whatever_its_compression(compression: str) -> None:
    data = encoded(smooth(), "TIFF", save_all=True, append_images=[Image.new("RGB", (10, 10))], compression=compression)
    photo = read(data)
    assert (photo.header.width, photo.header.height) == (96, 64)
    assert difference(photo.pixels, smooth()) < 4


def test_a_tiff_is_read_in_both_byte_orders() -> None:
    pixels = bytes(range(12))
    for order, magic in (("<", b"II*\0"), (">", b"MM\0*")):
        tags = [(256, 4, 2), (257, 4, 2), (258, 3, 8), (259, 3, 1), (262, 3, 2), (273, 4, 8), (277, 3, 3), (278, 4, 2)]
        tags.append((279, 4, 12))
        entries = b"".join(
            struct.pack(order + "HHI", tag, kind, 1) + struct.pack(order + ("I" if kind == 4 else "Hxx"), value)
            for tag, kind, value in tags
        )
        data = magic + struct.pack(order + "I", 20) + pixels + struct.pack(order + "H", len(tags)) + entries + bytes(4)
        assert read(data).pixels.tobytes() == pixels


def test_progressive_and_gray_jpeg() -> None:
    assert difference(read(encoded(smooth(), "JPEG", progressive=True, quality=95)).pixels, smooth()) < 4
    gray = smooth().convert("L")
    photo = read(encoded(gray, "JPEG", quality=95))
    assert photo.pixels.shape == (64, 96, 3)
    assert difference(photo.pixels, gray) < 3


# ---- modes


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_cmyk_is_not_inverted(format: str) -> None:
    image = smooth().convert("CMYK")
    options = {"quality": 95} if format == "JPEG" else {}
    assert difference(read(encoded(image, format, **options)).pixels, image) < 5


@pytest.mark.parametrize("divisor", [1, 2, 4, 8])
def test_cmyk_jpeg_is_scaled_too(divisor: int) -> None:
    photo = read(encoded(smooth(160, 80).convert("CMYK"), "JPEG"), 1 / divisor)
    assert photo.pixels.shape == (80 // divisor, 160 // divisor, 3)
    assert difference(photo.pixels, smooth(160, 80).resize((160 // divisor, 80 // divisor))) < 9


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "LA", "RGBA"])
def test_each_mode_of_png(mode: str) -> None:
    image = smooth().convert(mode)
    assert difference(read(encoded(image, "PNG")).pixels, image) == 0


def test_alpha_is_laid_over_white() -> None:
    image = smooth().convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    white = Image.new("RGBA", image.size, "white")
    expected = Image.alpha_composite(white, image)
    for format in ("PNG", "TIFF", "WEBP"):
        pixels = read(encoded(image, format, **LOSSLESS[format])).pixels
        assert difference(pixels, expected) < 1
    clear = Image.new("RGBA", (8, 8), (200, 0, 0, 0))
    assert (read(encoded(clear, "PNG")).pixels == 255).all()
    for format in ("AVIF", "HEIC"):
        assert read(encoded(clear.resize((64, 64)), format)).pixels.min() > 250


def test_gray_with_alpha_is_laid_over_white() -> None:
    image = Image.new("LA", (4, 4), (0, 0))
    image.putpixel((0, 0), (80, 255))
    pixels = read(encoded(image, "PNG")).pixels
    assert pixels[0, 0].tolist() == [80, 80, 80]
    assert (pixels[1:] == 255).all()


@pytest.mark.parametrize("format", ["PNG", "GIF"])
def test_transparent_palette_colours_turn_white(format: str) -> None:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((0, 0), 0)
    pixels = read(encoded(image, format, transparency=1)).pixels
    assert pixels[0, 0].tolist() == [255, 0, 0]
    assert (pixels[1:] == 255).all()


def test_palette_alpha_of_several_degrees() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([0, 0, 0, 0, 0, 0])
    image.putpixel((1, 0), 1)
    pixels = read(encoded(image, "PNG", transparency=bytes([255, 128]))).pixels
    assert pixels[0, 0].tolist() == [0, 0, 0]
    assert pixels[0, 1].tolist() == [127, 127, 127]


def test_a_transparent_colour_of_rgb_turns_white() -> None:
    image = Image.new("RGB", (3, 1), (9, 9, 9))
    image.putpixel((0, 0), (1, 2, 3))
    pixels = read(encoded(image, "PNG", transparency=(1, 2, 3))).pixels
    assert pixels[0].tolist() == [[255] * 3, [9] * 3, [9] * 3]


def ramp16() -> NDArray[np.uint16]:
    return np.linspace(0, 65535, 256, dtype=np.uint16).reshape(16, 16)


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_16_bit_gray_is_scaled_not_clipped(format: str) -> None:
    pixels = read(encoded(Image.fromarray(ramp16()), format)).pixels
    assert np.array_equal(pixels[..., 0], (ramp16() >> 8).astype(np.uint8))
    assert np.array_equal(pixels[..., 0], pixels[..., 2])


def test_16_bit_gray_of_the_other_byte_order_and_in_wider_words() -> None:
    expected = (ramp16() >> 8).astype(np.uint8)
    big = encoded(Image.fromarray(ramp16().astype(">u2")), "TIFF")
    assert np.array_equal(read(big).pixels[..., 1], expected)
    wide = encoded(Image.fromarray(ramp16().astype(np.int32)), "TIFF")
    assert np.array_equal(read(wide).pixels[..., 1], expected)


def test_16_bit_gray_with_a_transparent_value() -> None:
    data = encoded(Image.fromarray(np.array([[300, 301]], dtype=np.uint16)), "PNG", transparency=300)
    assert read(data).pixels[..., 0].tolist() == [[255, 1]]


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(width: int, height: int, depth: int, color: int, rows: bytes, *more: bytes) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(more) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_16_bit_rgb_and_rgba_png() -> None:
    row = struct.pack(">6H", 65535, 32768, 0, 256, 512, 40000)
    assert read(png(2, 1, 16, 2, b"\0" + row)).pixels.tolist() == [[[255, 128, 0], [1, 2, 156]]]
    row = struct.pack(">8H", 65535, 32768, 0, 65535, 0, 0, 0, 0)
    assert read(png(2, 1, 16, 6, b"\0" + row)).pixels.tolist() == [[[255, 128, 0], [255, 255, 255]]]
    row = struct.pack(">4H", 32768, 65535, 0, 0)
    assert read(png(2, 1, 16, 4, b"\0" + row)).pixels.tolist() == [[[128] * 3, [255] * 3]]


def tagged(data: bytes, tag: int, value: int) -> bytes:
    """A little-endian TIFF with one SHORT of its first directory changed."""
    entry = next(entry for entry in exif.entries(data) if entry.tag == tag)
    return data[: entry.offset] + struct.pack("<H", value) + data[entry.offset + 2 :]


def test_16_bit_gray_where_zero_is_white() -> None:
    data = tagged(encoded(Image.fromarray(ramp16()), "TIFF"), 262, 0)
    assert np.array_equal(read(data).pixels[..., 0], 255 - (ramp16() >> 8).astype(np.uint8))


def test_12_bit_gray() -> None:
    packed = bytes([0xFF, 0xF8, 0x00])  # 4095 and 2048
    data = encoded(Image.fromarray(np.zeros((1, 2), dtype=np.uint16)), "TIFF")
    strip = next(entry for entry in exif.entries(data) if entry.tag == 273)
    at = exif.integer(data, strip) or 0
    data = tagged(tagged(data[:at] + packed + data[at + 3 :], 258, 12), 279, 3)
    assert read(data).pixels[..., 0].tolist() == [[255, 128]]


@pytest.mark.parametrize(
    "image",
    [
        Image.fromarray(np.ones((4, 4), dtype=np.float32)),
        Image.fromarray(np.full((4, 4), 2**30, dtype=np.int32)),
        Image.fromarray(np.full((4, 4), -5, dtype=np.int32)),
        Image.new("LAB", (4, 4)),
    ],
)
def test_samples_without_a_known_range_are_refused_with_advice(image: Image.Image) -> None:
    with pytest.raises(UndecodableImage, match="Save it"):
        read(encoded(image, "TIFF"))


# ---- orientation

PLACES = {1: "abcd", 2: "badc", 3: "dcba", 4: "cdab", 5: "acbd", 6: "cadb", 7: "dbca", 8: "bdac"}


def quarters() -> Image.Image:
    pixels = np.empty((32, 48, 3), dtype=np.uint8)
    for place, color in zip("abcd", ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)), strict=True):
        down, right = divmod("abcd".index(place), 2)
        pixels[16 * down : 16 * down + 16, 24 * right : 24 * right + 24] = color
    return Image.fromarray(pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIC"])
@pytest.mark.parametrize("as_bytes", [False, True])
def test_orientation_is_undone(format: str, orientation: int, as_bytes: bool) -> None:
    # Given bytes, pillow-heif writes a turn of the container's own beside the EXIF; given an object, EXIF alone.
    data = with_orientation(orientation)
    photo = read(encoded(quarters(), format, **LOSSLESS[format], exif=data.tobytes() if as_bytes else data))
    assert photo.header.exif_orientation == orientation
    size = (48, 32) if orientation < 5 else (32, 48)
    assert (photo.header.width, photo.header.height) == size
    assert photo.pixels.shape == (size[1], size[0], 3)
    source = dict(zip("abcd", ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)), strict=True))
    expected = np.array([source[place] for place in PLACES[orientation]])
    assert np.abs(np.array(corners(photo.pixels)) - expected).max() < 30


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_undone_on_scaled_pixels_as_pillow_does(orientation: int) -> None:
    from PIL import ImageOps

    data = encoded(smooth(200, 104), "JPEG", exif=with_orientation(orientation))
    pixels = read(data, 0.25).pixels
    with Image.open(io.BytesIO(data)) as image:
        image.draft("RGB", (50, 26))
        expected = np.asarray(ImageOps.exif_transpose(image))
    assert np.array_equal(pixels, expected)


@pytest.mark.parametrize("value", [0, 9, 65535])
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_an_unknown_orientation_is_none(format: str, value: int) -> None:
    photo = read(encoded(quarters(), format, exif=with_orientation(value)))
    assert photo.header.exif_orientation == 1
    assert photo.pixels.shape == (32, 48, 3)


@pytest.mark.parametrize(
    "damaged",
    [
        b"Exif\0\0",
        b"Exif\0\0II*\0",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0garbage garbage garbage",
        b"Exif\0\0II*\0\x08\0\0\0\xff\xff",
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\xff\xff\xff\xff\xff\xff\xff\xff",
        b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\x00\x07\0\0\0\x01\0\x06\0\0",
        b"Exif\0\0" + b"\xff" * 60_000,
    ],
)
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_damaged_exif_is_ignored(format: str, damaged: bytes) -> None:
    photo = read(encoded(quarters(), format, exif=damaged))
    assert photo.header == Header(48, 32, format, 1)
    assert difference(photo.pixels, quarters()) < 12


def test_megabytes_of_exif_cost_nothing() -> None:
    many = b"MM\0*\0\0\0\x08\xff\xff" + b"\x01\x00\x00\x03\xff\xff\xff\xff\0\0\0\0" * 65535
    data = png(1, 1, 8, 2, b"\0abc", chunk(b"eXIf", many + bytes(8_000_000)))
    with allocating_at_most(12_000_000):
        assert read_header(data, LIMITS) == Header(1, 1, "PNG", 1)


# ---- scales


@pytest.mark.parametrize(
    ("scale", "divisor"),
    [(1.0, 1), (0.99, 1), (0.51, 1), (0.5, 2), (0.3, 2), (0.25, 4), (0.13, 4), (0.125, 8), (0.001, 8), (3.0, 1)],
)
@pytest.mark.parametrize("size", [(160, 120), (157, 121), (9, 9), (1, 1), (7, 3)])
def test_jpeg_is_decoded_at_the_next_finer_step(scale: float, divisor: int, size: tuple[int, int]) -> None:
    image = smooth(*size)
    header = read_header(data := encoded(image, "JPEG", quality=95), LIMITS)
    photo = decode(data, header, scale)
    assert photo.pixels.shape == (-(-size[1] // divisor), -(-size[0] // divisor), 3)
    assert photo.pixels.shape[0] >= min(1, scale) * size[1]
    assert (photo.header.width, photo.header.height) == size


def test_a_progressive_jpeg_is_scaled_alike() -> None:
    plain, progressive = (read(encoded(smooth(), "JPEG", progressive=way), 0.25).pixels for way in (False, True))
    assert np.array_equal(plain, progressive)


@pytest.mark.parametrize("format", [format for format in FORMATS if format != "JPEG"])
def test_other_formats_come_at_full_size(format: str) -> None:
    assert read(encoded(smooth(), format), 0.25).pixels.shape == (64, 96, 3)


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan")])
def test_a_scale_that_is_none_is_the_callers_mistake(scale: float) -> None:
    with pytest.raises(ValueError, match="scale"):
        read(encoded(smooth(), "JPEG"), scale)


def odd_jpeg(luma_blocks: int) -> bytes:
    """16 x 8 pixels of plain gray with a chroma layout TurboJPEG does not know: Cb twice as wide as Y and Cr."""
    data = encoded(Image.new("RGB", (16, 8), (128, 128, 128)), "JPEG", subsampling=0)
    frame = data.index(b"\xff\xc0")
    data = data[: frame + 14] + b"\x21" + data[frame + 15 :]
    scan = data.index(b"\xff\xda")
    bits = "001010" * luma_blocks + "0000" * 3  # a difference of 0 and the end of the block, by the standard tables
    bits += "1" * (-len(bits) % 8)
    return data[: scan + 14] + int(bits, 2).to_bytes(len(bits) // 8, "big") + b"\xff\xd9"


def test_unusual_chroma_layouts_are_read() -> None:
    data = odd_jpeg(1)
    assert (read(data).pixels == 128).all()
    assert read(data).pixels.shape == (8, 16, 3)
    assert read(data, 0.5).pixels.shape == (4, 8, 3)
    with pytest.raises(UndecodableImage, match="ends early"):
        read(data[:-3])


def test_decoding_lets_other_threads_run() -> None:
    data = encoded(Image.effect_noise((2400, 1800), 60).convert("RGB"), "JPEG")
    header = read_header(data, LIMITS)
    photos: list[Photo] = []
    threads = [threading.Thread(target=lambda: photos.append(decode(data, header))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(photos) == 4
    assert all(np.array_equal(photo.pixels, photos[0].pixels) for photo in photos)


# ---- limits


def bomb(side: int) -> bytes:
    """A PNG of side x side pixels in a few kilobytes; its rows are all zero."""
    packer = zlib.compressobj(9)
    row = bytes(1 + side // 8)
    packed = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def resident() -> int:
    with Path("/proc/self/status").open() as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024


@pytest.mark.parametrize("side", [13_000, 20_000])
def test_bombs_are_refused_from_the_header(side: int) -> None:
    data = bomb(side)
    assert len(data) < 100_000
    before = resident()
    says = f"{side} x {side} pixels. Send at most 60 megapixels and 16384"
    with allocating_at_most(1_000_000), pytest.raises(ImageTooLarge, match=says):
        read_header(data, LIMITS)
    assert resident() - before < 30_000_000


@pytest.mark.parametrize("format", FORMATS)
def test_pixels_and_sides_are_limited_in_each_format(format: str) -> None:
    data = encoded(smooth(96, 64), format)
    assert read_header(data, Limits(max_pixels=96 * 64, max_side=96)).width == 96
    with pytest.raises(ImageTooLarge, match="96 x 64"):
        read_header(data, Limits(max_pixels=96 * 64 - 1))
    with pytest.raises(ImageTooLarge, match="95 pixels a side"):
        read_header(data, Limits(max_side=95))


def test_pillows_own_guard_stays_out_of_the_way() -> None:
    for side in (13_000, 20_000):
        header = read_header(bomb(side), Limits(max_pixels=side * side, max_side=side))
        assert header == Header(side, side, "PNG")


def test_a_jpeg_header_of_the_largest_size_is_too_large_not_damaged() -> None:
    data = bytearray(encoded(smooth(), "JPEG"))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = b"\xff\xff\xff\xff"
    with pytest.raises(ImageTooLarge, match="65535 x 65535"):
        read_header(bytes(data), LIMITS)


def test_a_webp_canvas_is_limited_before_it_exists() -> None:
    data = encoded(smooth(), "WEBP", save_all=True, append_images=[Image.new("RGB", (96, 64))])
    assert data[12:16] == b"VP8X"
    with pytest.raises(ImageTooLarge, match="16777216 x 16777216"):
        read_header(data[:24] + b"\xff" * 6 + data[30:], LIMITS)


def test_a_gif_frame_larger_than_its_screen_counts() -> None:
    data = bytearray(encoded(Image.new("P", (8, 8)), "GIF"))
    frame = data.index(b",\0\0\0\0\x08\0\x08\0")
    data[frame + 5 : frame + 9] = b"\xff\xff\xff\xff"
    with pytest.raises(ImageTooLarge, match="65535 x 65535"):
        read_header(bytes(data), LIMITS)


def little_tiff(*tags: tuple[int, int, int, int]) -> bytes:
    entries = b"".join(struct.pack("<HHII", *tag) for tag in sorted(tags))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + bytes(4)


TINY_TIFF = [(256, 4, 1, 10), (257, 4, 1, 10), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1), (277, 3, 1, 1)]


def test_a_tiffs_tile_counts_as_pixels() -> None:
    data = little_tiff(*TINY_TIFF, (322, 4, 1, 60_000), (323, 4, 1, 60_000), (324, 4, 1, 8), (325, 4, 1, 8))
    with pytest.raises(ImageTooLarge, match="tiles"):
        read_header(data, LIMITS)


def test_a_tiffs_endless_lists_are_refused_unread() -> None:
    data = little_tiff(*TINY_TIFF, (273, 4, 8_000_000, 200)) + bytes(32_000_200)
    with allocating_at_most(1_000_000), pytest.raises(UndecodableImage, match="damaged"):
        read_header(data, LIMITS)


def test_what_only_describes_a_tiff_is_never_parsed() -> None:
    plain = encoded(smooth(), "TIFF")
    (at,) = struct.unpack_from("<I", plain, 4)
    (count,) = struct.unpack_from("<H", plain, at)
    entries = plain[at + 2 : at + 2 + 12 * count] + struct.pack("<HHII", 0x9C9B, 3, 2**30, 50)
    data = plain[:4] + struct.pack("<I", len(plain)) + plain[8:] + struct.pack("<H", count + 1) + entries + bytes(4)
    assert np.array_equal(read(data).pixels, np.asarray(smooth()))


@pytest.mark.parametrize("name", [b"iCCP", b"zTXt"])
def test_compressed_texts_and_profiles_in_png_are_never_unpacked(name: bytes) -> None:
    content = b"name\0\0" + zlib.compress(bytes(300_000_000), 1)
    data = png(1, 1, 8, 2, b"\0abc", chunk(name, content))
    with allocating_at_most(10_000_000):
        assert read(data).pixels.tolist() == [[[97, 98, 99]]]


def test_png_of_a_million_chunks_is_refused() -> None:
    head = png(1, 1, 8, 2, b"\0abc")[:33]
    with pytest.raises(UndecodableImage, match="damaged"):
        read_header(head + chunk(b"abCd", b"") * (containers.MAX_CHUNKS + 1), LIMITS)


def test_jpeg_of_endless_segments_is_refused() -> None:
    with pytest.raises(UndecodableImage, match="damaged"):
        read_header(b"\xff\xd8" + b"\xff\xe5\0\x02" * (jpeg.MAX_SEGMENTS + 1) + bytes(4), LIMITS)


def test_jpeg_of_endless_scans_is_refused() -> None:
    data = encoded(smooth(), "JPEG", progressive=True)
    scan = data.rindex(b"\xff\xda")
    many = data[:-2] + data[scan:-2] * jpeg.MAX_SCANS + b"\xff\xd9"
    header = read_header(many, LIMITS)
    with pytest.raises(UndecodableImage, match="scans"):
        decode(many, header)


def test_bytes_that_look_like_scans_in_metadata_are_none() -> None:
    data = encoded(smooth(), "JPEG", comment=b"\xff\xda" * 500)
    assert read(data + b"\xff\xda" * 500).pixels.shape == (64, 96, 3)


# ---- what is refused


def test_no_bytes() -> None:
    with pytest.raises(EmptyImage, match="no bytes") as caught:
        read_header(b"", LIMITS)
    assert caught.value.code == "empty_image"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"not a photo", "This is text"),
        (b"BMW 320d, damaged at the front left", "This is text"),
        (b"PK\x03\x04" + bytes(100), "ZIP archive"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b"<!DOCTYPE html><html></html>", "HTML"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "PostScript"),
        (b"\xc5\xd0\xd3\xc6" + bytes(40), "PostScript"),
        (b"%PDF-1.7\n", "PDF"),
        (b"8BPS\0\x01" + bytes(40), "Photoshop"),
        (b"\0\0\x01\0" + bytes(40), "icon"),
        (b"\x1f\x8b\x08" + bytes(40), "gzip"),
        (b"II+\0" + bytes(40), "BigTIFF"),
        (b"\0\0\0\x18ftypmp42" + bytes(20), "video"),
        (b"\xff\x0a" + bytes(40), "JPEG XL"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"\xff", "not a photo"),
        (bytes(1000), "not a photo"),
        ("größer".encode(), "not a photo"),
    ],
)
def test_formats_that_are_not_read(data: bytes, says: str) -> None:
    with pytest.raises(UnsupportedFormat, match=says) as caught:
        read_header(data, LIMITS)
    assert caught.value.code == "unsupported_media_type"
    assert "Send the photo as JPEG, PNG" in str(caught.value)


@pytest.mark.parametrize("format", ["EPS", "PDF", "ICO", "PPM", "TGA", "PCX", "SGI", "JPEG2000", "DDS", "ICNS"])
def test_what_pillow_could_open_and_we_do_not(format: str) -> None:
    with pytest.raises(UnsupportedFormat):
        read_header(encoded(smooth(64, 64), format), LIMITS)


@pytest.mark.parametrize("tags", [[(50706, 1, 4, 1)], [(254, 4, 1, 1)]])
def test_raw_files_of_cameras_are_not_taken_for_their_thumbnails(tags: list[tuple[int, int, int, int]]) -> None:
    with pytest.raises(UnsupportedFormat, match="raw file"):
        read_header(little_tiff(*TINY_TIFF, *tags), LIMITS)


@pytest.mark.parametrize("code", ["empty_image", "unsupported_media_type", "image_too_large", "undecodable_image"])
def test_each_code_has_its_error(code: str) -> None:
    assert code in {kind.code for kind in (EmptyImage, UnsupportedFormat, ImageTooLarge, UndecodableImage)}


# ---- damage


CUT = [(format, mode) for format in FORMATS for mode in ("RGB", "L")] + [("JPEG", "CMYK"), ("JPEG", "progressive")]


@pytest.mark.parametrize(("format", "mode"), CUT)
def test_cut_anywhere_it_is_an_error_or_the_whole_picture(format: str, mode: str) -> None:
    image = smooth().convert("RGB" if mode == "progressive" else mode)
    options = {"progressive": True} if mode == "progressive" else {}
    data = encoded(image, format, **options)
    complete = read(data).pixels
    said = []
    for length in {*range(1, len(data), max(1, len(data) // 150)), *range(max(1, len(data) - 30), len(data))}:
        try:
            photo = read(data[:length])
        except PhotoError as error:
            said.append(str(error))
        else:
            assert np.array_equal(photo.pixels, complete), f"{length} of {len(data)} bytes gave another picture"
    assert len(said) > 100
    assert sum("ends early" in sentence for sentence in said) > len(said) / 2


def test_a_jpeg_with_a_hole_is_an_error_even_when_its_end_is_there() -> None:
    data = encoded(smooth(320, 240), "JPEG", quality=95)
    with pytest.raises(UndecodableImage, match=r"The JPEG data ends early\. Send the whole file\."):
        read(data[: len(data) // 2] + b"\xff\xd9")


def test_a_jpeg_with_something_behind_its_end_is_read() -> None:
    data = encoded(smooth(), "JPEG")
    assert np.array_equal(read(data + b"\0" * 1000 + b"more").pixels, read(data).pixels)


@pytest.mark.parametrize("format", FORMATS)
def test_garbage_after_the_first_bytes(format: str) -> None:
    data = encoded(smooth(), format)
    with pytest.raises((UndecodableImage, ImageTooLarge, UnsupportedFormat)):
        read(data[:20] + bytes(range(256)) * 8)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "BMP", "GIF", "TIFF"])
def test_zero_size(format: str) -> None:
    data = encoded(Image.new("RGB", (7, 5)), format)
    if format == "JPEG":
        at = data.index(b"\xff\xc0") + 5
        data = data[:at] + bytes(4) + data[at + 4 :]
    elif format == "TIFF":
        data = tagged(data, 256, 0)
    else:
        needle = {"PNG": struct.pack(">II", 7, 5), "BMP": struct.pack("<II", 7, 5), "GIF": struct.pack("<HH", 7, 5)}
        data = data.replace(needle[format], bytes(len(needle[format])))
    with pytest.raises(UndecodableImage):
        read(data)


def test_a_header_of_another_photo_is_noticed() -> None:
    for format in ("JPEG", "PNG", "HEIC"):
        with pytest.raises(UndecodableImage):
            decode(encoded(smooth(), format), Header(50, 40, format))


@pytest.mark.parametrize(
    "error",
    [
        OSError,
        SyntaxError,
        ValueError,
        struct.error,
        IndexError,
        KeyError,
        OverflowError,
        MemoryError,
        EOFError,
        zlib.error,
        RuntimeError,
        TypeError,
        AssertionError,
        UserWarning,
        SystemError,
    ],
)
def test_whatever_a_decoder_raises_becomes_undecodable(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    def broken(*_: object, **__: object) -> None:
        raise error("secret details")

    data = encoded(smooth(), "PNG")
    header = read_header(data, LIMITS)
    monkeypatch.setattr(Image, "open", broken)
    for call in (lambda: read_header(data, LIMITS), lambda: decode(data, header)):
        with pytest.raises(UndecodableImage, match="The PNG data is damaged") as caught:
            call()
        assert "secret" not in str(caught.value)


def test_the_machine_s_trouble_is_not_the_photo_s(monkeypatch: pytest.MonkeyPatch) -> None:
    def starved(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(Image, "open", starved)
    with pytest.raises(OSError, match="Too many"):
        read_header(encoded(smooth(), "PNG"), LIMITS)


VARIANTS: list[tuple[str, dict[str, object]]] = [
    ("JPEG", {"exif": with_orientation(6)}),
    ("JPEG", {"progressive": True}),
    ("PNG", {"exif": with_orientation(3)}),
    ("WEBP", {"exif": with_orientation(5)}),
    ("GIF", {}),
    ("BMP", {}),
    ("TIFF", {"compression": "tiff_lzw"}),
    ("TIFF", {"compression": "jpeg"}),
    ("TIFF", {}),
    ("AVIF", {"exif": with_orientation(8)}),
    ("HEIC", {"exif": with_orientation(8).tobytes()}),
]
SAMPLES = [
    *(encoded(smooth(24, 16), format, **options) for format, options in VARIANTS),
    encoded(smooth(24, 16).convert("CMYK"), "JPEG"),
    encoded(smooth(24, 16).convert("P"), "PNG"),
]

MUTATIONS = st.lists(st.tuples(st.integers(0, 10_000), st.binary(min_size=1, max_size=4)), min_size=1, max_size=8)


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(st.integers(0, len(SAMPLES) - 1), MUTATIONS, st.integers(0, 400))
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_hostile_bytes_raise_photo_errors_alone(sample: int, mutations: list[tuple[int, bytes]], cut: int) -> None:
    data = bytearray(SAMPLES[sample])
    for place, replacement in mutations:
        at = place % len(data)
        data[at : at + len(replacement)] = replacement
    if cut < 100:
        del data[-cut:]
    limits = Limits(max_pixels=1_000_000, max_side=4096)
    try:
        header = read_header(bytes(data), limits)
        photo = decode(bytes(data), header, 0.5)
    except PhotoError:
        pass
    else:
        assert photo.pixels.ndim == 3
        assert photo.pixels.dtype == np.uint8
        assert photo.pixels.shape[0] * photo.pixels.shape[1] <= limits.max_pixels


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(st.sampled_from([data[:size] for data in SAMPLES for size in (4, 12, 30)]), st.binary(max_size=200))
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_any_bytes_behind_a_signature(start: bytes, rest: bytes) -> None:
    with pytest.raises(PhotoError):
        read(start + rest)


# ---- regions


def photo_of(pixels: Pixels, full: tuple[int, int] | None = None) -> Photo:
    width, height = full or (pixels.shape[1], pixels.shape[0])
    return Photo(Header(width, height, "PNG"), pixels)


def test_resized_is_what_pillow_makes_of_the_whole_photo() -> None:
    image = Image.effect_noise((300, 200), 80).convert("RGB")
    photo = photo_of(np.asarray(image))
    for box in ((0, 0, 300, 200), (10, 20, 110, 90), (0.5, 3.25, 299.75, 77.5), (290, 190, 300, 200), (5, 5, 6, 6)):
        for size in ((64, 64), (300, 200), (7, 90), (1, 1)):
            expected = image.resize(size, Image.Resampling.BILINEAR, box=box)
            found = photo.resized(Region(*box), *size)
            assert found.shape == (size[1], size[0], 3)
            assert np.array_equal(found, np.asarray(expected))


def test_resized_answers_with_memory_of_its_own() -> None:
    pixels = np.zeros((8, 8, 3), dtype=np.uint8)
    found = photo_of(pixels).resized(Region(0, 0, 8, 8), 8, 8)
    found[:] = 9
    assert pixels.max() == 0


def test_a_region_is_in_full_size_pixels_however_small_the_photo_was_decoded() -> None:
    data = encoded(smooth(400, 240), "JPEG", quality=95)
    region = Region(100, 40, 300, 200)
    full, half, eighth = (read(data, scale).resized(region, 25, 20).astype(int) for scale in (1.0, 0.5, 0.125))
    assert np.abs(full - half).mean() < 1.5
    assert np.abs(full - eighth).mean() < 4


def test_resized_of_a_turned_photo() -> None:
    photo = read(encoded(quarters(), "PNG", exif=with_orientation(6)))
    assert photo.resized(Region(2, 2, 12, 20), 2, 2).tolist() == [[[0, 0, 255]] * 2] * 2
    assert photo.resized(Region(20, 28, 30, 46), 2, 2).tolist() == [[[0, 255, 0]] * 2] * 2


@pytest.mark.parametrize(
    "region",
    [
        Region(3, 3, 3, 3),
        Region(2.2, 2.2, 2.3, 2.3),
        Region(0, 0, 0, 0),
        Region(8, 8, 8, 8),
        Region(-50, -50, -40, -40),
        Region(90, 90, 99, 99),
        Region(5, 5, 4, 4),
        Region(-1e30, -1e30, 1e30, 1e30),
    ],
)
def test_degenerate_regions_still_give_pixels(region: Region) -> None:
    pixels = np.full((8, 8, 3), 77, dtype=np.uint8)
    assert (photo_of(pixels).resized(region, 4, 4) == 77).all()
    assert (photo_of(pixels[:1, :1], (8, 8)).resized(region, 4, 4) == 77).all()


@pytest.mark.parametrize("edge", [float("nan"), float("inf")])
def test_a_region_without_edges_is_the_callers_mistake(edge: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        photo_of(np.zeros((8, 8, 3), dtype=np.uint8)).resized(Region(0, 0, edge, 8), 4, 4)


HEADER = Header(400, 300, "JPEG")


@pytest.mark.parametrize(
    ("box", "left"),
    [
        ((10, 20, 30, 40), (10, 20, 30, 40)),
        ((-10, -20, 30, 40), (0, 0, 30, 40)),
        ((390, 290, 900, 900), (390, 290, 400, 300)),
        ((-1e9, -1e9, float("inf"), 1e9), (0, 0, 400, 300)),
        ((1.5, 2.5, 1.75, 2.75), (1.5, 2.5, 1.75, 2.75)),
    ],
)
def test_a_box_is_cut_to_the_photo(
    box: tuple[float, float, float, float], left: tuple[float, float, float, float]
) -> None:
    assert clip_box(*box, HEADER) == Region(*left, source="box")


@pytest.mark.parametrize(
    "box",
    [
        (30, 20, 10, 40),
        (10, 40, 30, 20),
        (10, 10, 10, 40),
        (400, 0, 500, 100),
        (-50, 0, 0, 100),
        (0, 300, 10, 310),
        (float("nan"), 0, 10, 10),
        (0, 0, 10, float("nan")),
    ],
)
def test_of_a_box_beside_the_photo_nothing_is_left(box: tuple[float, float, float, float]) -> None:
    assert clip_box(*box, HEADER) is None


def test_the_whole_photo() -> None:
    assert whole(HEADER) == Region(0, 0, 400, 300, "whole", None)


def test_importing_photo_opens_nothing_but_the_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    opened: Callable[..., Image.Image] = Image.open

    def watched(stream: io.BytesIO, formats: list[str]) -> Image.Image:
        asked.append(formats)
        return opened(stream, formats=formats)

    monkeypatch.setattr(Image, "open", watched)
    for format in FORMATS:
        read(encoded(smooth(), format))
    assert {name for formats in asked if isinstance(formats, list) for name in formats} == {
        "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF",
    }  # fmt: skip
    assert all(isinstance(formats, list) and len(formats) == 1 for formats in asked)


@pytest.mark.parametrize(
    ("region", "margin", "expected"),
    [
        (Region(20, 10, 40, 30), 0.0, (20, 10, 40, 30)),
        (Region(20, 10, 40, 30), 0.1, (18, 8, 42, 32)),
        (Region(0, 0, 50, 50), 0.2, (0, 0, 60, 50)),
        (Region(-50, -50, 500, 500), 0.0, (0, 0, 100, 50)),
    ],
)
def test_a_found_region_gets_a_margin(
    region: Region, margin: float, expected: tuple[float, float, float, float]
) -> None:
    found = around(replace(region, source="vehicle", score=0.4), margin, Header(100, 50, "JPEG"))
    assert found == Region(*expected, source="vehicle", score=0.4)


@pytest.mark.parametrize("region", [Region(200, 10, 240, 30), Region(9, 9, 9, 20), Region(float("nan"), 0, 9, 9)])
def test_a_region_outside_the_photo_is_none(region: Region) -> None:
    assert around(region, 0.1, Header(100, 50, "JPEG")) is None


@pytest.mark.parametrize(
    ("region", "size"),
    [
        (Region(0, 0, 100, 50), (32, 16)),
        (Region(0, 0, 20, 50), (12, 32)),
        (Region(10, 10, 60, 50), (32, 25)),
        (Region(0, 0, 100, 1), (32, 1)),
    ],
)
def test_a_letterbox_keeps_the_shape(region: Region, size: tuple[int, int]) -> None:
    pixels = np.full((50, 100, 3), 250, np.uint8)
    box = Photo(Header(100, 50, "JPEG"), pixels).letterboxed(region, 32, 32)
    assert fitted(region, 32, 32) == size
    assert box.shape == (32, 32, 3)
    assert (box[: size[1], : size[0]] == 250).all()
    assert (box[size[1] :] == 114).all()
    assert (box[:, size[0] :] == 114).all()


@pytest.mark.parametrize(
    ("box", "margin", "expected"),
    [
        ((10.0, 10, 60, 40), 0.0, (10, 10, 60, 40)),
        ((10.0, 10, 60, 40), 0.1, (5, 7, 65, 43)),
        ((0.0, 0, 100, 25), 0.0, None),  # half of it
        ((0.0, 0, 99, 25), 0.0, (0, 0, 99, 25)),
        ((20.0, 10, 80, 40), 0.2, None),  # with its margin
    ],
)
def test_a_photo_that_is_cut_to_its_vehicle_is_read_whole(
    box: tuple[float, float, float, float], margin: float, expected: tuple[int, ...] | None
) -> None:
    header = Header(100, 50, "JPEG")
    found = framed(Region(*box, source="vehicle", score=0.4), margin, header)
    assert found
    if expected is None:
        assert found == whole(header)
    else:
        assert (found.x1, found.y1, found.x2, found.y2, found.source, found.score) == (*expected, "vehicle", 0.4)


def test_a_region_beside_the_photo_frames_nothing() -> None:
    assert framed(Region(200, 0, 300, 50), 0.1, Header(100, 50, "JPEG")) is None
