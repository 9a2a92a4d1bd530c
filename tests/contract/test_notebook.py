"""The notebook runs against a real service as it is committed: without outputs, and without a cell that fails."""

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.contract.process import Service

NOTEBOOK = Path(__file__).resolve().parents[2] / "openapi" / "examples" / "carlens.ipynb"

# Of the kernel's own libraries, which say so on their way in and out.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


def read() -> Any:
    return nbformat.reads(NOTEBOOK.read_text(encoding="utf-8"), as_version=4)  # type: ignore[no-untyped-call]


def test_it_is_committed_without_outputs() -> None:
    cells = [cell for cell in read().cells if cell.cell_type == "code"]
    assert len(cells) > 5
    assert not [cell for cell in cells if cell.outputs or cell.execution_count is not None]


def test_it_runs(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARLENS_URL", service.url)
    book = read()
    NotebookClient(book, timeout=240, resources={"metadata": {"path": str(NOTEBOOK.parent)}}).execute()
    outputs = [out for cell in book.cells if cell.cell_type == "code" for out in cell.outputs]
    pictures = [out for out in outputs if "image/png" in out.get("data", {})]
    tables = [out["data"]["text/html"] for out in outputs if "text/html" in out.get("data", {})]
    printed = "".join(out.text for out in outputs if out.output_type == "stream")
    assert len(pictures) == 4
    assert len(tables) == 6
    assert "car_details" in tables[0]
    assert "scratch" in tables[1]
    assert "#" in tables[2]
    assert "1200 x 800 JPEG" in printed
    assert "scratch" in printed


def test_a_problem_is_told_in_words(service: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes((NOTEBOOK.parent / "car.jpg").read_bytes()[:3000])
    monkeypatch.setenv("CARLENS_URL", service.url)
    monkeypatch.setenv("CARLENS_PHOTO", str(broken))
    book = read()
    client = NotebookClient(book, timeout=240, allow_errors=True, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    outputs = [out for cell in book.cells if cell.cell_type == "code" for out in cell.outputs]
    errors = [out.evalue for out in outputs if out.output_type == "error"]
    assert any(error.startswith("undecodable_image: ") for error in errors)
