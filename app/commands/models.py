"""`carlens models`: the predictors that are installed, as a table."""

import json
from collections.abc import Mapping
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from app.commands.inside import choose, read_settings


def figures_line(figures: Mapping[str, object]) -> str:
    """The plain numbers among a card's figures, `color 0.94, type 0.93`."""
    return ", ".join(
        f"{name} {value:.3g}"
        for name, value in figures.items()
        if isinstance(value, float) and not name.startswith("_")
    )


def models(
    as_json: Annotated[bool, typer.Option("--json", help="Print everything known of each, as JSON.")] = False,
) -> None:
    """List the predictors: version, architecture, figures, licence. Nothing is loaded."""
    found = choose(read_settings())
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
