"""carlens as an application of Ray Serve, started by `serve run` with the config of docker/ray: the contract's main
answers, from two ingress replicas behind Serve's own proxy."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client import Counter, Gauge
from prometheus_client.registry import CollectorRegistry

from app.keys import SCOPES
from tests.fakes import photo
from tests.gateway import JPEG, problem
from tests.keyed import bearer, key
from tests.ray.conftest import Nodes
from tests.ray.fakes import BAD

pytest.importorskip("ray", reason='needs pip install "carlens[ray]"')

import ray.serve
from ray.serve.schema import ServeDeploySchema

from app.engines.figures import SILENT_S, Figures
from app.engines.fleet import Order
from app.engines.ingress import INGRESS, Ingress
from app.engines.standing import Standing
from app.metrics import Metrics
from app.sums import Families

pytestmark = [pytest.mark.anyio, pytest.mark.ray, pytest.mark.filterwarnings("ignore")]

CONFIG = Path(__file__).resolve().parents[2] / "docker" / "ray" / "serve.yaml"
START_S = 240


@pytest.fixture(scope="module")
def served(cluster: Nodes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Where the application answers, once it is ready, and a key; its config is that of docker/ray, cut to this
    machine."""
    folder = tmp_path_factory.mktemp("serve")
    token = key(folder / "keys.toml", "everything", *SCOPES)
    cluster.has(1)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    config["proxy_location"] = "HeadOnly"
    config["http_options"] |= {"host": "127.0.0.1", "port": port}
    (application,) = config["applications"]
    application["args"] = {
        "predictors": "brightness",
        "device": "cpu",
        "replicas": "1",
        "keys_file": str(folder / "keys.toml"),
    }
    (ingress,) = application["deployments"]
    del ingress["max_replicas_per_node"]
    ingress["ray_actor_options"]["num_cpus"] = 0.5
    (folder / "serve.yaml").write_text(yaml.safe_dump(config))
    command = Path(sys.executable).parent / "serve"
    process = subprocess.Popen([command, "run", "--address", cluster.cluster.address, folder / "serve.yaml"])
    try:
        url = f"http://127.0.0.1:{port}"
        asyncio.run(ready(url, process))
        yield url, token
    finally:
        process.terminate()
        process.wait(60)


async def ready(url: str, process: "subprocess.Popen[bytes]") -> None:
    async with asyncio.timeout(START_S), httpx.AsyncClient(base_url=url) as client:
        while True:
            assert process.poll() is None, "serve run has ended: run the test with -s"
            try:
                if (await client.get("/health/ready")).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            await asyncio.sleep(0.2)


@pytest.fixture
async def client(served: tuple[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    url, token = served
    async with httpx.AsyncClient(base_url=url, timeout=60, headers=bearer(token)) as made:
        yield made


async def test_a_photo_is_answered_in_the_envelope(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/brightness", content=photo(), headers={**JPEG, "X-Request-ID": "mine-1"})
    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {"request_id", "model", "image", "result", "timings_ms"}
    assert body["result"]["mean"] == pytest.approx(110, abs=2)
    assert body["request_id"] == "mine-1"
    assert answer.headers.get_list("x-request-id") == ["mine-1"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "device" in body["timings_ms"]


async def test_problems_are_the_gateways_own(client: httpx.AsyncClient) -> None:
    url = "/v1/brightness"
    assert problem(await client.post(url, content=b"GIF89a", headers=JPEG)) == (422, "undecodable_image")
    assert problem(await client.post(url, files={"other": b"x"})) == (400, "missing_image")
    assert problem(await client.post(f"{url}?nothing=1", content=photo(), headers=JPEG)) == (422, "invalid_option")
    assert problem(await client.post(url, content=photo(color=BAD), headers=JPEG)) == (500, "prediction_failed")
    assert problem(await client.get("/v1/nothing")) == (404, "not_found")
    assert problem(await client.post(url, content=photo(), headers={"Authorization": "Bearer no"}))[0] == 401
    late = await client.post(url, content=photo(), headers={**JPEG, "X-Deadline-Ms": "1"})
    assert problem(late) == (422, "invalid_option")


async def test_the_deadline_holds_through_the_proxy(client: httpx.AsyncClient, cluster: Nodes) -> None:
    cluster.write("hold")
    try:
        late = await client.post("/v1/brightness", content=photo(), headers={**JPEG, "X-Deadline-Ms": "300"})
        assert problem(late) == (504, "deadline_exceeded")
    finally:
        cluster.remove("hold")


async def test_what_is_served_is_told_and_is_the_configs(client: httpx.AsyncClient) -> None:
    (model,) = (await client.get("/v1/models")).json()["models"]
    assert (model["name"], model["state"]) == ("brightness", "ready")
    assert (await client.get("/openapi.json")).json()["info"]["title"] == "carlens"
    changed = await client.post("/v1/models/brightness/reload")
    assert problem(changed) == (409, "load_failed")
    assert "Deploy one with other weights" in changed.json()["detail"]


async def test_two_ingress_replicas_share_one_predictor_and_count_together(
    client: httpx.AsyncClient, cluster: Nodes
) -> None:
    cluster.remove("runs")
    for _ in range(12):  # the proxy chooses anew each time
        assert (await client.post("/v1/brightness", content=photo(), headers=JPEG)).status_code == 200
        assert (await client.get("/v1/models/brightness")).status_code == 200
    assert len({process for process, _ in cluster.runs()}) == 1
    deployments = ray.serve.status().applications["carlens"].deployments
    assert deployments[INGRESS].replica_states == {"RUNNING": 2}
    assert deployments["brightness"].replica_states == {"RUNNING": 1}
    asked = 'carlens_http_requests_total{method="GET",route="/v1/models/{name}",status="200"}'
    async with asyncio.timeout(60):
        while (told := await figures(client)).get(asked, 0) < 12:  # noqa: ASYNC110 - the other one tells now and then
            await asyncio.sleep(0.2)
    assert told[asked] == 12
    assert {f'process_start_time_seconds{{worker="{number}"}}' for number in (0, 1)} <= told.keys()


async def figures(client: httpx.AsyncClient) -> dict[str, float]:
    lines = (await client.get("/metrics")).text.splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines) if name[0] != "#"}


async def test_readiness_tells_of_missing_replicas(client: httpx.AsyncClient, cluster: Nodes) -> None:
    first = await client.post("/v1/brightness", content=photo(), headers=JPEG)
    assert first.status_code == 200
    process, _ = cluster.runs()[-1]
    os.kill(process, 9)
    async with asyncio.timeout(START_S):
        while (answer := await client.get("/health/ready")).status_code == 200:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.05)
        assert "brightness (0 of 1 replicas run)" in answer.json()["detail"]
        # each ingress replica looks for itself: one may know of the new replica when the other does not yet
        while (answer := await client.post("/v1/brightness", content=photo(), headers=JPEG)).status_code != 200:
            assert problem(answer) == (503, "not_ready")
            await asyncio.sleep(0.2)


def test_the_config_is_one_of_ray_serve() -> None:
    ServeDeploySchema.model_validate(yaml.safe_load(CONFIG.read_text(encoding="utf-8")))


def test_what_was_not_built_of_these_weights_is_not_served() -> None:
    order = Order("damage", None, "sha256:1", "cpu", 4)
    standing = Standing("carlens", {}, [order, Order("damage", "1.1.0", "sha256:2", "cpu", 4)])
    assert standing.deploy(order) == "damage"
    assert standing.deploy(Order("damage", "1.1.0", "sha256:2", "cpu", 4)) == "damage@1.1.0"
    for other in (Order("damage", None, "sha256:3", "cpu", 4), Order("parts", None, "sha256:1", "cpu", 4)):
        with pytest.raises(ValueError, match="put the same files on every node"):
            standing.deploy(other)


async def test_health_tells_the_figures_and_fails_without_a_cluster() -> None:
    told: list[str] = []
    batcher, metrics = SimpleNamespace(alive=True), Metrics()
    ingress = Ingress.__new__(Ingress)
    ingress._name = "one"
    ingress._gateway = SimpleNamespace(state=SimpleNamespace(batcher=batcher, metrics=metrics))  # type: ignore[assignment]
    ingress._figures = SimpleNamespace(told=SimpleNamespace(remote=lambda name, _: told.append(name)))
    await ingress.check_health()
    assert told == ["one"]
    batcher.alive = False
    with pytest.raises(RuntimeError):
        await ingress.check_health()


def families(count: int, waiting: int) -> Families:
    registry = CollectorRegistry()
    Counter("photos", "", registry=registry).inc(count)
    Gauge("waiting", "", registry=registry).set(waiting)
    return list(registry.collect())


def test_figures_are_sums_and_what_ended_counts_once() -> None:
    now = [0.0]
    figures = Figures(lambda: now[0])

    def told(of: str, count: int, waiting: int) -> dict[str, float]:
        lines: Any = (line.split() for line in figures.text(of, families(count, waiting)).decode().splitlines())
        return {name: float(value) for name, value, *_ in lines if name in ("photos_total", "waiting")}

    figures.told("one", families(3, 1))
    assert told("two", 4, 2) == {"photos_total": 7, "waiting": 3}
    now[0] = SILENT_S + 1
    assert told("two", 5, 2) == {"photos_total": 8, "waiting": 2}
    figures.told("one", families(9, 9))
    assert told("two", 5, 2) == {"photos_total": 8, "waiting": 2}
