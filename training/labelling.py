"""What CVAT must know to label for a predictor: its labels, as the JSON of the label editor's raw view."""

import colorsys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from models.manifest import Manifest, WeightsError, find
from training import recipe as recipes
from training.data import label_table

VALUE = "value"
"""The attribute of a head's tag that says which of its labels it is."""


def labels_of(name: str, data: Path | None = None, weights: Path | None = None) -> tuple[str, dict[str, list[str]]]:
    """Kind and labels by head: of a recipe where the name ends in .toml, of a manifest where it ends in .json, else of
    the weights of that name, else of the recipe. Raises `ValueError` where there is none of them."""
    if name.endswith(".json"):
        manifest = Manifest.model_validate_json(Path(name).read_bytes())
        return manifest.kind, manifest.labels
    if not name.endswith(".toml"):
        try:
            manifest = find(name, weights).manifest
        except WeightsError as error:
            if not (recipes.FOLDER / f"{name}.toml").exists():
                raise ValueError(f"{name!r} is neither weights nor a recipe: {error}") from None
        else:
            return manifest.kind, manifest.labels
    recipe = recipes.read(name)
    try:
        if recipe.kind == "heads":
            return recipe.kind, {head: list(of["labels"]) for head, of in recipe.task["heads"].items()}
        if recipe.kind == "instances":
            return recipe.kind, {"label": list(recipe.task["labels"])}
        rows = label_table.of_recipe(recipe, data or Path())
    except KeyError as error:
        raise ValueError(f"recipe {name!r}: the key {error} is missing") from None
    return recipe.kind, {"label": [row["label"] for row in rows]}


def specification(kind: str, labels: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """CVAT's raw labels. Instances are polygons; a classifier's labels are tags; a head is one tag with a choice of
    its labels. Each carries a `score`, which is empty unless a predictor labelled it beforehand."""
    if kind == "heads":
        choices = {head: [_attribute(VALUE, "select", names), _score()] for head, names in labels.items()}
        return _listed("tag", choices)
    kinds = {"instances": "polygon", "boxes": "rectangle", "classifier": "tag"}
    return _listed(kinds[kind], {name: [_score()] for name in labels["label"]})


def _listed(kind: str, attributes: Mapping[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    colors = _colors(len(attributes))
    return [
        {"name": name, "color": color, "type": kind, "attributes": of}
        for color, (name, of) in zip(colors, attributes.items(), strict=True)
    ]


def _score() -> dict[str, Any]:
    return _attribute("score", "text", [""])


def _attribute(name: str, kind: str, values: Sequence[str]) -> dict[str, Any]:
    return {
        "name": name,
        "input_type": kind,
        "mutable": False,
        "values": list(values),
        "default_value": values[0],
    }


def _colors(count: int) -> list[str]:
    """Colours as far apart on the wheel as there are labels."""
    shades = (colorsys.hsv_to_rgb(number / count, 0.75, 0.9) for number in range(count))
    return ["#" + "".join(f"{round(part * 255):02x}" for part in shade) for shade in shades]
