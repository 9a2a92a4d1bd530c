"""The lane of a predictor that runs in replicas elsewhere."""

from collections.abc import Mapping, Sequence

from ray.serve.handle import DeploymentHandle

from app.engines.fleet import Condition
from app.lane import Lane
from models.predictor import Tensor
from models.registry import AnyPredictor


class Replicated(Lane):
    """One version of a predictor on all its replicas. `sent` are the items that have no answer yet, with when they
    were sent; `wanted` replicas are to be there, `running` are. `weights` is what their rows are to be made with."""

    def __init__(
        self, predictor: AnyPredictor, inputs: Mapping[str, Tensor], sizes: Sequence[int], wanted: int, weights: str
    ) -> None:
        super().__init__(predictor.specification.name, predictor.load, predictor.run, inputs, sizes)
        self.predictor = predictor
        self.wanted = wanted
        self.weights = weights
        self.running = 0
        self.application: str | None = None
        self.ask: DeploymentHandle | None = None
        self.sent: dict[int, float] = {}

    def see(self, condition: Condition) -> None:
        """What Serve says now. It answers as long as one replica runs; what is missing of them readiness tells."""
        self.running = condition.running
        if self.state != "failed":
            self.state = "ready" if self.running else "loading"
        short = self.running < self.wanted
        self.missing = f"{self.running} of {self.wanted} replicas run" if short else ""
