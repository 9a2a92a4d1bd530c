"""Deeper networks from shallower ones without changing what they compute.

Net2DeeperNet (Chen, Goodfellow, Shlens 2016, arXiv:1511.05641) for ResNets: a block whose last BatchNorm
has scale and bias zero adds nothing to its shortcut, and the shortcut is non-negative already, so the ReLU after it
changes nothing either.
"""

from collections.abc import Mapping

from torch import Tensor

_BASIC = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3)}
_BOTTLENECK = {"resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3), "resnet152": (3, 8, 36, 3)}
BLOCKS = {**_BASIC, **_BOTTLENECK}
"""Blocks of each stage."""


def grow(state: Mapping[str, Tensor], start: str, target: str) -> dict[str, Tensor]:
    """`state` of a torchvision ResNet `start` as the state of the deeper `target`, with equal outputs.

    Inserted blocks follow a stage's own blocks; their weights are those of the last own block, so that training has
    useful features to wake up, and the scale of their last BatchNorm is zero.
    """
    last = _last_norm(start, target)
    grown = dict(state)
    for stage, (have, want) in enumerate(zip(BLOCKS[start], BLOCKS[target], strict=True), start=1):
        source = f"layer{stage}.{have - 1}."
        for block in range(have, want):
            for name, value in state.items():
                if name.startswith(source):
                    inserted = value.clone()
                    if name.endswith((f"{last}.weight", f"{last}.bias")):
                        inserted.zero_()
                    grown[f"layer{stage}.{block}.{name.removeprefix(source)}"] = inserted
    return grown


def undo(state: Mapping[str, Tensor], start: str, target: str) -> dict[str, Tensor]:
    """`state` of `target`, grown from `start` and with its inserted blocks still identities, as that of `start` again.

    Raises `ValueError` where they have been trained: without them other outputs would come.
    """
    last, inserted = _last_norm(start, target), set(inserted_blocks(start, target))
    for name, value in state.items():
        if name.rsplit(f".{last}.", 1)[0] in inserted and name.endswith(("weight", "bias")) and value.any():
            raise ValueError(f"{name} is not zero: the blocks that made a {target} of a {start} have been trained")
    return {name: value for name, value in state.items() if ".".join(name.split(".")[:2]) not in inserted}


def _last_norm(start: str, target: str) -> str:
    """Name of a block's last BatchNorm; `ValueError` where the one does not grow into the other."""
    for family, last in ((_BASIC, "bn2"), (_BOTTLENECK, "bn3")):
        known = start in family and target in family
        if known and all(a <= b for a, b in zip(family[start], family[target], strict=True)):
            return last
    raise ValueError(
        f"{start} does not grow into {target}: deeper from shallower, among {', '.join(_BASIC)} or among "
        f"{', '.join(_BOTTLENECK)}"
    )


def awakened(state: Mapping[str, Tensor], start: str, target: str) -> float:
    """How far the inserted blocks have moved from identity: the mean size of their last BatchNorm's scales as a share
    of that of the blocks the network came with. 0: still identities; about 1: they count like the others."""
    last, inserted = _last_norm(start, target), set(inserted_blocks(start, target))
    sizes: dict[bool, list[float]] = {True: [], False: []}
    for name, value in state.items():
        block, _, rest = name.partition(f".{last}.weight")
        if name.startswith("layer") and name.endswith(f".{last}.weight") and not rest:
            sizes[block in inserted].append(float(value.abs().mean()))
    if not sizes[True]:
        return 1.0
    return (sum(sizes[True]) / len(sizes[True])) / (sum(sizes[False]) / len(sizes[False]))


def inserted_blocks(start: str, target: str) -> list[str]:
    """Prefixes of the blocks that `grow` inserts, such as `layer3.6`."""
    pairs = zip(BLOCKS[start], BLOCKS[target], strict=True)
    return [f"layer{stage}.{block}" for stage, (have, want) in enumerate(pairs, start=1) for block in range(have, want)]
