"""CarDD as its authors give it out: COCO annotations and photos in folders called as COCO's own."""

from pathlib import Path

NAMES = {"glass shatter": "glass_shatter", "lamp broken": "lamp_broken", "tire flat": "tire_flat"}
"""The categories whose name is not a label of ours."""


def place(root: Path, split: str) -> tuple[Path, Path]:
    """Annotations and photos of a split (`train`, `val` or `test`), below the folder `CarDD_COCO` or the one it lies
    in. `FileNotFoundError` says what was looked for."""
    name = f"instances_{split}2017.json"
    for folder in (root, root / "CarDD_COCO"):
        if (folder / "annotations" / name).exists():
            return folder / "annotations" / name, folder / f"{split}2017"
    raise FileNotFoundError(f"{root}: no annotations/{name}; expected the folder CarDD_COCO of the release")
