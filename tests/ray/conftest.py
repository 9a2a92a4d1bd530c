"""A cluster of several nodes on this machine, with the fake predictor installed for every process of it."""

import contextlib
import os
import sys
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.main import create_app
from app.settings import Settings
from tests.contract.plugin import installed
from tests.gateway import running, until
from tests.ray.fakes import FOLDER

MIB = 2**20

with warnings.catch_warnings(), contextlib.suppress(ModuleNotFoundError):
    warnings.simplefilter("ignore")  # of pydantic, about what Ray does
    import ray.serve


@dataclass
class Nodes:
    """A cluster whose head runs no replicas, so that it outlives the death of any node that does."""

    cluster: Any
    folder: Path
    running: list[Any] = field(default_factory=list)

    def kill(self, node: Any) -> None:
        self.running.remove(node)
        self.cluster.remove_node(node, allow_graceful=False)

    def host(self, process: int) -> Any:
        """The node that a replica's process runs on: it is its raylet's child."""
        parent = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
        return next(one for one in self.running if one.all_processes["raylet"][0].process.pid == parent)

    def has(self, count: int) -> None:
        """Exactly so many nodes for replicas."""
        while len(self.running) > count:
            self.kill(self.running[-1])
        while len(self.running) < count:
            node = self.cluster.add_node(num_cpus=2, object_store_memory=100 * MIB, include_dashboard=False)
            self.running.append(node)
        self.cluster.wait_for_nodes()

    def write(self, name: str, text: str = "") -> None:
        (self.folder / name).write_text(text)

    def remove(self, name: str) -> None:
        (self.folder / name).unlink(missing_ok=True)

    def there(self, name: str) -> bool:
        return (self.folder / name).exists()

    def runs(self) -> list[tuple[int, int]]:
        """Process and photos of every run since the test began."""
        path = self.folder / "runs"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(int(process), int(photos)) for process, photos in (line.split() for line in lines)]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    from ray.cluster_utils import Cluster

    folder = tmp_path_factory.mktemp("fake")
    environment = installed(folder, "brightness = tests.ray.fakes:Remote")
    before, paths = os.environ.copy(), list(sys.path)
    os.environ.update({"PYTHONPATH": environment["PYTHONPATH"], FOLDER: str(folder)})
    sys.path.insert(0, str(folder))
    (folder / "weights").write_text("1")
    head = {"num_cpus": 0, "object_store_memory": 100 * MIB, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        ray.init(address=cluster.address, log_to_driver=False, logging_level="error")
        yield Nodes(cluster, folder)
    finally:
        ray.shutdown()
        cluster.shutdown()
        os.environ.clear()
        os.environ.update(before)
        sys.path[:] = paths


@pytest.fixture
def nodes(cluster: Nodes) -> Nodes:
    """The cluster, with nothing left of the test before."""
    for name in ("runs", "hang", "hung", "hold", "held"):
        cluster.remove(name)
    cluster.write("weights", "1")
    return cluster


@asynccontextmanager
async def service(**settings: Any) -> AsyncIterator[tuple[httpx.AsyncClient, FastAPI]]:
    """The gateway over the cluster, once it is ready."""
    given = {"engine": "ray", "device": "cpu", "predictors": ["brightness"], "replica_cpus": "1", **settings}
    app = create_app(Settings(**given), joins=[])
    async with running(app, settled=False) as client:
        await until(lambda: bool(app.state.shelf.settled), 120)
        yield client, app
