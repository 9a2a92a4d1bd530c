"""The pages do what they say: their commands run, their tables are complete, the example predictor serves."""

import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

import httpx
import pytest

from app.access import wanted
from app.commands.models import MARK, figures_table
from app.configuration import between
from app.errors import PROBLEMS
from models import registry
from models.predictor import RegionOptions
from tests.contract.process import COMMAND, Service, serving

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("README.md", "openapi/README.md", "models/README.md")
OWN = ("models/README.md",)
PAGES = {name: (ROOT / name).read_text(encoding="utf-8") for name in NAMES}
MOST_LINES = 250
LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)")
STARTS = re.compile(r"(^|[|;&] *|\$\()curl ")


def blocks(language: str, pages: Sequence[str] = NAMES) -> list[str]:
    pattern = re.compile(rf"^```{language}\n(.*?)^```", re.MULTILINE | re.DOTALL)
    return list(chain.from_iterable(pattern.findall(PAGES[name]) for name in pages))


def commands() -> list[str]:
    """Every line of the shell blocks, continued lines joined."""
    return [line for block in blocks("sh") for line in re.sub(r"\\\n *", "", block).splitlines() if line.strip()]


CURLS = list(dict.fromkeys(line for line in commands() if STARTS.search(line)))


def table(first: str) -> list[list[str]]:
    """The rows below the table's head whose first column is called `first`, cell by cell."""
    page = PAGES["openapi/README.md"]
    found = re.search(rf"^\| {first} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", page, re.MULTILINE)
    assert found, f"openapi/README.md has no table whose first column is {first}"
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in found[1].splitlines()]


@pytest.fixture(scope="session")
def folder(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the commands run: sees the examples as the repository's root does, and takes what they write."""
    place = tmp_path_factory.mktemp("readme")
    (place / "openapi").symlink_to(root / "openapi")
    return place


@pytest.mark.parametrize("line", CURLS)
def test_a_curl_line_works(line: str, service: Service, folder: Path) -> None:
    here = line.replace("http://127.0.0.1:8000", service.url)
    assert here != line, "a curl line that does not ask 127.0.0.1:8000"
    strict = re.sub(r"\bcurl ", "curl -sS --fail-with-body ", here)
    command = ["bash", "-o", "pipefail", "-c", strict]
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, (done.stdout[:500], done.stderr[:500])


def test_the_first_page_is_short() -> None:
    assert len(PAGES["README.md"].splitlines()) < MOST_LINES


def test_the_figures_are_those_of_the_manifests() -> None:
    page = PAGES["README.md"]
    assert page == between(page, MARK, figures_table(registry.discover().values())), f"run `{MARK} README.md`"


def anchors(page: str) -> set[str]:
    """The places that a link can name."""
    headings = re.findall(r"^#+ (.*)$", page, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}


@pytest.mark.parametrize("path", [ROOT / "README.md", *sorted(ROOT.glob("*/README.md"))], ids=lambda p: p.parent.name)
def test_every_link_leads_somewhere(path: Path) -> None:
    links = LINK.findall(path.read_text(encoding="utf-8"))
    for target, anchor in links:
        file = (path.parent / target).resolve() if target else path
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file.read_text(encoding="utf-8")), f"{target}#{anchor}"


def test_every_call_has_a_curl_line(service: Service, root: Path) -> None:
    """Here, or where it needs a key of the scope `admin`, in the operator's page."""
    shown = {re.sub(r"\?.*", "", re.findall(r"127\.0\.0\.1:8000(/[^' ]*)", line)[0]) for line in CURLS}
    operation = (root / "docker" / "README.md").read_text(encoding="utf-8")
    kept = set(re.findall(r"-X POST http://127\.0\.0\.1:8000(/v1/models/[^' \n]*)", operation))
    for path, calls in httpx.get(f"{service.url}/openapi.json").json()["paths"].items():
        pattern = re.compile(re.sub(r"\{.*?\}", "[a-z_]+", path))
        places = kept if wanted(next(iter(calls)).upper(), path) == "admin" else shown
        assert any(pattern.fullmatch(one) for one in places), f"there is no curl line for {path}"


def test_the_command_line_works_as_shown(folder: Path) -> None:
    lines = [line for line in commands() if line.startswith(".venv/bin/carlens ")]
    assert lines
    for line in lines:
        here = [COMMAND, *shlex.split(line)[1:]]
        done = subprocess.run(here, cwd=folder, capture_output=True, text=True, timeout=240, check=False)
        assert done.returncode == 0, done.stderr
    assert list((folder / "drawn").glob("car.*.jpg"))


def test_the_table_of_options_is_complete() -> None:
    told = {(task.strip(), row[0].strip("`")) for row in table("option") for task in row[1].split(",")}
    predictors = registry.discover(wanted=["attributes", "car_details", "damage", "parts"])
    wanted = {(name, option) for name, one in predictors.items() for option in one.specification.options.model_fields}
    assert issubclass(predictors["attributes"].specification.options, RegionOptions)
    assert told == wanted | {("inspect", "tasks")}


def test_the_table_of_errors_is_complete() -> None:
    told = {(int(row[0]), row[1].strip("`")) for row in table("status")}
    assert told == {(problem.status, problem.code) for problem in PROBLEMS}


@pytest.fixture(scope="module")
def plugged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that serves the example predictor alone, installed from the two files shown."""
    source, target = tmp_path_factory.mktemp("sharpness"), tmp_path_factory.mktemp("site")
    (source / "carlens_sharpness.py").write_text(blocks("python", OWN)[0], encoding="utf-8")
    (source / "pyproject.toml").write_text(blocks("toml", OWN)[0], encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    subprocess.run([*pip, "--target", str(target), str(source)], check=True)
    environment = {"PYTHONPATH": str(target), "CARLENS_PREDICTORS": "sharpness", "CARLENS_DEVICE": "cpu"}
    with serving(target / "log", environment) as running:
        yield running


def test_the_example_predictor_serves(plugged: Service, root: Path) -> None:
    photo = (root / "openapi" / "examples" / "car.jpg").read_bytes()
    with httpx.Client(base_url=plugged.url, timeout=60) as client:
        answer = client.post(
            "/v1/sharpness", params={"least": 0}, content=photo, headers={"content-type": "image/jpeg"}
        )
        assert answer.status_code == 200, answer.text
        result = answer.json()["result"]
        assert result["sharp"] is True
        assert result["sharpness"] > 0
        assert client.post("/v1/sharpness", params={"least": -1}, content=photo).status_code == 422
        assert [model["name"] for model in client.get("/v1/models").json()["models"]] == ["sharpness"]
        assert "/v1/sharpness" in client.get("/openapi.json").json()["paths"]


def test_sigterm_is_a_clean_end(plugged: Service) -> None:
    plugged.process.send_signal(signal.SIGTERM)
    assert plugged.process.wait(40) == 0
