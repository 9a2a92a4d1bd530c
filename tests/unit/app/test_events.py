"""Events: sent as they come, what fails before them is an answer, what fails after them an event."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.requests import Request
from starlette.types import Message, Scope

from app import events
from app.errors import ClientGone, Overloaded, Problem
from app.events import EventStream, Put, wanted

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("accept", "named"),
    [
        ("text/event-stream", True),
        ("text/event-stream, */*;q=0.1", True),
        ("Text/Event-Stream;q=0.5, application/json;q=0.5", True),
        ("application/json, text/event-stream;q=0.5", False),
        ("text/event-stream;q=0", False),
        ("*/*", False),
        ("text/*", False),
        ("", False),
    ],
)
def test_events_are_for_who_names_them(accept: str, named: bool) -> None:
    assert wanted(accept) is named


async def sent(work: Callable[[Put], Awaitable[None]]) -> tuple[list[Message], Scope]:
    scope: Scope = {"type": "http", "state": {"request_id": "abc"}, "headers": []}
    messages: list[Message] = []

    async def send(message: Message) -> None:
        messages.append(message)

    async def receive() -> Message:
        raise AssertionError("the body is the work's to read")

    await EventStream(Request(scope), work, {"Vary": "Accept"})(scope, receive, send)
    return messages, scope


async def test_events_are_sent_in_their_form_and_order() -> None:
    async def work(put: Put) -> None:
        put("photo", b'{"index":0}')
        await asyncio.sleep(0)
        put("claim", b"{}")

    (start, *body), _ = await sent(work)
    assert start["status"] == 200
    assert dict(start["headers"]) == {
        b"content-type": b"text/event-stream",
        b"cache-control": b"no-store",
        b"x-accel-buffering": b"no",
        b"vary": b"Accept",
    }
    assert [one["body"] for one in body] == [
        b'event: photo\ndata: {"index":0}\n\n',
        b"event: claim\ndata: {}\n\n",
        b"",
    ]
    assert [one.get("more_body", False) for one in body] == [True, True, False]


async def test_an_event_is_sent_before_the_next_one_is_there() -> None:
    first = asyncio.Event()
    taken: list[Message] = []

    async def work(put: Put) -> None:
        put("photo", b"1")
        await first.wait()
        assert len(taken) == 2
        put("claim", b"2")

    async def send(message: Message) -> None:
        taken.append(message)
        if message.get("body"):
            first.set()

    scope: Scope = {"type": "http", "state": {"request_id": "abc"}, "headers": []}
    await EventStream(Request(scope), work)(scope, Request(scope).receive, send)
    assert len(taken) == 4


async def test_silence_is_broken_by_comments(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock is the event loop's; without patience a comment comes as soon as nothing else does."""
    monkeypatch.setattr(events, "KEEP_ALIVE_S", 0.0)
    enough, taken = asyncio.Event(), list[bytes]()

    async def work(put: Put) -> None:
        await enough.wait()
        put("photo", b"1")

    async def send(message: Message) -> None:
        taken.append(message.get("body", b""))
        if taken.count(events.COMMENT) == 3:
            enough.set()

    scope: Scope = {"type": "http", "state": {"request_id": "abc"}, "headers": []}
    async with asyncio.timeout(30):
        await EventStream(Request(scope), work)(scope, Request(scope).receive, send)
    assert taken[0] == b"", "the answer has begun with the first of them"
    assert taken[1:4] == [events.COMMENT] * 3
    assert [one for one in taken[4:] if one != events.COMMENT] == [b"event: photo\ndata: 1\n\n", b""]


async def test_no_comment_comes_where_events_do() -> None:
    waits = list[float]()
    loop = asyncio.get_running_loop()

    async def work(put: Put) -> None:
        for number in range(3):
            put("photo", b"%d" % number)
            await asyncio.sleep(0)

    later = loop.call_later

    def counted(delay: float, *rest: Any) -> asyncio.TimerHandle:
        waits.append(delay)
        return later(3600, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "call_later", counted)
        (_, *body), _ = await sent(work)
    assert waits == [events.KEEP_ALIVE_S] * 4, "the silence is counted anew from each event on"
    assert not [one for one in body if one["body"] == events.COMMENT]


async def test_what_fails_before_the_first_event_is_raised() -> None:
    async def work(put: Put) -> None:
        raise Overloaded("later")

    with pytest.raises(Overloaded):
        await sent(work)


@pytest.mark.parametrize(
    ("error", "code"), [(Overloaded("later"), b'"overloaded"'), (ValueError("secret"), b'"prediction_failed"')]
)
async def test_what_fails_after_it_is_the_last_event(error: Exception, code: bytes) -> None:
    async def work(put: Put) -> None:
        put("photo", b"{}")
        raise error

    (_, *body), scope = await sent(work)
    assert body[1]["body"].startswith(b"event: problem\ndata: {")
    assert code in body[1]["body"]
    assert b"secret" not in body[1]["body"]
    assert not body[-1].get("more_body", False)
    assert isinstance(scope["state"]["problem"], Problem)


async def test_to_a_client_that_has_gone_nothing_more_is_sent() -> None:
    async def work(put: Put) -> None:
        put("photo", b"{}")
        raise ClientGone

    (_, *body), scope = await sent(work)
    assert len(body) == 1
    assert scope["state"]["left"] is True


async def test_the_work_ends_with_its_request() -> None:
    ended = asyncio.Event()

    async def work(put: Put) -> None:
        put("photo", b"{}")
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    sending = asyncio.create_task(sent(work))
    for _ in range(5):
        await asyncio.sleep(0)
    sending.cancel()
    await asyncio.wait_for(ended.wait(), 30)
