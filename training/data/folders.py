"""A folder per class: `dent/001.jpg` is a photo of the class `dent`."""

from training.data.annotated import Labels
from training.data.archive import Archive
from training.data.problems import Problems
from training.data.table import Row


def read(labels: Labels, archive: Archive) -> list[Row]:
    """Every photo of the archive, by the first folder of its name. Raises `DataError` with what lies in none, and with
    folders that are no labels."""
    problems, rows = Problems(), []
    unknown: dict[str, int] = {}
    for file in archive.names():
        folder, inside, _ = file.partition("/")
        label = labels.number(folder)
        if not inside:
            problems.add(archive.path / file, "lies in no folder; each class has a folder of its name")
        elif label is None:
            unknown[folder] = unknown.get(folder, 0) + 1
        else:
            rows.append(Row(file, label, {}))
    for folder, count in unknown.items():
        problems.add(archive.path / folder, f"{count} photos, but no label has the name {folder!r}")
    problems.check()
    return rows
