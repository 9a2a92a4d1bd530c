"""A real service behind keys and a proxy: keys from the command line, addresses that nobody forges, a word in the log
where anybody may ask; and a document that schemathesis finds kept."""

import stat
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from limits import parse
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import ignored_auth

from app import keys, limits
from tests.contract.plugin import installed
from tests.contract.process import COMMAND, serving
from tests.fakes import Brightness, photo
from tests.gateway import JPEG, application
from tests.keyed import bearer, key

PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return installed(tmp_path_factory.mktemp("plugin"))


def made(environment: dict[str, str], *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    command = [COMMAND, "key", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_keys_are_made_used_and_withdrawn_while_the_service_runs(environment: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    settings = {**environment, "CARLENS_KEYS_FILE": str(file)}
    done = made(settings, "shop", "--scope", "predict")
    assert done.returncode == 0, done.stderr
    first = done.stdout.strip()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert first not in file.read_text()
    log = tmp_path / "log"
    with serving(log, settings) as service, httpx.Client(base_url=service.url, timeout=30) as client:

        def status(token: str) -> int:
            return client.post("/v1/brightness", content=photo(), headers={**JPEG, **bearer(token)}).status_code

        def until(token: str, wanted: int) -> None:
            end = time.monotonic() + PATIENCE_S
            while status(token) != wanted:
                assert time.monotonic() < end, "the file was never read again"
                time.sleep(0.2)

        assert client.post("/v1/brightness", content=photo(), headers=JPEG).status_code == 401
        assert client.get("/health/ready").status_code == 200
        assert status(first) == 200
        second = made(environment, "shop-2", "--file", file).stdout.strip()
        until(second, 200)
        file.write_text("".join(f"{keys.line(one)}\n" for one in keys.read(file) if one.name != "shop"))
        until(first, 401)
        good = file.read_text()
        file.write_text(f"{good}broken\n")
        until(first, 401)  # still
        assert status(second) == 200
    told = log.read_text()
    assert first not in told
    assert second not in told
    assert "without keys" not in told


def test_a_key_that_cannot_be_made_is_one_line(environment: dict[str, str], tmp_path: Path) -> None:
    for arguments, code, told in (
        (["shop"], 2, "CARLENS_KEYS_FILE"),
        (["a b", "--file", tmp_path / "keys.toml"], 1, "no name for a key"),
        (["shop", "--scope", "all", "--file", tmp_path / "keys.toml"], 1, "predict, metrics, admin"),
        (["shop", "--file", tmp_path / "absent" / "keys.toml"], 1, "cannot be written"),
    ):
        done = made(environment, *arguments)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (code, "", 1)
        assert told in done.stderr


def test_a_broken_file_of_keys_stops_the_start(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "keys.toml").write_text("shop = 1\n")
    for command in (["serve", "--port", "0"], ["check"]):
        done = subprocess.run(
            [COMMAND, *command],
            env={**environment, "CARLENS_KEYS_FILE": str(tmp_path / "keys.toml")},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
        assert "keys.toml, line 1: shop must be" in done.stderr


def counted(url: str, forwarded: str) -> str:
    """What is left to who asks, as the header tells."""
    return httpx.get(f"{url}/docs", headers={"X-Forwarded-For": forwarded}).headers["ratelimit"].partition(";t=")[0]


@pytest.mark.parametrize("variable", [{}, {"FORWARDED_ALLOW_IPS": "*"}])
def test_without_a_proxy_an_address_cannot_be_forged(
    environment: dict[str, str], tmp_path: Path, variable: dict[str, str]
) -> None:
    settings = {**environment, **variable, "CARLENS_RATE_PER_ADDRESS": "9/hour"}
    with serving(tmp_path / "log", settings) as service:
        told = [counted(service.url, f"203.0.113.{n}") for n in range(3)]
    assert told == ['"address";r=8', '"address";r=7', '"address";r=6']


def test_behind_a_trusted_proxy_each_client_has_its_own_count(environment: dict[str, str], tmp_path: Path) -> None:
    settings = {**environment, "CARLENS_RATE_PER_ADDRESS": "9/hour", "CARLENS_TRUSTED_PROXIES": "127.0.0.0/8"}
    with serving(tmp_path / "log", settings) as service:
        assert [counted(service.url, f"203.0.113.{n}") for n in range(3)] == ['"address";r=8'] * 3
        # What a client wrote itself stands before what the proxy appended, and counts for nothing.
        assert counted(service.url, "198.51.100.9, 203.0.113.1") == '"address";r=7'


@pytest.mark.parametrize(
    ("host", "workers", "guarded", "warned"),
    [("0.0.0.0", 1, False, 1), ("0.0.0.0", 2, False, 1), ("0.0.0.0", 2, True, 0), ("", 1, False, 0)],
)
def test_the_log_says_once_where_anybody_may_ask(
    environment: dict[str, str], tmp_path: Path, host: str, workers: int, guarded: bool, warned: int
) -> None:
    settings = {**environment, "CARLENS_HOST": host, "CARLENS_WORKERS": str(workers)}
    if guarded:
        key(tmp_path / "keys.toml", "shop", "predict")
        settings["CARLENS_KEYS_FILE"] = str(tmp_path / "keys.toml")
    with serving(tmp_path / "log", settings):
        pass
    assert (tmp_path / "log").read_text().count("listening at 0.0.0.0 without keys") == warned


def test_every_call_that_says_so_needs_a_right_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "GUESSES", parse("1000000/minute"))  # the check tries wrong keys over and over
    headers = bearer(key(tmp_path / "keys.toml", "tester", *keys.SCOPES))
    app = application(Brightness(), keys_file=tmp_path / "keys.toml")
    schema = schemathesis.openapi.from_dict(app.openapi())
    schema.app = app
    checked = set()
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()

        @settings(
            max_examples=3, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
        )
        @given(case=operation.as_strategy())
        def check(case: schemathesis.Case[Any]) -> None:
            response = case.call(headers=headers)
            assert response.status_code not in (401, 403)
            case.validate_response(response, checks=[ignored_auth])

        check()
        checked.add(operation.path)
    assert checked == set(app.openapi()["paths"])
