"""The fake predictor as a plug-in that a real service finds, so that tests of the process need no network to load."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def installed(folder: Path, point: str = "brightness = tests.fakes:Brightness") -> dict[str, str]:
    """Settings of a service with that predictor alone; its entry point is written into the folder."""
    info = folder / "fake_predictor-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fake-predictor\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text(f"[carlens.predictors]\n{point}\n")
    others = [str(Path(part).absolute()) for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
    path = os.pathsep.join([str(folder), str(ROOT), *others])
    return {
        "PYTHONPATH": path,
        "CARLENS_PREDICTORS": point.partition(" ")[0],
        "CARLENS_DEVICE": "cpu",
        "CARLENS_WORKERS": "1",
    }
