"""A `multipart/form-data` body taken apart while it streams: where each part begins and ends, and what it is called."""

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from app.errors import MalformedRequest

MAX_PART_HEADERS = 8
MAX_PART_HEADER_BYTES = 4096

_BOUNDARY = re.compile(rb"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")


@dataclass(frozen=True, slots=True)
class PartHead:
    """What a part says of itself; `is_file` where it has a file name, even an empty one."""

    name: str
    is_file: bool
    filename: str | None


class Form(ABC):
    """Feed it the body's chunks: it calls `part_begins`, `part_data` and `part_ends` for each part, in their order.
    What these raise ends the form. Raises `MalformedRequest`."""

    def __init__(self, content_type: str) -> None:
        _, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"")
        if not _BOUNDARY.fullmatch(boundary):
            raise MalformedRequest(
                "The Content-Type names no usable boundary (1 to 70 characters). Let your HTTP client write that "
                "header: curl -F and every form library do."
            )
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
                "on_part_end": self.part_ends,
                "on_end": self._end,
            },
            max_header_count=MAX_PART_HEADERS,
            max_header_size=MAX_PART_HEADER_BYTES,
        )

    @abstractmethod
    def part_begins(self, head: PartHead) -> None:
        """Its headers are through."""

    @abstractmethod
    def part_data(self, data: memoryview) -> None:
        """Some of its bytes, valid during the call alone."""

    def part_ends(self) -> None:  # noqa: B027 - who wants one part alone need not hear of it
        """Its last byte is through."""

    def feed(self, chunk: bytes) -> None:
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            # The parser's text speaks of offsets and byte values only; nothing of ours is in it.
            raise MalformedRequest(f"The form is not valid multipart/form-data: {error}.") from error

    def check_end(self) -> None:
        """Once all was fed: raises `MalformedRequest` where that was not the whole form."""
        if not self._ended:
            raise MalformedRequest("The form ends before its closing boundary. Send the whole body.")

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
        given = options.get(b"filename")
        filename = given.decode("utf-8", "replace") if given else None
        self.part_begins(PartHead(name.decode("utf-8", "replace"), is_file, filename))

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        self.part_data(memoryview(data)[start:end])

    def _end(self) -> None:
        self._ended = True
