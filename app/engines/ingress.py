"""carlens as an application of Ray Serve: what `import_path: app.engines.ingress:application` of a config means. Serve
keeps up the ingress replicas and the predictors', and its proxies take the requests."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from ray import serve
from ray.serve import Application
from ray.serve.handle import DeploymentHandle
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from app import configuration, logs, replicas
from app.changes import Change, Outcome
from app.engines.figures import Figures
from app.engines.fleet import HEALTH_PERIOD_S, HEALTH_TIMEOUT_S, Fleet, Order, order_of
from app.engines.ray import RayEngine
from app.engines.standing import Standing, deployment_of
from app.main import create_app, maker
from app.metrics import Metrics
from app.settings import Settings
from models.registry import discover, versions

INGRESS, FIGURES = "carlens-ingress", "carlens-figures"
"""Deployments beside the predictors', which have no dash in their names."""

MANY = 1000
"""Requests that one ingress replica may have. Its own limits refuse long before that, with a reason; Serve would let
those above wait unseen."""

UNCHANGED = (
    "The models of this service are what its Ray Serve config says. Deploy one with other weights (an image, or "
    "weights_dir), and it replaces the replicas."
)


def application(given: dict[str, Any]) -> Application:
    """What Serve runs; `given` are the `args` of the config, settings by their names in small letters. Where it is
    called there must be the same weights as on every node. Raises `WrongSettings`, and what `discover` raises."""
    settings = configuration.read({**given, "engine": "ray"})
    make = partial(maker, settings)
    served = discover(
        settings.weights_dir, settings.predictors, backends=settings.backends, cache_dir=settings.cache_dir
    )
    replicas.check(settings.of_replicas, served)
    orders = [order_of(settings, one, None) for one in served.values()]
    for name in served:
        orders += [
            order_of(settings, make()(name, version), version) for version in versions(name, settings.weights_dir)
        ]
    fleet = Fleet(settings, make)
    bound = {name: fleet.bound(order, name) for order in orders for name in [deployment_of(order)]}
    figures = serve.deployment(Figures).options(name=FIGURES, ray_actor_options={"num_cpus": 0}).bind()
    ingress = serve.deployment(serve.ingress()(Ingress)).options(
        name=INGRESS,
        max_ongoing_requests=MANY,
        graceful_shutdown_timeout_s=settings.grace_s,
        health_check_period_s=HEALTH_PERIOD_S,
        health_check_timeout_s=HEALTH_TIMEOUT_S,
    )
    return ingress.bind(settings, orders, bound, figures)


class Ingress:
    """Serve's deployment: the same gateway as in a process of its own. It takes photos, decodes and prepares them, and
    asks the predictors' replicas, which all ingress replicas share."""

    async def __init__(  # type: ignore[misc] # Serve awaits it
        self,
        settings: Settings,
        orders: Sequence[Order],
        handles: Mapping[str, DeploymentHandle],
        figures: DeploymentHandle,
    ) -> None:
        logs.start(settings)
        here = serve.get_replica_context()
        self._settings = settings
        self._name = here.replica_id.unique_id
        self._standing = Standing(here.app_name, handles, orders)
        self._figures = figures
        self._gateway = create_app(settings, read_metrics=self._text, spread=unchanged, run=self._run)

    def __serve_build_asgi_app__(self) -> ASGIApp:
        served: ASGIApp = identified(self._gateway)
        if self._settings.trusted_proxies:
            served = ProxyHeadersMiddleware(served, trusted_hosts=self._settings.trusted_proxies)  # type: ignore[arg-type, assignment]
        return served

    async def check_health(self) -> None:
        """Raises where it can ask no replicas any more. Serve calls this again and again, so the figures are told here:
        then they are at hand whichever replica is asked for them."""
        if not self._gateway.state.batcher.alive:
            raise RuntimeError("Ray does not tell how the replicas are")
        self._figures.told.remote(self._name, self._collected())

    def _run(self, settings: Settings, metrics: Metrics) -> RayEngine:
        return RayEngine(settings, partial(maker, settings), metrics, fleet=self._standing)

    async def _text(self) -> bytes:
        text: bytes = await self._figures.text.remote(self._name, self._collected())
        return text

    def _collected(self) -> list[Any]:
        return list(self._gateway.state.metrics.registry.collect())


async def unchanged(change: Change) -> Sequence[Outcome]:
    """One ingress replica cannot speak for all, and Serve would not know of the change."""
    return [Outcome("ready", failure=UNCHANGED)]


def identified(gateway: ASGIApp) -> ASGIApp:
    """Serve's proxy gives every request an id, and adds it to the answer: ours is left out where it is the same."""

    async def called(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await gateway(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "").encode()

        async def once(message: Message) -> None:
            if message["type"] == "http.response.start":
                head = [
                    (name, value) for name, value in message["headers"] if (name, value) != (b"x-request-id", given)
                ]
                message = {**message, "headers": head}
            await send(message)

        await gateway(scope, receive, once)

    return called
