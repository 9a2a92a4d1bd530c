"""Several photos of one form: each by itself, in any chunks, and no byte of one that is too large is kept."""

import itertools
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.album import MOST_PHOTOS, Album, Arrived
from app.errors import MalformedRequest, MissingImage, Problem, TooManyPhotos
from tests.asgi import FILE, FORM, form_body

LIMIT = 4096
PHOTO = bytes(range(256)) * 4


def read(body: bytes, step: int = 0) -> tuple[Album, list[Arrived]]:
    ticks = itertools.count()
    album = Album(FORM["content-type"], LIMIT, lambda: float(next(ticks)))
    for start in range(0, len(body), step or len(body)):
        album.feed(body[start : start + (step or len(body))])
    album.check_whole()
    return album, list(album.ended)


def codes(arrived: list[Arrived]) -> list[str | None]:
    return [one.problem.code if one.problem else None for one in arrived]


@pytest.mark.parametrize("step", [1, 2, 7, 64, 0])
def test_photos_come_out_in_their_order_in_any_chunks(step: int) -> None:
    album, arrived = read(form_body((FILE, PHOTO), ('name="file"; filename="b.png"', PHOTO[::-1])), step)
    assert [one.data for one in arrived] == [PHOTO, PHOTO[::-1]]
    assert [one.index for one in arrived] == [0, 1]
    assert album.names == ["car.jpg", "b.png"]
    assert codes(arrived) == [None, None]
    assert arrived[0].began < arrived[0].ended < arrived[1].began < arrived[1].ended


def test_a_photo_is_there_as_soon_as_its_part_ends() -> None:
    body = form_body((FILE, PHOTO), (FILE, PHOTO))
    cut = body.index(b"--carBOUNDARY", 10) + len(b"--carBOUNDARY\r\n")
    album = Album(FORM["content-type"], LIMIT, lambda: 0.0)
    album.feed(body[:cut])
    assert [one.index for one in album.ended] == [0]
    with pytest.raises(MalformedRequest, match="closing boundary"):
        album.check_whole()


def test_each_photo_has_its_own_problem() -> None:
    parts = [(FILE, PHOTO), (FILE, bytes(LIMIT + 1)), (FILE, b""), ('name="file"', b"car.jpg"), (FILE, bytes(LIMIT))]
    _, arrived = read(form_body(*parts))
    assert codes(arrived) == [None, "body_too_large", "empty_image", "missing_image", None]
    assert [len(one.data) for one in arrived] == [len(PHOTO), 0, 0, len(b"car.jpg"), LIMIT]


def test_a_part_without_a_file_name_is_a_photo_all_the_same() -> None:
    album, arrived = read(form_body(('name="file"', PHOTO)))
    assert arrived[0].data == PHOTO
    assert album.names == [None]


def test_names_are_read_as_utf_8() -> None:
    album, _ = read(form_body(('name="file"; filename="Stoßfänger \U0001f697.jpg"', PHOTO)))
    assert album.names == ["Stoßfänger \U0001f697.jpg"]


def test_nothing_is_kept_of_a_photo_that_is_too_large() -> None:
    album = Album(FORM["content-type"], LIMIT, lambda: 0.0)
    album.feed(f"--carBOUNDARY\r\nContent-Disposition: form-data; {FILE}\r\n\r\n".encode())
    chunk = bytes(2**20)
    tracemalloc.start()
    for _ in range(64):
        album.feed(chunk)
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert held < 100_000
    album.feed(b"\r\n" + form_body((FILE, PHOTO)))
    assert codes(list(album.ended)) == ["body_too_large", None]


def test_one_more_than_the_most_ends_the_form() -> None:
    assert len(read(form_body(*[(FILE, PHOTO)] * MOST_PHOTOS))[1]) == MOST_PHOTOS
    with pytest.raises(TooManyPhotos, match="24"):
        read(form_body(*[(FILE, PHOTO)] * (MOST_PHOTOS + 1)))


@pytest.mark.parametrize(
    ("parts", "error", "hint"),
    [
        ((), MissingImage, "The form is empty"),
        (((FILE, PHOTO), ('name="photo2"; filename="a.jpg"', PHOTO)), MalformedRequest, "'photo2'"),
        ((('name="comment"', b"hello"), (FILE, PHOTO)), MalformedRequest, "query parameters"),
    ],
    ids=["empty", "file", "field"],
)
def test_what_ends_the_form(parts: tuple[tuple[str, bytes], ...], error: type[Problem], hint: str) -> None:
    with pytest.raises(error, match=hint):
        read(form_body(*parts))


PIECES = st.sampled_from([b"\r", b"\n", b"\r\n", b"--", b"\r\n--", b"carBOUND", b"\r\n--carBOUNDAR", b"\0", b"x"])


@settings(max_examples=100, deadline=None)
@given(
    photos=st.lists(st.lists(PIECES, min_size=1, max_size=12).map(b"".join), min_size=1, max_size=5),
    step=st.integers(1, 40),
)
def test_data_that_looks_like_a_boundary_is_data(photos: list[bytes], step: int) -> None:
    _, arrived = read(form_body(*((FILE, data) for data in photos)), step)
    assert [one.data for one in arrived] == photos
