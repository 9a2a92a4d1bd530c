"""Checkpoints: whole or not there, and nothing but plain values in them."""

import os
from pathlib import Path

import pytest
import torch

from training import checkpoints


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    checkpoints.save(path, {"step": 3, "network": {"w": torch.arange(4.0)}, "name": "tiny"})
    state = checkpoints.require(path)
    assert (state["step"], state["name"]) == (3, "tiny")
    assert torch.equal(state["network"]["w"], torch.arange(4.0))
    assert [file.name for file in tmp_path.iterdir()] == ["state.pt"]


@pytest.mark.parametrize("stage", ["write", "flush", "rename"])
def test_a_save_that_breaks_off_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
    path = tmp_path / "state.pt"
    checkpoints.save(path, {"step": 1})

    def broken(*_: object) -> None:
        raise OSError("the disk is full")

    if stage == "write":
        monkeypatch.setattr(torch, "save", broken)
    elif stage == "flush":
        monkeypatch.setattr(os, "fsync", broken)
    else:
        monkeypatch.setattr(Path, "replace", broken)
    with pytest.raises(OSError, match="disk is full"):
        checkpoints.save(path, {"step": 2})
    monkeypatch.undo()
    assert checkpoints.require(path)["step"] == 1
    checkpoints.save(path, {"step": 3})
    assert checkpoints.require(path)["step"] == 3


def test_the_bytes_are_on_disk_before_the_name_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    flush, replace = os.fsync, Path.replace

    def watched_flush(file: int) -> None:
        order.append("flush")
        flush(file)

    def watched_replace(self: Path, target: Path) -> Path:
        order.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", watched_flush)
    monkeypatch.setattr(Path, "replace", watched_replace)
    checkpoints.save(tmp_path / "state.pt", {"step": 1})
    assert order == ["flush", "rename"]


def test_nothing_there(tmp_path: Path) -> None:
    assert checkpoints.load(tmp_path / "state.pt") is None
    with pytest.raises(FileNotFoundError, match=r"final\.pt does not exist: the run has not ended"):
        checkpoints.require(tmp_path / "final.pt")


class Bomb:
    """What a checkpoint from elsewhere could hold: code that runs when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("exploded",)


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"step": Bomb()}, tmp_path / "state.pt")
    with pytest.raises(Exception, match=r"(?i)weights.only"):
        checkpoints.load(tmp_path / "state.pt")
    assert not (tmp_path / "exploded").exists()
