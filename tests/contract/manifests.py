"""What Kubernetes is told in docker/kubernetes: read, rendered, and held against schemas and against the service."""

import ast
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml
from pydantic import ValidationError

from app.cli import entry_points
from app.commands.serve import SLACK_S
from app.metrics import Metrics
from app.server import FLUSH_S
from app.settings import MIB, Settings

Document = dict[str, Any]

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docker" / "kubernetes"
SCHEMAS = Path(__file__).parent / "crds"
VERSIONS = ("1.31", "1.37")
"""Of Kubernetes: the first that knows every field without a feature gate, and the newest that the schemas are of."""

KUBECTL = shutil.which("kubectl")
needs_kubectl = pytest.mark.skipif(KUBECTL is None, reason="kubectl is not installed: it renders the overlays")

SIZES = {"Mi": 2**20, "Gi": 2**30}
OPENED = json.loads((ROOT / "openapi" / "openapi.json").read_text(encoding="utf-8"))["paths"]


def read(*folders: str) -> list[Document]:
    """The resources that are whole without kustomize."""
    paths = [path for folder in folders for path in sorted((FOLDER / folder).glob("*.yaml"))]
    found = [one for path in paths for one in yaml.safe_load_all(path.read_text(encoding="utf-8")) if "kind" in one]
    return [one for one in found if one["kind"] not in ("Kustomization", "Component")]


def rendered(folder: Path) -> list[Document]:
    """What `kubectl apply -k` would send."""
    assert KUBECTL
    done = subprocess.run([KUBECTL, "kustomize", str(folder)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def ill_formed(document: Document, version: str) -> list[str]:
    """Where it is not what its schema says; unknown fields are faults."""
    try:
        own = SCHEMAS / f"{document['kind'].lower()}.json"
        if own.exists():
            jsonschema.validate(document, json.loads(own.read_text(encoding="utf-8")))
            for template in templates(document):
                whole = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "x"}, "template": template}
                kubernetes_validate.validate(whole, version, strict=True)
        else:
            kubernetes_validate.validate(document, version, strict=True)
    except jsonschema.ValidationError as error:
        return [f"{document['kind']}: {error.json_path}: {error.message[:200]}"]
    return []


def templates(document: Document) -> list[Document]:
    """Of its pods."""
    spec = document["spec"]
    if document["kind"] == "RayService":
        groups = spec["rayClusterConfig"]
        return [one["template"] for one in (groups["headGroupSpec"], *groups["workerGroupSpecs"])]
    return [spec["template"]] if document["kind"] == "Deployment" else []


def of(kind: str, documents: list[Document]) -> list[Document]:
    return [one for one in documents if one["kind"] == kind]


def bytes_of(text: str) -> int:
    return int(text[:-2]) * SIZES[text[-2:]]


def needed_bytes() -> int:
    """What docker/README.md says that a process holds, photos being decoded and one reload among it."""
    page = (ROOT / "docker" / "README.md").read_text(encoding="utf-8")
    ready = re.search(r"the process holds some ([\d.]+) GB once it is ready", page)
    largest = re.search(r"`car_details` takes about ([\d.]+) GB", page)
    claim = re.search(r"so (\d+) MiB of its", page)
    assert ready, page
    assert largest, page
    assert claim, page
    decoded = int(Settings.model_fields["max_decoded_pixels"].default) * 3
    return int((float(ready[1]) + float(largest[1])) * 1e9) + decoded + int(claim[1]) * MIB


def told_by_the_image() -> dict[str, str]:
    """Variables of docker/Dockerfile, and by `USER` its user."""
    text = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
    return {
        **dict(re.findall(r"\b(CARLENS_\w+)=(\S+)", text)),
        **dict(re.findall(r"^(USER) (\d+)$", text, re.MULTILINE)),
    }


def settings_of(container: Document) -> Settings:
    """Those of its variables, over the image's. Raises `ValidationError`."""
    given = {one["name"]: one["value"] for one in container.get("env", []) if one["name"].startswith("CARLENS_")}
    return Settings(**{name.removeprefix("CARLENS_").lower(): value for name, value in given.items()})


def pod_faults(template: Document) -> Iterator[str]:
    """What holds for every pod, those of Ray too."""
    spec, image = template["spec"], told_by_the_image()
    if spec.get("enableServiceLinks") is not False:
        yield "the variables of Services would be read as settings"
    user = spec["securityContext"]
    if not user.get("runAsNonRoot") or str(user.get("runAsUser")) != image["USER"]:
        yield "not the image's user"
    if user.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "no seccomp profile"
    for container in spec["containers"]:
        closed = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
        if container["securityContext"] != closed:
            yield "a container may do more than it needs"
        written = {one["mountPath"] for one in container["volumeMounts"]}
        if not {image["CARLENS_CACHE_DIR"], "/tmp"} <= written:
            yield "a folder that is written to is read-only"
        resources = container["resources"]
        if any(resources["limits"].get(one) != resources["requests"].get(one) for one in ("cpu", "memory")):
            yield "requests are not the limits"
        try:
            settings_of(container)
        except ValidationError as error:
            yield f"a variable is no setting: {error.errors()[0]['loc']}"


def service_faults(documents: list[Document]) -> Iterator[str]:
    """Of the Deployment and all that is about it."""
    (deployment,), (service,), (network,) = (of(one, documents) for one in ("Deployment", "Service", "NetworkPolicy"))
    (template,) = templates(deployment)
    (container,) = template["spec"]["containers"]
    settings = settings_of(container)
    ports = {one["name"]: one["containerPort"] for one in container["ports"]}
    if ports != {"http": int(told_by_the_image()["CARLENS_PORT"])}:
        yield "not the port of the image"
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        asked = container[probe]["httpGet"]
        if "get" not in OPENED.get(asked["path"], {}) or asked["port"] not in ports:
            yield f"{probe} asks for what there is not"
    ready = container["readinessProbe"]
    if ready["httpGet"]["path"] != "/health/ready":
        yield "readiness is not asked for"
    if settings.drain_delay_s < ready["periodSeconds"] * ready["failureThreshold"]:
        yield "photos are refused before readiness was seen to end"
    if (
        template["spec"]["terminationGracePeriodSeconds"]
        < settings.drain_delay_s + settings.grace_s + FLUSH_S + SLACK_S
    ):
        yield "killed before what was taken is answered"
    if container["args"][0] not in entry_points():
        yield "the image has no such command"
    if bytes_of(container["resources"]["limits"]["memory"]) < needed_bytes():
        yield "less memory than docker/README.md says that it takes"
    labels = template["metadata"]["labels"]
    (budget,) = of("PodDisruptionBudget", documents)
    selectors = [
        deployment["spec"]["selector"]["matchLabels"],
        service["spec"]["selector"],
        budget["spec"]["selector"]["matchLabels"],
        network["spec"]["podSelector"]["matchLabels"],
        *(one["labelSelector"]["matchLabels"] for one in template["spec"]["topologySpreadConstraints"]),
    ]
    if any(not selector.items() <= labels.items() for selector in selectors):
        yield "a selector finds no pods"
    opened = [port["port"] for rule in network["spec"]["ingress"] for port in rule["ports"]]
    if [one["targetPort"] for one in service["spec"]["ports"]] != ["http"] or opened != ["http"]:
        yield "not the pods' port"
    yield from monitoring_faults(documents, service, deployment, budget)


def monitoring_faults(
    documents: list[Document], service: Document, deployment: Document, budget: Document
) -> Iterator[str]:
    (monitor,), (scaler,) = of("ServiceMonitor", documents), of("HorizontalPodAutoscaler", documents)
    (endpoint,) = monitor["spec"]["endpoints"]
    named = {port["name"] for port in service["spec"]["ports"]}
    wanted = monitor["spec"]["selector"]["matchLabels"]
    if not wanted.items() <= service["metadata"]["labels"].items() or endpoint["port"] not in named:
        yield "the monitor finds no Service"
    if service["metadata"]["labels"].get(monitor["spec"]["jobLabel"]) != "carlens":
        yield "not the job of docker/alerts.yml"
    if "get" not in OPENED.get(endpoint["path"], {}):
        yield "the monitor asks for what there is not"
    target = scaler["spec"]["scaleTargetRef"]
    if [target[one] for one in ("apiVersion", "kind")] != [deployment[one] for one in ("apiVersion", "kind")]:
        yield "the autoscaler scales something else"
    if target["name"] != deployment["metadata"]["name"]:
        yield "the autoscaler scales something else"
    if scaler["spec"]["minReplicas"] <= budget["spec"]["maxUnavailable"]:
        yield "a drain may take all pods"
    scaled = [one["pods"]["metric"]["name"] for one in scaler["spec"]["metrics"] if one["type"] == "Pods"]
    (rule,) = adapter()["rules"]["custom"]
    if scaled != [rule["name"]["as"]]:
        yield "no rule makes the figure that is scaled by"
    if rule["seriesQuery"].partition("{")[0] not in figures():
        yield "/metrics has no such figure"


def adapter() -> Document:
    told: Document = yaml.safe_load((FOLDER / "monitoring" / "adapter.yaml").read_text(encoding="utf-8"))
    return told


def figures() -> set[str]:
    """Names of samples in /metrics from the start: an autoscaler that finds none does not scale."""
    metrics = Metrics()
    metrics.serves(["damage"], "cpu", 64, lambda _: True)
    return {line.partition("{")[0].split()[0] for line in metrics.text().decode().splitlines() if line[0] != "#"}


def ray_faults(service: Document) -> Iterator[str]:
    """Of the RayService: its config is that of docker/ray, and its cluster has room for it."""
    cluster = service["spec"]["rayClusterConfig"]
    config = yaml.safe_load(service["spec"]["serveConfigV2"])
    if config != yaml.safe_load((ROOT / "docker" / "ray" / "serve.yaml").read_text(encoding="utf-8")):
        yield "not the config of docker/ray"
        return
    image = (ROOT / "docker" / "ray" / "Dockerfile").read_text(encoding="utf-8")
    built = re.search(r"^ARG RAY=(\S+)$", image, re.MULTILINE)
    if built is None or built[1] != cluster["rayVersion"]:
        yield "not the version of Ray that is in the image"
    (application,) = config["applications"]
    (ingress,) = application["deployments"]
    module, _, name = application["import_path"].partition(":")
    tree = ast.parse((ROOT / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8"))
    if name not in {one.name for one in tree.body if isinstance(one, ast.FunctionDef)}:
        yield "there is no such application"
    try:
        settings = Settings(**application["args"])
    except ValidationError as error:
        yield f"an argument is no setting: {error.errors()[0]['loc']}"
        return
    scales, cpus = settings.scales, settings.cpus_of_replicas[""]
    least = sum(scales.get(one, scales[""]).least for one in predictors()) * cpus
    least += ingress["num_replicas"] * ingress["ray_actor_options"]["num_cpus"]
    if cluster.get("authOptions") != {"mode": "token"}:
        yield "Ray runs what anybody sends"
    if service["spec"]["rayClusterDeletionDelaySeconds"] * 1000 < settings.max_claim_deadline_ms:
        yield "the old cluster ends before what it has begun"
    workers = cluster["workerGroupSpecs"]
    room = sum(
        one["minReplicas"] * int(one["template"]["spec"]["containers"][0]["resources"]["limits"]["cpu"])
        for one in workers
    )
    if room < least:
        yield f"{least} cores are wanted, {room} are there"
    if sum(one["minReplicas"] for one in workers) < ingress["num_replicas"]:
        yield "too few nodes for the ingress"


def predictors() -> list[str]:
    names: Callable[[str], list[str]] = re.compile(r"^(\w+) = ", re.MULTILINE).findall
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    return names(text.partition('entry-points."carlens.predictors"]')[2].partition("[")[0])


def faults(documents: list[Document]) -> list[str]:
    """Everything that is wrong with what is applied together."""
    found = [fault for version in VERSIONS for one in documents for fault in ill_formed(one, version)]
    if found:
        return found
    found = [fault for one in documents for template in templates(one) for fault in pod_faults(template)]
    if found:
        return found
    if of("Deployment", documents):
        return list(service_faults(documents))
    return [fault for one in of("RayService", documents) for fault in ray_faults(one)]
