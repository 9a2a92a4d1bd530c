"""A report of one evaluation: a folder with `report.html`, its pictures, and `figures.json`."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from models.manifest import Manifest
from training import charts, sheets
from training.cards import FIGURES
from training.charts import Picture
from training.findings import Head, Instances

SHOWN = 40
"""A table shows so many labels, those with the lowest F1 first where there are more; `figures.json` has all."""


@dataclass(frozen=True, slots=True)
class Doubtful:
    """What was left out, and the figures of the rest."""

    source: str
    photos: int
    figures: dict[str, float]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text and numbers; a column in `bars` holds shares of 1, which are drawn too."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    bars: frozenset[str] = frozenset()
    note: str = ""


@dataclass(slots=True)
class Section:
    """One part of the report."""

    title: str
    text: str = ""
    tiles: list[tuple[str, str]] = field(default_factory=list)
    pictures: list[tuple[str, Picture]] = field(default_factory=list)
    tables: list[tuple[str, Table]] = field(default_factory=list)
    sheets: list[tuple[str, str, tuple[int, int]]] = field(default_factory=list)


def document(
    manifest: Manifest,
    found: list[Head] | Instances,
    figures: dict[str, float],
    command: str,
    doubtful: Doubtful | None,
) -> dict[str, Any]:
    """What `figures.json` holds: `figures` as the manifest's, `heads` by name or `instances` with all details, and
    `doubtful` where labels are doubted. Numbers have four digits."""
    told: dict[str, Any] = {
        "format": 1,
        **{key: getattr(manifest, key) for key in ("name", "kind", "summary", "version", "architecture", "sha256")},
        "recipe": manifest.training.recipe,
        "command": command,
        "figures": figures,
        "claimed": manifest.figures,
    }
    if isinstance(found, Instances):
        told["instances"] = found.figures()
    else:
        told["heads"] = {head.name: head.figures() for head in found}
    if doubtful is not None:
        told["doubtful"] = {"source": doubtful.source, "photos": doubtful.photos, "figures": doubtful.figures}
    rounded: dict[str, Any] = _rounded(told)
    return rounded


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(one) for one in value]
    return round(value, 4) if isinstance(value, float) else value


def write(folder: Path, told: dict[str, Any], found: list[Head] | Instances) -> Path:
    """Writes the folder; `told` is what `document` gave. Returns the page."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FIGURES).write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    sections = [_overview(told)]
    if isinstance(found, Instances):
        sections += _instances(folder, told["instances"], found)
    else:
        sections += [_head(folder, told["heads"][head.name], head) for head in found]
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["number"] = number
    page = environment.get_template("report.html").render(told=told, sections=sections)
    path = folder / "report.html"
    path.write_text(page, encoding="utf-8")
    return path


def number(value: Any) -> str:
    """A cell: shares and other fractions with three digits, whole numbers and text as they are."""
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def percent(value: float) -> str:
    """A share of 1 as text."""
    return f"{100 * value:.1f} %"


def _overview(told: dict[str, Any]) -> Section:
    columns, rows = ["figure", "measured", "in the manifest"], []
    without = told.get("doubtful", {}).get("figures")
    if without is not None:
        columns.append("without doubtful labels")
    for name, value in told["figures"].items():
        row = [name, value, told["claimed"].get(name)]
        rows.append(row if without is None else [*row, without.get(name)])
    section = Section("All figures")
    if without is not None:
        section.text = (
            f"The labels of {told['doubtful']['photos']} photos are doubted ({told['doubtful']['source']}); the last "
            "column and no other leaves them out."
        )
    section.tables.append(("", Table(columns, rows)))
    return section


def _head(folder: Path, told: dict[str, Any], head: Head) -> Section:
    section = Section(head.name.replace("_", " ").capitalize() if head.name != "label" else "Labels")
    section.tiles = [("photos", str(told["photos"])), ("top-1", percent(told["top1"]))]
    if "top5" in told:
        section.tiles.append(("top-5", percent(told["top5"])))
    section.tiles.append(("macro F1", f"{told['macro_f1']:.3f}"))
    if "grade_error" in told:
        section.tiles.append(("grades off, mean", f"{told['grade_error']:.3f}"))
    if "rule_macro_f1" in told:
        section.tiles.append(("macro F1 of the rule", f"{told['rule_macro_f1']:.3f}"))
    if "yaw" in told:
        section.tiles.append(("mean yaw error", f"{told['yaw']['mean_error']:.1f}°"))
        section.tiles.append(("median yaw error", f"{told['yaw']['median_error']:.1f}°"))
        section.tiles.append(("over 45° off", percent(told["yaw"]["over_45"])))
    calibration = told["calibration"]
    section.tiles.append(("calibration error", percent(calibration["ece"])))
    text = "Confusion: true labels down, given labels across. Colour is the share of the true label's photos."
    if len(head.labels) > charts.LABELLED:
        text += " Labels run in the manifest's order."
    draw = partial(charts.confusion, head.matrix(), head.labels)
    section.pictures.append((text, charts.save(folder, f"confusion-{head.name}", text, draw)))
    text = (
        f"Calibration: expected error {percent(calibration['ece_before'])} as the network gave it, "
        f"{percent(calibration['ece'])} at temperature {calibration['temperature']:g}. A larger dot is more photos."
    )
    draw = partial(charts.reliability, calibration["bins_before"], calibration["bins"])
    section.pictures.append((text, charts.save(folder, f"reliability-{head.name}", text, draw)))
    section.tables.append(("By label", _classes(told["classes"], ("support", "precision", "recall", "f1"))))
    if told["confused"]:
        rows = [[pair["true"], pair["given"], pair["photos"], pair["share"]] for pair in told["confused"]]
        columns = ["true", "given", "photos", "share of the true"]
        section.tables.append(("Mixed up most often", Table(columns, rows, frozenset(["share of the true"]))))
    _sheet(folder, section, f"worst-{head.name}", "Wrong photos, the surest first", sheets.mistakes(head))
    return section


def _classes(classes: Sequence[dict[str, Any]], keys: Sequence[str]) -> Table:
    """One row a label; the weakest where there are too many."""
    rows, note = list(classes), ""
    if len(rows) > SHOWN:
        rows = sorted(rows, key=lambda one: one["f1"])[:SHOWN]
        note = f"The {SHOWN} of {len(classes)} labels with the lowest F1; {FIGURES} has all."
    names = {"f1": "F1", "support": "number", "box_ap": "box AP", "box_ap50": "box AP50", "box_ap75": "box AP75"}
    names |= {"mask_ap": "mask AP", "mask_ap50": "mask AP50", "mask_ap75": "mask AP75"}
    columns = ["label", *(names.get(key, key) for key in keys)]
    bars = frozenset(columns) - {"label", "number", "threshold"}
    return Table(columns, [[one["label"].replace("_", " "), *(one[key] for key in keys)] for one in rows], bars, note)


def _sheet(folder: Path, section: Section, name: str, text: str, image: Image.Image | None) -> None:
    """Photos belong to whoever took them: they are written here and nowhere else."""
    path = folder / f"{name}.jpg"
    path.unlink(missing_ok=True)
    if image is not None:
        image.save(path, quality=85)
        section.sheets.append((text, path.name, image.size))


def _instances(folder: Path, told: dict[str, Any], found: Instances) -> list[Section]:
    matched = found.matched()
    section = Section("Detections")
    section.tiles = [("photos", str(told["photos"])), ("box AP", f"{told['box']['ap']:.3f}")]
    section.tiles.append(("box AP50", f"{told['box']['ap50']:.3f}"))
    if "mask" in told:
        section.tiles += [(f"mask {key.upper()}", f"{told['mask'][key]:.3f}") for key in ("ap", "ap50")]
    section.tiles.append(("macro F1", f"{told['macro_f1']:.3f}"))
    text = "Precision over recall, boxes at IoU 0.5. The dot is where the manifest's threshold puts the label."
    draw = partial(charts.precision_recall, matched, found.labels, found.limits)
    section.pictures.append((text, charts.save(folder, "precision-recall", text, draw)))
    at = _classes(told["classes"], ("support", "threshold", "precision", "recall", "f1"))
    section.tables.append(("At the thresholds, boxes at IoU 0.5", at))
    kinds = [kind for kind in ("box", "mask") if kind in told]
    keys = [f"{kind}_{key}" for kind in kinds for key in ("ap", "ap50", "ap75")]
    section.tables.append(("Average precision", _classes(told["classes"], keys)))
    columns = ["object", *(f"{kind} AP" for kind in kinds)]
    spans = {"small": "small, to 32 x 32 px", "medium": "medium, to 96 x 96 px", "large": "large"}
    sizes = [[text, *(told[kind]["sizes"][size] for kind in kinds)] for size, text in spans.items()]
    section.tables.append(("By size in the photo", Table(columns, sizes, frozenset(columns[1:]))))
    _sheet(folder, section, "missed", "Missed, the largest first", sheets.missed(found, matched))
    _sheet(folder, section, "false", "Found where nothing is labelled, the surest first", sheets.false(found, matched))
    return [section, *_placed(told), *_quiet(folder, told, found)]


def _placed(told: dict[str, Any]) -> list[Section]:
    titles = {"placed": "Damages on parts", "placed_fresh": "Further damages on parts, by which nothing was chosen"}
    return [_named(title, told[key]) for key, title in titles.items() if key in told]


def _named(title: str, damages: list[dict[str, Any]]) -> Section:
    section = Section(title)
    right = sum(one["right"] for one in damages)
    section.text = (
        f"Of {len(damages)} damages, whose part was written down by looking, {right} are named rightly: by the "
        "part that most of the damage's own outline lies on, or by none where it lies on what has no label."
    )
    rows = [
        [
            one["file"],
            one["label"].replace("_", " "),
            (one["part"] or "none").replace("|", " or ").replace("_", " ") + ("" if one["sure"] else " (not sure)"),
            (one["named"] or "none").replace("_", " "),
            "yes" if one["right"] else "no",
            ", ".join(f"{part.replace('_', ' ')} {share:.2f}" for part, share in one["shares"].items()) or "-",
        ]
        for one in damages
    ]
    columns = ["photo", "damage", "by eye", "named", "right", "shares"]
    section.tables.append(("", Table(columns, rows)))
    return section


def _quiet(folder: Path, told: dict[str, Any], found: Instances) -> list[Section]:
    if "quiet" not in told:
        return []
    quiet = told["quiet"]
    section = Section("Photos that show nothing")
    section.text = f"{quiet['called']} of {quiet['photos']} have a detection at or above its threshold."
    section.tiles = [("photos", str(quiet["photos"])), ("false alarms", percent(quiet["share"]))]
    rows = [
        [label.replace("_", " "), photos, photos / quiet["photos"]]
        for label, photos in sorted(quiet["classes"].items(), key=lambda pair: -pair[1])
    ]
    table = Table(["raised by", "photos", "share"], rows, frozenset(["share"]))
    section.tables.append(("", table))
    _sheet(folder, section, "alarms", "False alarms, the surest first", sheets.alarms(found))
    fitted = told.get("damaged_score")
    if not fitted:
        return [section]
    score = Section("Probability of damage")
    score.text = (
        "From how near the surest detection comes to its threshold, to the probability that the photo shows damage, "
        "for a photo that is as likely damaged as not. Brier scores (0 best, 0.25 a coin) are of photos held back from "
        "the fit; the thresholds were chosen on all of them."
    )
    score.tiles = [("AUC", f"{fitted['auc']:.3f}"), ("Brier", f"{fitted['brier']:.3f}")]
    score.tiles.append(("Brier before", f"{fitted['brier_before']:.3f}"))
    score.tiles.append(("photos", f"{fitted['damaged']} + {fitted['sound']}"))
    text = "Probability over strength; the dashed line is a detection right at its threshold."
    draw = partial(charts.interpolation, fitted["knots"])
    score.pictures.append((text, charts.save(folder, "damaged-score", text, draw)))
    score.tables.append(("Knots", Table(["strength", "probability"], fitted["knots"])))
    return [section, score]
