"""Stages of a run: layers that stay frozen until a share of it is over, each with a rate of its own."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from torch import nn


class Stage(BaseModel):
    """One `[[stages]]` table of a recipe. What no stage names is trained from the first step on."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    layers: Annotated[list[str], Field(min_length=1, description="Modules by name, or by the end part of a path to it")]
    begin: Annotated[float, Field(alias="from", ge=0, lt=1, description="Share of the run before which they stay")] = 0
    scale: Annotated[float, Field(gt=0, description="Factor on the rate they would have")] = 1.0


def split(groups: Sequence[dict[str, Any]], network: nn.Module, stages: Sequence[Stage]) -> list[dict[str, Any]]:
    """A task's parameter groups, parted so that every stage's layers have groups of their own, with `from` and `scale`.

    Howard & Ruder 2018, arXiv:1801.06146: gradual unfreezing with discriminative rates. Raises `ValueError` for a layer
    that holds nothing to train, or that two stages name.
    """
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    trained = [names[id(parameter)] for group in groups for parameter in group["params"]]
    owner: dict[str, int] = {}
    for number, stage in enumerate(stages):
        for layer in stage.layers:
            held = [name for name in trained if f".{layer}." in f".{name}"]
            if not held:
                raise ValueError(f"stages: no layer {layer!r} with anything to train; there are {_layers(trained)}")
            for name in held:
                if owner.setdefault(name, number) != number:
                    raise ValueError(f"stages: {name} is in two stages, {layer!r} names it again")
    parts = []
    for group in groups:
        for number in (None, *range(len(stages))):
            chosen = [p for p in group["params"] if owner.get(names[id(p)]) == number]
            if not chosen:
                continue
            own = {} if number is None else {"from": stages[number].begin}
            scale = group["scale"] * (1.0 if number is None else stages[number].scale)
            parts.append({**group, **own, "params": chosen, "scale": scale})
    return parts


def open_groups(groups: Sequence[dict[str, Any]], progress: float) -> None:
    """Freezes what is not yet trained at `progress`, and no longer what is."""
    for group in groups:
        for parameter in group["params"]:
            parameter.requires_grad_(progress >= group.get("from", 0.0))


def _layers(names: Sequence[str]) -> str:
    """The modules' paths down to three deep, without the parameters' own names."""
    paths = dict.fromkeys(".".join(name.split(".")[:-1][:3]) for name in names)
    return ", ".join(path for path in paths if path)
