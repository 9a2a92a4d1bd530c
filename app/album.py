"""Several photos of one form, handed on one by one as they end while the rest still arrives."""

import io
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request

from app import intake
from app.errors import (
    BodyTooLarge,
    EmptyImage,
    MalformedRequest,
    MissingImage,
    Problem,
    TooManyPhotos,
    UnsupportedMediaType,
    shown,
)
from app.forms import FIELD, too_large, useless
from app.parts import Form, PartHead
from app.settings import Settings

MOST_PHOTOS = 24
HOW = f"Send each photo as the form field `{FIELD}`: curl -F {FIELD}=@front.jpg -F {FIELD}=@back.jpg"


@dataclass(frozen=True, slots=True)
class Arrived:
    """A photo that has come, or what is wrong with it. `began` and `ended` are on the album's clock, in seconds."""

    index: int
    data: bytes
    problem: Problem | None
    began: float
    ended: float


class Album(Form):
    """Takes photos out of a streamed form. Holds the one that is arriving, `limit` bytes of it at most, and in
    `ended` those that ended in what was fed last. Of a larger one nothing is kept.

    Raises `MalformedRequest`, `MissingImage` or `TooManyPhotos`, which end the form; what is wrong with one photo is
    that photo's.
    """

    def __init__(self, content_type: str, limit: int, clock: Callable[[], float]) -> None:
        super().__init__(content_type)
        self.names: list[str | None] = []
        """The file name of each photo that has begun, in their order."""
        self.ended: deque[Arrived] = deque()
        self._limit = limit
        self._clock = clock
        self._photo = io.BytesIO()
        self._is_file = False
        self._problem: Problem | None = None
        self._began = 0.0

    def part_begins(self, head: PartHead) -> None:
        if head.name != FIELD:
            raise _foreign(head)
        if len(self.names) == MOST_PHOTOS:
            raise TooManyPhotos(f"The form has more than {MOST_PHOTOS} photos. Send the rest as a claim of its own.")
        self.names.append(head.filename)
        self._is_file = head.is_file
        self._photo, self._problem, self._began = io.BytesIO(), None, self._clock()

    def part_data(self, data: memoryview) -> None:
        if self._problem is not None:
            return
        if self._photo.tell() + len(data) > self._limit:
            self._photo, self._problem = io.BytesIO(), too_large(self._limit)
        else:
            self._photo.write(data)

    def part_ends(self) -> None:
        data, self._photo = self._photo.getvalue(), io.BytesIO()
        problem = self._problem or useless(data, self._is_file)
        self.ended.append(Arrived(len(self.names) - 1, data, problem, self._began, self._clock()))

    def check_whole(self) -> None:
        """Once all was fed. Raises `MalformedRequest` where the form has not ended, `MissingImage` where it is
        empty."""
        self.check_end()
        if not self.names:
            raise MissingImage(f"The form is empty. {HOW}")


def open_album(request: Request, settings: Settings, clock: Callable[[], float]) -> Album:
    """By the request's head alone. Raises `UnsupportedMediaType`, `BodyTooLarge`, `MissingImage` or
    `MalformedRequest`."""
    intake.refuse_encoding(request)
    declared, kind = intake.content_length(request), intake.media_type(request)
    if kind == "" and not declared and "transfer-encoding" not in request.headers:
        raise MissingImage(f"The request has no body. {HOW}")
    if kind != "multipart/form-data":
        given = f"The Content-Type {shown(kind)} is not accepted." if kind else "The body has no Content-Type."
        raise UnsupportedMediaType(f"{given} A claim comes as multipart/form-data. {HOW}")
    if declared is not None and declared > settings.max_claim_bytes:
        raise _too_large(settings.max_claim_bytes)
    return Album(request.headers["content-type"], settings.max_body_bytes, clock)


async def receive(
    request: Request, settings: Settings, album: Album, take: Callable[[Arrived], Awaitable[None]]
) -> int:
    """Hands each photo to `take` when it has come, in their order; while `take` waits, nothing more of the body is
    read, so a sender can be no faster than it. Returns the body's bytes.

    Raises what the album raises, `BodyTooLarge`, `EmptyImage`, `MalformedRequest` where the body stalls, and
    Starlette's `ClientDisconnect`.
    """

    async def hand_on() -> None:
        while album.ended:
            await take(album.ended.popleft())

    def feed(chunk: bytes) -> Awaitable[None] | None:
        album.feed(chunk)
        return hand_on() if album.ended else None

    limit = settings.max_claim_bytes
    declared = intake.content_length(request)
    refusal = _too_large(limit)
    received = await intake.pour(request, settings.body_timeout_s, declared, lambda: refusal, limit, feed)
    if not received:
        raise EmptyImage(f"The body is empty. {HOW}")
    album.check_whole()
    return received


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"The claim has more than {limit} bytes. Send fewer photos, or smaller ones.")


def _foreign(head: PartHead) -> Problem:
    if head.is_file:
        return MalformedRequest(f"The form has a file {shown(head.name)}. {HOW}")
    return MalformedRequest(
        f"The form has a field {shown(head.name)} beside `{FIELD}`. Options are query parameters: append ?name=value "
        "to the address."
    )
