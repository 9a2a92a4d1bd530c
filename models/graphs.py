"""Where the graphs of weights lie, for runtimes without torch: `NAME.onnx` beside `NAME.safetensors`, or one file for each
part of a detector. They hold no weights but point into that file; `training.graphs` makes them."""

from pathlib import Path

from models.manifest import Kind, Weights, WeightsError

PARTS: dict[Kind, tuple[str, ...]] = {"instances": ("dense", "boxes", "masks")}
"""Kinds whose network is cut into parts (`models.networks.stages`); those of others are one graph."""


def path(weights: Weights, part: str = "") -> Path:
    """Where the graph, or that part of it, is expected."""
    return weights.path.with_suffix(f".{part}.onnx" if part else ".onnx")


def found(weights: Weights) -> dict[str, Path]:
    """The graphs by part, `""` where there is but one; empty where there are none.

    Raises `WeightsError` where a part is missing, or where a graph was made for other weights: it points into the file
    by bytes, so it would read nonsense from another.
    """
    manifest = weights.manifest
    names = PARTS.get(manifest.kind, ("",))
    if not manifest.architecture.startswith("mask_"):
        names = tuple(name for name in names if name != "masks")
    there = {name: path(weights, name) for name in names if path(weights, name).exists()}
    if not there:
        return {}
    if missing := [path(weights, name).name for name in names if name not in there]:
        raise WeightsError(f"{weights.path.parent}: {', '.join(missing)} is missing; {REMADE.format(manifest.name)}")
    for graph in there.values():
        if manifest.sha256.encode() not in graph.read_bytes():
            raise WeightsError(f"{graph}: made for other weights than {weights.path.name}; {REMADE.format(manifest.name)}")
    return there


REMADE = "`carlens export {} --format graph` makes it anew"
