"""A real service whose models change while it answers: reloads under load, broken files, versions, memory, workers."""

import asyncio
import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.keys import SCOPES
from models.manifest import SHIPPED
from tests.contract.process import Service, serving
from tests.fakes import photo
from tests.gateway import JPEG, problem
from tests.keyed import key

pytestmark = pytest.mark.anyio

PATIENT = {**JPEG, "X-Deadline-Ms": "600000"}
MIB = 2**20


class Folder:
    """Weights of one's own: copies of the shipped ones, under other versions."""

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name
        path.mkdir(parents=True)
        self.keys = path.parent / f"{name}.toml"
        self.token = key(self.keys, "everything", *SCOPES)
        self.put("1.0.0")

    def put(self, version: str, beside: bool = False) -> None:
        """Whole weights of that version, in the place of what serves or beside it."""
        stem = f"{self.name}@{version}" if beside else self.name
        for file in SHIPPED.glob(f"{self.name}.*"):
            if file.suffix != ".md":
                shutil.copy(file, self.path / f"{stem}{file.name.removeprefix(self.name)}")
        manifest = self.path / f"{stem}.json"
        manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "version": version}))

    def spoil(self) -> None:
        (self.path / f"{self.name}.safetensors").write_bytes(b"half a file")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return Folder(tmp_path_factory.mktemp("weights") / "w", "vehicles")


def settings(folder: Folder, **more: str) -> dict[str, str]:
    return {
        "CARLENS_DEVICE": "cpu",
        "CARLENS_PREDICTORS": folder.name,
        "CARLENS_WEIGHTS_DIR": str(folder.path),
        "CARLENS_CACHE_DIR": str(folder.path.parent / "cache"),
        "CARLENS_KEYS_FILE": str(folder.keys),
        "CARLENS_QUEUE_LIMIT": "500",
        "CARLENS_MAX_DEADLINE_MS": "600000",
        **more,
    }


@pytest.fixture(scope="module")
def service(folder: Folder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(tmp_path_factory.mktemp("live") / "log", settings(folder), token=folder.token) as running:
        yield running


async def version(client: httpx.AsyncClient, **query: str) -> str:
    answer = await client.post("/v1/vehicles", params=query, content=photo(), headers=PATIENT)
    assert answer.status_code == 200, answer.text
    told: str = answer.json()["model"]["version"]
    return told


async def test_a_reload_under_load_loses_no_request(service: Service, folder: Folder) -> None:
    async with service.client() as client:
        assert await version(client) == "1.0.0"
        folder.put("2.0.0")
        asking = [asyncio.create_task(version(client)) for _ in range(200)]
        reloaded = await client.post("/v1/models/vehicles/reload")
        assert reloaded.status_code == 200, reloaded.text
        told = {"worker": 0, "state": "ready", "version": "2.0.0", "versions": ["2.0.0"], "failure": None}
        assert reloaded.json() == {"name": "vehicles", "workers": [told]}
        assert set(await asyncio.gather(*asking)) <= {"1.0.0", "2.0.0"}
        assert await version(client) == "2.0.0"


async def test_a_broken_file_is_named_and_the_old_version_answers_on(service: Service, folder: Folder) -> None:
    async with service.client() as client:
        before = await version(client)
        folder.spoil()
        asking = [asyncio.create_task(version(client)) for _ in range(20)]
        refused = await client.post("/v1/models/vehicles/reload")
        assert problem(refused) == (409, "load_failed")
        assert f"{folder.path}/vehicles.safetensors: sha256 is " in refused.json()["detail"]
        assert refused.json()["workers"][0]["state"] == "ready"
        assert set(await asyncio.gather(*asking)) == {before}
        (folder.path / "vehicles.json").write_text("{")
        assert "vehicles.json" in (await client.post("/v1/models/vehicles/reload")).json()["detail"]
        assert (await client.get("/health/ready")).status_code == 200
        folder.put("3.0.0")
        assert (await client.post("/v1/models/vehicles/reload")).status_code == 200
        assert await version(client) == "3.0.0"


async def test_a_version_beside_answers_those_who_ask_for_it(service: Service, folder: Folder) -> None:
    async with service.client() as client:
        serves = await version(client)
        folder.put("9.0.0+next", beside=True)
        assert (await client.post("/v1/models/vehicles/reload")).status_code == 200
        assert (await client.get("/v1/models/vehicles")).json()["versions"] == [serves, "9.0.0+next"]
        assert [await version(client), await version(client, version="9.0.0+next")] == [serves, "9.0.0+next"]
        unknown = await client.post("/v1/vehicles?version=8", content=photo(), headers=JPEG)
        assert problem(unknown) == (404, "unknown_model")
        assert unknown.json()["detail"] == f"vehicles has no version '8'. There are: {serves}, 9.0.0+next."


async def test_sighup_reads_all_anew(service: Service, folder: Folder) -> None:
    folder.put("4.0.0")
    service.process.send_signal(signal.SIGHUP)
    async with service.client() as client:
        await eventually(lambda: version(client), "4.0.0")


async def eventually(ask: Callable[[], Any], wanted: Any) -> None:
    async with asyncio.timeout(90):
        while await ask() != wanted:  # noqa: ASYNC110 - another process brings it about
            await asyncio.sleep(0.1)


async def test_twenty_who_ask_for_what_is_not_loaded_load_it_once(tmp_path: Path) -> None:
    own = Folder(tmp_path / "w", "vehicles")
    log = tmp_path / "log"
    with serving(log, settings(own, CARLENS_LAZY="vehicles"), token=own.token) as running:
        async with running.client() as client:
            assert (await client.get("/v1/models/vehicles")).json()["state"] == "unloaded"
            assert set(await asyncio.gather(*(version(client) for _ in range(20)))) == {"1.0.0"}
            assert log.read_text().count("vehicles serves version 1.0.0") == 1


async def test_every_worker_changes_and_one_that_is_started_again_too(tmp_path: Path) -> None:
    own = Folder(tmp_path / "w", "vehicles")
    log = tmp_path / "log"
    with serving(log, settings(own, CARLENS_WORKERS="2"), token=own.token) as running:
        async with running.client() as client:
            own.put("2.0.0")
            told = (await client.post("/v1/models/vehicles/reload")).json()["workers"]
            assert [(one["worker"], one["version"]) for one in told] == [(0, "2.0.0"), (1, "2.0.0")]
            own.put("3.0.0")
            running.process.send_signal(signal.SIGHUP)
            await eventually(lambda: count(log, "vehicles serves version 3.0.0"), 2)
            told = (await client.post("/v1/models/vehicles/unload")).json()["workers"]
            assert [one["state"] for one in told] == ["unloaded", "unloaded"]
            for pid in children(running.process.pid)[-1:]:
                os.kill(pid, signal.SIGKILL)
            await eventually(lambda: count(log, "worker 1 ended with exit code -9"), 1)
            await eventually(lambda: count(log, "vehicles is put away"), 3)
            told = (await client.post("/v1/models/vehicles/load")).json()["workers"]
            assert [(one["worker"], one["state"]) for one in told] == [(0, "ready"), (1, "ready")]


async def count(log: Path, text: str) -> int:
    return (await asyncio.to_thread(log.read_text)).count(text)


def children(pid: int | None) -> list[int]:
    """Workers, the first first; without the process that looks after shared resources."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    lines = {int(one): Path(f"/proc/{one}/cmdline").read_bytes() for one in found}
    return sorted(one for one, line in lines.items() if b"resource_tracker" not in line)


def resident(pid: int) -> int:
    """Bytes that the process holds in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="this system does not tell what a process holds")
async def test_memory_comes_back(tmp_path: Path) -> None:
    """After ten reloads less than one set of weights more than after two; and put away, most of it is given back."""
    own = Folder(tmp_path / "w", "attributes")
    with serving(tmp_path / "log", settings(own), token=own.token) as running:
        async with running.client() as client:
            held = []
            for _ in range(10):
                assert (await client.post("/v1/models/attributes/reload")).status_code == 200
                answer = await client.post("/v1/attributes", content=photo(), headers=PATIENT)
                assert answer.status_code == 200
                held.append(resident(running.process.pid))
            assert (await client.post("/v1/models/attributes/unload")).status_code == 200
            least = held[-1] - 60 * MIB
            await eventually(lambda: lower(running.process.pid, least), True)
            assert held[-1] - held[1] < 100 * MIB


async def lower(pid: int, than: int) -> bool:
    return resident(pid) < than
