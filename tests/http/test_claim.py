"""`POST /v1/inspect/claim`: photos answered while others still come, each failing alone, in bounded memory."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import BaseModel
from starlette.types import Message

from app.claims import WINDOW
from app.connection import GONE
from app.errors import DeadlineExceeded
from app.pipeline import Pipeline
from models.claim.rollup import Claim, claim
from models.claim.sight import Sight
from models.join import Join
from models.language import Language
from tests.asgi import FILE, FORM, LEAVES, Answer, chunked, form_body, talk, unfinished
from tests.fakes import Brightness, BrightnessAnswer, Finder, photo, reader
from tests.gateway import JPEG, application, problem, reached, running, serving, until

pytestmark = pytest.mark.anyio

EVENTS = {"Accept": "text/event-stream"}
PATH = "/v1/inspect/claim"


def grey(number: int, kind: str = "PNG") -> bytes:
    return photo(16, 12, kind, (number, number, number))


def files(*photos: bytes) -> list[tuple[str, tuple[str, bytes]]]:
    return [("file", (f"{number}.jpg", data)) for number, data in enumerate(photos)]


def events(text: str) -> list[tuple[str, Any]]:
    found = []
    for block in text.split("\n\n")[:-1]:
        name, data = block.split("\n")
        found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


async def asked(app: FastAPI, messages: Any, headers: dict[str, str] | None = None, **more: Any) -> Answer:
    return await talk(app, messages, {**FORM, **(headers or {})}, path=PATH, **more)


class Heard:
    """Set once so many photos have been told of."""

    def __init__(self, photos: int) -> None:
        self.enough = asyncio.Event()
        self._left = photos

    def __call__(self, message: Message) -> None:
        self._left -= message.get("body", b"").startswith(b"event: photo")
        if self._left == 0:
            self.enough.set()


async def paused(body: bytes, at: int, heard: Heard) -> AsyncIterator[Message]:
    """The body, and a pause in it until enough was heard."""
    yield {"type": "http.request", "body": body[:at], "more_body": True}
    await heard.enough.wait()
    yield {"type": "http.request", "body": body[at:], "more_body": False}


def codes(body: dict[str, Any]) -> list[str | None]:
    return [one["problem"] and one["problem"]["code"] for one in body["photos"]]


def means(body: dict[str, Any]) -> list[float]:
    return [round(one["results"]["brightness"]["mean"]) for one in body["photos"]]


async def test_every_photo_is_answered_in_its_order() -> None:
    async with serving(Brightness()) as client:
        response = await client.post(PATH, files=files(*map(grey, range(10, 34))))
    body = response.json()
    assert response.status_code == 200
    assert list(body) == ["request_id", "models", "photos", "claim", "complete", "timings_ms"]
    assert means(body) == list(range(10, 34))
    assert [one["index"] for one in body["photos"]] == list(range(24))
    assert [one["file"] for one in body["photos"]][:2] == ["0.jpg", "1.jpg"]
    assert body["complete"] is True
    assert body["request_id"] == response.headers["x-request-id"]
    assert list(body["models"]) == ["brightness"]
    assert list(body["timings_ms"]) == ["receive", "roll_up", "total"]
    first = body["photos"][0]
    assert first["image"] == {"width": 16, "height": 12, "format": "PNG", "exif_orientation": 1}
    assert list(first["timings_ms"]) == ["receive", "decode", "join", "total", "tasks"]
    assert "receive;dur=" in response.headers["server-timing"]
    assert response.headers["vary"] == "Accept, Accept-Language"


async def test_each_photo_fails_alone() -> None:
    photos = [grey(10), b"", b"a text", grey(40)[:60], grey(50), bytes(3000)]
    async with serving(Brightness(), max_body_bytes=2000) as client:
        body = (await client.post(PATH, files=files(*photos))).json()
    told = [None, "empty_image", "unsupported_media_type", "undecodable_image", None, "body_too_large"]
    assert codes(body) == told
    failed = body["photos"][1]
    assert (failed["image"], failed["results"], failed["problems"], failed["timings_ms"]) == (None, {}, {}, None)
    assert failed["problem"]["request_id"] == body["request_id"]


async def test_where_all_photos_are_bad_each_says_so() -> None:
    async with serving(Brightness()) as client:
        response = await client.post(PATH, files=files(b"a", b"b"))
    assert response.status_code == 200
    assert codes(response.json()) == ["unsupported_media_type"] * 2


async def test_one_task_that_fails_does_not_take_the_others_along() -> None:
    one, two = Brightness("one"), Brightness("two")
    async with serving(one, two) as client:
        one.fail_finish = ValueError("secret")
        response = await client.post(PATH, files=files(grey(10)))
    (told,) = response.json()["photos"]
    assert told["results"]["one"] is None
    assert told["results"]["two"]["mean"] == 10
    assert told["problems"]["one"]["code"] == "prediction_failed"
    assert told["problem"] is None
    assert "secret" not in response.text


async def test_where_the_service_is_to_blame_for_all_the_claim_fails(caplog: pytest.LogCaptureFixture) -> None:
    predictor = Brightness()
    async with serving(predictor) as client:
        predictor.fail_finish = ValueError("secret")
        response = await client.post(PATH, files=files(grey(10), grey(20)))
        assert problem(response) == (500, "prediction_failed")
        assert f"{response.json()['request_id']}#1: " in caplog.text  # photos are numbered in the log
        mixed = await client.post(PATH, files=files(grey(10), b"no photo"))
    assert mixed.status_code == 200
    assert codes(mixed.json()) == ["prediction_failed", "unsupported_media_type"]
    assert mixed.json()["photos"][0]["results"] == {"brightness": None}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"content": b"x", "headers": {"Content-Type": "image/jpeg"}}, (415, "unsupported_media_type")),
        ({"json": {"image": "AAAA"}}, (415, "unsupported_media_type")),
        ({}, (400, "missing_image")),
        ({"content": b"", "headers": FORM}, (400, "empty_image")),
        ({"content": b"--carBOUNDARY--\r\n", "headers": FORM}, (400, "missing_image")),
        ({"content": form_body((FILE, b"x"))[:-4], "headers": FORM}, (400, "malformed_request")),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, (400, "malformed_request")),
        ({"files": [("photo", ("a.jpg", b"x"))]}, (400, "malformed_request")),
        ({"data": {"file": "a.jpg", "comment": "x"}, "files": files(b"x")}, (400, "malformed_request")),
        ({"files": files(*[b"x"] * 25)}, (400, "too_many_photos")),
        ({"files": files(bytes(30_000), bytes(30_000))}, (413, "body_too_large")),
        ({"files": files(b"x"), "params": {"box": "1,2,3,4"}}, (422, "invalid_option")),
        ({"files": files(b"x"), "params": {"vehicle": "all"}}, (422, "invalid_option")),
        ({"files": files(b"x"), "headers": {"X-Deadline-Ms": "300001"}}, (422, "invalid_option")),
    ],
)
async def test_what_fails_the_whole_claim(given: dict[str, Any], told: tuple[int, str]) -> None:
    async with serving(Finder(), reader(), max_claim_bytes=50_000) as client:
        assert problem(await client.post(PATH, **given)) == told


async def test_a_claim_that_turns_out_too_large_is_cut() -> None:
    app = application(Brightness(), max_claim_bytes=5000)
    async with running(app):
        answer = await asked(app, chunked(form_body((FILE, grey(1))), *[b"x" * 1000] * 9))
        assert (answer.status, answer.json()["code"]) == (413, "body_too_large")
        assert answer.taken < 10


async def test_options_hold_for_every_photo() -> None:
    predictor = Brightness()
    async with serving(predictor) as client:
        response = await client.post(f"{PATH}?top_k=1&min_score=0", files=files(grey(10), grey(20)))
    assert [one["results"]["brightness"]["channels"] for one in response.json()["photos"]] == [[10.0], [20.0]]


async def test_events_come_as_they_are_ready() -> None:
    """The third photo is sent once two have been answered."""
    app, heard, answered = application(Brightness()), Heard(2), ""
    whole = form_body((FILE, grey(10)), (FILE, b"no photo"), (FILE, grey(30)))
    async with running(app):
        answer = await asked(app, paused(whole, whole.rindex(b"--carBOUNDARY\r\n") + 20, heard), EVENTS, heard=heard)
        answered = answer.body.decode()
    told = events(answered)
    assert [name for name, _ in told] == ["photo", "photo", "photo", "claim"]
    assert sorted(data["index"] for _, data in told[:2]) == [0, 1]


async def test_the_events_are_the_answer_in_pieces() -> None:
    async with serving(Brightness()) as client:
        photos = files(grey(10), b"no photo", grey(30))
        whole = (await client.post(PATH, files=photos)).json()
        response = await client.post(PATH, files=photos, headers=EVENTS)
    assert response.headers["content-type"] == "text/event-stream"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-accel-buffering"] == "no"
    *each, (name, rest) = events(response.text)
    assert name == "claim"
    assert {name for name, _ in each} == {"photo"}
    assert sorted(data["index"] for _, data in each) == [0, 1, 2]
    by_index = {data["index"]: data for _, data in each}
    assert [by_index[n]["results"] for n in range(3)] == [one["results"] for one in whole["photos"]]
    assert list(rest) == [name for name in whole if name != "photos"]


async def test_a_claim_that_fails_before_its_first_event_is_a_problem() -> None:
    async with serving(Brightness()) as client:
        response = await client.post(PATH, files=[("photo", ("a.jpg", b"x"))], headers=EVENTS)
        assert problem(response) == (400, "malformed_request")


async def test_a_claim_that_fails_after_it_ends_with_that_event() -> None:
    app, heard = application(Brightness()), Heard(1)
    whole = form_body((FILE, b"no photo"), (FILE, b"x"))[:-20]
    async with running(app) as client:
        answer = await asked(app, paused(whole, whole.rindex(b"--carBOUNDARY") + 20, heard), EVENTS, heard=heard)
        told = events(answer.body.decode())
        assert (answer.status, [name for name, _ in told]) == (200, ["photo", "problem"])
        assert told[1][1]["code"] == "malformed_request"
        counted = 'carlens_http_rejected_total{reason="bad_input",route="/v1/inspect/claim"} 1.0'
        assert counted in (await client.get("/metrics")).text


# bounds


async def test_the_body_waits_while_the_path_is_behind() -> None:
    """No more photos are taken than are worked on, and one: what the client sends further stays with it."""
    predictor = Brightness()
    app = application(predictor)
    parts = [form_body((FILE, grey(number))).removesuffix(b"--carBOUNDARY--\r\n") for number in range(10, 34)]
    async with running(app) as client:
        release = predictor.wait_prepare = threading.Event()
        taken = 0

        async def body() -> AsyncIterator[Message]:
            nonlocal taken
            for part in parts:
                taken += 1
                yield {"type": "http.request", "body": part, "more_body": True}
            yield {"type": "http.request", "body": b"--carBOUNDARY--\r\n", "more_body": False}

        asking = asyncio.create_task(asked(app, body()))
        await reached(predictor.preparing)
        for _ in range(50):
            await asyncio.sleep(0.001)
        # a part ends with the boundary of the next one, which is the first bytes of a further message
        assert taken == WINDOW + 2
        single = asyncio.create_task(client.post("/v1/brightness", content=grey(99)))
        release.set()
        assert (await single).status_code in (200, 415)
        assert means((await asking).json()) == list(range(10, 34))


async def test_waiting_for_the_path_is_no_stall() -> None:
    """The path is behind for longer than a body may stall."""
    predictor = Brightness()
    app = application(predictor, body_timeout_s=0.2)
    async with running(app):
        release = predictor.wait_prepare = threading.Event()
        asking = asyncio.create_task(asked(app, chunked(*_each(WINDOW + 3))))
        await reached(predictor.preparing)
        await asyncio.sleep(0.5)
        release.set()
        assert codes((await asking).json()) == [None] * (WINDOW + 3)


async def test_a_body_that_stalls_is_refused() -> None:
    app = application(Brightness(), body_timeout_s=0.1)
    async with running(app):
        answer = await asked(app, unfinished(form_body((FILE, grey(1)))[:-30]))
        assert (answer.status, answer.json()["code"]) == (400, "malformed_request")
        assert answer.headers["connection"] == "close"


async def test_more_claims_than_may_be_are_refused_unread() -> None:
    """The second comes while the first is held; a third after it has ended."""
    predictor = Brightness()
    app = application(predictor, max_claims=1)
    async with running(app) as client:
        release = predictor.wait_prepare = threading.Event()
        first = asyncio.create_task(asked(app, chunked(*_each(2))))
        await reached(predictor.preparing)
        for headers in ({}, EVENTS):
            second = await asked(app, chunked(*_each(2)), headers)
            assert (second.status, second.json()["code"]) == (503, "overloaded")
            assert int(second.headers["retry-after"]) >= 1
            assert second.taken == 0
        counted = 'carlens_http_rejected_total{reason="full",route="/v1/inspect/claim"} 2.0'
        assert counted in (await client.get("/metrics")).text
        single = asyncio.create_task(client.post("/v1/brightness", content=grey(9), headers=JPEG))
        release.set()
        assert (await single).status_code == 200, "single photos are no claims"
        assert codes((await first).json()) == [None, None]
        assert (await asked(app, chunked(*_each(2)))).status == 200


@pytest.mark.parametrize("end", ["deadline", "leaves", "malformed"])
async def test_a_claim_that_ended_badly_leaves_its_place(end: str) -> None:
    predictor = Brightness()
    app = application(predictor, max_claims=1)
    bad: dict[str, Any] = {
        "deadline": unfinished(*_each(2)[:1]),
        "leaves": [*unfinished(*_each(2)[:1]), LEAVES],
        "malformed": chunked(form_body((FILE, grey(1)))[:-4]),
    }
    async with running(app):
        await asked(app, bad[end], {"X-Deadline-Ms": "300"} if end == "deadline" else {})
        await _quiet(app)
        assert codes((await asked(app, chunked(*_each(2)))).json()) == [None, None]


def _each(count: int) -> list[bytes]:
    parts = [form_body((FILE, grey(10 + number))).removesuffix(b"--carBOUNDARY--\r\n") for number in range(count)]
    return [*parts, b"--carBOUNDARY--\r\n"]


# the deadline


async def test_at_the_deadline_what_is_done_is_answered() -> None:
    """The first photo is done before the second is sent, which never leaves the device; the third never ends."""
    predictor, heard = Brightness(), Heard(1)
    app, parts, release = application(predictor), _each(3), threading.Event()

    async def body() -> AsyncIterator[Message]:
        yield {"type": "http.request", "body": parts[0] + b"--carBOUNDARY\r\n", "more_body": True}
        await heard.enough.wait()
        predictor.wait_run = release
        rest = (parts[1] + parts[2][:-20]).removeprefix(b"--carBOUNDARY\r\n")
        yield {"type": "http.request", "body": rest, "more_body": True}
        await asyncio.Event().wait()

    async with running(app):
        answer = await asked(app, body(), {**EVENTS, "X-Deadline-Ms": "1500"}, heard=heard)
        release.set()
    *each, (_, rest) = events(answer.body.decode())
    found = {data["index"]: data["problem"] and data["problem"]["code"] for _, data in each}
    assert found == {0: None, 1: "deadline_exceeded", 2: "deadline_exceeded"}
    assert rest["complete"] is False


async def test_what_still_comes_after_the_deadline_is_not_read() -> None:
    app = application(Brightness())
    async with running(app):
        begun = form_body((FILE, b"no photo"), (FILE, grey(2)))[:-30]
        answer = await asked(app, unfinished(begun), {"X-Deadline-Ms": "300"})
    assert codes(answer.json()) == ["unsupported_media_type", "deadline_exceeded"]
    assert answer.json()["complete"] is False
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize("headers", [{}, EVENTS])
async def test_where_nothing_is_done_at_the_deadline_that_is_the_answer(headers: dict[str, str]) -> None:
    predictor = Brightness()
    app = application(predictor)
    async with running(app):
        release = predictor.wait_run = threading.Event()
        answer = await asked(app, chunked(*_each(2)), {**headers, "X-Deadline-Ms": "200"})
        release.set()
    assert (answer.status, answer.json()["code"]) == (504, "deadline_exceeded")


@pytest.mark.parametrize("headers", [{}, EVENTS])
async def test_a_photo_that_hears_of_the_deadline_first_is_told_at_the_claims_end(
    headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def late(*_: Any) -> Any:
        raise DeadlineExceeded("The answer was not ready before the deadline.")

    monkeypatch.setattr(Pipeline, "inspect", late)
    app = application(Brightness())
    async with running(app):
        answer = await asked(app, chunked(*_each(2)), headers)
    assert (answer.status, answer.json()["code"]) == (504, "deadline_exceeded")


async def test_where_no_photo_came_by_the_deadline_that_is_the_answer() -> None:
    app = application(Brightness())
    async with running(app):
        nothing = await asked(app, unfinished(b"--carBOUNDARY\r\n"), {"X-Deadline-Ms": "60"})
    assert (nothing.status, nothing.json()["code"]) == (504, "deadline_exceeded")


# clients that leave, and a service that stops


async def test_a_client_that_leaves_while_it_sends_stops_the_work() -> None:
    predictor = Brightness()
    app = application(predictor)
    async with running(app) as client:
        release = predictor.wait_run = threading.Event()
        parts = _each(3)
        gone = [*unfinished(parts[0], parts[1], parts[2][:40]), LEAVES]
        for headers in ({}, EVENTS):
            answer = await asked(app, gone, headers)
            assert answer.status is None
        release.set()
        await _quiet(app)
        left = 'carlens_http_requests_total{method="POST",route="/v1/inspect/claim",status="499"} 2.0'
        assert left in (await client.get("/metrics")).text


async def test_a_client_that_leaves_while_its_body_is_held_back_stops_the_work() -> None:
    """Nobody receives then: the server says that the connection has closed, before any photo is done."""
    predictor, gone = Brightness(), asyncio.Event()
    app = application(predictor)
    async with running(app) as client:
        release = predictor.wait_prepare = threading.Event()
        parts, extensions = _each(WINDOW + 5), {GONE: gone}
        asking = asyncio.create_task(asked(app, unfinished(*parts[:-1]), EVENTS, extensions=extensions))
        await reached(predictor.preparing)
        gone.set()
        answer = await asyncio.wait_for(asking, 30)
        assert answer.status is None
        assert predictor.rows == 0
        release.set()
        await _quiet(app)
        left = 'carlens_http_requests_total{method="POST",route="/v1/inspect/claim",status="499"} 1.0'
        assert left in (await client.get("/metrics")).text


async def test_a_client_that_leaves_while_it_waits_stops_the_work() -> None:
    predictor = Brightness()
    app = application(predictor)
    async with running(app) as client:
        release = predictor.wait_run = threading.Event()
        answer = await asked(app, [*chunked(*_each(WINDOW)), LEAVES])
        assert answer.status is None
        rows = predictor.rows
        release.set()
        await _quiet(app)
        assert predictor.rows <= rows + 1  # the one on the device
        assert (await client.get("/health/ready")).status_code == 200


async def test_a_client_that_leaves_after_the_first_event_counts_as_one_that_left() -> None:
    predictor = Brightness()
    app = application(predictor)
    leave = asyncio.Event()

    async def body() -> AsyncIterator[Message]:
        whole = form_body((FILE, b"no photo"), (FILE, grey(20)))
        yield {"type": "http.request", "body": whole, "more_body": False}
        await leave.wait()
        yield LEAVES

    async with running(app) as client:
        release = predictor.wait_run = threading.Event()
        asking = asyncio.create_task(asked(app, body(), EVENTS))
        await reached(predictor.running)
        leave.set()
        answer = await asking
        release.set()
        assert [name for name, _ in events(answer.body.decode())] == ["photo"]
        assert 'route="/v1/inspect/claim",status="499"} 1.0' in (await client.get("/metrics")).text


async def test_a_stopping_service_finishes_the_claims_it_took() -> None:
    predictor = Brightness()
    app = application(predictor)
    async with running(app) as client:
        release = predictor.wait_prepare = threading.Event()
        taken = asyncio.create_task(client.post(PATH, files=files(*map(grey, range(10, 18)))))
        await reached(predictor.preparing)
        stopping = asyncio.create_task(app.state.stop())
        await asyncio.sleep(0)
        late = await client.post(PATH, files=files(grey(1)))
        release.set()
        await stopping
        assert problem(late) == (503, "shutting_down")
        assert codes((await taken).json()) == [None] * 8


async def _quiet(app: FastAPI) -> None:
    """Nothing of the claim is left on the path."""
    await until(lambda: app.state.batcher.oldest_s == 0.0)


# what the operator sees


async def test_the_log_tells_of_one_request_with_its_photos(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "carlens.request")
    async with serving(Brightness()) as client:
        await client.post(PATH, files=files(grey(10), grey(20)))
    (line,) = [record for record in caplog.records if record.name == "carlens.request" and "claim" in record.message]
    told: dict[str, Any] = vars(line)["fields"]
    assert told["photos"] == 2
    assert told["bytes_in"] > 0
    assert {"receive", "decode", "brightness.device"} <= set(told["stages_ms"])


# which vehicle


async def test_the_finder_is_asked_along_and_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The roll-up sees its answer: it says which photos are close-ups."""
    seen: list[set[str]] = []

    def watched(sights: Sequence[Sight], language: Language) -> Claim:
        seen.extend(set(one.answers) for one in sights)
        return claim(sights, language)

    monkeypatch.setattr("app.claim_answer.rolled_up", watched)
    finder = Finder((1, 1, 7, 7))
    async with serving(finder, reader(), Brightness("plain")) as client:
        body = (await client.post(f"{PATH}?tasks=brightness", files=files(grey(10)))).json()
        assert list(body["photos"][0]["results"]) == list(body["models"]) == ["brightness"]
        assert body["photos"][0]["results"]["brightness"]["region"]["source"] == "vehicle"
        assert finder.runs == 1
        assert seen == [{"brightness", "vehicles"}]
        await client.post(f"{PATH}?tasks=plain", files=files(grey(10)))
        await client.post(f"{PATH}?tasks=brightness&vehicle=whole", files=files(grey(10)))
        assert finder.runs == 1  # nobody reads what it would find


def test_a_join_may_not_add_what_each_photo_has() -> None:
    class Added(BaseModel):
        file: str | None = None

    join = Join("names", {"brightness": BrightnessAnswer}, lambda seen: Added(), adds=Added)
    with pytest.raises(ValueError, match="adds file"):
        application(Brightness(), joins=[join])
