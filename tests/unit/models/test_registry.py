"""Finding predictors: what an entry point may name, what it is refused for, and who gets the folder of weights."""

import dataclasses
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from models import manifest as manifests
from models.manifest import WeightsError
from models.predictors.classifier import Classifier
from models.predictors.damage import Damage
from models.predictors.heads import Heads
from models.predictors.instances import Instances
from models.registry import GROUP, JOINS, RegistryError, create, discover, joins, versions
from tests import weights
from tests.fakes import Brightness, reader


def point(name: str, value: str = "tests.fakes:Brightness") -> EntryPoint:
    return EntryPoint(name, value, GROUP)


def make_takes_folder(weights_dir: Path | None = None) -> Brightness:
    predictor = Brightness("folder")
    predictor.card = predictor.card.model_copy(update={"weights": str(weights_dir)})
    return predictor


def make_text() -> str:
    return "no predictor"


def make_other() -> Brightness:
    return Brightness("other")


HERE = "tests.unit.models.test_registry"


def test_predictors_come_in_the_order_of_their_names() -> None:
    found = discover(points=[point("other", f"{HERE}:make_other"), point("brightness")])
    assert list(found) == ["brightness", "other"]
    assert isinstance(found["brightness"], Brightness)


def test_only_wanted_ones_are_made() -> None:
    points = [point("brightness"), point("broken", "no.such.module:Thing")]
    assert list(discover(points=points, wanted=["brightness"])) == ["brightness"]
    assert discover(points=points, wanted=[]) == {}


def test_an_unknown_wanted_one_tells_what_there_is() -> None:
    with pytest.raises(RegistryError, match="no predictor paint: installed are brightness"):
        discover(points=[point("brightness")], wanted=["brightness", "paint"])
    with pytest.raises(RegistryError, match="installed are none"):
        discover(points=[], wanted=["paint"])


def make_takes_backend(backend: str, cache_dir: Path) -> Brightness:
    predictor = Brightness(backend)
    predictor.specification = dataclasses.replace(predictor.specification, name="brightness")
    predictor.card = predictor.card.model_copy(update={"backend": f"{backend} {cache_dir}"})
    return predictor


@pytest.mark.parametrize(
    ("backends", "expected"),
    [({}, "auto"), ({"": "torch"}, "torch"), ({"": "torch", "brightness": "onnxruntime"}, "onnxruntime")],
)
def test_a_backend_is_that_of_the_name_or_of_all(tmp_path: Path, backends: dict[str, str], expected: str) -> None:
    points = [point("brightness", f"{HERE}:make_takes_backend")]
    found = discover(points=points, backends=backends, cache_dir=tmp_path)
    assert found["brightness"].card.backend == f"{expected} {tmp_path}"


def make_takes_threads(threads: int = 7) -> Brightness:
    predictor = Brightness()
    predictor.card = predictor.card.model_copy(update={"device": str(threads)})
    return predictor


@pytest.mark.parametrize(("threads", "expected"), [(2, "2"), (None, "7")])
def test_a_share_of_the_threads_is_given_where_there_is_one(threads: int | None, expected: str) -> None:
    points = [point("brightness", f"{HERE}:make_takes_threads")]
    assert discover(points=points, threads=threads)["brightness"].card.device == expected


def test_a_backend_for_what_is_not_there_is_refused() -> None:
    with pytest.raises(RegistryError, match="a backend is set for paint: installed are brightness"):
        discover(points=[point("brightness")], backends={"paint": "torch"})


def make_reader() -> Brightness:
    return reader("reader")


def test_who_finds_regions_for_a_wanted_one_comes_along() -> None:
    points = [point("brightness"), point("reader", f"{HERE}:make_reader"), point("vehicles", "tests.fakes:Finder")]
    assert list(discover(points=points, wanted=["reader"])) == ["reader", "vehicles"]
    assert list(discover(points=points, wanted=["vehicles", "reader", "vehicles"])) == ["vehicles", "reader"]
    assert list(discover(points=points)) == ["brightness", "reader", "vehicles"]


def test_regions_of_nobody_are_refused() -> None:
    with pytest.raises(RegistryError, match="reader: its specification counts on 'vehicles', which is no inst"):
        discover(points=[point("reader", f"{HERE}:make_reader")])


@pytest.mark.parametrize("name", ["box", "photo"])
def test_words_for_regions_are_no_names(name: str) -> None:
    with pytest.raises(RegistryError, match="a name is lower-case"):
        discover(points=[point(name)])


def test_no_entry_points_are_no_predictors() -> None:
    assert discover(points=[]) == {}


@pytest.mark.parametrize("name", ["Brightness", "9lives", "a-b", "a/b", "", "x" * 65, "inspect", "models", "copy"])
def test_a_name_that_makes_no_route_is_refused(name: str) -> None:
    with pytest.raises(RegistryError, match="a name is lower-case letters"):
        discover(points=[point(name)])


@pytest.mark.parametrize("value", ["no.such.module:Thing", "tests.fakes:NoSuchThing"])
def test_what_cannot_be_imported_is_named(value: str) -> None:
    with pytest.raises(RegistryError, match=f"brightness = {value}: cannot be imported"):
        discover(points=[point("brightness", value)])


def test_what_is_no_predictor_is_refused() -> None:
    with pytest.raises(RegistryError, match=r"gave str, expected a models\.predictor\.Predictor"):
        discover(points=[point("text", f"{HERE}:make_text")])


def test_a_specification_of_another_name_is_refused() -> None:
    with pytest.raises(RegistryError, match="named 'brightness', expected 'paint'"):
        discover(points=[point("paint")])


def test_the_folder_of_weights_goes_to_who_asks_for_it(tmp_path: Path) -> None:
    points = [point("folder", f"{HERE}:make_takes_folder"), point("brightness")]
    found = discover(weights_dir=tmp_path, points=points)
    assert found["folder"].card.weights == str(tmp_path)


def test_the_built_in_ones_come_through_the_same_door(tmp_path: Path) -> None:
    for name in ("attributes", "car_details", "damage"):
        weights.write(tmp_path, weights.manifest(name))
    found = discover(weights_dir=tmp_path, wanted=["damage", "attributes", "car_details"])
    # one completes damage's answer, one finds what the two others read
    assert list(found) == ["damage", "attributes", "car_details", "damage_severity", "vehicles"]
    assert all(predictor.specification.name == name for name, predictor in found.items())
    assert found["damage"].card.version == "0.0.1"


def test_missing_weights_are_told_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifests, "SHIPPED", tmp_path)
    with pytest.raises(WeightsError, match=r"damage\.json and damage\.safetensors"):
        discover(wanted=["damage"])


INSTALLED = ["attributes", "car_details", "damage", "damage_severity", "parts", "severity", "vehicles"]


def test_weights_of_ones_own_are_served_by_their_kind(tmp_path: Path) -> None:
    for name in (*weights.OWN, "damage"):
        weights.write(tmp_path, weights.manifest(name))
    (tmp_path / "paint.md").write_text("a model card")
    (tmp_path / "._paint.json").write_bytes(b"what some systems leave")
    found = discover(weights_dir=tmp_path)
    assert list(found) == sorted({*INSTALLED, *weights.OWN})
    kinds = {name: type(found[name]) for name in weights.OWN}
    assert kinds == {"balloons": Instances, "brands": Classifier, "paint": Heads}
    assert all(predictor.specification.name == name for name, predictor in found.items())
    assert type(found["damage"]) is Damage
    assert list(discover(weights_dir=tmp_path, wanted=["paint"])) == ["paint"]


def test_without_a_folder_there_are_only_the_installed_ones() -> None:
    assert list(discover()) == INSTALLED


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("notes.json", b"[1, 2]", r"notes\.json: the file"),
        ("balloons.safetensors", b"", r"balloons\.json and balloons\.safetensors"),
        ("models.json", b"{}", r"models\.json: a name is"),
        ("My-Own.json", b"{}", r"My-Own\.json: a name is"),
        ("json.json", b"{}", r"json\.json: a name is"),
    ],
)
def test_what_is_no_weights_is_refused_by_name(tmp_path: Path, file: str, content: bytes, words: str) -> None:
    (tmp_path / file).write_bytes(content)
    with pytest.raises((RegistryError, WeightsError), match=words):
        discover(weights_dir=tmp_path)


def test_a_manifest_without_its_weights_is_refused_by_name(tmp_path: Path) -> None:
    weights.write(tmp_path, weights.manifest("balloons"))
    (tmp_path / "balloons.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"balloons\.safetensors: missing"):
        discover(weights_dir=tmp_path)


def test_a_manifest_of_another_name_is_refused(tmp_path: Path) -> None:
    weights.write(tmp_path, weights.manifest("balloons")).rename(tmp_path / "kites.json")
    (tmp_path / "balloons.safetensors").rename(tmp_path / "kites.safetensors")
    with pytest.raises(WeightsError, match=r"kites\.json: the manifest is of 'balloons', expected 'kites'"):
        discover(weights_dir=tmp_path)


def test_the_joins_that_ship_are_found_readers_after_changers() -> None:
    names = [join.name for join in joins()]
    assert names == ["parts_orientation", "damage_parts", "damage_vehicles", "summary"]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("summary", "models.joins.nowhere:summary", "cannot be imported"),
        ("summary", "models.joins.summary:nothing", "cannot be imported"),
        ("summary", "models.joins.summary:lines", "expected a models.join.Join named 'summary'"),
        ("other", "models.joins.summary:summary", "expected a models.join.Join named 'other'"),
    ],
)
def test_a_join_that_is_none_is_refused_by_its_entry_point(name: str, value: str, said: str) -> None:
    with pytest.raises(RegistryError, match=f"entry point {name} = .*{said}"):
        joins([EntryPoint(name, value, JOINS)])


def test_versions_beside_are_found_and_no_predictors_of_their_own(tmp_path: Path) -> None:
    of = weights.manifest("balloons", version="1.0.0")
    weights.write(tmp_path, of)
    for version in ("1.1.0", "1.2.0+b"):
        stem = write_beside(tmp_path, weights.manifest("balloons", version=version), version)
        assert stem.exists()
    assert list(discover(tmp_path, points=[], wanted=None)) == ["balloons"]
    assert versions("balloons", tmp_path) == ["1.1.0", "1.2.0+b"]
    assert versions("balloon", tmp_path) == versions("balloons", None) == []
    assert create("balloons", None, tmp_path).card.version == "1.0.0"
    assert create("balloons", "1.2.0+b", tmp_path).card.version == "1.2.0+b"


def write_beside(folder: Path, of: manifests.Manifest, version: str) -> Path:
    written = weights.write(folder / "made", of)
    for file in (written, written.with_suffix(".safetensors")):
        file.rename(folder / f"{of.name}@{version}{file.suffix}")
    return folder / f"{of.name}@{version}.json"


def test_a_version_that_is_another_than_its_name_says_is_refused(tmp_path: Path) -> None:
    write_beside(tmp_path, weights.manifest("balloons", version="1.1.0"), "2.0.0")
    with pytest.raises(WeightsError, match=r"balloons@2.0.0.json: the manifest's version is '1.1.0', .* '2.0.0'"):
        create("balloons", "2.0.0", tmp_path)


def test_one_is_made_anew_from_its_files_as_they_are_now(tmp_path: Path) -> None:
    weights.write(tmp_path, weights.manifest("damage", version="1.0.0"))
    first = create("damage", None, tmp_path)
    weights.write(tmp_path, weights.manifest("damage", version="2.0.0"))
    again = create("damage", None, tmp_path)
    assert isinstance(again, Damage)
    assert (first.card.version, again.card.version) == ("1.0.0", "2.0.0")
