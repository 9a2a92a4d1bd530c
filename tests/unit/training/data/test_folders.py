"""A folder per class, in a folder or a zip."""

from pathlib import Path

import pytest

from tests.unit.training.data import sets
from training.data import folders
from training.data.annotated import Labels
from training.data.archive import Archive

LABELS = Labels(["dent", "scratch"], {"scratches": "scratch"})


def test_the_first_folder_is_the_class(tmp_path: Path) -> None:
    names = ["dent/a.png", "scratch/deep/b.png", "scratches/c.png"]
    rows = folders.read(LABELS, Archive(sets.photos(tmp_path / "train", names)))
    assert [(row.file, row.label) for row in rows] == [(names[0], 0), (names[1], 1), (names[2], 1)]


def test_what_has_no_class_is_told(tmp_path: Path) -> None:
    archive = Archive(sets.photos(tmp_path / "train", ["a.png", "dent/b.png", "rust/c.png", "rust/d.png"]))
    with pytest.raises(ValueError, match="2 problems") as caught:
        folders.read(LABELS, archive)
    assert "a.png: lies in no folder" in str(caught.value)
    assert "rust: 2 photos, but no label has the name 'rust'" in str(caught.value)
