"""CarDD's own folder: where its annotations and photos lie."""

from pathlib import Path

import pytest

from tests.unit.training.data import sets
from training.data import cardd


@pytest.mark.parametrize("inside", ["", "CarDD_COCO"])
def test_the_release_and_its_folder_are_both_taken(tmp_path: Path, inside: str) -> None:
    sets.write(tmp_path / inside / "annotations" / "instances_val2017.json", {})
    folder = tmp_path / inside
    assert cardd.place(tmp_path, "val") == (folder / "annotations" / "instances_val2017.json", folder / "val2017")


def test_another_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no annotations/instances_train2017\.json; expected the folder CarDD"):
        cardd.place(tmp_path, "train")
