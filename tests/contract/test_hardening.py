"""What the service must not do, whatever is sent: write, connect, unpickle, start a process, take code from where it
happens to run, or repeat what a photo's metadata says. A real process is watched while photos of all kinds are sent."""

import ast
import base64
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.asgi import FORM, form_body
from tests.contract.plugin import ROOT, installed
from tests.contract.process import serving
from tests.contract.watch import Watch, watched
from tests.fakes import encoded
from tests.planted import MARK, photos

PATHS = ("/v1/brightness", "/v1/brightness/annotated", "/v1/inspect", "/v1/severity")
DECOY = "raise SystemExit('a module was taken from the folder that the service was started in')\n"


@dataclass(frozen=True, slots=True)
class Watched:
    """A service with one fake and one real predictor, in folders of its own; `before` is how many events its start
    took."""

    client: httpx.Client
    watch: Watch
    before: int
    home: Path
    log: Path

    def since(self) -> list[str]:
        return self.watch.lines()[self.before :]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    plugin, site, home = (tmp_path_factory.mktemp(name) for name in ("plugin", "site", "home"))
    log = tmp_path_factory.mktemp("log") / "log"
    decoys(home)
    environment, watch = watched(site, installed(plugin))
    environment |= {
        "HOME": str(home),
        "TMPDIR": str(home),
        "CARLENS_CACHE_DIR": str(home / "cache"),
        "CARLENS_PREDICTORS": "brightness,severity",
        "CARLENS_LOG_LEVEL": "debug",
    }
    with serving(log, environment, cwd=home) as running, httpx.Client(base_url=running.url, timeout=120) as client:
        assert client.get("/health/ready").status_code == 200
        yield Watched(client, watch, len(watch.lines()), home, log)


def decoys(folder: Path) -> None:
    """Code and weights under every name that a careless search path would find."""
    for name in ("evil", "numpy", "usercustomize", "carlens_plugin"):
        (folder / f"{name}.py").write_text(DECOY)
    for package in ("app", "models", "limits"):
        (folder / package).mkdir()
        (folder / package / "__init__.py").write_text(DECOY)
    info = folder / "evil-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[carlens.predictors]\nevil = evil:Evil\n")
    for place in (folder, folder / "models" / "weights", folder / "weights"):
        place.mkdir(exist_ok=True)
        (place / "evil.json").write_text("{}")
        (place / "evil.safetensors").write_bytes(b"")


def forms(data: bytes) -> Iterator[tuple[dict[str, str], bytes]]:
    """The photo in the three forms of a request; the file's name says the mark, too."""
    yield {"content-type": "image/jpeg"}, data
    yield FORM, form_body((f'name="file"; filename="{MARK}.jpg"', data))
    yield {"content-type": "application/json"}, json.dumps({"image": base64.b64encode(data).decode()}).encode()


def large() -> Iterator[bytes]:
    """Beyond the size at which form parsers turn to the disk, and beyond what is decoded at once."""
    noise = np.random.default_rng(0).integers(0, 256, (1500, 2000, 3), np.uint8)
    yield encoded(noise, "JPEG", quality=95)
    yield encoded(noise, "PNG", compress_level=0)
    yield encoded(noise, "TIFF")


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    found = {path: path.stat() for path in folder.rglob("*") if path.is_file()}
    return {str(path.relative_to(folder)): (seen.st_size, seen.st_mtime_ns) for path, seen in found.items()}


def test_no_photo_makes_it_write_connect_unpickle_or_start_a_process(service: Watched) -> None:
    files = listing(service.home)
    answered = 0
    for data in (*(data for _, data in photos()), *large(), b"no photo"):
        for headers, body in forms(data):
            for path in PATHS:
                answer = service.client.post(path, content=body, headers=headers)
                answered += answer.status_code == 200
                assert answer.status_code in (200, 415), (path, answer.text[:500])
    assert answered == (len(list(photos())) + 3) * 3 * len(PATHS)
    for address in ("http://127.0.0.1:9/car.jpg", "file:///etc/passwd", "ftp://127.0.0.1/car.jpg"):
        refused = service.client.post("/v1/brightness", json={"image": address})
        assert (refused.status_code, refused.json()["code"]) == (400, "malformed_request")
    assert service.since() == []
    assert listing(service.home) == files


def test_the_watch_sees_what_it_looks_for(tmp_path: Path) -> None:
    """Else the test above could not fail."""
    environment, watch = watched(tmp_path, {"PYTHONPATH": ""})
    done = """
import os, pathlib, pickle, socket, subprocess, sys, tempfile, urllib.request
tempfile.mkdtemp()
os.close(os.open("written", os.O_CREAT | os.O_WRONLY))
pickle.loads(pickle.dumps(pathlib.PurePosixPath("x")))
subprocess.run(["true"])
socket.socket().connect_ex(("127.0.0.1", 9))
try:
    urllib.request.urlopen("http://127.0.0.1:9")
except OSError:
    pass
"""
    subprocess.run([sys.executable, "-c", done], env={**environment, "PATH": "/usr/bin:/bin"}, cwd=tmp_path, check=True)
    told = "\n".join(watch.lines())
    for event in ("open", "pickle.find_class", "subprocess.Popen", "socket.connect", "urllib.Request", "tempfile"):
        assert event in told, event
    assert "'written'" in told


def test_neither_the_start_nor_the_weights_unpickle_or_connect(service: Watched) -> None:
    events = {line.partition(" ")[0] for line in service.watch.lines()}
    assert "open" in events  # the cache of converted graphs is written then
    assert not {one for one in events if one.startswith(("pickle.", "socket.connect", "socket.getaddr", "urllib."))}


@pytest.mark.parametrize("backend", ["torch", "onnxruntime"])
def test_no_backend_unpickles_weights(backend: str, tmp_path: Path) -> None:
    environment, watch = watched(tmp_path, installed(tmp_path))
    load = (
        "from models.registry import discover\n"
        f"one = discover(wanted=['severity'], backends={{'severity': {backend!r}}})['severity']\n"
        "open('loading', 'w').close()\n"
        "one.load('cpu')\n"
    )
    subprocess.run([sys.executable, "-c", load], env={**environment, "HOME": str(tmp_path)}, cwd=tmp_path, check=True)
    lines = watch.lines()
    start = next(n for n, line in enumerate(lines) if "'loading'" in line)
    wrong = ("pickle.", "socket.connect", "socket.getaddr", "urllib.")
    assert not [line for line in lines[start:] if line.startswith(wrong)]


def test_code_and_weights_come_from_where_they_are_installed_or_set_alone(service: Watched) -> None:
    names = [model["name"] for model in service.client.get("/v1/models").json()["models"]]
    assert names == ["brightness", "severity"]
    for name in ("evil", "..%2Fevil", "%2e%2e%2fweights%2fevil", "..", "evil.json"):
        assert service.client.get(f"/v1/models/{name}").status_code == 404
        assert service.client.post(f"/v1/{name}", content=b"").status_code in (404, 405)


UNWANTED = {
    "pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "subprocess", "ftplib",
    "smtplib", "requests", "urllib3", "aiohttp", "httpx2", "urllib.request", "http.client", "xmlrpc",
}  # fmt: skip
"""Nobody imports these: they unpickle, fetch or start processes."""

KNOWN = {
    # The command line speaks to the service within its own process, over no socket.
    "httpx": {"app/commands/inside.py", "app/commands/predict.py", "app/sets/worker.py"},
    # The port that the service itself listens at.
    "socket": {"app/commands/serve.py", "app/ports.py", "app/server.py", "app/worker.py"},
    # A worker and its supervisor speak over a pipe of their own, whose ends nobody else holds.
    "multiprocessing": {"app/child.py", "app/commands/serve.py", "app/link.py", "app/worker.py"},
}
RUN = {"eval", "exec", "compile", "__import__"}
CALLS = {"system", "popen", "open_connection", "create_connection", "urlopen", "connect", "getaddrinfo"}
LOADS = {("torch", "load"), ("np", "load"), ("numpy", "load"), ("hub", "load"), ("torch", "hub")}


def code() -> Iterator[tuple[str, ast.AST]]:
    """Every node of the code that serves, with the name of its file."""
    for folder in ("app", "models"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                yield str(path.relative_to(ROOT)), node


def test_the_code_that_serves_imports_nothing_that_unpickles_or_fetches() -> None:
    found: dict[str, set[str]] = {}
    for path, node in code():
        if isinstance(node, ast.Import):
            modules = {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules = {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        else:
            continue
        for module in modules:
            for name in {module, module.partition(".")[0]} & (UNWANTED | set(KNOWN)):
                found.setdefault(name, set()).add(path)
    assert found == KNOWN


def test_the_code_that_serves_calls_nothing_that_runs_data_or_connects() -> None:
    wrong = []
    for path, node in code():
        where = f"{path}, line {getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            wrong += [where] if (node.value.id, node.attr) in LOADS else []
        if isinstance(node, ast.Call):
            wrong += [where] if isinstance(node.func, ast.Name) and node.func.id in RUN else []
            wrong += [where] if isinstance(node.func, ast.Attribute) and node.func.attr in CALLS else []
            wrong += [where for one in node.keywords if one.arg in ("pretrained", "allow_pickle") and truly(one.value)]
            if ast.unparse(node.func) in ("httpx.AsyncClient", "httpx.Client"):
                wrong += [] if any(one.arg == "transport" for one in node.keywords) else [where]
    assert not wrong


def truly(value: ast.expr) -> bool:
    """Anything but False or None, as it stands in the code."""
    return not (isinstance(value, ast.Constant) and not value.value)


def marks(data: bytes) -> bool:
    texts = (MARK.encode(), MARK.encode("utf-16-le"), MARK.encode("utf-16-be"))
    return any(text in data or base64.b64encode(text)[:-4] in data for text in texts)


@pytest.mark.parametrize(("kind", "data"), list(photos()), ids=[kind for kind, _ in photos()])
def test_no_answer_picture_or_log_repeats_metadata(service: Watched, kind: str, data: bytes) -> None:
    assert marks(data)
    begun = service.log.stat().st_size
    for sent in (data, data[: len(data) * 2 // 3]):  # whole, and cut off
        for headers, body in forms(sent):
            for path in PATHS:
                for accept in ("image/jpeg", "image/png", "image/webp") if path.endswith("annotated") else ("*/*",):
                    answer = service.client.post(path, content=body, headers={**headers, "Accept": accept})
                    assert not marks(answer.content), (path, accept)
                    assert not marks(repr(answer.headers).encode()), (path, accept)
                    if answer.headers["content-type"].startswith("image/"):
                        bare(answer.content)
    assert not marks(service.log.read_bytes()[begun:])


def bare(picture: bytes) -> None:
    """A drawn picture carries pixels and nothing else."""
    with Image.open(io.BytesIO(picture)) as image:
        image.load()
        assert not dict(image.getexif())
        assert not {"exif", "xmp", "comment", "XML:com.adobe.xmp", "icc_profile", "photoshop"} & set(image.info)
        assert not getattr(image, "text", {})
