"""`carlens models`: the predictors that are installed, as a table; or their figures, for a page."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from app.commands.inside import choose, fail, read_settings
from app.configuration import between
from app.schemas import AnyPredictor

MARK = "carlens models --write"
TOLD = {
    "top1": "top-1",
    "macro_f1": "macro F1",
    "color": "colour",
    "type": "type",
    "orientation": "orientation",
    "box_ap50": "box AP50",
    "box_ap": "box AP",
    "mask_ap": "mask AP",
    "image_false_alarm_rate": "sound photos called damaged",
    "damage_part_right": "damages whose part is named right, of 60",
    "damage_part_right_fresh": "of 60 others that had no say",
    "main": "main vehicle right on wide photos",
}
"""The figures that a page tells, by their names in manifests, in this order."""


def figures_line(figures: Mapping[str, object]) -> str:
    """The plain numbers among a card's figures, `color 0.94, type 0.93`."""
    return ", ".join(
        f"{name} {value:.3g}"
        for name, value in figures.items()
        if isinstance(value, float) and not name.startswith("_")
    )


def figures_table(predictors: Iterable[AnyPredictor]) -> str:
    """The figures of `TOLD` as a table in Markdown, each model with its card."""
    rows = ["| model | answers | on validation photos |", "|---|---|---|"]
    for one in predictors:
        name, figures = one.specification.name, one.card.figures
        told = ", ".join(f"{text} {figures[key]:.3f}" for key, text in TOLD.items() if key in figures)
        rows.append(f"| [{name}](models/weights/{name}.md) | {one.specification.summary.lower()} | {told} |")
    return "\n".join(rows) + "\n"


def models(
    as_json: Annotated[bool, typer.Option("--json", help="Print everything known of each, as JSON.")] = False,
    write: Annotated[
        Path | None,
        typer.Option("--write", exists=True, dir_okay=False, help="Write their figures into this Markdown page."),
    ] = None,
) -> None:
    """List the predictors: version, architecture, figures, licence. Nothing is loaded."""
    found = choose(read_settings())
    if write is not None:
        try:
            page = between(write.read_text(encoding="utf-8"), MARK, figures_table(found.values()))
        except ValueError as error:
            fail(f"{write}: {error}")
        write.write_text(page, encoding="utf-8")
        return
    if as_json:
        cards = [
            {"name": name, "summary": one.specification.summary, **one.card.model_dump(mode="json")}
            for name, one in found.items()
        ]
        typer.echo(json.dumps(cards, indent=2, ensure_ascii=False))
        return
    table = Table("Name", "Answers", "Version", "Architecture", "Figures on val", "Weights may be used for")
    for name, one in found.items():
        card = one.card
        table.add_row(
            name,
            one.specification.summary,
            card.version,
            card.architecture,
            figures_line(card.figures),
            card.licence.weights,
        )
    Console().print(table)
