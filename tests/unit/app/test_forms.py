"""The forms a photo comes in: every way to cut, bend and break them."""

import base64
import contextlib
import itertools
import json
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import BodyTooLarge, EmptyImage, MalformedRequest, MissingImage, Problem
from app.forms import PhotoForm, photo_from_json
from tests.asgi import FILE, FORM, form_body

PHOTO = bytes(range(256)) * 4
LIMIT = 4096
CONTENT_TYPE = FORM["content-type"]


def parse(body: bytes, *, content_type: str = CONTENT_TYPE, limit: int = LIMIT, step: int = 0) -> bytes:
    form = PhotoForm(content_type, limit)
    step = step or max(1, len(body))
    for start in range(0, len(body), step):
        form.feed(body[start : start + step])
    return form.close()


def json_body(text: object) -> bytes:
    return json.dumps({"image": text}).encode()


def encoded(data: bytes = PHOTO) -> str:
    return base64.b64encode(data).decode()


# multipart


@pytest.mark.parametrize("step", [1, 2, 3, 7, 64, 0])
def test_a_form_in_any_chunks_gives_the_photo(step: int) -> None:
    assert parse(form_body((FILE, PHOTO)), step=step) == PHOTO


PIECES = st.sampled_from([b"\r", b"\n", b"\r\n", b"--", b"\r\n--", b"carBOUND", b"\r\n--carBOUNDAR", b"\0", b"x"])


@settings(max_examples=150, deadline=None)
@given(data=st.lists(PIECES, min_size=1, max_size=30).map(b"".join), cuts=st.lists(st.integers(0, 400), max_size=8))
def test_data_that_looks_like_a_boundary_is_data(data: bytes, cuts: list[int]) -> None:
    body = form_body((FILE, data))
    form = PhotoForm(CONTENT_TYPE, LIMIT)
    places = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    for start, end in itertools.pairwise(places):
        form.feed(body[start:end])
    assert form.close() == data


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(PIECES, st.binary(max_size=20), st.just(b"\r\n--carBOUNDARY\r\n")), max_size=20))
def test_garbage_is_a_problem_and_nothing_else(pieces: list[bytes]) -> None:
    with pytest.raises(Problem) as caught:
        parse(b"--carBOUNDARY\r\n" + b"".join(pieces))
    assert caught.value.status == 400


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=st.characters(max_codepoint=255), max_size=60))
def test_any_content_type_is_read_or_refused(parameters: str) -> None:
    with contextlib.suppress(MalformedRequest):
        PhotoForm(f"multipart/form-data; {parameters}", LIMIT)


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data; boundary=carBOUNDARY",
        'Multipart/Form-Data; Boundary="carBOUNDARY"',
        "multipart/form-data; charset=utf-8; boundary=carBOUNDARY",
        "multipart/form-data;boundary=carBOUNDARY;",
    ],
)
def test_the_boundary_is_found(content_type: str) -> None:
    assert parse(form_body((FILE, PHOTO)), content_type=content_type) == PHOTO


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        f"multipart/form-data; boundary={'x' * 71}",
        f"multipart/form-data; boundary={'x' * 100_000}",
        'multipart/form-data; boundary="a\r\nb"',
        "multipart/form-data; boundary=\xff\xfe",
        'multipart/form-data; boundary="ends with a space "',
    ],
)
def test_no_usable_boundary(content_type: str) -> None:
    with pytest.raises(MalformedRequest, match="boundary"):
        PhotoForm(content_type, LIMIT)


def test_the_longest_boundary_works() -> None:
    boundary = "b" * 70
    body = form_body((FILE, PHOTO), boundary=boundary)
    assert parse(body, content_type=f"multipart/form-data; boundary={boundary}") == PHOTO


@pytest.mark.parametrize("disposition", ['name="file"', "name=file; filename=car.jpg", 'name="file"; filename=""'])
def test_the_file_name_does_not_matter(disposition: str) -> None:
    assert parse(form_body((disposition, PHOTO))) == PHOTO


def test_other_headers_and_an_epilogue_are_ignored() -> None:
    head = "Content-Type: image/jpeg\r\nX-Note: a: b\r\nContent-Transfer-Encoding: Binary\r\ncontent-disposition: "
    body = f"\r\n--carBOUNDARY\r\n{head}form-data; {FILE}\r\n\r\n".encode() + PHOTO + b"\r\n--carBOUNDARY--\r\nepilogue"
    assert parse(body) == PHOTO


@pytest.mark.parametrize(
    ("parts", "kind", "said"),
    [
        ([(FILE, PHOTO), (FILE, PHOTO)], MalformedRequest, "twice"),
        ([(FILE, PHOTO), ('name="photo"; filename="b.jpg"', PHOTO)], MalformedRequest, "second file, 'photo'"),
        ([('name="photo"; filename="b.jpg"', PHOTO)], MissingImage, "`file`, found was 'photo'"),
        ([("name=\"photo\"; filename*=UTF-8''b.jpg", PHOTO)], MissingImage, "found was 'photo'"),
        ([('name=""; filename="b.jpg"', PHOTO)], MissingImage, "found was ''"),
        ([('name="caf\xe9\r"; filename=b', PHOTO)], Problem, ""),
        ([('name="top_k"', b"3"), (FILE, PHOTO)], MalformedRequest, "'top_k' beside `file`. Options are query"),
        ([(FILE, PHOTO), ('name="top_k"', b"3")], MalformedRequest, "query parameters"),
        ([], MissingImage, "form is empty"),
        ([(FILE, b"")], EmptyImage, "no bytes"),
        ([('name="file"', b"/home/me/car.jpg")], MissingImage, "write an @ before"),
        ([(FILE, b"x" * (LIMIT + 1))], BodyTooLarge, f"more than {LIMIT} bytes"),
    ],
)
def test_forms_without_exactly_one_photo(parts: list[tuple[str, bytes]], kind: type[Problem], said: str) -> None:
    for step in (0, 1):
        with pytest.raises(kind) as caught:
            parse(form_body(*parts), step=step)
        assert said in caught.value.detail


def test_text_that_came_as_a_file_is_left_to_the_decoder() -> None:
    assert parse(form_body((FILE, b"just text"))) == b"just text"


def test_a_photo_of_exactly_the_limit_is_taken() -> None:
    assert len(parse(form_body((FILE, b"x" * LIMIT)))) == LIMIT


HEAD = b"--carBOUNDARY\r\nContent-Disposition: form-data; " + FILE.encode()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (form_body((FILE, PHOTO))[:-10], "closing boundary"),
        (b"--carBOUNDARY\r\n", "closing boundary"),
        (HEAD + b"\r\n\r\n" + PHOTO, "closing boundary"),
        (b"\r\n\r\n", "closing boundary"),
        (b"not a form at all", "not valid multipart"),
        (PHOTO, "not valid multipart"),
        (form_body((FILE, PHOTO), boundary="another"), "not valid multipart"),
        (b"--carBOUNDARY\r\n\r\n" + PHOTO + b"\r\n--carBOUNDARY--\r\n", "no Content-Disposition"),
        (b"--carBOUNDARY\r\nContent-Disposition: attachment; name=file\r\n\r\nx", "no Content-Disposition"),
        (b"--carBOUNDARY\r\nContent-Disposition: form-data\r\n\r\nx", "no Content-Disposition"),
        (b"--carBOUNDARY\r\nContent-Disposition: form-data; filename=a.jpg\r\n\r\nx", "no Content-Disposition"),
        (HEAD + b"\r\nContent-Disposition: form-data; name=other\r\n\r\nx", "two Content-Disposition"),
        (HEAD + b"\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA", "Content-Transfer-Encoding"),
        (HEAD + b"\r\nbad header\r\n\r\nx", "not valid multipart"),
        (HEAD + b"\r\nX-Long: " + b"x" * 5000 + b"\r\n\r\nx", "header size"),
        (HEAD + b"\r\n" + b"X-N: 1\r\n" * 9 + b"\r\nx", "header count"),
    ],
)
@pytest.mark.parametrize("step", [0, 1])
def test_malformed_forms(body: bytes, said: str, step: int) -> None:
    with pytest.raises(MalformedRequest) as caught:
        parse(body, step=step)
    assert said in caught.value.detail


def test_a_photo_too_large_is_refused_before_its_end() -> None:
    form = PhotoForm(CONTENT_TYPE, LIMIT)
    form.feed(HEAD + b"\r\n\r\n")
    form.feed(b"x" * LIMIT)
    with pytest.raises(BodyTooLarge):
        form.feed(b"x" * 100)


# JSON


@pytest.mark.parametrize(
    "text",
    [
        encoded(),
        base64.urlsafe_b64encode(PHOTO).decode(),
        encoded().rstrip("="),
        base64.encodebytes(PHOTO).decode(),
        f"  {encoded()}\r\n",
        f"data:image/jpeg;base64,{encoded()}",
        f"DATA:;BASE64,{encoded()}",
        f"\n data:image/png;charset=utf-8;base64,\n{base64.encodebytes(PHOTO).decode()}",
        f"data:application/octet-stream;base64,{base64.urlsafe_b64encode(PHOTO).decode()}",
    ],
)
def test_base64_in_all_its_spellings(text: str) -> None:
    assert photo_from_json(json_body(text), LIMIT) == PHOTO


def test_json_in_all_its_spellings() -> None:
    text = encoded()
    escaped = text.replace("/", "\\/").replace("+", "\\u002B")
    assert escaped != text
    for raw in (f'{{"image":"{escaped}"}}', f' {{\n\t"image" : "{text}" }} ', f'\ufeff{{"image":"{text}"}}'):
        assert photo_from_json(raw.encode(), LIMIT) == PHOTO


@given(st.binary(min_size=1, max_size=300))
def test_every_photo_survives_base64(data: bytes) -> None:
    assert photo_from_json(json_body(base64.urlsafe_b64encode(data).decode().rstrip("=")), LIMIT) == data
    assert photo_from_json(json_body("data:image/jpeg;base64," + encoded(data)), LIMIT) == data


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"{", "not valid JSON"),
        (b"image", "not valid JSON"),
        (b"   ", "not valid JSON"),
        (b'{"image": "AAAA"} trailing', "not valid JSON"),
        (b'{"image": NaN}', "not valid JSON"),
        (b'{"image": -Infinity}', "not valid JSON"),
        (b'{"image": "AAAA", "image": "AAAA"}', "not valid JSON"),
        (b'{"image": "\xff\xfe"}', "not valid JSON"),
        ('{"image": "AAAA"}'.encode("utf-16"), "not valid JSON"),
        (b'{"image": ' + b"9" * 5000 + b"}", "not valid JSON"),
        (b"NaN", "not valid JSON"),
        (b"[]", "not an object"),
        (b'"AAAA"', "not an object"),
        (b"null", "not an object"),
        (b"1e999", "not an object"),
        (b'{"image": "AAAA", "top_k": 3}', "unknown key 'top_k'"),
        (b'{"Image": "AAAA"}', "unknown key 'Image'"),
        (b'{"\\ud800": 1}', "unknown key '\\ud800'"),
        (b'{"image": null}', "not a string"),
        (b'{"image": 1e999}', "not a string"),
        (b'{"image": ["AAAA"]}', "not a string"),
        (b'{"image": {"data": "AAAA"}}', "not a string"),
        (b"[" * 100_000, "not the JSON of one photo"),
        (b'{"image":' * 100_000, "not the JSON of one photo"),
        (b'{"a":' * 60, "not valid JSON"),
    ],
)
def test_malformed_json(raw: bytes, said: str) -> None:
    with pytest.raises(MalformedRequest) as caught:
        photo_from_json(raw, LIMIT)
    assert said in caught.value.detail
    assert len(caught.value.detail) < 400


@pytest.mark.parametrize(
    "text",
    ["A", "AAAAA", "AAA=AAAA", "=", "AA=", "A===", "AAAA====", "AA!A", "AAAA.", "café", "\ud800", "AAAA\0", "A" * 9],
)
def test_what_is_not_base64(text: str) -> None:
    with pytest.raises(MalformedRequest, match="not valid base64"):
        photo_from_json(json_body(text), LIMIT)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("data:image/jpeg,AAAA", "not base64"),
        ("data:image/jpeg;base64", "not base64"),
        ("data:", "not base64"),
        (f"data:{'x' * 300};base64,AAAA", "not base64"),
        ("http://169.254.169.254/latest", "No photo is fetched"),
        (" HTTPS://example.org/car.jpg", "No photo is fetched"),
        ("file:///etc/passwd", "No photo is fetched"),
    ],
)
def test_other_addresses_are_never_opened(text: str, said: str) -> None:
    with pytest.raises(MalformedRequest) as caught:
        photo_from_json(json_body(text), LIMIT)
    assert said in caught.value.detail


@pytest.mark.parametrize("text", ["", "  \n", "data:image/jpeg;base64,", "data:;base64, \n"])
def test_an_empty_image(text: str) -> None:
    with pytest.raises(EmptyImage):
        photo_from_json(json_body(text), LIMIT)


def test_no_image() -> None:
    with pytest.raises(MissingImage, match="no key `image`"):
        photo_from_json(b"{}", LIMIT)


def test_the_limit_counts_the_photos_bytes() -> None:
    assert len(photo_from_json(json_body(encoded(b"x" * LIMIT)), LIMIT)) == LIMIT
    with pytest.raises(BodyTooLarge):
        photo_from_json(json_body(encoded(b"x" * (LIMIT + 1))), LIMIT)


@pytest.mark.parametrize("bomb", [b"[" + b"{}," * 300_000, b'{"a":[' + b"[]," * 300_000, b'{"a":1,' * 100_000])
def test_json_that_would_grow_is_refused_unparsed(bomb: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def parsed(*_: object, **__: object) -> None:
        raise AssertionError("the bomb was parsed")

    monkeypatch.setattr("app.forms.json.loads", parsed)
    with pytest.raises(MalformedRequest):
        photo_from_json(bomb, LIMIT)


def test_memory_stays_within_a_few_times_the_body() -> None:
    raw = json_body(encoded(b"x" * 1_000_000))
    tracemalloc.start()
    try:
        photo_from_json(raw, 2_000_000)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 5 * len(raw)
