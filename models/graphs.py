"""Where the graphs of weights lie, for runtimes without torch: `NAME.graph.onnx` beside `NAME.safetensors`, or a file
for each part of a detector. They hold no weights but point into that one; `training.graphs` makes them. Beside them may
lie `NAME.graph.int8.onnx`, with the ranges of activations, over the same weights; `training.quantize` makes those."""

from pathlib import Path

from models.manifest import Kind, Weights, WeightsError

WHOLE = "graph"
"""The part of a network that is one graph."""

PARTS: dict[Kind, tuple[str, ...]] = {"instances": ("dense", "boxes", "masks")}
"""Kinds whose network is cut into parts (`models.networks.stages`)."""


def path(weights: Weights, part: str, int8: bool = False) -> Path:
    """Where that part's graph is expected."""
    return weights.path.with_suffix(f".{part}.int8.onnx" if int8 else f".{part}.onnx")


def found(weights: Weights, int8: bool = False) -> dict[str, Path]:
    """The graphs by part; empty where there are none. With `int8` those of that kind for the parts that have one.

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
    if int8:
        there |= quantized(weights)
    for part, graph in there.items():
        if not fits(graph, weights):
            remedy = (REMADE if graph == path(weights, part) else QUANTIZED).format(manifest.name)
            raise WeightsError(f"{graph}: made for other weights than {weights.path.name}; {remedy}")
    return there


def fits(graph: Path, weights: Weights) -> bool:
    """Whether the file is a graph of these weights."""
    return weights.manifest.sha256.encode() in graph.read_bytes()


def quantized(weights: Weights) -> dict[str, Path]:
    """The int8 graphs by part, whatever weights they are of; empty where there are none."""
    parts = PARTS.get(weights.manifest.kind, (WHOLE,))
    every = {part: path(weights, part, int8=True) for part in parts}
    return {part: file for part, file in every.items() if file.exists()}


REMADE = "`carlens export {} --format graph` makes it anew"
QUANTIZED = "`carlens quantize {} --data DATA` makes it"
