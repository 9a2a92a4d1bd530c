"""The readable files of a run: what it is, line by line what it did, and nothing of what is done again."""

import json
from pathlib import Path

import pytest

from tests.unit.training.tiny import RECIPE, varied
from training.devices import CPU
from training.record import Record, differences, plain, versions


def begun(folder: Path, step: int = 0) -> Record:
    record = Record(folder)
    record.begin(RECIPE, CPU, 1, step, 15)
    return record


def test_the_config_tells_recipe_versions_and_machine(tmp_path: Path) -> None:
    begun(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["recipe"] == plain(RECIPE)
    assert config["recipe"]["schedule"] == {"name": "one_cycle", "warmup": 0.2, "start": 0.04, "end": 0.002}
    assert config["versions"] == versions()
    assert {"python", "torch", "numpy"} <= set(config["versions"])
    assert (config["steps"], config["device"], config["precision"], config["processes"]) == (15, "cpu", "fp32", 1)


def test_rows_after_the_step_gone_on_from_are_taken_out(tmp_path: Path) -> None:
    record = begun(tmp_path)
    for step in (4, 8, 12):
        record.add({"step": step, "label": 0.5})
    record.add({"step": 12, "val": {"top1": 0.5}})
    begun(tmp_path, step=8)
    assert [row["step"] for row in record.rows()] == [4, 8]
    assert not record.measured(12)


def test_a_line_cut_short_is_passed_over(tmp_path: Path) -> None:
    record = begun(tmp_path)
    record.add({"step": 4, "label": 0.5})
    with record.metrics.open("a") as file:
        file.write('{"step": 8, "lab')
    assert [row["step"] for row in record.rows()] == [4]
    begun(tmp_path, step=8)
    record.add({"step": 12})
    assert [row["step"] for row in record.rows()] == [4, 12]


def test_measured_is_what_has_figures_at_that_step(tmp_path: Path) -> None:
    record = begun(tmp_path)
    assert not record.measured(15)
    record.add({"step": 15, "label": 0.1})
    record.add({"step": 10, "val": {"top1": 0.1}})
    assert not record.measured(15)
    record.add({"step": 15, "val": {"top1": 0.1}})
    assert record.measured(15)


def test_the_same_recipe_is_welcome_and_another_told_by_its_keys(tmp_path: Path) -> None:
    record = Record(tmp_path)
    record.refuse_another(RECIPE)  # nothing there yet
    begun(tmp_path)
    record.refuse_another(varied())
    with pytest.raises(ValueError, match=r"rate was 0\.05, is 0\.1; schedule\.warmup was 0\.2, is 0\.3: use another"):
        record.refuse_another(varied(rate=0.1, schedule={"name": "one_cycle", "warmup": 0.3}))


def test_a_recipe_from_before_a_key_was_there_counts_with_its_default(tmp_path: Path) -> None:
    record = begun(tmp_path)
    config = json.loads(record.config.read_text())
    for key in ("schedule", "stages", "accumulate"):
        del config["recipe"][key]
    record.config.write_text(json.dumps(config))
    record.refuse_another(RECIPE)
    with pytest.raises(ValueError, match="accumulate was 1, is 2"):
        record.refuse_another(varied(accumulate=2))


def test_a_key_that_is_no_longer_known_is_told(tmp_path: Path) -> None:
    record = begun(tmp_path)
    config = json.loads(record.config.read_text())
    config["recipe"]["momentum"] = 0.9
    record.config.write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"momentum was 0\.9, is null"):
        record.refuse_another(RECIPE)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"recipe": 3, "steps"}'])
def test_a_broken_config_is_told_with_its_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ValueError, match=r"config\.json is not what a run writes"):
        Record(tmp_path).refuse_another(RECIPE)


def test_differences_go_into_tables() -> None:
    found = list(differences({"a": 1, "t": {"x": 1, "y": [1]}}, {"t": {"x": 1, "y": [2]}, "b": "c"}))
    assert found == ["a was 1, is null", "t.y was [1], is [2]", 'b was null, is "c"']
