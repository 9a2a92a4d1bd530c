"""The forms a photo comes in, taken apart: multipart while it streams, base64 in JSON once it is whole."""

import base64
import binascii
import io
import json
import re
from typing import NoReturn

from app.errors import BodyTooLarge, EmptyImage, MalformedRequest, MissingImage, Problem, shown
from app.parts import Form, PartHead

FIELD = "file"
MAX_PATH_BYTES = 1024
FORM_OVERHEAD = 64 * 1024
"""Bytes a form may have beside its photo: boundaries, part headers, what stands before and after."""

# More than a photo, a few keys and some white space never have. Refused before parsing, because a parsed `[[],[],…]`
# takes some 25 times the memory of its text.
MAX_JSON_MARKS = 64
MAX_DATA_URL_HEAD = 256
JSON_SHAPE = 'Send {"image": "<base64 or data: URL>"}; options are query parameters.'

_DATA_URL = re.compile(r"data:([^,]*),", re.IGNORECASE)


def too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"The photo has more than {limit} bytes. Send a smaller or more strongly compressed one.")


class PhotoForm(Form):
    """Takes the one photo out of a streamed form: `feed` it, then `close` it for the bytes.

    Holds at most `limit` bytes and ends at the first part too many. Raises `MalformedRequest`, `MissingImage`,
    `EmptyImage` or `BodyTooLarge`.
    """

    def __init__(self, content_type: str, limit: int) -> None:
        super().__init__(content_type)
        self._limit = limit
        self._photo = io.BytesIO()
        self._found = False
        self._is_file = False

    def close(self) -> bytes:
        self.check_end()
        if not self._found:
            raise MissingImage(f"The form is empty. Send the photo as the field `{FIELD}`: curl -F {FIELD}=@car.jpg")
        data = self._photo.getvalue()
        if problem := useless(data, self._is_file):
            raise problem
        return data

    def part_begins(self, head: PartHead) -> None:
        if head.name == FIELD:
            if self._found:
                raise MalformedRequest(f"The form has the field `{FIELD}` twice. Send one photo per request.")
            self._found = True
            self._is_file = head.is_file
        else:
            raise foreign(head, found=self._found)

    def part_data(self, data: memoryview) -> None:
        if self._photo.tell() + len(data) > self._limit:
            raise too_large(self._limit)
        self._photo.write(data)


def useless(data: bytes, is_file: bool) -> Problem | None:
    """What is wrong with the field's bytes before anybody tries to decode them."""
    if not data:
        return EmptyImage(f"The field `{FIELD}` has no bytes. Check the path of the photo that was sent.")
    if not is_file and len(data) < MAX_PATH_BYTES and data.isascii() and data.decode().isprintable():
        return MissingImage(
            f"The field `{FIELD}` holds the text {shown(data.decode())}, not a photo. With curl, write an @ before "
            f"the path: -F {FIELD}=@car.jpg"
        )
    return None


def foreign(head: PartHead, *, found: bool) -> Problem:
    """What is wrong with a part that is not the field `file`; `found`: that one was there before."""
    if head.is_file and not found:
        return MissingImage(
            f"The photo is expected in the form field `{FIELD}`, found was {shown(head.name)}. "
            f"Rename it: curl -F {FIELD}=@car.jpg"
        )
    if head.is_file:
        return MalformedRequest(f"The form holds a second file, {shown(head.name)}. Send one photo per request.")
    return MalformedRequest(
        f"The form has a field {shown(head.name)} beside `{FIELD}`. Options are query parameters: "
        f"append ?name=value to the address."
    )


def photo_from_json(raw: bytes, limit: int) -> bytes:
    """The photo in a JSON body's `image`. Blocks for as long as a large body takes: call it in a thread.

    Raises `MalformedRequest`, `MissingImage`, `EmptyImage` or `BodyTooLarge`.
    """
    if sum(raw.count(mark) for mark in (b"{", b"[", b",")) > MAX_JSON_MARKS:
        raise MalformedRequest(f"The body is not the JSON of one photo. {JSON_SHAPE}")
    try:
        body = json.loads(raw.decode("utf-8-sig"), parse_constant=_no_constant, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise MalformedRequest(f"The body is not valid JSON. {JSON_SHAPE}") from error
    if not isinstance(body, dict):
        raise MalformedRequest(f"The JSON body is not an object. {JSON_SHAPE}")
    unknown = [key for key in body if key != "image"]
    if unknown:
        raise MalformedRequest(f"The JSON body has the unknown key {shown(unknown[0])}. {JSON_SHAPE}")
    if "image" not in body:
        raise MissingImage(f"The JSON body has no key `image`. {JSON_SHAPE}")
    text = body.pop("image")
    if not isinstance(text, str):
        raise MalformedRequest(f"`image` is not a string. {JSON_SHAPE}")
    data = _from_base64(_without_head(text))
    if not data:
        raise EmptyImage("`image` holds no bytes. Check the photo that was encoded.")
    if len(data) > limit:
        raise too_large(limit)
    return data


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice")
    return found


def _without_head(text: str) -> str:
    """Base64 alone, without the head of a `data:` URL where there is one."""
    start = text[:MAX_DATA_URL_HEAD].lstrip().lower()
    if start.startswith(("http:", "https:", "file:", "ftp:")):
        raise MalformedRequest("`image` is an address. No photo is fetched from elsewhere: send its bytes as base64.")
    if not start.startswith("data:"):
        return text
    offset = len(text) - len(text.lstrip())
    head = _DATA_URL.match(text, offset, offset + MAX_DATA_URL_HEAD)
    if head is None or not head[1].lower().rstrip().endswith(";base64"):
        raise MalformedRequest("The data: URL in `image` is not base64. Send data:image/jpeg;base64,…")
    return text[head.end() :]


def _from_base64(text: str) -> bytes:
    """Standard or URL-safe alphabet, white space anywhere, padding whole or left out; anything else is refused."""
    try:
        plain = text.encode("ascii").translate(bytes.maketrans(b"-_", b"+/"), b" \t\r\n")
        core = plain.rstrip(b"=")
        padding = b"=" * (-len(core) % 4)
        if len(plain) - len(core) not in (0, len(padding)):
            raise binascii.Error("wrong padding")  # the decoder itself lets some through
        return base64.b64decode(core + padding, validate=True)
    except (UnicodeEncodeError, binascii.Error) as error:
        raise MalformedRequest("`image` is not valid base64. Encode the photo's bytes, all of them.") from error
