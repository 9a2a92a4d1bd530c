"""The laws on a cluster of several nodes: what dies, hangs or is replaced under load, and what clients see of it."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from tests.fakes import photo
from tests.gateway import JPEG, problem, until
from tests.keyed import bearer, key
from tests.ray.conftest import Nodes, service
from tests.ray.fakes import BAD, DEADLY

pytest.importorskip("ray", reason='needs pip install "carlens[ray]"')
pytestmark = [pytest.mark.anyio, pytest.mark.ray, pytest.mark.filterwarnings("ignore")]

RECOVERY_S = 150
"""To start a replica takes seconds; on a busy machine many."""
SLACK_S = 3.0


async def ask(client: httpx.AsyncClient, *, deadline_ms: int = 20_000, **drawn: object) -> httpx.Response:
    headers = {**JPEG, "X-Deadline-Ms": str(deadline_ms)}
    return await client.post("/v1/brightness", content=photo(**drawn), headers=headers)  # type: ignore[arg-type]


async def missing(client: httpx.AsyncClient) -> str:
    """What readiness says is not there; empty where it is ready."""
    answer = await client.get("/health/ready")
    return "" if answer.status_code == 200 else str(answer.json()["detail"])


async def ready(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(RECOVERY_S):
        while await missing(client):  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.2)


class Load:
    """Clients that ask one photo after another; `seen` has a status and the seconds of each that ended."""

    def __init__(self, client: httpx.AsyncClient, deadline_ms: int) -> None:
        self.client, self.deadline_ms = client, deadline_ms
        self.seen: list[tuple[int, float]] = []
        self.going = True

    async def one(self) -> None:
        while self.going:
            began = time.monotonic()
            answer = await ask(self.client, deadline_ms=self.deadline_ms)
            self.seen.append((answer.status_code, time.monotonic() - began))
            if answer.status_code == 503:
                await asyncio.sleep(0.05)  # a client that is refused does not come back at once

    @property
    def statuses(self) -> Counter[int]:
        return Counter(status for status, _ in self.seen)

    @property
    def longest_s(self) -> float:
        return max(seconds for _, seconds in self.seen)

    async def more(self, answers: int) -> None:
        """Until so many more were answered well."""
        wanted = self.statuses[200] + answers
        await until(lambda: self.statuses[200] >= wanted, RECOVERY_S)


@asynccontextmanager
async def load(client: httpx.AsyncClient, clients: int, deadline_ms: int = 20_000) -> AsyncIterator[Load]:
    made = Load(client, deadline_ms)
    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(made.one())
        try:
            await made.more(1)
            yield made
        finally:
            made.going = False
            print(f"answers: {dict(made.statuses)}, the slowest after {made.longest_s:.2f} s")  # noqa: T201 - with -s


async def test_photos_are_answered_in_batches_counted_once(nodes: Nodes) -> None:
    nodes.has(1)
    async with service() as (client, _):
        await ready(client)
        answers = await asyncio.gather(*(ask(client) for _ in range(12)))
        assert {answer.status_code for answer in answers} == {200}
        assert answers[0].json()["result"]["mean"] == pytest.approx(110, abs=2)
        figures = (await client.get("/metrics")).text
    told = {line.split()[0]: float(line.split()[1]) for line in figures.splitlines() if not line.startswith("#")}
    assert told['carlens_batch_size_sum{predictor="brightness"}'] == 12
    assert told['carlens_batch_size_count{predictor="brightness"}'] == len(nodes.runs()) - 1  # one proved it
    assert told['carlens_queue_depth{predictor="brightness"}'] == 0


async def test_a_bad_item_fails_alone(nodes: Nodes) -> None:
    nodes.has(1)
    async with service() as (client, _):
        await ready(client)
        colors = [(200, 40, 90)] * 3 + [BAD] + [(200, 40, 90)] * 4
        answers = await asyncio.gather(*(ask(client, color=color) for color in colors))
        assert [answer.status_code for answer in answers] == [200, 200, 200, 500, 200, 200, 200, 200]
        assert problem(answers[3]) == (500, "prediction_failed")


async def test_clients_that_leave_cancel_their_items(nodes: Nodes) -> None:
    nodes.has(1)
    async with service() as (client, app):
        await ready(client)
        (lane,) = app.state.batcher._lanes
        nodes.write("hold")
        patient = asyncio.create_task(ask(client))
        await until(lambda: nodes.there("held"))
        leaving = [asyncio.create_task(ask(client)) for _ in range(10)]
        await until(lambda: len(lane.sent) == 11)
        await asyncio.sleep(1)  # until all have come to the replica, which nothing announces
        for one in leaving:
            one.cancel()
        await until(lambda: len(lane.sent) == 1)
        await asyncio.sleep(1)  # and until it knows that they left
        nodes.remove("hold")
        assert (await patient).status_code == (await ask(client)).status_code == 200
        assert sum(photos for _, photos in nodes.runs()) == 3  # the one that proved it, and the two patient ones


async def test_what_cannot_be_answered_in_time_is_refused_before_it_is_sent(nodes: Nodes) -> None:
    nodes.has(1)
    async with service(queue_limit=8) as (client, app):
        await ready(client)
        (lane,) = app.state.batcher._lanes
        nodes.write("hold")
        waiting = [asyncio.create_task(ask(client)) for _ in range(8 + lane.largest)]
        await until(lambda: len(lane.sent) == len(waiting))
        refused = await asyncio.gather(*(ask(client) for _ in range(5)))
        assert {problem(one) for one in refused} == {(503, "overloaded")}
        assert nodes.there("hold")  # nobody waited for a replica to be told so
        nodes.remove("hold")
        assert {(await one).status_code for one in waiting} == {200}


async def test_more_load_brings_another_replica(nodes: Nodes) -> None:
    nodes.has(2)
    async with service(replicas="1-2", scale_up_s=1) as (client, app):
        await ready(client)
        (lane,) = app.state.batcher._lanes
        assert lane.running == 1
        async with load(client, 40) as busy:
            await until(lambda: lane.running == 2, RECOVERY_S)
            await busy.more(100)
        assert len({process for process, _ in nodes.runs()}) == 2
        assert set(busy.statuses) == {200}


async def test_a_node_is_killed_under_load(nodes: Nodes) -> None:
    nodes.has(3)
    async with service(replicas="2", replica_cpus="2") as (client, _):  # each on a node of its own
        await ready(client)
        async with load(client, 8, deadline_ms=8000) as busy:
            await busy.more(50)
            process, _photos = nodes.runs()[-1]
            await asyncio.to_thread(nodes.kill, nodes.host(process))
            async with asyncio.timeout(RECOVERY_S):
                while "brightness (1 of 2 replicas run)" not in await missing(client):  # noqa: ASYNC110 - as above
                    await asyncio.sleep(0.02)
            await ready(client)
            await busy.more(50)
        assert set(busy.statuses) <= {200, 503, 504}
        assert busy.longest_s < 8 + SLACK_S
        assert len({one for one, _ in nodes.runs()}) == 3


async def test_a_replica_that_hangs_is_replaced(nodes: Nodes) -> None:
    nodes.has(2)
    async with service(replicas="2", stuck_s=2) as (client, app):
        await ready(client)
        (lane,) = app.state.batcher._lanes
        async with load(client, 8, deadline_ms=5000) as busy:
            await busy.more(50)
            nodes.write("hang")
            await until(lambda: nodes.there("hung"))
            await until(lambda: lane.running < 2, RECOVERY_S)
            await busy.more(20)  # by the other one
            await ready(client)
            await busy.more(50)
        assert set(busy.statuses) <= {200, 504}  # nobody is refused while another one runs
        assert busy.longest_s < 5 + SLACK_S


async def test_an_item_that_kills_its_replica_does_not_kill_them_all(nodes: Nodes) -> None:
    nodes.has(2)
    async with service(replicas="3") as (client, _):
        await ready(client)
        deadly = await ask(client, color=DEADLY)
        assert problem(deadly)[0] == 503
        assert (await ask(client)).status_code == 200
        await ready(client)


async def test_new_weights_under_load_lose_no_request(nodes: Nodes, tmp_path: Path) -> None:
    nodes.has(1)
    path = tmp_path / "keys.toml"
    token = key(path, "all", "predict", "admin")
    async with service(keys_file=path) as (client, app):
        client.headers.update(bearer(token))
        await ready(client)
        old = app.state.shelf.loaded("brightness").lane.application
        async with load(client, 6) as busy:
            await busy.more(20)
            nodes.write("weights", "2")
            changed = await client.post("/v1/models/brightness/reload", timeout=RECOVERY_S)
            assert changed.json()["workers"][0]["version"] == "2.0.0"
            await busy.more(50)
        assert set(busy.statuses) == {200}
        assert (await ask(client)).json()["model"]["version"] == "2.0.0"
        assert app.state.shelf.loaded("brightness").lane.application != old
        engine = app.state.batcher
        async with asyncio.timeout(RECOVERY_S):
            while old in await engine._in_thread(engine._fleet.conditions):  # noqa: ASYNC110 - nothing announces it
                await asyncio.sleep(0.2)
