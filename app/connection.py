"""One client's connection: uvicorn's, which waits for ever for a head that never ends and an answer that nobody takes,
with an end to both; and what is no HTTP is told so in the form of every other problem."""

import asyncio
import json
import select

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.errors import MEDIA_TYPE, MalformedRequest
from app.middleware import request_id_for

MAX_HEAD_BYTES = 64 * 1024
"""Bytes that may come without the end of the headers, or without a byte of the body between its chunks."""

TEXT = "This is not a request that HTTP/1.1 allows. Let an HTTP client write it: curl and every library do."
TOO_LONG = f"The request's headers have more than {MAX_HEAD_BYTES} bytes. Send fewer, or shorter ones."


GONE = "carlens.gone"
"""Key in the scope's `extensions` of an `asyncio.Event` that is set when the connection has closed: who holds a body
back does not receive, and so would not hear of it."""

LEFT = getattr(select, "POLLRDHUP", 0) | getattr(select, "POLLHUP", 0) | getattr(select, "POLLERR", 0)
"""What the system tells of a socket whose other side has closed or reset it. Windows tells nothing."""


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
        self._gone = asyncio.Event()

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone.set()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {GONE: self._gone}  # type: ignore[dict-item]

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
        """Ends the connection where the client let it wait for a head, or took nothing of an answer, for so long; and
        where it has closed it while its body is held back: the event loop looks at no socket that it does not read."""
        unsent = self.transport.get_write_buffer_size()
        if unsent == 0 or unsent != self._unsent:
            self._unsent, self._unsent_since = unsent, now
        late = self.head_since is not None and now - self.head_since > head_s
        if late or now - self._unsent_since > answer_s or (self.flow.read_paused and _left(self.transport)):
            self.transport.abort()


def _left(transport: asyncio.Transport) -> bool:
    """Whether the other side has closed the connection, whatever it sent before and nobody has read yet."""
    socket = transport.get_extra_info("socket")
    if not LEFT or socket is None:
        return False
    poll = select.poll()
    poll.register(socket.fileno(), LEFT)
    return bool(poll.poll(0))
