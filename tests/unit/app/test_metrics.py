"""The figures an operator gets, and that callers cannot make them grow."""

import threading
from typing import get_args

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.metrics import SECONDS, STAGES, Metrics, Reason, Stage


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_a_request_is_in_flight_until_it_is_finished() -> None:
    metrics = Metrics()
    metrics.request_started()
    metrics.request_started()
    assert value(metrics, "carlens_http_in_flight") == 2
    metrics.request_finished("/v1/damage", "POST", 200, 0.03)
    assert value(metrics, "carlens_http_in_flight") == 1
    assert value(metrics, "carlens_http_requests_total", route="/v1/damage", method="POST", status="200") == 1
    assert value(metrics, "carlens_http_request_seconds_sum", route="/v1/damage") == 0.03


def test_a_made_up_method_is_other() -> None:
    metrics = Metrics()
    for method in ("BREW", "post", "X" * 1000):
        metrics.request_started()
        metrics.request_finished("unmatched", method, 405, 0.0)
    assert value(metrics, "carlens_http_requests_total", route="unmatched", method="other", status="405") == 3


@pytest.mark.parametrize("stage", get_args(Stage))
def test_every_stage_is_timed(stage: Stage) -> None:
    metrics = Metrics()
    whole = stage in ("receive", "decode")
    labels = {} if whole else {"predictor": "damage"}
    metrics.stage(stage, 0.02, None if whole else "damage")
    assert value(metrics, f"carlens_{stage}_seconds_count", **labels) == 1
    assert value(metrics, f"carlens_{stage}_seconds_bucket", le="0.025", **labels) == 1
    assert value(metrics, f"carlens_{stage}_seconds_bucket", le="0.01", **labels) == 0


def test_a_stage_of_a_predictor_needs_its_name() -> None:
    with pytest.raises(ValueError, match="queue needs a predictor"):
        Metrics().stage("queue", 0.1)


def test_the_batcher_is_observed() -> None:
    metrics = Metrics()
    metrics.batch("damage", 3, 4, 0.2)
    metrics.batch("damage", 4, 4, 0.2)
    metrics.depth("damage", 7)
    metrics.depth("damage", 2)
    assert value(metrics, "carlens_batch_size_sum", predictor="damage") == 7
    assert value(metrics, "carlens_batch_size_count", predictor="damage") == 2
    assert value(metrics, "carlens_padding_total", predictor="damage") == 1
    assert value(metrics, "carlens_device_seconds_count", predictor="damage") == 2
    assert value(metrics, "carlens_queue_depth", predictor="damage") == 2


@pytest.mark.parametrize("reason", get_args(Reason))
def test_every_reason_is_counted(reason: Reason) -> None:
    metrics = Metrics()
    metrics.dropped("damage", reason)
    metrics.rejected("damage", reason)
    assert value(metrics, "carlens_rejected_total", predictor="damage", reason=reason) == 2


def test_a_request_is_refused_for_the_reason_of_its_code_or_the_one_that_is_given() -> None:
    metrics = Metrics()
    metrics.refused("/v1/damage", "overloaded")
    metrics.refused("/v1/damage", "overloaded", "deadline")
    metrics.refused("/v1/damage", "unauthenticated")
    metrics.refused("unmatched", "not_found")
    metrics.refused("/v1/damage", "a code of a plug-in's own")
    for reason in ("full", "deadline", "auth", "backend"):
        assert value(metrics, "carlens_http_rejected_total", route="/v1/damage", reason=reason) == 1
    assert b"unmatched" not in metrics.text()


def test_a_reason_nobody_knows_is_the_backends() -> None:
    metrics = Metrics()
    metrics.dropped("damage", "whatever the exception said")
    assert value(metrics, "carlens_rejected_total", predictor="damage", reason="backend") == 1


def test_two_gateways_do_not_mix() -> None:
    one, other = Metrics(), Metrics()
    one.depth("damage", 5)
    assert value(other, "carlens_queue_depth", predictor="damage") is None


def test_buckets_span_a_millisecond_to_a_minute() -> None:
    assert (SECONDS[0], SECONDS[-1]) == (0.001, 60.0)
    assert list(SECONDS) == sorted(set(SECONDS))


def test_the_text_is_prometheus_and_every_figure_is_explained() -> None:
    metrics = Metrics()
    metrics.request_started()
    metrics.batch("damage", 1, 1, 0.1)
    families = {family.name: family for family in text_string_to_metric_families(metrics.text().decode())}
    assert "text/plain" in metrics.content_type
    assert {f"carlens_{stage}_seconds" for stage in STAGES} <= set(families)
    assert all(family.documentation for name, family in families.items() if name.startswith("carlens_"))
    assert all(name.startswith(("carlens_", "process_")) for name in families)


def test_threads_lose_no_count() -> None:
    metrics = Metrics()

    def count() -> None:
        for _ in range(500):
            metrics.dropped("damage", "full")

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert value(metrics, "carlens_rejected_total", predictor="damage", reason="full") == 2000
