"""Data folders that several tests read: drawn once, and torch on one thread."""

import os
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Torch is not imported for this: readers, figures and commands are tested without it."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos and starts for all three kinds of task."""
    from tests.unit.training import drawn

    path = tmp_path_factory.mktemp("data")
    drawn.heads(path)
    drawn.instances(path)
    drawn.start(path / "pretrained" / "resnet18.safetensors", "resnet18")
    drawn.start(path / "pretrained" / "mobilenet_v2.safetensors", "mobilenet_v2")
    return path
