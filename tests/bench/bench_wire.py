"""Where a photo is better decoded when predictors run elsewhere: CPU time and bytes, at the ingress or in replicas.

`python -m tests.bench.bench_wire [PHOTO …]`; without photos, the example and the same drawn as twelve megapixels. Rows
are interleaved and tell the process's own CPU time, so that other load on the machine matters little.
"""

import io
import pickle
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from app.locate import scale_for
from models.photo import Limits, decode, read_header, whole
from models.predictor import Arrays
from models.registry import AnyPredictor, discover

EXAMPLE = Path(__file__).resolve().parents[2] / "openapi" / "examples" / "car.jpg"
CALLS = (
    ("attributes",),
    ("damage",),
    ("car_details", "attributes", "damage", "parts", "severity", "vehicles"),
)
ROUNDS = 15


def large() -> bytes:
    """As a phone makes them: 4032 x 3024, with noise."""
    pixels = np.asarray(Image.open(EXAMPLE).convert("RGB").resize((4032, 3024))).astype(np.int16)
    noise = np.random.default_rng(0).integers(-8, 9, pixels.shape, np.int16)
    file = io.BytesIO()
    Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8)).save(file, "JPEG", quality=90)
    return file.getvalue()


def at_ingress(data: bytes, asked: Sequence[AnyPredictor]) -> list[bytes]:
    """One decode for all; what is prepared crosses."""
    header = read_header(data, Limits())
    scale = max(scale_for(one.specification, whole(header)) for one in asked)
    photo = decode(data, header, scale)
    items = [one.prepare(photo, whole(header), one.specification.options()) for one in asked]
    crossed = [pickle.dumps(dict(item), protocol=5) for item in items]
    for wire in crossed:
        pickle.loads(wire)
    return crossed


def at_replicas(data: bytes, asked: Sequence[AnyPredictor]) -> list[bytes]:
    """The file crosses to each predictor, which decodes as fine as it needs itself."""
    header = read_header(data, Limits())
    crossed = []
    for one in asked:
        crossed.append(pickle.dumps(data, protocol=5))
        photo = decode(pickle.loads(crossed[-1]), header, scale_for(one.specification, whole(header)))
        one.prepare(photo, whole(header), one.specification.options())
    return crossed


def row_bytes(one: AnyPredictor) -> int:
    """What comes back where `finish` runs at the ingress: a row of the network's output."""
    one.load("cpu")
    batch: Arrays = {k: np.zeros((1, *t.shape), t.dtype) for k, t in one.specification.inputs.items()}
    return sum(np.asarray(array).nbytes for array in one.run(batch).values())


def cpu_ms(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return (time.process_time() - began) * 1000


def main() -> None:
    predictors: Mapping[str, AnyPredictor] = discover()
    photos = {path: Path(path).read_bytes() for path in sys.argv[1:]} or {
        "car.jpg": EXAMPLE.read_bytes(),
        "12 MP": large(),
    }
    rows = {name: row_bytes(predictors[name]) for name in CALLS[-1]}
    print(f"rows of output: {', '.join(f'{name} {size / 1024:.0f} KiB' for name, size in rows.items())}")  # noqa: T201
    for label, data in photos.items():
        for call in CALLS:
            asked = [predictors[name] for name in call]
            spent: dict[str, list[float]] = {"ingress": [], "replicas": []}
            for _ in range(ROUNDS):
                spent["ingress"].append(cpu_ms(lambda: at_ingress(data, asked)))  # noqa: B023
                spent["replicas"].append(cpu_ms(lambda: at_replicas(data, asked)))  # noqa: B023
            there = sum(map(len, at_ingress(data, asked)))
            back = sum(rows[name] for name in call)
            tell = {name: statistics.median(times) for name, times in spent.items()}
            print(  # noqa: T201
                f"{label} ({len(data) / 1024:.0f} KiB), {len(call)} asked ({call[0]}…): decoded at the ingress "
                f"{tell['ingress']:.1f} ms CPU, {there / 1024:.0f} KiB there, {back / 1024:.0f} back; in replicas "
                f"{tell['replicas']:.1f} ms CPU, {len(data) * len(call) / 1024:.0f} KiB there"
            )


if __name__ == "__main__":
    main()
