"""What Ray Serve is asked to keep up: an application for each version of a predictor, with its replicas. It starts
them, restarts what dies or hangs, scales and routes; this file tells it what, and reads how it goes."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from uuid import uuid4

import ray
from ray import serve
from ray.serve import Application
from ray.serve.handle import DeploymentHandle
from ray.serve.schema import ApplicationStatus, ApplicationStatusOverview, ReplicaState, ServeStatus

from app.engines.replica import Replica
from app.replicas import Scale, of
from app.settings import Settings
from app.shelf import Make
from models.registry import AnyPredictor

DEPLOYMENT = "predictor"

HEALTH_PERIOD_S = 2.0
HEALTH_TIMEOUT_S = 10.0
"""Serve replaces a replica after three checks that failed or took longer than this."""

TRIES = 3
"""Starts of the first replicas that may fail before the predictor counts as failed."""


Makers = Callable[[int], Make]
"""For a share of the CPU's threads, what makes predictors that keep to it."""


@dataclass(frozen=True, slots=True)
class Order:
    """One version of a predictor, as its replicas are to make and run it. `weights` is what the ingress has read."""

    name: str
    version: str | None
    weights: str
    device: str
    largest: int
    """Items in its largest batch."""


def order_of(settings: Settings, predictor: AnyPredictor, version: str | None) -> Order:
    """Where the settings say that it shall run."""
    what = predictor.specification
    device = "cuda" if of(what.name, settings.gpus_of_replicas, 0.0) else "cpu"
    return Order(what.name, version, predictor.card.weights, device, what.sizes_on(device)[-1])


@dataclass(frozen=True, slots=True)
class Condition:
    """How an application is: replicas that run, and why there will be none."""

    running: int = 0
    failure: str | None = None


class Fleet:
    """All methods block, and are called by one thread. `settings.ray_name` tells this service's applications from
    others' in the cluster."""

    def __init__(self, settings: Settings, makers: Makers) -> None:
        self._settings = settings
        self._makers = makers
        self._handles: dict[str, DeploymentHandle] = {}
        self._ours = False

    def connect(self) -> None:
        """To the cluster of `RAY_ADDRESS`, that of this machine, or one started here. What an earlier run of this
        service left is cleared away."""
        if not ray.is_initialized():
            self._ours = True
            ray.init(configure_logging=False, log_to_driver=False)
        told = logging.getLogger("ray.serve")  # it writes lines of its own; the service's log has one form
        told.handlers.clear()
        told.propagate = True
        told.setLevel("WARNING")
        serve.start(proxy_location="Disabled")  # HTTP is ours: deadlines, limits and leaving clients are seen there
        for application in serve.status().applications:
            if application.startswith(self._prefix):
                serve.delete(application, _blocking=False)

    def deploy(self, order: Order) -> str:
        """The name of the new application; its replicas are still to come."""
        application = f"{self._prefix}{order.name}.{uuid4().hex[:8]}"
        target = self.bound(order)
        (handle,) = serve.run_many(
            [serve.RunTarget(target, application, route_prefix=None)], wait_for_applications_running=False
        )
        self._handles[application] = handle
        return application

    def bound(self, order: Order, deployment: str = DEPLOYMENT) -> Application:
        """What Serve is to run: a deployment of that name."""
        room = self._settings.queue_limit + order.largest  # what may wait, and what a batch holds
        takes = self._takes(order)
        make = self._makers(max(1, int(takes["num_cpus"])))
        made = serve.deployment(Replica).options(
            name=deployment,
            max_ongoing_requests=room,
            ray_actor_options=takes,
            graceful_shutdown_timeout_s=self._settings.grace_s,
            graceful_shutdown_wait_loop_s=0.2,
            health_check_period_s=HEALTH_PERIOD_S,
            health_check_timeout_s=HEALTH_TIMEOUT_S,
            max_constructor_retry_count=TRIES,
            **self._scaling(order),
        )
        return made.bind(make, order.name, order.version, order.weights, order.device, room, self._settings.stuck_s)

    def handle(self, application: str) -> DeploymentHandle:
        return self._handles[application]

    def conditions(self) -> dict[str, Condition]:
        """By application, of all that there are."""
        return condition_of(serve.status())

    def drop(self, application: str) -> None:
        """Its replicas finish what they have."""
        handle = self._handles.pop(application, None)
        if handle is not None:
            asyncio.run(handle.shutdown_async())  # else it goes on telling Serve of its load, and connects anew for it
        serve.delete(application, _blocking=False)

    def close(self) -> None:
        """Drops everything; a cluster that was started here ends."""
        for application in list(self._handles):
            with contextlib.suppress(Exception):  # the cluster is gone: so are its replicas
                self.drop(application)
        if self._ours:
            ray.shutdown()

    @property
    def _prefix(self) -> str:
        return f"{self._settings.ray_name}."

    def _takes(self, order: Order) -> dict[str, float]:
        settings = self._settings
        return {
            "num_cpus": of(order.name, settings.cpus_of_replicas, 1.0),
            "num_gpus": of(order.name, settings.gpus_of_replicas, 0.0),
        }

    def _scaling(self, order: Order) -> dict[str, object]:
        scale = of(order.name, self._settings.scales, Scale(1, 1))
        if scale.least == scale.most:
            return {"num_replicas": scale.least}
        return {
            "autoscaling_config": {
                "min_replicas": scale.least,
                "max_replicas": scale.most,
                # one batch runs and the next one gathers: with more than that, another replica answers sooner
                "target_ongoing_requests": 2 * order.largest,
                "upscale_delay_s": self._settings.scale_up_s,
                "downscale_delay_s": self._settings.scale_down_s,
                "look_back_period_s": max(2.0, min(30.0, self._settings.scale_up_s)),
                "metrics_interval_s": 1.0,
            }
        }


def condition_of(status: ServeStatus) -> dict[str, Condition]:
    return {name: condition(application, DEPLOYMENT) for name, application in status.applications.items()}


def condition(application: ApplicationStatusOverview, name: str) -> Condition:
    """How the deployment of that name is; one that is not there has no replicas."""
    deployment = application.deployments.get(name)
    running = deployment.replica_states.get(ReplicaState.RUNNING, 0) if deployment else 0
    failed = application.status == ApplicationStatus.DEPLOY_FAILED
    told = deployment.message if deployment and deployment.message else application.message
    return Condition(running, told if failed else None)
