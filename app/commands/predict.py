"""`carlens predict`: photos answered here, without a server, by the same path as over HTTP."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import httpx
import typer
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Column, Table

from app.along import silent
from app.commands.inside import choose, fail, read_settings, running
from app.commands.summary import summary
from app.schemas import AnyPredictor
from app.settings import EngineName, Settings
from app.suffixes import SUFFIXES
from models.backends import AUTO, NAMES
from models.language import codes

Vehicle = Literal["auto", "whole"]
Form = Literal["parquet", "coco"]

SHARD = 500
"""Photos of a part: a kill costs two of them for each worker, and a hundred thousand photos make 200 files."""

IN_FLIGHT = 8
"""Photos asked about at once: enough to fill batches, few enough to hold in memory."""


@dataclass(slots=True)
class Outcome:
    """What came of one photo: the answer of `/v1/inspect` where there is one, and every failure as one line."""

    photo: Path
    answer: dict[str, Any] | None = None
    failures: list[str] = field(default_factory=list)
    saved: list[Path] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of every photo: of whom, with which options, and where drawings go. `predictors` are those loaded,
    `tasks` those of them that are asked."""

    predictors: dict[str, AnyPredictor]
    tasks: list[str]
    headers: dict[str, str]
    given: Mapping[str, str | float] = field(default_factory=dict)
    drawings: dict[tuple[Path, str], Path] = field(default_factory=dict)

    def options(self, names: Iterable[str]) -> dict[str, str | float]:
        """The query parameters that at least one of these predictors knows."""
        known = {field for name in names for field in self.predictors[name].specification.options.model_fields}
        return {name: value for name, value in self.given.items() if name in known}


def expand(given: Iterable[Path]) -> Iterator[Path]:
    """The files, and for a folder the photos in it and below, in order of their names."""
    for path in given:
        if path.is_dir():
            yield from sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
        else:
            yield path


def name_drawings(
    photos: Iterable[Path], predictors: dict[str, AnyPredictor], folder: Path
) -> dict[tuple[Path, str], Path]:
    """A file for every photo and drawing predictor, `car.damage.jpg`; photos of the same name are numbered."""
    names = [name for name, one in predictors.items() if one.specification.drawable]
    if not names:
        raise typer.BadParameter("none of these predictors draws anything", param_hint="--save-annotated")
    taken: set[str] = set()
    drawings: dict[tuple[Path, str], Path] = {}
    for photo in photos:
        stem, number = photo.stem, 1
        while stem.lower() in taken:
            number += 1
            stem = f"{photo.stem}-{number}"
        taken.add(stem.lower())
        drawings |= {(photo, name): folder / f"{stem}.{name}.jpg" for name in names}
    return drawings


def problem_line(response: httpx.Response) -> str:
    problem = response.json()
    return f"{problem['detail']} ({problem['code']})"


async def ask(client: httpx.AsyncClient, photo: Path, question: Question) -> Outcome:
    """One photo through the service; whatever is wrong with it is in the outcome, never raised."""
    outcome = Outcome(photo)
    try:
        data = await asyncio.to_thread(photo.read_bytes)
    except OSError as error:
        outcome.failures.append(f"cannot be read: {error.strerror}")
        return outcome
    tasks = question.tasks
    query: dict[str, str | float] = {"tasks": ",".join(tasks), **question.options(tasks)}
    response = await client.post("/v1/inspect", params=query, content=data, headers=question.headers)
    if response.is_error:
        outcome.failures.append(problem_line(response))
        return outcome
    outcome.answer = response.json()
    problems = outcome.answer["problems"] if outcome.answer else {}
    outcome.failures += [f"{name}: {problem['detail']} ({problem['code']})" for name, problem in problems.items()]
    for name in (name for name in tasks if (photo, name) in question.drawings and name not in problems):
        drawing = await client.post(
            f"/v1/{name}/annotated", params=question.options([name]), content=data, headers=question.headers
        )
        if drawing.is_error:
            outcome.failures.append(f"{name}, drawing: {problem_line(drawing)}")
            continue
        target = question.drawings[photo, name]
        await asyncio.to_thread(target.write_bytes, drawing.content)
        outcome.saved.append(target)
    return outcome


async def ask_all(client: httpx.AsyncClient, photos: list[Path], question: Question) -> AsyncIterator[Outcome]:
    """The outcomes in the order of the photos, as they come."""
    gate = asyncio.Semaphore(IN_FLIGHT)

    async def one(photo: Path) -> Outcome:
        async with gate:
            return await ask(client, photo, question)

    asked = [asyncio.create_task(one(photo)) for photo in photos]
    try:
        for answer in asked:
            yield await answer
    finally:
        for answer in asked:
            answer.cancel()


def as_json_line(outcome: Outcome) -> str:
    """One line for `jq` and the like: the file, its failures, drawings, and the answer's own keys."""
    line = {
        "file": str(outcome.photo),
        "failures": outcome.failures,
        "annotated": [str(path) for path in outcome.saved],
        **(outcome.answer or {}),
    }
    return json.dumps(line, ensure_ascii=False)


def as_table(outcomes: list[Outcome], names: Iterable[str]) -> Table:
    """A row for every photo that was answered, a column for every predictor, and one for the summary of damages where
    there are any."""
    columns = list(names)
    answered = [(outcome.photo, outcome.answer) for outcome in outcomes if outcome.answer]
    summed = any(answer.get("summary") is not None for _, answer in answered)
    table = Table("Photo", *([Column("summary", min_width=24)] if summed else []), *columns, show_lines=True)
    for photo, answer in answered:
        lines = "\n".join(line["text"] for line in answer.get("summary") or []) or "-"
        row = [summary(answer["results"].get(name)) for name in columns]
        table.add_row(str(photo), *([lines] if summed else []), *row)
    return table


async def report(settings: Settings, photos: list[Path], question: Question, as_json: bool) -> list[Outcome]:
    """Ask, with a progress bar on stderr, and in the end the photos a second; JSON lines go out as the answers come."""
    outcomes = []
    began = time.perf_counter()
    errors = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as progress:
        bar = progress.add_task("loading", total=len(photos))
        async with running(settings, question.predictors) as inside:
            if failed := await inside.loaded():
                fail("; ".join(failed.values()))
            loaded = time.perf_counter()
            async for outcome in ask_all(inside.client, photos, question):
                progress.update(bar, advance=1, description="photos")
                outcomes.append(outcome)
                if as_json:
                    typer.echo(as_json_line(outcome))
                for failure in outcome.failures:
                    typer.echo(f"{outcome.photo}: {failure}", err=True)
    if len(photos) > 1 and not as_json:
        typer.echo(speed(question, len(photos), loaded - began, time.perf_counter() - loaded), err=True)
    return outcomes


def speed(question: Question, photos: int, loading: float, seconds: float) -> str:
    """How many photos a second there were, and what computed them; both times in seconds."""
    backends = dict.fromkeys(one.card.backend for one in question.predictors.values())
    return (
        f"{photos} photos in {seconds:.1f} s, {photos / seconds:.1f} a second, by {' and '.join(backends)}, "
        f"after {loading:.1f} s of loading"
    )


def as_question(
    settings: Settings,
    predictors: dict[str, AnyPredictor],
    task: list[str] | None,
    given: Mapping[str, str | float],
    language: str,
) -> Question:
    """What is asked of every photo, or the option that is wrong."""
    unasked = silent(predictors)
    if unfit := [name for name in task or [] if name in unasked]:
        raise typer.BadParameter(f"{', '.join(unfit)} only completes another's answer", param_hint="--task")
    tasks = [name for name in dict.fromkeys(task or predictors) if name not in unasked]
    if language not in codes():
        raise typer.BadParameter(f"{language!r} is none of {', '.join(codes())}", param_hint="--language")
    headers = {
        "content-type": "application/octet-stream",
        "x-deadline-ms": str(settings.max_deadline_ms),
        "accept-language": language,
    }
    question = Question(predictors, tasks, headers, given)
    for name in given:
        if name not in question.options(tasks):
            hint = f"--{name.replace('_', '-')}"
            raise typer.BadParameter("none of these predictors has that option", param_hint=hint)
    return question


def named(given: list[str]) -> list[Path]:
    """The photos that were named, or lie in folders that were."""
    for name in given:
        if not Path(name).exists():
            raise typer.BadParameter(f"{name!r} does not exist", param_hint="PHOTO")
    files = list(dict.fromkeys(expand(Path(name) for name in given)))
    if not files:
        raise typer.BadParameter("there is no photo in these folders", param_hint="PHOTO")
    return files


def predict(
    photos: Annotated[
        list[str],
        typer.Argument(
            metavar="PHOTO...",
            help="Photos, or folders of photos. With --out also quoted patterns, CSV or Parquet files of paths, and "
            "URLs of object stores.",
        ),
    ],
    task: Annotated[
        list[str] | None,
        typer.Option("--task", "-t", help="Ask this predictor only; may be given again. Default: all."),
    ] = None,
    save_annotated: Annotated[
        Path | None,
        typer.Option(file_okay=False, metavar="DIR", help="Save the photos with the answers drawn on them."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line instead of a table.")] = False,
    min_score: Annotated[
        float | None, typer.Option(min=0, max=1, help="Show detections from this score up. Default: a value per class.")
    ] = None,
    vehicle: Annotated[
        Vehicle | None,
        typer.Option(help="Read each photo's main vehicle (auto, the default), or all of the photo (whole)."),
    ] = None,
    backend: Annotated[
        str | None,
        typer.Option(
            help=f"What computes: {', '.join((AUTO, *NAMES))}; or by predictor, damage=torch,parts=openvino "
            "(CARLENS_BACKEND). Default: auto."
        ),
    ] = None,
    language: Annotated[str, typer.Option(help=f"Language of the summary: {', '.join(codes())}.")] = codes()[0],
    out: Annotated[
        Path | None,
        typer.Option(file_okay=False, metavar="DIR", help="Keep the answers as Parquet there; goes on where it ended."),
    ] = None,
    form: Annotated[
        Form, typer.Option("--format", help="With --out: write coco.json of what was found beside the Parquet, too.")
    ] = "parquet",
    engine: Annotated[
        EngineName | None,
        typer.Option(help="With --out: answer here, or on a Ray cluster (CARLENS_ENGINE). Default: process."),
    ] = None,
    shard: Annotated[int, typer.Option(min=1, max=100_000, help="With --out: photos of each Parquet file.")] = SHARD,
) -> None:
    """Answer questions about photos here, without a server.

    Exit code 0 where every photo was answered, 1 where some were not (a line on stderr says why), 2 on wrong usage.
    With --out photos that cannot be answered are listed in DIR/bad.csv, and the exit code is 0 all the same.
    """
    settings = read_settings(backend=backend, engine=engine)
    predictors = choose(settings, task)
    given = {name: value for name, value in (("min_score", min_score), ("vehicle", vehicle)) if value is not None}
    question = as_question(settings, predictors, task, given, language)
    if out:
        if save_annotated or as_json:
            raise typer.BadParameter("goes without --save-annotated and --json", param_hint="--out")
        try:
            from app.commands.predict_set import predict_set
        except ModuleNotFoundError as error:
            fail(f'--out needs {error.name}: pip install "carlens[sets]"')
        predict_set(settings, photos, question, language, out, form, shard)
        return
    if engine or form != "parquet":
        raise typer.BadParameter("is missing: --engine and --format go with it", param_hint="--out")
    files = named(photos)
    if save_annotated:
        asked = {name: predictors[name] for name in question.tasks}
        question = replace(question, drawings=name_drawings(files, asked, save_annotated))
        save_annotated.mkdir(parents=True, exist_ok=True)
    outcomes = asyncio.run(report(settings, files, question, as_json))
    if not as_json and any(outcome.answer for outcome in outcomes):
        Console().print(as_table(outcomes, question.tasks))
    if any(outcome.failures for outcome in outcomes):
        raise typer.Exit(1)
