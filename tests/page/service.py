"""A real process that serves the page with predictors of nothing but numpy: their answers are fixed, so tests know what
a visitor must see. A photo's colour says what they answer: red is damaged, blue is sound, on green severity fails."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from app.commands.serve import announce, base_url, listen
from app.main import create_app
from app.server import Server, configured
from app.settings import Settings
from models.answers import Box, PolygonMask, RegionRead, Scored
from models.drawing import Drawn
from models.masks import Mask
from models.photo import Header, Photo, Region
from models.predictor import Arrays, Card, Licence, Options, Predictor, Specification, Tensor
from models.predictors.attributes import AttributesAnswer
from models.predictors.car_details import Candidate, CarDetailsAnswer, MakeScore
from models.predictors.classifier import LabelScore
from models.predictors.damage import DamageAnswer, Detection
from models.predictors.instances import Instance, InstancesOptions
from models.predictors.parts import PartsAnswer, tint
from models.predictors.severity import SeverityAnswer
from tests.contract.process import end

ROOT = Path(__file__).resolve().parents[2]
SIZE = 8


class Fixed(Predictor[Any, Any]):
    """A predictor whose answer depends on the photo's colour alone."""

    labels: tuple[str, ...] = ()
    thresholds: Mapping[str, float] = {}

    def __init__(
        self, name: str, summary: str, answer: type[BaseModel], options: type[Options] = Options, drawable: bool = True
    ) -> None:
        self.card = Card(
            version="1.0.0",
            labels={"label": list(self.labels)} if self.labels else {},
            thresholds=dict(self.thresholds),
            licence=Licence(weights="Apache-2.0", why="there are none"),
        )
        self.specification = Specification(
            name=name,
            summary=summary,
            description=summary,
            options=options,
            answer=answer,
            inputs={"pixels": Tensor((SIZE, SIZE, 3))},
            reads=(SIZE, SIZE),
            batch_sizes=(1, 2),
            drawable=drawable,
        )

    def load(self, device: str) -> None:
        pass

    def prepare(self, photo: Photo, region: Region, options: Options) -> Arrays:
        return {"pixels": photo.resized(region, SIZE, SIZE)}

    def run(self, batch: Arrays) -> Arrays:
        return {"channel": batch["pixels"].astype(float).mean(axis=(1, 2))}

    def finish(self, output: Arrays, header: Header, region: Region, options: Any) -> Any:
        color = ("red", "green", "blue")[int(output["channel"].argmax())]
        return self.answer(color, header, region, options)

    def answer(self, color: str, header: Header, region: Region, options: Any) -> Any:
        raise NotImplementedError


def instance(of: type[Instance], header: Header, label: str, score: float, place: tuple[float, ...]) -> Any:
    """One thing at a place given in shares of the photo, with a diamond for its outline."""
    x1, y1, x2, y2 = (share * side for share, side in zip(place, (header.width, header.height) * 2, strict=True))
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    mask = PolygonMask(polygons=[[x1, y, x, y1, x2, y, x, y2]])
    return of(label=label, score=score, box=Box(x1=x1, y1=y1, x2=x2, y2=y2), mask=mask, area_fraction=0.02)


class FoundThings(Fixed):
    """What finds instances: those over `min_score`, or over their label's threshold."""

    def __init__(self, name: str, summary: str, answer: type[BaseModel], options: type[Options] = Options) -> None:
        super().__init__(name, summary, answer, options)
        legend = {label: self.color(number) for number, label in enumerate(self.labels)}
        self.specification = replace(self.specification, legend=legend)

    def masks(self, answer: Any) -> list[Mask]:
        found: list[Any] = [*(answer.detections if isinstance(answer, DamageAnswer) else answer.parts)]
        return [Mask(one.label, one.score, one.mask.polygons) for one in found]

    def kept(self, found: list[Any], options: InstancesOptions) -> list[Any]:
        least = options.min_score
        return [one for one in found if one.score >= (self.thresholds[one.label] if least is None else least)]

    def shapes(self, answer: Any) -> list[Drawn]:
        found: list[Any] = [*(answer.detections if isinstance(answer, DamageAnswer) else answer.parts)]
        return [
            Drawn(one.label, one.score, tuple(dict(one.box).values()), one.mask.polygons, self.labels.index(one.label))
            for one in found
        ]


class FakeDamage(FoundThings):
    labels = ("dent", "scratch", "crack")
    thresholds: Mapping[str, float] = {"dent": 0.7, "scratch": 0.6, "crack": 0.5}

    def answer(self, color: str, header: Header, region: Region, options: Any) -> DamageAnswer:
        found = [
            instance(Detection, header, "dent", 0.9, (0.1, 0.2, 0.4, 0.5)),
            instance(Detection, header, "scratch", 0.65, (0.5, 0.5, 0.8, 0.7)),
            instance(Detection, header, "crack", 0.3, (0.6, 0.1, 0.7, 0.3)),
        ]
        grades = {"dent": "severe", "scratch": "minor", "crack": "minor"}
        graded = [one.model_copy(update={"severity": LabelScore(label=grades[one.label], score=0.8)}) for one in found]
        kept = self.kept(graded, options) if color != "blue" else []
        counts = {label: sum(one.label == label for one in kept) for label in self.labels}
        return DamageAnswer(
            damaged=color != "blue", damaged_score=0.93 if kept else 0.04, counts=counts, detections=kept
        )


class FakeParts(FoundThings):
    labels = ("hood", "wheel")
    thresholds: Mapping[str, float] = {"hood": 0.5, "wheel": 0.5}

    def color(self, number: int) -> tuple[int, int, int]:
        return tint(number)

    def answer(self, color: str, header: Header, region: Region, options: Any) -> PartsAnswer:
        found = [
            instance(Instance, header, "hood", 0.95, (0.0, 0.0, 0.5, 0.6)),
            instance(Instance, header, "wheel", 0.8, (0.7, 0.7, 0.9, 0.95)),
        ]
        return PartsAnswer(parts=self.kept(found, options))


class FakeCar(Fixed):
    def answer(self, color: str, header: Header, region: Region, options: Any) -> CarDetailsAnswer:
        made = [("Audi", "TTS Coupe", 0.91), ("BMW", "Z4", 0.05)]
        told = [Candidate(label=f"{a} {b} 2012", make=a, model=b, year=2012, score=score) for a, b, score in made]
        makes = [MakeScore(make=make, score=score) for make, _, score in made]
        read = RegionRead.of(region)
        return CarDetailsAnswer(recognised=color == "red", best=told[0], candidates=told, makes=makes, region=read)


class FakeLooks(Fixed):
    def answer(self, color: str, header: Header, region: Region, options: Any) -> AttributesAnswer:
        return AttributesAnswer(
            color=Scored(label=color, score=0.97, scores={color: 0.97}),
            type=Scored(label="sedan", score=0.88, scores={"sedan": 0.88}),
            orientation=Scored(label="front_left", score=0.7, scores={"front_left": 0.7}),
            yaw_degrees=41.0,
            yaw_confidence=0.9,
            region=RegionRead.of(region),
        )


class FakeSeverity(Fixed):
    def answer(self, color: str, header: Header, region: Region, options: Any) -> SeverityAnswer:
        if color == "green":
            raise ValueError("severity does not like green")
        scores = {"minor": 0.1, "moderate": 0.2, "severe": 0.7}
        return SeverityAnswer(severity=Scored(label="severe", score=0.7, scores=scores), grade=1.6)


class RustAnswer(BaseModel):
    """What weights of somebody's own might say, which the page has never heard of."""

    rusty: bool
    stage: Scored


class FakeRust(Fixed):
    def answer(self, color: str, header: Header, region: Region, options: Any) -> RustAnswer:
        return RustAnswer(
            rusty=True, stage=Scored(label="deep_rust", score=0.8, scores={"deep_rust": 0.8, "sound": 0.2})
        )


def predictors() -> dict[str, Fixed]:
    made = [
        FakeLooks("attributes", "Colour, type and view", AttributesAnswer),
        FakeCar("car_details", "Make and model", CarDetailsAnswer),
        FakeDamage("damage", "Damage on a car", DamageAnswer, InstancesOptions),
        FakeParts("parts", "Parts of a car", PartsAnswer, InstancesOptions),
        FakeRust("rust", "Rust, by weights of one's own", RustAnswer),
        FakeSeverity("severity", "How bad it looks", SeverityAnswer, drawable=False),
    ]
    return {one.specification.name: one for one in made}


def main() -> None:
    settings = Settings(device="cpu")
    application = create_app(settings, predictors())
    state = application.state
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    with listen("127.0.0.1", settings.port) as listener:
        ready = base_url(listener)
        server = Server(
            configured(application, settings), settings, state.batcher, state.shelf, state.stop, lambda: announce(ready)
        )
        server.run(sockets=[listener])


@contextmanager
def serving(log: Path, **settings: object) -> "Iterator[tuple[str, subprocess.Popen[str]]]":
    """The service's address once it is ready, and its process."""
    environment = {f"CARLENS_{name.upper()}": str(value) for name, value in {"port": 0, **settings}.items()}
    with log.open("w", encoding="utf-8") as errors:
        command = [sys.executable, "-m", "tests.page.service"]
        process = subprocess.Popen(
            command, cwd=ROOT, env={**environment, "PATH": ""}, stdout=subprocess.PIPE, stderr=errors, text=True
        )
    assert process.stdout
    try:
        line = process.stdout.readline()
        address = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert address, log.read_text(encoding="utf-8")[-4000:]
        yield address[0] + "/", process
    finally:
        end(process)
        process.stdout.close()


if __name__ == "__main__":
    main()
