"""Files that only seem to be photos, photos of every kind, and headers that lie: right answers or a 4xx, no memory."""

import base64
import io
import re
import struct
import zlib

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.faults.mutations import HEIGHT, WIDTH, drawn, exif, samples, saved
from tests.faults.process import Service
from tests.faults.test_bodies import flat
from tests.gateway import problem

PNG = saved(drawn(), "PNG")
LARGE = (413, "image_too_large")
DAMAGED = (422, "undecodable_image")
FOREIGN = (415, "unsupported_media_type")

LOSSY = 4.0
"""By how much, of 255, the mean of a channel may change where a format stores colours coarsely."""


def told(response: httpx.Response) -> tuple[list[float], tuple[int, int]]:
    """Channels' means and that of the left half; width and height."""
    assert response.status_code == 200, response.text
    result = response.json()["result"]
    return [*result["channels"], result["left"]], (result["width"], result["height"])


def alike(service: Service, data: bytes, plain: Image.Image, allowed: float = LOSSY) -> None:
    """The answer is that of the plain photo."""
    means, size = told(service.post(data))
    expected, whole = told(service.post(saved(plain, "PNG")))
    assert size == whole
    assert means == pytest.approx(expected, abs=allowed)


def over_white(image: Image.Image) -> Image.Image:
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")


def looks(name: str) -> Image.Image:
    """What the sample of that name shows, in RGB."""
    if "alpha" in name or name == "webp-lossless":
        return over_white(drawn("RGBA"))
    if name == "png-palette":
        image = drawn("P")
        image.info["transparency"] = 3
        return over_white(image)
    if name.endswith("-16"):
        return Image.fromarray((np.asarray(drawn("I;16")) >> 8).astype(np.uint8)).convert("RGB")
    modes = {"gray": "L", "cmyk": "CMYK", "1": "1"}
    return drawn(modes.get(name.rpartition("-")[2], "RGB")).convert("RGB")


@pytest.mark.parametrize(("name", "data"), samples().items(), ids=samples())
def test_the_same_photo_in_every_format_gets_the_same_answer(service: Service, name: str, data: bytes) -> None:
    turned = {"jpeg-progressive", "png", "webp", "avif", "heic"}  # these say that they lie on their side
    plain = looks(name)
    alike(service, data, plain.transpose(Image.Transpose.ROTATE_270) if name in turned else plain, 8.0)


UNDONE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(10))
def test_every_orientation_is_undone(service: Service, format: str, orientation: int) -> None:
    undone = UNDONE.get(orientation)
    plain = drawn().transpose(undone) if undone is not None else drawn()
    alike(service, saved(drawn(), format, exif=exif(orientation)), plain)


ARITHMETIC = """
/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAMCAgMCAgMDAwMEAwMEBQgFBQQEBQoHBwYIDAoMDAsKCwsNDhIQDQ4RDgsLEBYQERMUFRUVDA8XGB
YUGBIUFRT/2wBDAQMEBAUEBQkFBQkUDQsNFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBT/yQARCAAM
ABADASIAAhEBAxEB/8wACgAQEAUBEBEF/9oADAMBAAIRAxEAPwD/AN1j0YPj/SuT8OxxkJs6mVhdOCtwheAiI10tpCNg588mTlx/w0bYmCAN3H
Aw/9k="""
TWELVE_BITS = """
/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAYEBQYFBAYGBQYHBwYIChAKCgkJChQODwwQFxQYGBcUFhYaHSUfGhsjHBYWICwgIyYnKSopGR8tMC
0oMCUoKSj/2wBDAQcHBwoIChMKChMoGhYaKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCj/wQARDAAM
ABADASIAAhEBAxEB/8QAFQABAQAAAAAAAAAAAAAAAAAACgv/xAAgEAAABAYDAAAAAAAAAAAAAAAACSZSAggKJTVCRNLh/8QAFQEBAQAAAAAAAA
AAAAAAAAAACAn/xAAjEQAABAMJAAAAAAAAAAAAAAAAAwdCAQoiAggJJCVBYWLS/9oADAMBAAIRAxEAPwCXWVxSpYhBs4ngX6VxSpYhBs4ngc6V
wXbLnaEazeDoF/FcF2y52hGs3g6CVN9PGwUPMUm7uh6B0ljpiJVdHpPY+zx3H//Z"""


def test_rare_ways_to_write_a_jpeg(service: Service) -> None:
    """The same gradient, arithmetic-coded, which is read, and with 12 bits a sample, which is not."""
    down, across = np.mgrid[:12, :16]
    plain = Image.fromarray(np.stack([across * 15, down * 20, 0 * down + 90], 2).astype(np.uint8))
    alike(service, base64.b64decode(ARITHMETIC), plain)
    assert problem(service.post(base64.b64decode(TWELVE_BITS))) == DAMAGED


def test_what_is_only_said_about_a_photo_costs_nothing(service: Service) -> None:
    huge = exif(1) + bytes(60_000)
    for data in (
        saved(drawn(), "JPEG", exif=huge, icc_profile=bytes(4_000_000), comment=b"c" * 60_000),
        saved(drawn(), "WEBP", exif=huge, xmp=bytes(1_000_000), lossless=True),
        saved(drawn(), "PNG", icc_profile=bytes(4_000_000)),
    ):
        with flat(service, 40):
            alike(service, data, drawn())


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", (400, "empty_image")),
        (b"\xff\xd8\xff", DAMAGED),
        (b"PK\x03\x04" + bytes(100), FOREIGN),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', FOREIGN),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", FOREIGN),
        (b"%PDF-1.7\n", FOREIGN),
        (b"<!doctype html><html></html>", FOREIGN),
        (b"GIF89a", DAMAGED),
        (bytes(1000), FOREIGN),
        (saved(drawn(), "PPM"), FOREIGN),
        (saved(drawn(), "ICO"), FOREIGN),
        (saved(drawn("1"), "TIFF", compression="group4"), FOREIGN),
        (b"\0\0\0\x18ftypisom\0\0\0\0isomiso2", FOREIGN),
    ],
)
def test_what_is_no_photo_is_told_so(service: Service, data: bytes, expected: tuple[int, str]) -> None:
    assert problem(service.post(data, headers={"Content-Type": "image/jpeg"})) == expected


@pytest.mark.parametrize("name", ["jpeg", "png", "webp", "gif", "bmp", "avif", "heic", "tiff-raw", "tiff-tiff_lzw"])
def test_a_photo_that_was_cut_short_is_never_answered(service: Service, name: str) -> None:
    data = samples()[name]
    for share in (0.1, 0.5, 0.9):
        assert problem(service.post(data[: int(len(data) * share)])) == DAMAGED, share


def test_one_pixel_is_a_photo(service: Service) -> None:
    for format in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"):
        means, size = told(service.post(saved(Image.new("RGB", (1, 1), (10, 200, 90)), format)))
        assert size == (1, 1)
        assert means[:3] == pytest.approx([10, 200, 90], abs=LOSSY)


@pytest.mark.parametrize("side", [13_000, 20_000])
def test_a_bomb_is_refused_from_its_header(service: Service, side: int) -> None:
    data = saved(Image.new("1", (side, side)), "PNG")
    assert len(data) < 60_000
    with flat(service, 20):
        assert problem(service.post(data)) == LARGE


def resized(name: str, data: bytes) -> bytes:
    """The file with 60,000 by 60,000, or the most it can say, in the place of its size."""
    size = struct.pack(">HH", HEIGHT, WIDTH)
    match name:
        case "jpeg":
            return data.replace(size, b"\xea\x60\xea\x60", 1)
        case "png":
            head = b"IHDR" + struct.pack(">II", 60_000, 60_000) + data[24:29]
            return data[:12] + head + struct.pack(">I", zlib.crc32(head)) + data[33:]
        case "webp":  # the canvas of an extended file
            return data.replace(
                struct.pack("<I", WIDTH - 1)[:3] + struct.pack("<I", HEIGHT - 1)[:3], b"\xff\x3f\0" * 2, 1
            )
        case "gif":
            return data.replace(struct.pack("<HH", WIDTH, HEIGHT), b"\xff\xff\xff\xff")
        case "bmp":
            return data[:18] + struct.pack("<ii", 60_000, 60_000) + data[26:]
        case "avif" | "heic":
            said = re.compile(rb"(ispe\x00{4}).{8}", re.DOTALL)
            return said.sub(lambda found: found[1] + struct.pack(">II", 60_000, 60_000), data)
        case _:  # TIFF: the entries of both tags, of either of two types
            for tag, value in ((256, WIDTH), (257, HEIGHT)):
                for type in (3, 4):
                    entry = struct.pack("<HHI", tag, type, 1)
                    data = data.replace(entry + struct.pack("<I", value), entry + struct.pack("<I", 60_000))
            return data


@pytest.mark.parametrize("name", ["jpeg", "png", "webp", "gif", "bmp", "avif", "heic", "tiff-raw", "tiff-jpeg"])
def test_a_header_that_says_too_much_is_believed_before_anything_is_allocated(service: Service, name: str) -> None:
    data = samples()[name]
    lying = resized(name, data)
    assert lying != data
    with flat(service, 20):
        assert problem(service.post(lying)) in ([LARGE, DAMAGED] if name in ("avif", "heic") else [LARGE])


@pytest.mark.parametrize(
    ("kind", "width", "height", "expected"), [("AVIF", 9000, 8000, LARGE), ("HEIF", 900, 800, DAMAGED)]
)
def test_a_container_that_says_too_little_is_found_out(
    service: Service, kind: str, width: int, height: int, expected: tuple[int, str]
) -> None:
    """The box says 100 by 100. AVIF's decoder would believe it and decode 72 megapixels; HEIC's own checks itself."""
    options = {"speed": 10} if kind == "AVIF" else {"quality": 1}
    data = saved(Image.new("RGB", (width, height), "gray"), kind, **options)
    said = b"ispe\0\0\0\0" + struct.pack(">II", width, height)
    assert said in data
    lying = data.replace(said, said[:8] + struct.pack(">II", 100, 100))
    with flat(service, 40):
        assert problem(service.post(lying)) == expected


def test_a_gif_of_one_byte_blocks_costs_no_more_than_its_bytes(service: Service) -> None:
    """30 MB of them: as one comment, as many, as an extension, and as the picture's own data."""
    plain = saved(drawn("P"), "GIF")
    at = plain.index(b",\0\0\0\0")
    blocks = b"\x01a" * 15_000_000
    with flat(service, 200):
        for block in (b"!\xfe" + blocks + b"\0", b"!\xfe\x01a\0" * 6_000_000, b"!\x01" + blocks + b"\0"):
            assert problem(service.post(plain[:at] + block + plain[at:])) == DAMAGED
        assert service.post(plain[: at + 11] + blocks + b"\0;").status_code in (200, 422)


def test_a_tiff_whose_lists_never_end_is_refused(service: Service) -> None:
    file = io.BytesIO(saved(drawn(), "TIFF"))
    data = file.getvalue()
    found = re.search(struct.pack("<HH", 273, 4) + rb"(....)", data, re.DOTALL)
    assert found
    endless = data[: found.start(1)] + struct.pack("<I", 7_000_000) + data[found.end(1) :] + bytes(28_100_000)
    with flat(service, 120):
        assert problem(service.post(endless))[0] in (413, 422)
