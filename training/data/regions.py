"""Regions of photos with a label each: the instances of a COCO file, by an attribute of theirs or of their category."""

from collections.abc import Sequence
from pathlib import Path

from models.photo import Region
from training.data import coco
from training.data.annotated import Labels
from training.data.problems import Problems
from training.data.table import Row


def read(path: Path, kinds: Sequence[str], column: str, labels: Labels) -> list[Row]:
    """One row for each instance, crowds left out: its region, called after its category (of `kinds`), and the label
    that its attribute `column` says. Raises `DataError` as `coco.read` does, and where that is none of the labels.
    """
    problems, rows = Problems(), []
    for photo in coco.read(path, kinds):
        for number, instance in enumerate(photo.instances, start=1):
            label = labels.number(instance.attributes.get(column))
            if label is None:
                given = instance.attributes.get(column)
                where = f"{path}, image {photo.id}, instance {number}"
                problems.add(where, f"{column} {given!r} is not one of {', '.join(labels.names)}")
            elif not instance.crowd:
                region = Region(*instance.box(), "damage", label=kinds[instance.label])
                rows.append(Row(photo.file, label, {}, region))
    problems.check()
    return rows
