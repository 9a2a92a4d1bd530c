"""Where the graphs of weights lie, for runtimes without torch: `NAME.graph.onnx` beside `NAME.safetensors`, or a file
for each part of a detector. They hold no weights but point into that one; `training.graphs` makes them."""

from pathlib import Path

from models.manifest import Kind, Weights, WeightsError

WHOLE = "graph"
"""The part of a network that is one graph."""

PARTS: dict[Kind, tuple[str, ...]] = {"instances": ("dense", "boxes", "masks")}
"""Kinds whose network is cut into parts (`models.networks.stages`)."""


def path(weights: Weights, part: str) -> Path:
    """Where that part's graph is expected."""
    return weights.path.with_suffix(f".{part}.onnx")


def found(weights: Weights) -> dict[str, Path]:
    """The graphs by part; empty where there are none.

    Raises `WeightsError` where a part is missing, or where a graph was made for other weights: it points into the file
    by bytes, so it would read nonsense from another.
    """
    manifest = weights.manifest
    names = PARTS.get(manifest.kind, (WHOLE,))
    if not manifest.architecture.startswith("mask_"):
        names = tuple(name for name in names if name != "masks")
    there = {name: path(weights, name) for name in names if path(weights, name).exists()}
    if not there:
        return {}
    remedy = REMADE.format(manifest.name)
    if missing := [path(weights, name).name for name in names if name not in there]:
        raise WeightsError(f"{weights.path.parent}: {', '.join(missing)} is missing; {remedy}")
    for graph in there.values():
        if manifest.sha256.encode() not in graph.read_bytes():
            raise WeightsError(f"{graph}: made for other weights than {weights.path.name}; {remedy}")
    return there


REMADE = "`carlens export {} --format graph` makes it anew"
