"""Photo files of every format, drawn here, and seeded damage to their bytes: what fuzzing feeds the service."""

import io
import random
from collections.abc import Iterator

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 48, 36
EDGES = (
    b"\0",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\xff\xff",
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\0\1\0\0",
)
"""Values at which length fields go wrong."""

HEAD = 400
"""Sizes, tables and boxes stand in the first bytes; half of the damage is done there."""


def drawn(mode: str = "RGB") -> Image.Image:
    """A picture that does not compress to nothing: a gradient with a pattern."""
    down, across = np.mgrid[:HEIGHT, :WIDTH]
    pixels = np.stack([across * 5, down * 7, (across * down) % 256], axis=2).astype(np.uint8)
    image = Image.fromarray(pixels)
    if mode == "I;16":
        return Image.fromarray((pixels[..., 0].astype(np.uint16) << 8) + pixels[..., 2])
    if mode in ("LA", "RGBA"):
        image.putalpha(Image.fromarray(pixels[..., 1]))
    return image.convert(mode)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.copy().save(file, kind, **options)
    return file.getvalue()


def exif(orientation: int = 6) -> bytes:
    tags = Image.Exif()
    tags[0x0112] = orientation
    tags[0x010E] = "a car"
    return tags.tobytes()


def samples() -> dict[str, bytes]:
    """At least one file of every format and of every way to write it that takes another way through a decoder."""
    plain, other = drawn(), drawn().transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    made = {
        "jpeg": saved(plain, "JPEG", quality=85),
        "jpeg-progressive": saved(plain, "JPEG", progressive=True, exif=exif()),
        "jpeg-gray": saved(drawn("L"), "JPEG"),
        "jpeg-cmyk": saved(drawn("CMYK"), "JPEG"),
        "jpeg-restarts": saved(plain, "JPEG", restart_marker_blocks=2, subsampling=2),
        "png": saved(plain, "PNG", exif=exif()),
        "png-palette": saved(drawn("P"), "PNG", transparency=3),
        "png-alpha": saved(drawn("RGBA"), "PNG"),
        "png-16": saved(drawn("I;16"), "PNG"),
        "png-1": saved(drawn("1"), "PNG"),
        "webp": saved(plain, "WEBP", exif=exif()),
        "webp-lossless": saved(drawn("RGBA"), "WEBP", lossless=True),
        "webp-animated": saved(plain, "WEBP", save_all=True, append_images=[other.copy()]),
        "gif": saved(drawn("P"), "GIF"),
        "gif-animated": saved(
            plain, "GIF", save_all=True, append_images=[other.copy()], transparency=2, comment=b"a car"
        ),
        "bmp": saved(plain, "BMP"),
        "bmp-palette": saved(drawn("P"), "BMP"),
        "bmp-1": saved(drawn("1"), "BMP"),
        "avif": saved(plain, "AVIF", speed=9, exif=exif()),
        "avif-alpha": saved(drawn("RGBA"), "AVIF", speed=9),
        "heic": saved(plain, "HEIF", exif=exif()),
        "heic-alpha": saved(drawn("RGBA"), "HEIF"),
        "mpo": saved(plain, "MPO", save_all=True, append_images=[other.copy()]),
    }
    for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        made[f"tiff-{compression}"] = saved(plain, "TIFF", compression=compression)
    made["tiff-1"] = saved(drawn("1"), "TIFF", compression="raw")
    made["tiff-16"] = saved(drawn("I;16"), "TIFF")
    made["tiff-cmyk"] = saved(drawn("CMYK"), "TIFF")
    made["tiff-pages"] = saved(plain, "TIFF", save_all=True, append_images=[other.copy()])
    return made


def damaged(data: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """One to six wounds: bytes changed, lost, repeated, moved in from another file; sometimes the end is missing."""
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        at = rng.randrange(min(len(data), HEAD) if rng.random() < 0.5 else len(data))
        length = rng.choice((1, 1, 2, 4, 8, 64, 512))
        match rng.randrange(7):
            case 0:
                data = data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
            case 1:
                new = rng.choice(EDGES)
                data = data[:at] + new + data[at + len(new) :]
            case 2:
                data = data[:at] + rng.randbytes(length) + data[at + length :]
            case 3:
                data = data[:at] + data[at + length :]
            case 4:
                data = data[:at] + data[at : at + length] * rng.choice((2, 3, 50)) + data[at + length :]
            case 5:
                other = rng.choice(others)
                start = rng.randrange(len(other))
                data = data[:at] + other[start : start + length] + data[at + length :]
            case _:
                data = data[: max(at, 12)]
        if not data:
            return b"\xff"
    return data


def hostile(seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """`count` damaged files, all formats in turn, each with a name that tells which it was made of."""
    rng = random.Random(seed)
    made = samples()
    others = list(made.values())
    for number in range(count):
        name, data = list(made.items())[number % len(made)]
        yield f"{name}, seed {seed}, number {number}", damaged(data, others, rng)
