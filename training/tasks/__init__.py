"""What each kind of network needs to be trained: one file per kind."""

from pathlib import Path

from training.loop import Task
from training.recipe import Recipe


def create(recipe: Recipe, data: Path, work: Path) -> Task:
    """The task of a recipe on the photos under `data`; `work` is an ignored folder for caches."""
    from training.tasks.classifier import ClassifierTask
    from training.tasks.graded import GradedTask
    from training.tasks.heads import HeadsTask
    from training.tasks.instances import InstancesTask

    regions = recipe.data.get("format") == "regions"
    kinds = {
        "classifier": GradedTask if regions else ClassifierTask,
        "heads": HeadsTask,
        "instances": InstancesTask,
    }
    try:
        return kinds[recipe.kind](recipe, data, work)
    except KeyError as error:
        raise ValueError(f"recipe {recipe.name!r}: the key {error} is missing under `task` or `data`") from error
