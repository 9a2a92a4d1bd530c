"""docker/kubernetes: every manifest is what its schema says, and tells of the service what is so."""

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.contract.manifests import FOLDER, Document, adapter, faults, needs_kubectl, of, read, rendered, templates
from tests.contract.promtool import needs_promtool, promtool

SERVICE = read("base", "monitoring")
RAY = read("ray")


def container(documents: list[Document]) -> Document:
    found: Document = templates(of("Deployment", documents)[0])[0]["spec"]["containers"][0]
    return found


def variable(name: str, value: str) -> Callable[[list[Document]], Any]:
    return lambda documents: container(documents)["env"].append({"name": name, "value": value})


def within(kind: str, *path: str | int, value: Any) -> Callable[[list[Document]], None]:
    """Sets what lies there in the resource of that kind."""

    def change(documents: list[Document]) -> None:
        at: Any = of(kind, documents)[0]
        for step in path[:-1]:
            at = at[step]
        at[path[-1]] = value

    return change


POD = ("spec", "template", "spec")
CONTAINER = (*POD, "containers", 0)
WRONG: dict[str, Callable[[list[Document]], Any]] = {
    "a field that there is not": within("Deployment", *POD, "terminationGraceSeconds", value=45),
    "a field of another type": within("PodDisruptionBudget", "spec", "maxUnavailable", value=[1]),
    "a field of the monitor": within("ServiceMonitor", "spec", "endpoints", 0, "intervall", value="15s"),
    "a variable that is no setting": variable("CARLENS_QUEUE_LIMITS", "64"),
    "a value that is none": variable("CARLENS_GRACE_S", "soon"),
    "a longer grace": variable("CARLENS_GRACE_S", "40"),
    "a shorter end": within("Deployment", *POD, "terminationGracePeriodSeconds", value=30),
    "no delay": within("Deployment", *CONTAINER, "env", value=[]),
    "another port": within("Deployment", *CONTAINER, "ports", 0, "containerPort", value=8080),
    "a path that is not served": within("Deployment", *CONTAINER, "livenessProbe", "httpGet", "path", value="/healthz"),
    "readiness by liveness": within(
        "Deployment", *CONTAINER, "readinessProbe", "httpGet", "path", value="/health/live"
    ),
    "a command that there is not": within("Deployment", *CONTAINER, "args", value=["server"]),
    "too little memory": within(
        "Deployment",
        *CONTAINER,
        "resources",
        value={one: {"cpu": "4", "memory": "2Gi"} for one in ("requests", "limits")},
    ),
    "a root that is written to": within(
        "Deployment", *CONTAINER, "securityContext", "readOnlyRootFilesystem", value=False
    ),
    "a cache that is not": within("Deployment", *CONTAINER, "volumeMounts", 0, "mountPath", value="/var/cache"),
    "another user": within("Deployment", *POD, "securityContext", "runAsUser", value=1000),
    "links of Services": within("Deployment", *POD, "enableServiceLinks", value=True),
    "a Service without pods": within("Service", "spec", "selector", value={"app": "carlens"}),
    "a budget without pods": within("PodDisruptionBudget", "spec", "selector", "matchLabels", value={"app": "carlens"}),
    "a monitor without Service": within("ServiceMonitor", "spec", "selector", "matchLabels", value={"app": "carlens"}),
    "a figure that no rule makes": within(
        "HorizontalPodAutoscaler", "spec", "metrics", 0, "pods", "metric", "name", value="carlens_queue_depth"
    ),
    "scaling something else": within("HorizontalPodAutoscaler", "spec", "scaleTargetRef", "name", value="carlens-cpu"),
    "one pod, which may be drained": within("HorizontalPodAutoscaler", "spec", "minReplicas", value=1),
    "another port opened": within("NetworkPolicy", "spec", "ingress", 0, "ports", 0, "port", value=9000),
}

CLUSTER = ("spec", "rayClusterConfig")
WRONG_RAY: dict[str, Callable[[list[Document]], Any]] = {
    "a field that there is not": within("RayService", *CLUSTER, "inTreeAutoscaling", value=True),
    "a field of a pod": within("RayService", *CLUSTER, "headGroupSpec", "template", "spec", "volume", value=[]),
    "another version of Ray": within("RayService", *CLUSTER, "rayVersion", value="2.9.0"),
    "a parameter that is no text": within(
        "RayService", *CLUSTER, "headGroupSpec", "rayStartParams", "num-cpus", value=0
    ),
    "too few workers": within("RayService", *CLUSTER, "workerGroupSpecs", 0, "minReplicas", value=2),
    "no token": within("RayService", *CLUSTER, "authOptions", value={"mode": "disabled"}),
    "an early end": within("RayService", "spec", "rayClusterDeletionDelaySeconds", value=60),
    "another config": within("RayService", "spec", "serveConfigV2", value="applications: []"),
}


def test_what_is_whole_by_itself_is_right() -> None:
    assert {one["kind"] for one in SERVICE} == {
        "Deployment",
        "Service",
        "PodDisruptionBudget",
        "NetworkPolicy",
        "ServiceMonitor",
        "HorizontalPodAutoscaler",
    }
    assert faults(SERVICE) == []
    assert {one["kind"] for one in RAY} == {"RayService", "PodDisruptionBudget", "NetworkPolicy"}
    assert faults(RAY) == []


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_found(change: Callable[[list[Document]], Any]) -> None:
    changed = copy.deepcopy(SERVICE)
    change(changed)
    assert changed != SERVICE
    assert faults(changed) != []


@pytest.mark.parametrize("change", WRONG_RAY.values(), ids=WRONG_RAY.keys())
def test_what_is_wrong_on_ray_is_found(change: Callable[[list[Document]], Any]) -> None:
    changed = copy.deepcopy(RAY)
    change(changed)
    assert changed != RAY
    assert faults(changed) != []


@needs_kubectl
@pytest.mark.parametrize(("overlay", "tag"), [("cpu", "cpu"), ("gpu", "cuda"), ("ray", "ray")])
def test_an_overlay_is_right_as_it_is_applied(root: Path, overlay: str, tag: str) -> None:
    documents = rendered(FOLDER / overlay)
    assert faults(documents) == []
    images = {
        one["image"] for document in documents for pod in templates(document) for one in pod["spec"]["containers"]
    }
    assert images == {f"carlens:{tag}"}
    image = (root / "docker" / "Dockerfile").read_text(encoding="utf-8")
    if tag == "ray":
        image = (root / "docker" / "ray" / "Dockerfile").read_text(encoding="utf-8")
    assert re.search(rf"^FROM \S+ AS {tag}$|-t carlens:{tag}\b", image, re.MULTILINE)
    assert [one["metadata"]["name"] for one in of("Deployment", documents) if "replicas" in one["spec"]] == []


@needs_kubectl
def test_a_pod_with_a_gpu_has_one_and_comes_back_when_its_driver_has_given_up() -> None:
    one = container(rendered(FOLDER / "gpu"))
    assert one["resources"]["limits"]["nvidia.com/gpu"] == one["resources"]["requests"]["nvidia.com/gpu"] == "1"
    assert one["livenessProbe"]["httpGet"]["path"] == "/health/ready"
    assert one["livenessProbe"]["periodSeconds"] * one["livenessProbe"]["failureThreshold"] >= 300


@needs_kubectl
@pytest.mark.parametrize("components", [["../monitoring", "../keys"], ["../keys"], []])
def test_components_can_be_left_out(tmp_path: Path, components: list[str]) -> None:
    for path in FOLDER.rglob("*.yaml"):
        copied = tmp_path / path.relative_to(FOLDER)
        copied.parent.mkdir(exist_ok=True)
        copied.write_text(path.read_text(encoding="utf-8"))
    overlay = tmp_path / "cpu" / "kustomization.yaml"
    told = yaml.safe_load(overlay.read_text())
    overlay.write_text(yaml.safe_dump({**told, "components": components}))
    documents = rendered(overlay.parent)
    (deployment,) = of("Deployment", documents)
    assert ("replicas" in deployment["spec"]) is ("../monitoring" not in components)
    if "../monitoring" in components:
        assert faults(documents) == []
        (monitor,) = of("ServiceMonitor", documents)
        (secret,) = [one["secret"] for one in templates(deployment)[0]["spec"]["volumes"] if "secret" in one]
        credentials = monitor["spec"]["endpoints"][0]["authorization"]["credentials"]
        assert credentials == {"name": secret["secretName"], "key": "metrics"}
    if "../keys" in components:
        (path,) = [one["value"] for one in container(documents)["env"] if one["name"] == "CARLENS_KEYS_FILE"]
        (mount,) = [one["mountPath"] for one in container(documents)["volumeMounts"] if one["name"] == "keys"]
        assert path == f"{mount}/keys.toml"


@needs_promtool
def test_the_queue_is_the_items_that_wait_on_average(tmp_path: Path) -> None:
    """Two items that wait all the time are 30 seconds of waiting in every 15."""
    (rule,) = adapter()["rules"]["custom"]
    asked = rule["metricsQuery"].replace("<<.Series>>", rule["seriesQuery"].partition("{")[0])
    asked = asked.replace("<<.LabelMatchers>>", 'namespace="shop"').replace("<<.GroupBy>>", "pod")
    series = [
        {
            "series": f'carlens_queue_seconds_sum{{namespace="shop",pod="one",predictor="{name}"}}',
            "values": f"0+{each}x20",
        }
        for name, each in (("damage", 20), ("parts", 10))
    ]
    expected = [{"labels": '{pod="one"}', "value": 2}]
    case = {
        "interval": "15s",
        "input_series": series,
        "promql_expr_test": [{"expr": asked, "eval_time": "4m", "exp_samples": expected}],
    }
    path = tmp_path / "queue.yml"
    path.write_text(yaml.safe_dump({"tests": [case]}))
    assert "SUCCESS" in promtool("test", "rules", path)


def test_the_page_names_what_there_is(root: Path) -> None:
    page = (root / "docker" / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"docker/kubernetes/(\w+)", page)) | set(re.findall(r"^\| `(\w+)/`", page, re.MULTILINE))
    assert named == {path.name for path in FOLDER.iterdir()}
