"""Every setting has its variable, its bounds and its reason."""

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from app.settings import MIB, Settings


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"CARLENS_{name.upper()}", raising=False)


def test_defaults_are_those_of_the_agreement() -> None:
    s = Settings()
    assert (s.host, s.port, s.device, s.weights_dir, s.predictors) == ("127.0.0.1", 8000, "auto", None, None)
    assert s.max_body_bytes == 32 * MIB
    assert (s.max_pixels, s.max_side, s.max_decoded_pixels) == (60_000_000, 16_384, 240_000_000)
    assert (s.queue_limit, s.max_deadline_ms, s.default_deadline_ms) == (64, 60_000, 10_000)
    assert s.cache_dir == Path.home() / ".cache" / "carlens"


def test_nothing_is_guarded_and_nobody_is_trusted_unasked() -> None:
    s = Settings()
    assert (s.keys_file, s.rate_per_key, s.rate_per_address, s.rate_storage) == (None, None, None, "memory://")
    assert (s.trusted_proxies, s.cors_origins) == ([], [])


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("host", "0.0.0.0", "0.0.0.0"),
        ("port", "9000", 9000),
        ("device", "CUDA:1", "cuda:1"),
        ("weights_dir", "~/weights", Path.home() / "weights"),
        ("cache_dir", "/var/cache/carlens", Path("/var/cache/carlens")),
        ("predictors", "damage, attributes,", ["damage", "attributes"]),
        ("predictors", "damage", ["damage"]),
        ("predictors", "", None),
        ("max_body_bytes", "1048576", MIB),
        ("body_timeout_s", "2.5", 2.5),
        ("log_level", "WARNING", "warning"),
        ("keys_file", "~/keys.toml", Path.home() / "keys.toml"),
        ("rate_per_key", "1000 per 2 hours", "1000 per 2 hours"),
        ("rate_per_address", "", None),
        ("trusted_proxies", "127.0.0.1, 10.0.0.0/8,::1", ["127.0.0.1", "10.0.0.0/8", "::1"]),
        ("trusted_proxies", "", []),
        (
            "cors_origins",
            "https://shop.example,http://localhost:3000",
            ["https://shop.example", "http://localhost:3000"],
        ),
        ("cors_origins", "*", ["*"]),
    ],
)
def test_the_environment_is_read(name: str, text: str, value: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"CARLENS_{name.upper()}", text)
    assert getattr(Settings(), name) == value


def test_an_argument_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARLENS_PORT", "9000")
    assert Settings(port=9001).port == 9001


def test_a_list_of_predictors_is_taken_as_it_is() -> None:
    assert Settings(predictors=["damage"]).predictors == ["damage"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", 65536),
        ("port", -1),
        ("port", "http"),
        ("device", "tpu"),
        ("device", "cuda:"),
        ("workers", -1),
        ("workers", 257),
        ("max_body_bytes", 0),
        ("max_pixels", 0),
        ("max_side", -1),
        ("decode_threads", -1),
        ("queue_limit", 0),
        ("max_deadline_ms", 49),
        ("body_timeout_s", 0),
        ("body_timeout_s", "nan"),
        ("body_timeout_s", "inf"),
        ("grace_s", -1),
        ("log_level", "loud"),
        ("rate_per_key", "many"),
        ("rate_per_key", "0/minute"),
        ("rate_per_key", "1/second;10/minute"),
        ("rate_per_address", "5/fortnight"),
        ("trusted_proxies", "*"),
        ("trusted_proxies", "proxy.example"),
        ("trusted_proxies", "10.0.0.1/8"),
        ("cors_origins", "shop.example"),
        ("cors_origins", "https://shop.example/"),
        ("cors_origins", "https://*.shop.example"),
    ],
)
def test_values_out_of_bounds_are_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings(**{name: value})  # type: ignore[arg-type]
    assert caught.value.errors()[0]["loc"] == (name,)


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(ValidationError):
        Settings(prot=1)  # type: ignore[call-arg]


def test_the_default_deadline_is_within_the_largest() -> None:
    with pytest.raises(ValidationError, match="default_deadline_ms"):
        Settings(max_deadline_ms=5_000)
    assert Settings(max_deadline_ms=5_000, default_deadline_ms=5_000).default_deadline_ms == 5_000
    with pytest.raises(ValidationError, match=r"default_claim_deadline_ms \(120000\) is over max_claim_deadline_ms"):
        Settings(max_claim_deadline_ms=100_000)


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        Settings().port = 1  # type: ignore[misc]


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_says_what_it_is(name: str) -> None:
    field: Any = Settings.model_fields[name]
    assert field.description
    assert re.match(r"[A-Z].*\.$", field.description, re.DOTALL)


def test_decoders_are_the_cores_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    assert Settings().decoders == 3
    assert Settings(decode_threads=5).decoders == 5


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("auto", {"": "auto"}),
        ("OpenVINO", {"": "openvino"}),
        ("damage=torch, parts = onnxruntime", {"damage": "torch", "parts": "onnxruntime"}),
        ("onnxruntime,damage=auto,", {"": "onnxruntime", "damage": "auto"}),
    ],
)
def test_backends_for_all_and_for_single_predictors(given: str, expected: dict[str, str]) -> None:
    assert Settings(backend=given).backends == expected


def test_an_unknown_backend_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValidationError, match="unknown backend tensorflow: one of auto, openvino, openvino-fp32, onnx"):
        Settings(backend="damage=tensorflow")
