"""What predictors with a manifest share: one image scaled to the network's size, a backend that runs it."""

import logging
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path

from models import backends
from models.manifest import Fit, Kind, Weights, WeightsError, find
from models.photo import Photo, Region
from models.predictor import A, Arrays, Card, O, Predictor, Specification, Tensor

_log = logging.getLogger(__name__)


class WeightedPredictor(Predictor[O, A]):
    """A predictor whose labels, sizes and thresholds stand in a manifest.

    `kind` and `fit` are the manifest's that this predictor can serve; `heads` are the label lists its answer is made
    of. A predictor for one set of weights has their `name`; one that serves any weights of its kind is given it.
    `sources` (there `regions`), `margin`, `completed_by`, `batch_sizes` and `cpu_batch` are the
    specification's.
    """

    name: str
    kind: Kind
    fit: Fit = "stretch"
    heads: tuple[str, ...] = ("label",)
    sources: tuple[str, ...] = ("photo",)
    margin: float = 0.0
    completed_by: tuple[str, ...] = ()
    batch_sizes: tuple[int, ...] = (1, 2, 4, 8, 16)
    cpu_batch: int | None = 4

    def __init__(
        self,
        weights_dir: Path | None = None,
        name: str | None = None,
        backend: str = backends.AUTO,
        cache_dir: Path | None = None,
        threads: int | None = None,
        version: str | None = None,
    ) -> None:
        """`backend` is one of `backends.NAMES`, or `auto`; `cache_dir` a folder for what it compiles; `threads` of the
        CPU are what it may take, None leaves that to its library. With a `version`, the weights are those of the files
        `NAME@VERSION` in `weights_dir`. Raises
        `WeightsError` where the weights are missing or broken, cannot give this predictor's answer, or have no backend
        here that could serve them."""
        if name is not None:
            self.name = name
        self.weights: Weights = find(self.name, weights_dir, version)
        self.manifest = self.weights.manifest
        self.check()
        self.wanted, self.cache_dir, self.threads = backend, cache_dir, threads
        self.backend: backends.Backend = backends.Unloaded()
        self.card: Card = self.manifest.card(backends.choose(backend, self.weights, "cpu"), "cpu")
        self.specification = self.describe()

    def check(self) -> None:
        """Raises `WeightsError` where the manifest is not one that this predictor can serve."""
        where, manifest = self.weights.path.with_suffix(".json"), self.manifest
        if manifest.kind != self.kind:
            raise WeightsError(f"{where}: kind is {manifest.kind!r}, {self.name} expects {self.kind!r}")
        if manifest.fit != self.fit:
            raise WeightsError(f"{where}: fit is {manifest.fit!r}, {self.name} expects {self.fit!r}")
        missing = [head for head in self.heads if not manifest.labels.get(head)]
        if missing:
            raise WeightsError(f"{where}: labels: {self.name} expects labels for {', '.join(missing)}")

    @abstractmethod
    def describe(self) -> Specification:
        """The specification for the manifest, by `specify`."""

    def specify(
        self, description: str, options: type[O], answer: type[A], example: Mapping[str, object]
    ) -> Specification:
        """What is the predictor's own, with what the manifest and the kind say."""
        size = self.manifest.input
        return Specification(
            name=self.name,
            summary=self.manifest.summary,
            description=description,
            options=options,
            answer=answer,
            inputs={"image": Tensor((size.height, size.width, 3))},
            reads=(size.width, size.height),
            regions=self.sources,
            margin=self.margin,
            completed_by=self.completed_by,
            batch_sizes=self.batch_sizes,
            cpu_batch=self.cpu_batch,
            drawable=True,
            example=example,
        )

    def load(self, device: str) -> None:
        chosen = backends.choose(self.wanted, self.weights, device)
        backend = backends.create(chosen, self.cache_dir, self.threads)
        backend.load(self.weights, device)
        if self.wanted not in (backends.AUTO, chosen):
            _log.warning("%s has no int8 graph: %s serves it, not %s", self.name, chosen, self.wanted)
        self.backend, self.card = backend, self.manifest.card(backend.name, device)

    def prepare(self, photo: Photo, region: Region, options: O) -> Arrays:
        size = self.manifest.input
        fitted = photo.letterboxed if self.fit == "letterbox" else photo.resized
        return {"image": fitted(region, size.width, size.height)}

    def run(self, batch: Arrays) -> Arrays:
        return self.backend.run(batch)
