"""Stanford Cars as its authors gave it out: photos, and MATLAB files with the class and the box of each car."""

from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from training.data.annotated import Labels
from training.data.archive import Archive, Crops
from training.data.problems import Problems
from training.data.table import Row

FILES = {"train": ("cars_train_annos.mat", "cars_train"), "val": ("cars_test_annos_withlabels.mat", "cars_test")}
BOX = ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2")


def find(root: Path, name: str) -> Path:
    """A file of the devkit, in its folder or beside it. `FileNotFoundError` says where it was looked for."""
    for path in (root / "devkit" / name, root / name):
        if path.exists():
            return path
    raise FileNotFoundError(f"{root}: neither devkit/{name} nor {name} exists")


def _load(path: Path, variable: str) -> list[Any]:
    """The entries of a cell or struct array."""
    try:
        found = loadmat(path, simplify_cells=True)[variable]
    except KeyError:
        raise ValueError(f"{path}: no variable {variable!r} in it") from None
    except (ValueError, TypeError, OSError, NotImplementedError, MatReadError) as error:
        raise ValueError(f"{path}: not a MATLAB file ({error})") from None
    return list(found) if isinstance(found, (list, np.ndarray)) else [found]


def read(root: Path, labels: Labels, split: str) -> tuple[list[Row], Archive]:
    """The photos of one split, cut to the car's box. Raises `DataError` with file and number of what is broken: a class
    that is not in `cars_meta.mat`, whose name is not a label, a box without area, a photo that is listed twice."""
    name, folder = FILES[split]
    path, meta = find(root, name), find(root, "cars_meta.mat")
    names = [str(one) for one in _load(meta, "class_names")]
    problems, rows = Problems(), []
    if unknown := labels.unknown(names, "class names"):
        problems.add(meta, unknown)
    boxes: dict[str, tuple[int, int, int, int]] = {}
    for number, entry in enumerate(_load(path, "annotations"), start=1):
        where = f"{path}, annotation {number}"
        try:
            file, given = str(entry["fname"]), int(entry["class"])
            x1, y1, x2, y2 = (int(entry[key]) for key in BOX)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            problems.add(where, f"not an annotation of Stanford Cars ({type(error).__name__}: {error})")
            continue
        if not 1 <= given <= len(names):
            problems.add(where, f"class {given} does not exist, there are {len(names)}")
        elif not 1 <= x1 <= x2 or not 1 <= y1 <= y2:
            problems.add(where, f"the box {x1}, {y1}, {x2}, {y2} has no area or begins outside the photo")
        elif file in boxes:
            problems.add(where, f"photo {file!r} is listed twice")
        else:
            label = labels.number(names[given - 1])
            boxes[file] = (x1 - 1, y1 - 1, x2, y2)  # MATLAB counts from 1, its last pixel is part of the box
            if label is not None:
                rows.append(Row(file, label, {}))
    problems.check()
    return rows, Crops(root / folder, boxes)
