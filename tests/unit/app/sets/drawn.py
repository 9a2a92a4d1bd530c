"""Photos of one colour each, so that a test can tell them apart by what a predictor sees."""

from pathlib import Path

from tests.fakes import photo


def color(number: int) -> tuple[int, int, int]:
    """Another one for each number."""
    return (1, 10 + number, 250 - number)


def write(folder: Path, count: int) -> list[Path]:
    """`photo-000.png` and so on."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"photo-{number:03d}.png" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_bytes(photo(16, 12, "PNG", color(number)))
    return paths
