"""Deeper networks from shallower ones without changing what they compute.

Net2DeeperNet (Chen, Goodfellow, Shlens 2016, arXiv:1511.05641) for bottleneck ResNets: a block whose last BatchNorm
has scale and bias zero adds nothing to its shortcut, and the shortcut is non-negative already, so the ReLU after it
changes nothing either.
"""

from collections.abc import Mapping

from torch import Tensor

BLOCKS = {"resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3), "resnet152": (3, 8, 36, 3)}


def grow(state: Mapping[str, Tensor], start: str, target: str) -> dict[str, Tensor]:
    """`state` of a torchvision ResNet `start` as the state of the deeper `target`, with equal outputs.

    Inserted blocks follow a stage's own blocks; their weights are those of the last own block, so that training has
    useful features to wake up, and the scale of their last BatchNorm is zero.
    """
    if (
        start not in BLOCKS
        or target not in BLOCKS
        or any(a > b for a, b in zip(BLOCKS[start], BLOCKS[target], strict=True))
    ):
        raise ValueError(f"{start} does not grow into {target}: known are {', '.join(BLOCKS)}, deeper from shallower")
    grown = dict(state)
    for stage, (have, want) in enumerate(zip(BLOCKS[start], BLOCKS[target], strict=True), start=1):
        source = f"layer{stage}.{have - 1}."
        for block in range(have, want):
            for name, value in state.items():
                if name.startswith(source):
                    inserted = value.clone()
                    if name.endswith(("bn3.weight", "bn3.bias")):
                        inserted.zero_()
                    grown[f"layer{stage}.{block}.{name.removeprefix(source)}"] = inserted
    return grown


def inserted_blocks(start: str, target: str) -> list[str]:
    """Prefixes of the blocks that `grow` inserts, such as `layer3.6`."""
    pairs = zip(BLOCKS[start], BLOCKS[target], strict=True)
    return [f"layer{stage}.{block}" for stage, (have, want) in enumerate(pairs, start=1) for block in range(have, want)]
