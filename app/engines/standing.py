"""Replicas that a config of Ray Serve keeps up, in a fleet's place: nothing is started here, and nothing ended."""

from collections.abc import Iterable, Mapping

from ray import serve
from ray.serve.handle import DeploymentHandle

from app.engines.fleet import Condition, Order, condition
from models.manifest import BESIDE


def deployment_of(order: Order) -> str:
    """What the deployment of that version of a predictor is called."""
    return order.name if order.version is None else f"{order.name}{BESIDE}{order.version}"


class Standing:
    """The deployments of one application, by their names: its handles, and the orders by which they were made."""

    def __init__(self, application: str, handles: Mapping[str, DeploymentHandle], orders: Iterable[Order]) -> None:
        self._application = application
        self._handles = handles
        self._orders = {deployment_of(order): order for order in orders}

    def connect(self) -> None:
        """Whoever runs here is in the cluster."""

    def deploy(self, order: Order) -> str:
        """The name of the deployment that was made by that order. Raises `ValueError` where there is none."""
        name = deployment_of(order)
        if self._orders.get(name) != order:
            raise ValueError(
                f"{name}: the application was built with other weights or settings than this node has: put the same "
                "files on every node, then deploy the config again"
            )
        return name

    def handle(self, name: str) -> DeploymentHandle:
        return self._handles[name]

    def conditions(self) -> dict[str, Condition]:
        """By deployment."""
        overview = serve.status().applications[self._application]
        return {name: condition(overview, name) for name in self._handles}

    def drop(self, name: str) -> None:
        """The config's replicas stay."""

    def close(self) -> None:
        """The config's replicas stay."""
