"""`carlens predict --out`: a set of photos answered into a folder, on this machine or a cluster, across kills."""

import time
from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from app.commands.inside import fail
from app.commands.predict import Form, Question
from app.sets import coco
from app.sets.folder import BAD, Folder, ForeignFolder
from app.sets.order import Manifest, Order, Shard, shards
from app.sets.sources import SourceError, listed
from app.sets.worker import Stopped, Worker
from app.settings import Settings


def predict_set(
    settings: Settings, sources: Sequence[str], question: Question, language: str, out: Path, form: Form, size: int
) -> None:
    """Answers what is not done yet, then lists what failed, and prints how it went on stderr."""
    found = {name: question.predictors[name] for name in question.tasks}
    if form == "coco" and not any(coco.finding(one.specification.answer) for one in found.values()):
        raise typer.BadParameter("none of these predictors finds things with a box", param_hint="--format")
    try:
        names = listed(sources)
    except SourceError as error:
        raise typer.BadParameter(str(error), param_hint="PHOTO") from error
    if not names:
        raise typer.BadParameter("there is no photo in these sources", param_hint="PHOTO")
    weights = {name: one.card.weights for name, one in question.predictors.items()}
    order = Order(settings, question.tasks, weights, language, question.options(question.tasks))
    folder = Folder(out)
    try:
        folder.begin(Manifest.of(names, size, order, question.predictors))
    except ForeignFolder as error:
        raise typer.BadParameter(str(error), param_hint="--out") from error
    all_shards = list(shards(names, size))
    todo = [shard for shard in all_shards if not folder.has(shard)]
    before = len(names) - sum(len(shard.names) for shard in todo)
    began = time.perf_counter()
    try:
        answer(order, question, todo, folder, len(names), before)
    except Stopped as stopped:
        fail(f"{stopped}. What is done stays in {out}: the same command goes on from there")
    seconds = time.perf_counter() - began
    bad = folder.list_bad(len(all_shards))
    if form == "coco":
        coco.write(folder, len(all_shards), found)
    typer.echo(told(len(names), before, bad, seconds, folder), err=True)


def answer(order: Order, question: Question, todo: Sequence[Shard], folder: Folder, count: int, before: int) -> None:
    """Shard after shard into the folder, with a progress bar on stderr. Raises `Stopped`."""
    if not todo:
        return
    errors = Console(stderr=True)
    shown = (SpinnerColumn(), TextColumn("{task.description}"), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*shown, console=errors, transient=True, disable=not errors.is_terminal) as progress:
        bar = progress.add_task("loading", total=count, completed=before)
        with closing(answers(order, question, todo)) as parts:
            for shard, part in parts:
                folder.write(shard.number, part)
                progress.update(bar, advance=len(shard.names), description="photos")


def answers(order: Order, question: Question, todo: Sequence[Shard]) -> Generator[tuple[Shard, bytes]]:
    """The shards with their rows, by the engine of the settings."""
    if order.settings.engine == "ray":
        try:
            from app.sets.on_ray import answered
        except ModuleNotFoundError as error:
            fail(f'--engine ray needs {error.name}: pip install "carlens[ray]"')
        yield from answered(order, todo)
        return
    with closing(Worker(order, question.predictors)) as worker:
        yield from worker.answered(todo)


def told(photos: int, before: int, bad: int, seconds: float, folder: Folder) -> str:
    """How it went; `seconds` are those of this run."""
    now = photos - before
    speed = f" {now} of them now, in {seconds:.1f} s with loading, {now / seconds:.1f} a second." if now else ""
    listed = f"; {bad} of them with problems, listed in {folder.path / BAD}" if bad else ""
    return f"{photos} photos are done in {folder.path}{listed}.{speed}"
