"""What is left out of a file before its decoder sees it, and what is refused there."""

import pytest
from PIL import Image

from models import containers
from models.formats import UndecodableImage, UnsupportedFormat
from models.photo import Limits, decode, read_header
from tests.faults.mutations import drawn, saved


@pytest.mark.parametrize("blocks", [b"!\xfe" + b"\1a" * 200_000 + b"\0", b"!\xfe\1a\0" * 200_000])
def test_a_gif_of_endless_comments_is_refused(blocks: bytes) -> None:
    data = saved(drawn("P"), "GIF")
    at = data.index(b",\0\0\0\0")
    with pytest.raises(UndecodableImage):
        read_header(data[:at] + blocks + data[at:], Limits())


def test_what_only_describes_a_gif_is_left_out_and_its_transparency_kept() -> None:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    data = saved(image, "GIF", transparency=1, comment=b"a car")
    assert b"a car" in data
    found = containers.gif(data)
    assert b"a car" not in found.data
    assert decode(data, read_header(data, Limits())).pixels.min() == 255


@pytest.mark.parametrize("compression", ["group3", "group4", "tiff_ccitt"])
def test_a_fax_is_not_a_photo(compression: str) -> None:
    with pytest.raises(UnsupportedFormat, match="compressed"):
        read_header(saved(drawn("1"), "TIFF", compression=compression), Limits())
