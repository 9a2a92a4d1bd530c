"""Answers of predictors as annotations, and what is written of them."""

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel

from models.answers import Box, PolygonMask, RleMask, Scored
from models.photo import Header, Photo, Region
from models.predictor import Arrays, Card, Options, Predictor, Specification, Tensor
from models.predictors.attributes import AttributesAnswer
from models.predictors.car_details import CarDetailsAnswer
from models.predictors.damage import DamageAnswer, DamageOptions, Detection
from tests.fakes import Brightness
from tests.unit.training.data import sets
from training import prelabel
from training.data import coco, datumaro
from training.data.annotated import Annotated, Instance, Labels
from training.data.archive import Archive

LABELS = ["dent", "scratch"]


class Bright(Predictor[DamageOptions, DamageAnswer]):
    """Finds a scratch where a photo is brighter than half, over its left half."""

    card = Card(labels={"label": LABELS})
    specification = Specification(
        name="bright",
        summary="",
        description="",
        options=DamageOptions,
        answer=DamageAnswer,
        inputs={"mean": Tensor((1,), "float32")},
        reads=(8, 8),
    )

    def load(self, device: str) -> None:
        self.device = device

    def prepare(self, photo: Photo, region: Region, options: Options) -> Arrays:
        mean: NDArray[np.float32] = photo.pixels.mean(dtype=np.float32).reshape(1)
        return {"mean": mean}

    def __init__(self) -> None:
        self.asked: list[int] = []

    def run(self, batch: Arrays) -> Arrays:
        self.asked.append(len(batch["mean"]))
        return {"score": batch["mean"][:, 0].astype(np.float32) / 255}

    def finish(self, output: Arrays, header: Header, region: Region, options: DamageOptions) -> DamageAnswer:
        score, half = round(float(output["score"]), 2), header.width / 2
        mask = PolygonMask(polygons=[[0, 0, half, 0, half, header.height, 0, header.height], [1, 1, 2, 2]])
        box = Box(x1=0, y1=0, x2=half, y2=header.height)
        found = Detection(label="scratch", score=score, box=box, mask=mask, area_fraction=0.5)
        least = 0.5 if options.min_score is None else options.min_score
        return DamageAnswer(damaged=True, damaged_score=None, counts={}, detections=[found] if score >= least else [])


def plain(value: int, width: int = 60, height: int = 40) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), (value, value, value)).save(file, "PNG")
    return file.getvalue()


def test_the_kind_is_that_of_the_answer() -> None:
    def predictor(answer: type[BaseModel], **labels: list[str]) -> Any:
        return SimpleNamespace(card=Card(labels=labels), specification=SimpleNamespace(name="x", answer=answer))

    assert prelabel.kind_of(Bright()) == "instances"
    assert prelabel.kind_of(predictor(CarDetailsAnswer, label=["a"])) == "classifier"
    assert prelabel.kind_of(predictor(AttributesAnswer, color=["a"], type=["b"])) == "heads"
    with pytest.raises(ValueError, match="brightness: its answers hold nothing that can be annotated"):
        prelabel.kind_of(Brightness())


def test_photos_are_asked_about_in_batches_and_in_their_own_pixels(tmp_path: Path) -> None:
    sizes = {f"{n}.png": (80 + n, 20) for n in range(17)}
    for name, size in sizes.items():
        (tmp_path / name).write_bytes(plain(255, *size))
    (tmp_path / "03.png").write_bytes(b"no photo")
    predictor, archive = Bright(), Archive(tmp_path)
    told: list[tuple[str, str]] = []

    def left_out(name: str, reason: str) -> None:
        told.append((name, reason))

    found = list(prelabel.ask(predictor, archive, archive.photos(), DamageOptions(), left_out))
    assert predictor.asked == [16, 1]
    assert [name for name, _ in told] == ["03.png"]
    assert told[0][1].startswith("the photo cannot be read: ")
    assert [photo.id for photo, _ in found] == list(range(1, 18))
    assert {photo.file: (photo.width, photo.height) for photo, _ in found} == sizes
    for photo, answer in found:
        (instance,) = prelabel.instances(answer, LABELS)
        assert instance.label == 1
        assert len(instance.rings) == 1  # a fragment of two points is no outline
        assert instance.box() == (0, 0, photo.width / 2, 20)
        assert instance.attributes == {"score": 1.0}


@pytest.mark.parametrize("mask", [None, RleMask(size=[40, 60], counts=""), PolygonMask(polygons=[])])
def test_a_detection_without_an_outline_is_its_box(mask: Any) -> None:
    box = Box(x1=1, y1=2, x2=11, y2=22)
    found = [Detection(label="dent", score=0.5, box=box, mask=mask, area_fraction=0.1)]
    found.append(Detection(label="dent", score=0.4, box=Box(x1=1, y1=2, x2=1, y2=22), mask=None, area_fraction=0))
    (instance,) = prelabel.instances(SimpleNamespace(detections=found), LABELS)
    assert instance.box() == (1, 2, 11, 22)


def test_tags_of_a_classifier_and_of_heads() -> None:
    best = SimpleNamespace(best=SimpleNamespace(label="BMW", score=0.7))
    assert prelabel.tags(best, {"label": ["Audi", "BMW"]}, "classifier") == [(1, {"score": 0.7})]
    one = Scored(label="red", score=0.9, scores={})
    two = Scored(label="bus", score=0.6, scores={})
    answer = SimpleNamespace(type=two, color=one)
    assert prelabel.tags(answer, {"color": ["red"], "type": ["suv", "bus"]}, "heads") == [
        (0, {"value": "red", "score": 0.9}),
        (1, {"value": "bus", "score": 0.6}),
    ]


def photos() -> list[Annotated]:
    ring = np.array([[10, 20], [30, 20], [12, 38]], np.float32)
    instances = [Instance(1, [ring], attributes={"score": 0.75})]
    return [Annotated(1, "a.png", 60, 40, instances), Annotated(2, "b.png", 60, 40)]


def test_outlines_that_are_written_are_read_back(tmp_path: Path) -> None:
    archive = Archive(sets.photos(tmp_path / "photos", ["a.png", "b.png"]))
    labels = {"label": LABELS}
    first, second = prelabel.write(tmp_path / "new" / "out.json", "coco", labels, photos(), None)
    assert second.name == "out_results.json"
    (third,) = prelabel.write(tmp_path / "out.json", "datumaro", labels, photos(), None)
    for found in (coco.read(first, LABELS), datumaro.read(third, Labels(LABELS), archive)):
        assert [photo.file for photo in found] == ["a.png", "b.png"]
        (instance,) = found[0].instances
        assert (instance.label, instance.attributes) == (1, {"score": 0.75})
        assert instance.box() == (10, 20, 30, 38)


def test_tags_that_are_written_are_read_back(tmp_path: Path) -> None:
    archive = Archive(sets.photos(tmp_path / "photos", ["a.png", "b.png"]))
    of: list[prelabel.Tags] = [[(1, {"score": 0.7})], [(0, {"score": 0.6})]]
    (path,) = prelabel.write(tmp_path / "out.json", "datumaro", {"label": ["Audi", "BMW"]}, photos(), of)
    rows = datumaro.read_tags(path, Labels(["BMW", "Audi"]), archive)
    assert [(row.file, row.label, row.extra["score"]) for row in rows] == [("a.png", 0, "0.7"), ("b.png", 1, "0.6")]


def test_heads_are_the_names_of_their_tags(tmp_path: Path) -> None:
    tag = {"value": "red", "score": 0.9}
    labels = {"color": ["red", "blue"], "type": ["bus"]}
    (path,) = prelabel.write(tmp_path / "out.json", "datumaro", labels, photos()[:1], [[(0, tag)]])
    archive = Archive(sets.photos(tmp_path / "photos", ["a.png"]))
    (row,) = datumaro.read_tags(path, Labels(["color", "type"]), archive)
    assert (row.label, row.extra) == (0, {"value": "red", "score": "0.9"})


def test_coco_holds_no_tags() -> None:
    prelabel.check("instances", "coco")
    prelabel.check("heads", "datumaro")
    with pytest.raises(ValueError, match="COCO has no tags for whole photos: use --format datumaro"):
        prelabel.check("classifier", "coco")
