"""One client's connection: uvicorn's, which waits for ever for a head that never ends and an answer that nobody takes,
with an end to both; and what is no HTTP is told so in the form of every other problem."""

import asyncio
import json

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.errors import MEDIA_TYPE, MalformedRequest
from app.middleware import request_id_for

MAX_HEAD_BYTES = 64 * 1024
"""Bytes that may come without the end of the headers, or without a byte of the body between its chunks."""

TEXT = "This is not a request that HTTP/1.1 allows. Let an HTTP client write it: curl and every library do."
TOO_LONG = f"The request's headers have more than {MAX_HEAD_BYTES} bytes. Send fewer, or shorter ones."


class Connection(HttpToolsProtocol):
    """What the client owes, and since when, on the event loop's clock; `cut_off` is to be called now and then."""

    head_since: float | None = None
    """The first byte, or the connection itself, of a request whose headers have not ended."""
    _useless = 0
    _unsent = 0
    _unsent_since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.head_since = self.loop.time()

    def data_received(self, data: bytes) -> None:
        # What still comes of a body that was refused counts too: it is thrown away, but not for ever.
        if self.head_since is None and (self.cycle is None or self.cycle.response_complete):
            self.head_since = self.loop.time()
        self._useless += len(data)
        super().data_received(data)
        if self._useless > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response(TOO_LONG)

    def on_headers_complete(self) -> None:
        self.head_since = None
        self._useless = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._useless = 0
        super().on_body(body)

    def send_400_response(self, msg: str) -> None:
        """uvicorn's text for everything that its parser refuses becomes a problem."""
        request_id = request_id_for(None)
        problem = MalformedRequest(msg if msg == TOO_LONG else TEXT)
        body = json.dumps(problem.body(request_id)).encode()
        head = (
            f"HTTP/1.1 400 Bad Request\r\ncontent-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\n"
            f"x-request-id: {request_id}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()

    def cut_off(self, now: float, head_s: float, answer_s: float) -> None:
        """Ends the connection where the client let it wait for a head, or took nothing of an answer, for so long."""
        unsent = self.transport.get_write_buffer_size()
        if unsent == 0 or unsent != self._unsent:
            self._unsent, self._unsent_since = unsent, now
        late = self.head_since is not None and now - self.head_since > head_s
        if late or now - self._unsent_since > answer_s:
            self.transport.abort()
