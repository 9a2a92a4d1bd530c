"""A Python client generated from the committed document: typed without a hole, and answered by a real service."""

import importlib
import json
import pkgutil
import re
import shutil
import subprocess
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.process import Service

USE = Path(__file__).parent / "clients" / "use.py"
GENERATOR = "openapi-python-client==0.29.1"
NAME = "carlens_client"
OPEN = "additional_properties"
"""The field in which the generator keeps what the document does not name, so that new keys break no client."""


@pytest.fixture(scope="module")
def client(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that holds the generated package."""
    folder = tmp_path_factory.mktemp("python")
    # in an environment of its own: it holds back packages that the service needs newer
    tool = [str(Path(sys.executable).parent / "uvx"), "--from", GENERATOR, "openapi-python-client"]
    had = subprocess.run([*tool, "--version"], capture_output=True, text=True, timeout=300, check=False)
    if had.returncode:
        pytest.skip(f"{GENERATOR} cannot be had: {had.stderr[-300:]}")
    document = str(root / "openapi" / "openapi.json")
    given = ["generate", "--meta", "none", "--path", document, "--output-path", str(folder / NAME)]
    config = ["--config", str(root / "openapi" / "examples" / "python-client.yaml")]
    done = subprocess.run([*tool, *given, *config], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stdout, done.stdout
    shutil.copy(USE, folder)
    return folder


@pytest.fixture
def models(client: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, type[Any]]]:
    """The generated classes of bodies, by name."""
    monkeypatch.syspath_prepend(client)
    package = importlib.import_module(f"{NAME}.models")
    modules = [importlib.import_module(f"{NAME}.models.{one.name}") for one in pkgutil.iter_modules(package.__path__)]
    found = {
        name: kind
        for module in modules
        for name, kind in vars(module).items()
        if isinstance(kind, type) and kind.__module__ == module.__name__
    }
    yield found
    for name in [name for name in sys.modules if name.partition(".")[0] == NAME]:
        del sys.modules[name]


def test_every_call_is_generated(client: Path, root: Path) -> None:
    document = json.loads((root / "openapi" / "openapi.json").read_text(encoding="utf-8"))
    wanted = {call["operationId"] for item in document["paths"].values() for call in item.values()}
    assert {path.stem for path in (client / NAME / "api").rglob("*.py")} - {"__init__"} == wanted


def test_no_field_of_an_answer_is_untyped(models: dict[str, type[Any]]) -> None:
    loose = []
    for name, kind in models.items():
        if not hasattr(kind, "__attrs_attrs__"):  # an enumeration
            continue
        hints = typing.get_type_hints(kind, {**vars(sys.modules[kind.__module__]), **models})
        loose += [f"{name}.{field}" for field, hint in hints.items() if field != OPEN and holds_any(hint)]
        if set(hints) == {OPEN}:  # a map: its values are all there is
            loose += [name] if holds_any(hints[OPEN]) else []
    assert len(models) > 40
    assert not loose


def holds_any(hint: object) -> bool:
    return hint in (Any, object) or any(holds_any(part) for part in typing.get_args(hint))


def test_a_hole_would_be_found() -> None:
    assert holds_any(dict[str, list[Any] | None])
    assert not holds_any(dict[str, list[int] | None])


def checked(program: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """What mypy says of a program; the generated code itself is not what is judged."""
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "--cache-dir", "cache", program]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)


def test_its_use_is_typed_strictly(client: Path) -> None:
    done = checked(USE.name, client)
    assert done.returncode == 0, done.stdout


def test_a_wrong_use_is_found(client: Path) -> None:
    """What is generated has types: else everything would pass."""
    text = USE.read_text(encoding="utf-8").replace("width: int = answer.image.width", "width: str = answer.image.width")
    (client / "wrong.py").write_text(text, encoding="utf-8")
    assert 'expression has type "int", variable has type "str"' in checked("wrong.py", client).stdout


def test_a_service_answers_it(client: Path, service: Service, root: Path) -> None:
    photo = root / "openapi" / "examples" / "car.jpg"
    command = [sys.executable, USE.name, service.url, str(photo)]
    done = subprocess.run(command, cwd=client, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout)
    assert told["problems"] == {
        "missing_image": 400,
        "empty_image": 400,
        "unsupported_media_type": 415,
        "undecodable_image": 422,
        "invalid_option": 422,
        "unknown_model": 404,
    }
    assert told["line"]
    assert (told["picture"], told["masks"]) == ("ffd8", "89504e47")


def test_the_page_s_example_works(client: Path, service: Service, root: Path) -> None:
    page = (root / "openapi" / "README.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"^```python client\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    (client / "shown.py").write_text(shown.replace("http://127.0.0.1:8000", service.url), encoding="utf-8")
    typed = checked("shown.py", client)
    assert typed.returncode == 0, typed.stdout
    command = [sys.executable, str(client / "shown.py")]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.startswith("scratch 0."), done.stderr
