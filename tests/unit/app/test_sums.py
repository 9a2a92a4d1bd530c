"""The figures of several workers read as those of one service, and never go down with one of them."""

from prometheus_client.parser import text_string_to_metric_families

from app.metrics import Metrics
from app.sums import Families, Sums


def collected(metrics: Metrics) -> Families:
    return list(metrics.registry.collect())


def samples(sums: Sums) -> dict[tuple[str, ...], float]:
    families = text_string_to_metric_families(sums.text().decode())
    return {
        (one.name, *(one.labels[label] for label in sorted(one.labels))): one.value
        for family in families
        for one in family.samples
    }


def two() -> tuple[Metrics, Metrics, Sums]:
    one, other, sums = Metrics(), Metrics(), Sums()
    for metrics, seconds in ((one, 0.02), (other, 0.3), (other, 0.3)):
        metrics.request_started()
        metrics.request_finished("/v1/damage", "POST", 200, seconds)
        metrics.depth("damage", 3)
    sums.told(0, collected(one))
    sums.told(1, collected(other))
    return one, other, sums


def test_counters_histograms_and_gauges_are_summed() -> None:
    found = samples(two()[2])
    assert found["carlens_http_requests_total", "POST", "/v1/damage", "200"] == 3
    assert found["carlens_http_request_seconds_bucket", "0.025", "/v1/damage"] == 1
    assert found["carlens_http_request_seconds_bucket", "+Inf", "/v1/damage"] == 3
    assert found["carlens_http_request_seconds_sum", "/v1/damage"] == 0.62
    assert found["carlens_queue_depth", "damage"] == 6


def test_newer_figures_of_a_worker_replace_its_own() -> None:
    one, _, sums = two()
    one.depth("damage", 1)
    sums.told(0, collected(one))
    found = samples(sums)
    assert found["carlens_http_requests_total", "POST", "/v1/damage", "200"] == 3
    assert found["carlens_queue_depth", "damage"] == 4


def test_counts_outlive_their_worker_and_gauges_do_not() -> None:
    one, _, sums = two()
    sums.ended(1)
    sums.ended(1)
    found = samples(sums)
    assert found["carlens_http_requests_total", "POST", "/v1/damage", "200"] == 3
    assert found["carlens_queue_depth", "damage"] == 3
    sums.told(1, collected(one))  # the next in its place begins anew
    sums.ended(1)
    assert samples(sums)["carlens_http_requests_total", "POST", "/v1/damage", "200"] == 4


def test_process_figures_keep_a_line_for_each_living_worker() -> None:
    _, _, sums = two()
    found = samples(sums)
    assert ("process_cpu_seconds_total", "0") in found
    assert ("process_cpu_seconds_total", "1") in found
    assert ("process_cpu_seconds_total",) not in found
    sums.ended(1)
    assert ("process_cpu_seconds_total", "1") not in samples(sums)


def test_what_counts_since_a_time_counts_since_the_first() -> None:
    one, other, sums = two()
    created = [
        sample.value
        for metrics in (one, other)
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == "carlens_http_requests_created"
    ]
    assert len(set(created)) == 2
    assert samples(sums)["carlens_http_requests_created", "POST", "/v1/damage", "200"] == min(created)


def test_one_worker_alone_reads_as_without_a_supervisor() -> None:
    metrics, sums = Metrics(), Sums()
    metrics.request_started()
    metrics.request_finished("/v1/damage", "POST", 200, 0.02)
    sums.told(0, collected(metrics))

    def own(text: bytes) -> list[str]:
        return [line for line in text.decode().splitlines() if "process_" not in line]

    assert own(sums.text()) == own(metrics.text())


def test_what_runs_is_told_once_and_predictors_are_counted_by_worker() -> None:
    one, other, sums = Metrics(), Metrics(), Sums()
    for number, metrics in enumerate((one, other)):
        metrics.serves(["damage"], "cuda:1", 8, lambda name: True)
        sums.told(number, collected(metrics))
    found = samples(sums)
    (build,) = [labels for labels in found if labels[0] == "carlens_build_info"]
    assert (build[1], found[build]) == ("cuda", 1)
    assert (found["carlens_predictor_ready", "damage"], found["carlens_queue_limit", "damage"]) == (2, 16)
