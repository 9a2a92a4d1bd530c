"""A choice of photos: the seed decides, folders take turns, no picture twice, broken ones are told."""

from pathlib import Path

import pytest

from tests.unit.training.data import sets
from training.data.archive import Archive
from training.sample import Sample, draw

LARGE = [f"large/{n:02}.png" for n in range(12)]
SMALL = ["small/a.png", "small/b.png"]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """A large folder and a small one; the small one's `copy` shows what `large/00` shows."""
    root = sets.photos(tmp_path_factory.mktemp("photos"), [*LARGE, *SMALL, "top.png"])
    (root / "small" / "copy.jpg").write_bytes(sets.encoded(0, 120, 80, "JPEG"))
    (root / "small" / "broken.png").write_bytes(b"no photo")
    (root / "small" / "notes.txt").write_text("no photo either")
    return Archive(root)


def names(sample: Sample) -> list[str]:
    return [name for name, _ in sample.chosen]


def test_the_seed_decides(archive: Archive) -> None:
    assert names(draw(archive, 8)) == names(draw(archive, 8, 0))
    assert len({tuple(names(draw(archive, 8, seed))) for seed in range(4)}) == 4


@pytest.mark.parametrize("seed", range(3))
def test_folders_take_turns(archive: Archive, seed: int) -> None:
    chosen = names(draw(archive, 6, seed))
    assert len(chosen) == len(set(chosen)) == 6
    assert "top.png" in chosen
    assert sum(name.startswith("small/") for name in chosen) >= 2
    assert sum(name.startswith("large/") for name in chosen) >= 2


def test_all_are_chosen_once_but_for_what_shows_the_same(archive: Archive) -> None:
    sample = draw(archive, 100)
    chosen = set(names(sample))
    assert len(sample.chosen) == 15
    ((dropped, kept),) = sample.near_duplicates
    assert {dropped, kept} == {"large/00.png", "small/copy.jpg"}
    assert chosen == {*LARGE, *SMALL, "top.png", "small/copy.jpg"} - {dropped}
    ((name, reason),) = sample.broken
    assert name == "small/broken.png"
    assert reason.startswith("the photo cannot be read: ")


def test_no_more_is_opened_than_needed(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[int] = []
    draw(archive, 3, 1, lambda sample: opened.append(len(sample.chosen)))
    assert opened[-1] == 3
    assert len(opened) <= 5


def test_an_empty_folder_gives_nothing(tmp_path: Path) -> None:
    assert draw(Archive(tmp_path), 3) == Sample()
