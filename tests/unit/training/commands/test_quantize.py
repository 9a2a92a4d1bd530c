"""`carlens quantize`, as a user calls it, on tiny weights of random numbers."""

import importlib.util
from pathlib import Path

import pytest
import typer

from models.backends import INT8
from models.manifest import Manifest, find
from models.registry import discover
from tests import weights
from training import cards, graphs
from training import recipe as recipes
from training.commands.evaluate import evaluate
from training.commands.quantize import _with_section, quantize

needs_nncf = pytest.mark.skipif(not importlib.util.find_spec("nncf"), reason="NNCF is not installed (carlens[train])")


def paint(folder: Path) -> Manifest:
    """Weights called `paint`, of a kind with heads, with a card."""
    heads = recipes.read("attributes").task["heads"]
    labels = {name: head["labels"] for name, head in heads.items()}
    training = weights.manifest("attributes").training.model_copy(update={"recipe": "attributes"})
    figures = {"color": 0.5, "color_ece": 0.1}
    manifest = weights.manifest("attributes", labels=labels, training=training, figures=figures)
    manifest = manifest.model_copy(update={"name": "paint"})
    weights.write(folder, manifest, weights.random_state(manifest))
    signed = find("paint", folder).manifest
    (folder / "paint.md").write_text(cards.card(signed))
    return signed


@needs_nncf
def test_graph_manifest_and_card_tell_of_int8_and_the_weights_stay(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    before = paint(tmp_path)
    tensors = (tmp_path / "paint.safetensors").read_bytes()
    with pytest.raises(typer.Exit):  # there are no graphs yet
        quantize("paint", data=data, weights_dir=tmp_path, photos=3, seed=0)
    assert "no graphs beside the weights; `carlens export paint --format graph`" in capsys.readouterr().err
    graphs.write(find("paint", tmp_path))
    quantize("paint", data=data, weights_dir=tmp_path, photos=3, seed=0)
    out = capsys.readouterr().out
    assert f"written: {tmp_path / 'paint.graph.int8.onnx'}" in out
    stated = find("paint", tmp_path).manifest
    assert stated.int8 is not None
    assert (stated.int8.backend, stated.int8.photos, stated.int8.seed) == (INT8, 3, 0)
    assert stated.int8.figures_command == "carlens evaluate paint --data DATA --backend openvino-int8"
    assert {"color", "type", "orientation"} < set(stated.int8.figures)
    assert stated.model_copy(update={"int8": None}) == before
    assert (tmp_path / "paint.safetensors").read_bytes() == tensors
    card = (tmp_path / "paint.md").read_text()
    assert card == cards.card(stated)
    assert f"| color | 0.500 | {stated.int8.figures['color']:.3f} |" in card
    evaluate("paint", data=data, weights=tmp_path, device="cpu", backend=INT8)
    for key, value in stated.int8.figures.items():
        assert f"{key} " in out
        assert str(value) in out
    served = discover(weights_dir=tmp_path, wanted=["paint"], backends={"": INT8})["paint"]
    assert (served.card.backend, served.card.figures) == (INT8, stated.int8.figures)
    served = discover(weights_dir=tmp_path, wanted=["paint"])["paint"]
    assert (served.card.backend, served.card.figures) == ("openvino", before.figures)


def test_a_section_that_is_there_is_written_anew() -> None:
    of = weights.manifest("attributes", figures={"color": 0.5})
    first = {"backend": INT8, "photos": 3, "seed": 0, "figures": {"color": 0.25}, "figures_command": "one"}
    old = weights.manifest("attributes", figures={"color": 0.5}, int8=first)
    new = weights.manifest("attributes", figures={"color": 0.5}, int8={**first, "figures": {"color": 0.75}})
    assert _with_section(cards.card(of), old) == cards.card(old)
    assert _with_section(cards.card(old), new) == cards.card(new)
    assert "| color | 0.500 | 0.750 | +0.250 |" in cards.card(new)
    assert _with_section("# short\n\nNo sections.\n", old).endswith("| color | 0.500 | 0.250 | -0.250 |\n")


def test_int8_is_not_measured_where_there_is_none(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paint(tmp_path)
    graphs.write(find("paint", tmp_path))
    with pytest.raises(typer.Exit):
        evaluate("paint", data=data, weights=tmp_path, device="cpu", backend=INT8)
    assert "paint has no int8 graph; `carlens quantize paint --data DATA` makes it" in capsys.readouterr().err
