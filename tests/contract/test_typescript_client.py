"""A TypeScript client generated from the committed document: compiled strictly, and answered by a real service."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.contract.process import Service

CLIENTS = Path(__file__).parent / "clients"
FILES = ("package.json", "package-lock.json", "generate.mjs", "tsconfig.json", "use.ts")
UNREACHED = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH", "E403", "E404", "E503")
"""What npm says where there is no registry, or one that lacks the packages."""


def node(folder: Path, *command: str, timeout: float = 240) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=timeout, check=False)


@pytest.fixture(scope="module")
def client(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the generator installed, what it generated, and the program that uses it."""
    for tool in ("node", "npm"):
        if shutil.which(tool) is None:
            pytest.skip(f"there is no {tool}")
    folder = tmp_path_factory.mktemp("typescript")
    for name in FILES:
        shutil.copy(CLIENTS / name, folder)
    done = node(folder, "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
    if done.returncode and (reason := next((sign for sign in UNREACHED if sign in done.stderr), None)):
        pytest.skip(f"npm reaches no registry that has the generator: {reason}")
    assert done.returncode == 0, done.stderr
    done = node(folder, "node", "generate.mjs", str(root / "openapi" / "openapi.json"), "carlens.ts")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def compiled(client: Path, root: Path) -> Path:
    """The folder of what was compiled: `use.js`, and the page's example as `shown.js`."""
    page = (root / "openapi" / "README.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"^```ts client\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    (client / "shown.ts").write_text(
        shown.replace('"http://127.0.0.1:8000"', 'process.argv[2] ?? ""'), encoding="utf-8"
    )
    done = node(client, "node", "node_modules/typescript/bin/tsc")
    assert done.returncode == 0, done.stdout
    return client / "out"


def test_no_field_of_an_answer_is_untyped(client: Path) -> None:
    """But for headers that the document does not name, and further keys of a problem, which RFC 9457 leaves open."""
    text = (client / "carlens.ts").read_text(encoding="utf-8")
    assert "Detection: {" in text
    code = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    rest, known = re.subn(r"(ProblemDetails: \{[^}]*\} & \{\s*)\[key: string\]: unknown;", r"\1", code)
    assert known == 1
    rest = rest.replace("[name: string]: unknown;", "")
    assert not re.findall(r".*\b(?:unknown|any|object)\b.*", rest)


def test_a_wrong_use_is_found(client: Path) -> None:
    """What is generated has types: else everything would pass."""
    text = (client / "use.ts").read_text(encoding="utf-8")
    (client / "wrong.ts").write_text(text.replace("const width: number =", "const width: string ="), encoding="utf-8")
    options = json.loads((client / "tsconfig.json").read_text(encoding="utf-8"))
    (client / "wrong.json").write_text(json.dumps({**options, "files": ["wrong.ts"]}), encoding="utf-8")
    done = node(client, "node", "node_modules/typescript/bin/tsc", "--noEmit", "-p", "wrong.json")
    assert "Type 'number' is not assignable to type 'string'" in done.stdout


def test_a_service_answers_it(compiled: Path, service: Service, root: Path) -> None:
    photo = root / "openapi" / "examples" / "car.jpg"
    done = node(compiled, "node", "use.js", service.url, str(photo))
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout)
    assert told["problems"] == {
        "empty_image": 400,
        "unsupported_media_type": 415,
        "undecodable_image": 422,
        "invalid_option": 422,
        "unknown_model": 404,
    }
    assert told["line"]
    assert (told["picture"], told["masks"]) == ("ffd8", "89504e47")


def test_the_page_s_example_works(compiled: Path, service: Service, root: Path) -> None:
    done = node(root, "node", str(compiled / "shown.js"), service.url)
    assert done.stdout.startswith("scratch 0."), done.stderr


def test_what_is_pinned_names_no_registry() -> None:
    lock = json.loads((CLIENTS / "package-lock.json").read_text(encoding="utf-8"))
    assert (
        lock["packages"][""]["devDependencies"] == json.loads((CLIENTS / "package.json").read_text())["devDependencies"]
    )
    assert all("resolved" not in package for package in lock["packages"].values())
    assert all(package.get("integrity") for path, package in lock["packages"].items() if path)
