"""The forms a photo comes in, taken apart: multipart while it streams, base64 in JSON once it is whole."""

import base64
import binascii
import io
import json
import re
from typing import NoReturn

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from app.errors import BodyTooLarge, EmptyImage, MalformedRequest, MissingImage, shown

FIELD = "file"
MAX_PART_HEADERS = 8
MAX_PART_HEADER_BYTES = 4096
MAX_PATH_BYTES = 1024
FORM_OVERHEAD = 64 * 1024
"""Bytes a form may have beside its photo: boundaries, part headers, what stands before and after."""

# More than a photo, a few keys and some white space never have. Refused before parsing, because a parsed `[[],[],…]`
# takes some 25 times the memory of its text.
MAX_JSON_MARKS = 64
MAX_DATA_URL_HEAD = 256
JSON_SHAPE = 'Send {"image": "<base64 or data: URL>"}; options are query parameters.'

_DATA_URL = re.compile(r"data:([^,]*),", re.IGNORECASE)
_BOUNDARY = re.compile(rb"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")


def too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"The photo has more than {limit} bytes. Send a smaller or more strongly compressed one.")


class PhotoForm:
    """Takes the one photo out of a streamed `multipart/form-data` body: `feed` it, then `close` it for the bytes.

    Holds at most `limit` bytes and ends at the first part too many. Raises `MalformedRequest`, `MissingImage`,
    `EmptyImage` or `BodyTooLarge`.
    """

    def __init__(self, content_type: str, limit: int) -> None:
        _, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"")
        if not _BOUNDARY.fullmatch(boundary):
            raise MalformedRequest(
                "The Content-Type names no usable boundary (1 to 70 characters). Let your HTTP client write that "
                "header: curl -F and every form library do."
            )
        self._limit = limit
        self._photo = io.BytesIO()
        self._found = False
        self._is_file = False
        self._ended = False
        self._header_name = b""
        self._header_value = b""
        self._disposition = b""
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._part_begin,
                "on_header_field": self._header_field,
                "on_header_value": self._header_part,
                "on_header_end": self._header_end,
                "on_headers_finished": self._headers_finished,
                "on_part_data": self._part_data,
                "on_end": self._end,
            },
            max_header_count=MAX_PART_HEADERS,
            max_header_size=MAX_PART_HEADER_BYTES,
        )

    def feed(self, chunk: bytes) -> None:
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            # The parser's text speaks of offsets and byte values only; nothing of ours is in it.
            raise MalformedRequest(f"The form is not valid multipart/form-data: {error}.") from error

    def close(self) -> bytes:
        if not self._ended:
            raise MalformedRequest("The form ends before its closing boundary. Send the whole body.")
        if not self._found:
            raise MissingImage(f"The form is empty. Send the photo as the field `{FIELD}`: curl -F {FIELD}=@car.jpg")
        data = self._photo.getvalue()
        if not data:
            raise EmptyImage(f"The field `{FIELD}` has no bytes. Check the path of the photo that was sent.")
        if not self._is_file and len(data) < MAX_PATH_BYTES and data.isascii() and data.decode().isprintable():
            raise MissingImage(
                f"The field `{FIELD}` holds the text {shown(data.decode())}, not a photo. With curl, write an @ before "
                f"the path: -F {FIELD}=@car.jpg"
            )
        return data

    def _part_begin(self) -> None:
        self._disposition = b""

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _header_part(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _header_end(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            if self._disposition:
                raise MalformedRequest("A part of the form has two Content-Disposition headers.")
            self._disposition = self._header_value
        elif self._header_name.lower() == b"content-transfer-encoding" and self._header_value.strip().lower() not in (
            b"binary",
            b"8bit",
            b"7bit",
        ):
            raise MalformedRequest(
                "The form's Content-Transfer-Encoding is not `binary`. Send the photo's bytes as they are."
            )
        self._header_name = self._header_value = b""

    def _headers_finished(self) -> None:
        kind, options = parse_options_header(self._disposition.decode("latin-1"))
        name = options.get(b"name")
        if kind != b"form-data" or name is None:
            raise MalformedRequest("A part of the form has no Content-Disposition: form-data with a name.")
        is_file = b"filename" in options or b"filename*=" in self._disposition.lower()
        if name == FIELD.encode():
            if self._found:
                raise MalformedRequest(f"The form has the field `{FIELD}` twice. Send one photo per request.")
            self._found = True
            self._is_file = is_file
        else:
            self._refuse_field(name.decode("utf-8", "replace"), is_file=is_file)

    def _refuse_field(self, name: str, *, is_file: bool) -> NoReturn:
        if is_file and not self._found:
            raise MissingImage(
                f"The photo is expected in the form field `{FIELD}`, found was {shown(name)}. "
                f"Rename it: curl -F {FIELD}=@car.jpg"
            )
        if is_file:
            raise MalformedRequest(f"The form holds a second file, {shown(name)}. Send one photo per request.")
        raise MalformedRequest(
            f"The form has a field {shown(name)} beside `{FIELD}`. Options are query parameters: "
            f"append ?name=value to the address."
        )

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._photo.tell() + end - start > self._limit:
            raise too_large(self._limit)
        self._photo.write(memoryview(data)[start:end])

    def _end(self) -> None:
        self._ended = True


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
