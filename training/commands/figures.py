"""Figures as a table on the screen."""

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table


def show(name: str, values: Mapping[str, object]) -> None:
    """Prints figures as a table."""
    table = Table("figure", "val", title=name)
    for key, value in values.items():
        table.add_row(key, str(value))
    Console().print(table)
