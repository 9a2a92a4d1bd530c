"""The command line, with fake predictors: what it prints, what it exits with, and that no mistake shows a traceback."""

import json
import re
import socket
import sys
from collections.abc import Callable
from functools import partial
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from app import cli, configuration
from app.commands import inside, models, serve
from app.commands.predict import Outcome, as_table
from app.schemas import AnyPredictor
from app.settings import Settings
from models import registry
from models.language import Language, language
from models.predictor import Card
from models.registry import GROUP
from tests.fakes import Brightness, Finder, photo, reader
from tests.keyed import key

runner = CliRunner()


def factory(predictor: AnyPredictor) -> Callable[[], AnyPredictor]:
    return lambda: predictor


def install(monkeypatch: pytest.MonkeyPatch, installed: dict[str, AnyPredictor]) -> None:
    """These and no other predictors, for every command."""
    points = [SimpleNamespace(name=name, value="tests", load=partial(factory, one)) for name, one in installed.items()]
    monkeypatch.setattr("models.registry.entry_points", lambda group: points if group == GROUP else [])
    monkeypatch.setenv("CARLENS_DEVICE", "cpu")
    monkeypatch.setenv("CARLENS_PORT", "0")
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> dict[str, AnyPredictor]:
    """One predictor that draws, and one that does not."""
    installed: dict[str, AnyPredictor] = {"brightness": Brightness(), "plain": Brightness("plain", drawable=False)}
    install(monkeypatch, installed)
    return installed


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two photos, one of them a level down and of the same name, and a file that is none."""
    (tmp_path / "photos" / "more").mkdir(parents=True)
    (tmp_path / "photos" / "car.jpg").write_bytes(photo(64, 48))
    (tmp_path / "photos" / "more" / "car.png").write_bytes(photo(32, 32, "PNG"))
    (tmp_path / "photos" / "notes.txt").write_text("not a photo")
    return tmp_path / "photos"


def run(*arguments: str | Path) -> tuple[int, str, str]:
    result = runner.invoke(cli.application, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def test_help_lists_every_installed_command() -> None:
    code, out, _ = run("--help")
    assert code == 0
    for name in ("check", "evaluate", "models", "openapi", "predict", "serve", "train"):
        assert f" {name} " in out


def test_version_is_that_of_the_distribution() -> None:
    assert run("--version") == (0, f"carlens {metadata.version('carlens')}\n", "")


def test_an_unknown_command_suggests_the_nearest() -> None:
    code, _, err = run("predcit")
    assert code == 2
    assert "Did you mean 'predict'" in err


def entry(value: str) -> metadata.EntryPoint:
    return metadata.EntryPoint("broken", value, cli.GROUP)


def test_a_command_without_its_library_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "entry_points", lambda: {"broken": entry("no_such_module:f")})
    code, out, err = run("broken", "--any", "thing")
    assert (code, out) == (1, "")
    assert err == "carlens broken needs no_such_module, which is not installed\n"


def test_a_command_that_does_not_load_leaves_the_others_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "entry_points", lambda: {"broken": entry("json:no_such_function")})
    code, out, _ = run("--help")
    assert code == 0
    assert "Does not load" in out


@pytest.mark.parametrize(("module", "extra"), [("torch", "gpu"), ("faster_coco_eval.core", "train"), ("numpy", None)])
def test_the_extra_that_brings_a_module(module: str, extra: str | None) -> None:
    expected = f"carlens[{extra}]" if extra else None
    assert cli.extra_with(module, metadata.distribution("carlens")) == expected


def test_predict_prints_a_row_for_every_photo_of_a_folder(fakes: dict[str, AnyPredictor], folder: Path) -> None:
    code, out, err = run("predict", folder)
    assert code == 0
    assert re.fullmatch(r"2 photos in \d+\.\d s, \d+\.\d a second, by numpy, after \d+\.\d s of loading\n", err)
    assert "car.jpg" in out
    assert "car.png" in out
    assert "notes.txt" not in out
    assert "brightness" in out
    assert "plain" in out


def test_predict_prints_the_summary_where_there_is_one() -> None:
    told = {"results": {"damage": None}, "summary": [{"text": "severe dent"}, {"text": "minor scratch"}]}
    quiet, other = {"results": {"damage": None}, "summary": []}, {"results": {"plain": None}}
    outcomes = [Outcome(Path(f"{n}.jpg"), answer) for n, answer in enumerate([told, quiet, None, other])]
    table = as_table(outcomes, ["damage"])
    assert [column.header for column in table.columns] == ["Photo", "summary", "damage"]
    assert list(table.columns[1].cells) == ["severe dent\nminor scratch", "-", "-"]
    assert [column.header for column in as_table(outcomes[3:], ["plain"]).columns] == ["Photo", "plain"]


@pytest.mark.parametrize(("given", "code"), [([], "en"), (["--language", "de"], "de")])
def test_predict_asks_in_the_language_that_is_wanted(
    fakes: dict[str, AnyPredictor], folder: Path, monkeypatch: pytest.MonkeyPatch, given: list[str], code: str
) -> None:
    asked: list[str] = []

    def texts(code: str) -> Language:
        asked.append(code)
        return language(code)

    monkeypatch.setattr("app.routes.inspect.texts", texts)
    assert run("predict", folder / "car.jpg", *given)[0] == 0
    assert asked == [code]


def test_predict_computes_by_the_backend_that_is_wanted(
    fakes: dict[str, AnyPredictor], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted: list[object] = []
    discover = registry.discover

    def told(*given: Any, **named: Any) -> dict[str, AnyPredictor]:
        wanted.append(named["backends"])
        return discover(*given, **named)

    monkeypatch.setattr(registry, "discover", told)
    assert run("predict", folder / "car.jpg", "--backend", "plain=torch,openvino")[0] == 0
    assert wanted == [{"plain": "torch", "": "openvino"}]
    code, _, err = run("predict", folder / "car.jpg", "--backend", "abacus")
    assert code == 2
    assert "CARLENS_BACKEND" in err
    assert "unknown backend abacus" in err


def test_predict_refuses_a_language_without_texts(fakes: dict[str, AnyPredictor], folder: Path) -> None:
    code, _, err = run("predict", folder, "--language", "xx")
    assert code == 2
    assert "'xx' is none of en, de" in err


def test_predict_as_json_gives_the_answer_of_inspect_line_by_line(fakes: dict[str, AnyPredictor], folder: Path) -> None:
    code, out, _ = run("predict", folder, "--json", "--task", "plain")
    first, second = (json.loads(line) for line in out.splitlines())
    assert code == 0
    assert (first["file"], second["file"]) == (str(folder / "car.jpg"), str(folder / "more" / "car.png"))
    assert first["image"] == {"width": 64, "height": 48, "format": "JPEG", "exif_orientation": 1}
    assert list(first["results"]) == ["plain"]
    assert (first["failures"], first["annotated"]) == ([], [])


def test_a_bad_photo_is_one_line_and_the_others_are_answered(fakes: dict[str, AnyPredictor], folder: Path) -> None:
    code, out, err = run("predict", folder / "notes.txt", folder / "car.jpg", "--json")
    assert code == 1
    assert err.count("\n") == 1
    assert err.startswith(f"{folder / 'notes.txt'}: ")
    assert "(unsupported_media_type)" in err
    bad, good = (json.loads(line) for line in out.splitlines())
    assert len(bad["failures"]) == 1
    assert "results" not in bad
    assert good["results"]["brightness"]["mean"] > 0


def test_a_predictor_that_fails_on_a_photo_is_named(fakes: dict[str, AnyPredictor], folder: Path) -> None:
    plain = fakes["plain"]
    assert isinstance(plain, Brightness)
    proven: list[float] = []

    def once(mean: float) -> float:
        if proven:
            raise RuntimeError("a secret of the inside")
        proven.append(mean)
        return mean

    plain.mean = once
    code, out, err = run("predict", folder / "car.jpg")
    assert code == 1
    assert "plain: " in err
    assert "prediction_failed" in err
    assert "secret" not in err + out
    assert "car.jpg" in out


def test_a_task_that_is_named_wins_over_the_setting(
    fakes: dict[str, AnyPredictor], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CARLENS_PREDICTORS", "brightness")
    for arguments, answered in (([], ["brightness"]), (["--task", "plain"], ["plain"])):
        code, out, _ = run("predict", folder / "car.jpg", "--json", *arguments)
        assert code == 0
        assert list(json.loads(out)["results"]) == answered


def test_predict_applies_min_score(fakes: dict[str, AnyPredictor], folder: Path) -> None:
    for score, bright in (("0.0", True), ("1.0", False)):
        _, out, _ = run("predict", folder / "car.jpg", "--json", "--min-score", score)
        assert json.loads(out)["results"]["brightness"]["bright"] is bright


def test_who_completes_an_answer_is_not_asked_itself(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finder = Finder((0.0, 0.0, 32.0, 48.0), completed_by=("grader",))
    install(monkeypatch, {"grader": Brightness("grader", regions=("vehicles", "photo")), "vehicles": finder})
    code, out, _ = run("predict", folder / "car.jpg", "--json")
    assert code == 0
    results = json.loads(out)["results"]
    assert list(results) == ["vehicles"]
    assert list(results["vehicles"]["vehicles"][0]["said"]) == ["grader"]
    code, _, err = run("predict", folder / "car.jpg", "--task", "grader")
    assert code == 2
    assert "grader only completes another's answer" in " ".join(err.split())


def test_predict_reads_the_main_vehicle_or_the_whole_photo(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that finds vehicles is loaded with the one that was asked for, and not asked itself."""
    install(monkeypatch, {"brightness": reader(), "vehicles": Finder((0.0, 0.0, 30.0, 48.0))})
    for arguments, source in (([], "vehicle"), (["--vehicle", "auto"], "vehicle"), (["--vehicle", "whole"], "whole")):
        code, out, _ = run("predict", folder / "car.jpg", "--json", "--task", "brightness", *arguments)
        results = json.loads(out)["results"]
        assert (code, list(results)) == (0, ["brightness"])
        assert results["brightness"]["region"]["source"] == source
    code, _, err = run("predict", folder / "car.jpg", "--task", "vehicles", "--vehicle", "whole")
    assert code == 2
    assert "none of these predictors has that option" in err
    assert "--vehicle" in err


def size_of(picture: Path) -> tuple[int, int]:
    with Image.open(picture) as opened:
        return opened.size


def test_save_annotated_writes_upright_full_size_pictures(
    fakes: dict[str, AnyPredictor], folder: Path, tmp_path: Path
) -> None:
    code, out, _ = run("predict", folder, "--json", "--save-annotated", tmp_path / "new" / "drawn")
    drawn = sorted((tmp_path / "new" / "drawn").iterdir())
    assert code == 0
    assert [path.name for path in drawn] == ["car-2.brightness.jpg", "car.brightness.jpg"]
    assert [size_of(path) for path in drawn] == [(32, 32), (64, 48)]
    assert [json.loads(line)["annotated"] for line in out.splitlines()] == [[str(drawn[1])], [str(drawn[0])]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--task", "nonsense", "car.jpg"], "installed are brightness, plain"),
        (["--task", "plain", "--save-annotated", "drawn", "car.jpg"], "none of these predictors draws anything"),
        (["--min-score", "2", "car.jpg"], "--min-score"),
        (["absent.jpg"], "absent.jpg"),
        (["empty"], "there is no photo"),
        ([], "PHOTO"),
    ],
)
def test_wrong_usage_is_exit_2(
    fakes: dict[str, AnyPredictor],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    (folder / "empty").mkdir()
    monkeypatch.chdir(folder)
    code, out, err = run("predict", *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert not (folder / "drawn").exists()


def test_predict_without_a_working_predictor_says_why(fakes: dict[str, AnyPredictor], folder: Path) -> None:
    plain = fakes["plain"]
    assert isinstance(plain, Brightness)
    plain.fail_load = FileNotFoundError("weights plain.safetensors are missing")
    code, out, err = run("predict", folder / "car.jpg")
    assert (code, out) == (1, "")
    assert err.count("\n") == 1
    assert "weights plain.safetensors are missing" in err


def test_check_passes_and_fails_with_the_weights(fakes: dict[str, AnyPredictor]) -> None:
    code, out, err = run("check")
    assert (code, err) == (0, "")
    assert "ready" in out
    plain = fakes["plain"]
    assert isinstance(plain, Brightness)
    plain.fail_load = ValueError("the hash of plain.safetensors is not the manifest's")
    code, out, err = run("check")
    assert code == 1
    assert "failed" in out
    assert "the hash of plain.safetensors is not the manifest's" in err


def test_who_runs_the_service_inside_a_command_needs_no_key_and_has_no_limit(
    fakes: dict[str, AnyPredictor], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key(tmp_path / "keys.toml", "shop", "predict", "metrics")
    monkeypatch.setenv("CARLENS_KEYS_FILE", str(tmp_path / "keys.toml"))
    monkeypatch.setenv("CARLENS_RATE_PER_ADDRESS", "1/day")
    assert run("predict", folder)[0] == 0
    assert run("models")[0] == 0
    code, out, err = run("check")
    assert (code, err) == (0, "")
    assert "Keys: shop (metrics, predict)" in out


@pytest.mark.parametrize(
    ("variable", "value"), [("CARLENS_KEYS_FILE", "absent.toml"), ("CARLENS_RATE_STORAGE", "nonsense://")]
)
def test_check_and_serve_refuse_a_guard_that_would_not_stand(
    fakes: dict[str, AnyPredictor], monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    for command in (["check"], ["serve", "--port", "0"]):
        code, _, err = run(*command)
        assert (code, err.count("\n")) == (1, 1)
        assert value.partition(":")[0] in err


@pytest.mark.parametrize("command", ["check", "serve", "openapi"])
def test_a_wrong_setting_is_one_line_and_exit_2(
    fakes: dict[str, AnyPredictor], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("CARLENS_PORT", "many")
    code, _, err = run(command)
    assert code == 2
    assert err.count("\n") == 1
    assert "CARLENS_PORT" in err
    assert "many" in err


def test_serve_refuses_a_predictor_that_is_not_installed(
    fakes: dict[str, AnyPredictor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CARLENS_PREDICTORS", "brightness,nonsense")
    code, _, err = run("serve", "--port", "0")
    assert code == 2
    assert "nonsense" in err
    assert "Traceback" not in err


def test_replicas_of_a_predictor_that_is_not_there_are_a_wrong_setting(
    fakes: dict[str, AnyPredictor], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CARLENS_REPLICAS", "1,plane=2")
    for command in (["serve", "--port", "0"], ["check"]):
        code, _, err = run(*command)
        assert code == 2
        assert err.startswith("carlens: CARLENS_REPLICAS: no predictor plane: installed are ")
    assert run("predict", folder / "car.jpg")[0] == 0  # it has no replicas


def test_serve_on_ray_without_ray_says_what_to_install(
    fakes: dict[str, AnyPredictor], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "ray" or name.startswith("app.engines.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ray", None)
    code, _, err = run("serve", "--port", "0", "--engine", "ray")
    assert (code, err.count("\n")) == (1, 1)
    assert 'pip install "carlens[ray]"' in err


def test_predictors_keep_to_the_limit_of_their_container(
    fakes: dict[str, AnyPredictor], monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {}

    def build(*_: object, make: Any) -> None:
        given.update(make.keywords)
        raise typer.Exit(7)

    monkeypatch.setattr(serve, "limited", lambda: 3)
    monkeypatch.setattr(serve, "build", build)
    assert run("serve", "--port", "0")[0] == 7
    assert given["threads"] == 3


def test_serve_on_ray_is_one_process(fakes: dict[str, AnyPredictor]) -> None:
    code, _, err = run("serve", "--port", "0", "--engine", "ray", "--workers", "2")
    assert (code, err.count("\n")) == (2, 1)
    assert "CARLENS_REPLICAS" in err


def test_models_shows_the_cards(fakes: dict[str, AnyPredictor]) -> None:
    code, out, _ = run("models")
    assert code == 0
    for text in ("brightness", "plain", "1.0.0", "Apache-2.0", "accuracy 1"):
        assert text in out
    cards = json.loads(run("models", "--json")[1])
    assert {card["name"]: card["architecture"] for card in cards} == {"brightness": "mean", "plain": "mean"}


def test_openapi_prints_writes_and_compares(fakes: dict[str, AnyPredictor], tmp_path: Path) -> None:
    target = tmp_path / "openapi.json"
    code, out, _ = run("openapi")
    assert code == 0
    assert "/v1/brightness/annotated" in json.loads(out)["paths"]
    assert run("openapi", "--output", target, "--check")[0] == 1
    assert not target.exists()
    assert run("openapi", "--output", target)[0] == 0
    assert target.read_text(encoding="utf-8") == out
    assert run("openapi", "--output", target, "--check") == (0, "", "")
    target.write_text(out + " ")
    code, _, err = run("openapi", "--output", target, "--check")
    assert code == 1
    assert "out of step" in err
    assert run("openapi", "--check")[0] == 2


def test_a_port_in_use_is_one_line_and_exit_1(fakes: dict[str, AnyPredictor]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, _, err = run("serve", "--port", str(taken.getsockname()[1]))
    assert code == 1
    assert err.count("\n") == 1
    assert "cannot listen on 127.0.0.1:" in err


@pytest.mark.parametrize(("host", "shown"), [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1")])
def test_the_address_shown_is_one_a_browser_can_open(host: str, shown: str) -> None:
    with serve.listen(host, 0) as listener:
        assert serve.base_url(listener) == f"http://{shown}:{listener.getsockname()[1]}"


def test_a_predictor_that_cannot_be_made_is_one_line(
    fakes: dict[str, AnyPredictor], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_weights() -> AnyPredictor:
        raise FileNotFoundError("no weights for plain")

    point = SimpleNamespace(name="plain", value="tests", load=lambda: no_weights)
    monkeypatch.setattr("models.registry.entry_points", lambda group: [point] if group == GROUP else [])
    for command in ("models", "check", "openapi", "serve"):
        assert run(command) == (1, "", "carlens: no weights for plain\n")


@pytest.mark.parametrize("command", ["check", "serve"])
def test_a_device_that_is_not_there_is_one_line(
    fakes: dict[str, AnyPredictor], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("CARLENS_DEVICE", "cuda:77")
    code, _, err = run(command)
    assert code == 1
    assert err.count("\n") == 1
    assert "cuda:77" in err


def test_check_says_what_would_be_served_and_who_has_the_port(
    fakes: dict[str, AnyPredictor], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "would listen on any free port of 127.0.0.1, with one process on cpu" in run("check")[1]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("CARLENS_PORT", str(taken.getsockname()[1]))
        code, out, err = run("check")
    assert code == 1
    assert "brightness" in out
    assert "would listen" not in out
    assert "Address already in use" in err


@pytest.fixture
def settings_command(monkeypatch: pytest.MonkeyPatch) -> None:
    point = metadata.EntryPoint("settings", "app.commands.settings:settings", cli.GROUP)
    monkeypatch.setattr(cli, "entry_points", lambda: {"settings": point})


@pytest.mark.usefixtures("fakes", "settings_command")
def test_settings_shows_what_holds_and_where_it_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "carlens.toml").write_text("port = 1234\nqueue_limit = 5\n")
    monkeypatch.setenv("CARLENS_PORT", "4321")
    code, out, err = run("settings")
    assert (code, err) == (0, "")
    rows = {cells[0].strip(): cells[1:] for line in out.splitlines() if len(cells := line.strip("│").split("│")) == 3}
    assert set(rows) == {f"CARLENS_{name.upper()}" for name in Settings.model_fields}
    assert [cell.strip() for cell in rows["CARLENS_PORT"]] == ["4321", "environment"]
    assert rows["CARLENS_QUEUE_LIMIT"][0].strip() == "5"
    assert rows["CARLENS_QUEUE_LIMIT"][1].strip()
    assert [cell.strip() for cell in rows["CARLENS_GRACE_S"]] == ["20.0", ""]


@pytest.mark.usefixtures("settings_command")
def test_settings_writes_the_table_into_a_page_that_has_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("no marks\n")
    code, _, err = run("settings", "--write", page)
    assert code == 1
    assert "lacks the lines" in err
    assert page.read_text() == "no marks\n"
    marks = [f"<!-- written by `{configuration.MARK}`: {which} -->\n" for which in ("begin", "end")]
    page.write_text("before\n" + "".join(marks) + "after\n")
    assert run("settings", "--write", page) == (0, "", "")
    assert configuration.table() in page.read_text()


def test_models_writes_the_figures_into_a_page_that_has_marks(
    tmp_path: Path, fakes: dict[str, AnyPredictor], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.md"
    page.write_text("no marks\n")
    code, _, err = run("models", "--write", page)
    assert code == 1
    assert "lacks the lines" in err
    page.write_text("".join(f"<!-- written by `{models.MARK}`: {which} -->\n" for which in ("begin", "end")))
    monkeypatch.setattr(fakes["brightness"], "card", Card(figures={"top1": 0.8765, "ece": 0.1, "box_ap50": 0.5}))
    assert run("models", "--write", page) == (0, "", "")
    rows = [line for line in page.read_text().splitlines() if line.startswith("| [")]
    assert len(rows) == len(fakes)
    assert any(row.startswith("| [brightness]") and row.endswith("| top-1 0.876, box AP50 0.500 |") for row in rows)


def test_choose_keeps_the_order_asked_for(fakes: dict[str, AnyPredictor]) -> None:
    settings = Settings(predictors=["brightness"])
    assert list(inside.choose(settings)) == ["brightness"]
    assert list(inside.choose(settings, ["plain", "brightness"])) == ["plain", "brightness"]
    with pytest.raises(typer.Exit):
        inside.choose(settings, ["plain", "nonsense"])
