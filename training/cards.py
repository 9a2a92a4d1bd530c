"""Model cards: Markdown made from a manifest, and from the figures of a report where there is one."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from models.manifest import Manifest

FIGURES = "figures.json"
"""The file of a report's folder with all that was measured."""

KINDS = {
    "instances": "finds things in a photo: a box, an outline, a label and a score for each",
    "boxes": "finds things in a photo: a box, a label and a score for each",
    "classifier": "gives a photo one label of many, with a score for each",
    "heads": "gives a photo one label of each of several kinds, with a score for every label",
}
DETECTORS = ("instances", "boxes")
"""Kinds that may find nothing in a photo."""

RARE = 50
"""A label with fewer validation photos (or objects) has figures that say little."""
WEAK, MISCALIBRATED, CONFUSED = 0.5, 0.05, 0.15
ELSEWHERE = (
    "The validation photos are of the same making as the training photos. On photos from elsewhere (other cameras, "
    "countries, weather, light, dirt) expect less."
)
READING = "This is a plain reading of the terms; where it differs from them, they hold."
RESEARCH = (
    "Allowed: research, teaching, trying it out and comparing, where nothing is earned by it.",
    "Not allowed: running it in a product, a service or a business, selling it, or going on from it for any of these.",
    "For other uses: train on photos you have the rights to, from a start that allows it (below).",
)
NAMES = {
    "top1": "right label first (top-1)",
    "top5": "right label among five (top-5)",
    "macro_f1": "macro F1",
    "grade_error": "grades off, in the mean",
    "rule_macro_f1": "macro F1 of always saying the commonest grade of the class",
    "ece": "calibration error (ECE)",
    "recognised": "share of photos recognised",
    "recognised_right": "right among those recognised",
    "box_ap": "box AP (COCO)",
    "box_ap50": "box AP50",
    "box_ap75": "box AP75",
    "mask_ap": "mask AP (COCO)",
    "mask_ap50": "mask AP50",
    "mask_ap75": "mask AP75",
    "close_box_ap": "box AP on close-ups",
    "close_box_ap50": "box AP50 on close-ups",
    "close_mask_ap": "mask AP on close-ups",
    "close_mask_ap50": "mask AP50 on close-ups",
    "more_box_ap": "box AP on held back photos of the second source",
    "more_box_ap50": "box AP50 on them",
    "more_mask_ap": "mask AP on them",
    "more_mask_ap50": "mask AP50 on them",
    "sides_mixed_up": "left taken for right, of what is found at its place",
    "sides_mixed_up_settled": "the same, once the orientation has settled sides",
    "close_sides_mixed_up": "left taken for right on close-ups",
    "close_sides_mixed_up_settled": "the same, once the orientation has settled sides",
    "more_sides_mixed_up": "left taken for right on the held back photos of the second source",
    "more_sides_mixed_up_settled": "the same, once the orientation has settled sides",
    "damage_part_right": "damages whose part is named rightly, or rightly none (60 damages)",
    "damage_part_right_where_labelled": "the same, damages on parts that have a label",
    "damage_part_right_fresh": "damages whose part is named rightly, or rightly none (60 others that had no say)",
    "damage_part_right_fresh_where_labelled": "the same, damages on parts that have a label",
    "image_recall": "photos with something to find, where something is found (image recall)",
    "image_false_alarm_rate": "photos with nothing to find, where something is found (image false-alarm rate)",
    "main": "main vehicle is the right one (made-up wide photos)",
    "main_large": "the same, car over 30 % of the width",
    "main_attributes": "the same, cut-out cars",
    "main_car_details": "the same, crops",
    "attributes_orientation_auto": "orientation right from the region found",
    "attributes_orientation_whole": "orientation right from the whole photo",
    "attributes_orientation_box": "orientation right from the true box",
    "car_details_label_auto": "make, model, year right from the region found",
    "car_details_label_whole": "make, model, year right from the whole photo",
    "car_details_label_box": "make, model, year right from the true box",
}


def read(folder: Path) -> dict[str, Any]:
    """The figures of a report's folder. Raises `FileNotFoundError` or `ValueError` with the file."""
    path = folder / FIGURES
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; `carlens evaluate NAME --data DATA --report {folder}` makes it")
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not JSON ({error})") from None
    kind = "instances" if isinstance(told, dict) and told.get("kind") == "instances" else "heads"
    wanted = {"name", "sha256", "command", "figures", kind}
    if not isinstance(told, dict) or told.get("format") != 1 or not wanted <= set(told):
        raise ValueError(f"{path}: not the figures of a report, format 1")
    return told


def card(manifest: Manifest, report: dict[str, Any] | None = None) -> str:
    """The card. `report` is what `figures.json` holds; `ValueError` where it is of other weights."""
    if report is not None and (report["name"], report["sha256"]) != (manifest.name, manifest.sha256):
        raise ValueError(
            f"the report is of {report['name']} sha256:{report['sha256'][:12]}, the weights are {manifest.name} "
            f"sha256:{manifest.sha256[:12]}: measure these with `carlens evaluate {manifest.name} --data DATA "
            "--report DIR`"
        )
    parts = [
        f"# {manifest.name}\n\n{manifest.summary}. Version {manifest.version}.",
        _what(manifest),
        _use(manifest),
        _terms(manifest),
        _training(manifest),
        _figures(manifest, report),
        *([int8(manifest)] if manifest.int8 else []),
        _section("Known weaknesses", _bullets(weaknesses(manifest, report))),
        _retrain(manifest),
    ]
    return "\n\n".join(parts) + "\n"


def _section(title: str, text: str) -> str:
    return f"## {title}\n\n{text}"


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(_cell(value) for value in line) + " |" for line in lines)


def _cell(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value).replace("|", "\\|")


def _plain(label: str) -> str:
    return label.replace("_", " ")


def _listed(names: Sequence[str], most: int = 30) -> str:
    shown = ", ".join(map(_plain, names[:most]))
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _what(manifest: Manifest) -> str:
    size = manifest.input
    rows = [
        ["task", KINDS[manifest.kind]],
        ["network", manifest.architecture],
        ["reads", f"the photo, or the part of it that is named, scaled to {size.width} x {size.height} pixels"],
        *[[f"labels ({_plain(head)}, {len(names)})", _listed(names)] for head, names in manifest.labels.items()],
        ["file", f"`{manifest.name}.safetensors`, sha256 `{manifest.sha256}`"],
    ]
    return _section("What it does", _table(["", ""], rows))


def _use(manifest: Manifest) -> str:
    meant = {
        "instances": "Pointing a person to the places of a photo that deserve a look, and sorting photos for that.",
        "boxes": "Finding the part of a photo that others read, and counting and sorting by what is in it.",
        "classifier": "Suggesting a label that a person confirms, and sorting photos by it.",
        "heads": "Sorting and searching photos by what they show, and filling in forms that a person checks.",
    }[manifest.kind]
    against = [
        "Deciding alone about money, guilt, safety or a claim: each answer can be wrong, and a score is no proof.",
        "Telling that something is not there: what the network does not find may still be.",
        "Photos unlike those it was measured on, before it has been measured on them.",
        "Anything about the people in a photo.",
    ]
    return _section("Use", f"Meant for: {meant[0].lower() + meant[1:]}\n\nNot meant for:\n\n{_bullets(against)}")


def _terms(manifest: Manifest) -> str:
    weights, why = manifest.licence.weights, manifest.licence.why
    text = (
        f"**{weights[:1].upper()}{weights[1:]}**: {why}. The terms of data and starting weights pass on to the weights."
    )
    lines = []
    if "research" in weights.lower() or "non-commercial" in weights.lower():
        lines = [*RESEARCH]
    else:
        lines = ["What is allowed is what that licence says; the code's licence does not widen it."]
    return _section("Data and terms", f"{text}\n\n{_bullets(lines)}\n\n{READING}")


def _training(manifest: Manifest) -> str:
    of = manifest.training
    rows = [
        ["data", ", ".join(f"`{name}`" for name in of.data) or "not stated"],
        ["start", f"`{of.start}`"],
        ["length", f"{of.epochs:g} epochs, {of.steps} steps, {of.hours:g} hours"],
        ["machine", of.machine],
        ["recipe", f"`{of.recipe}`"],
    ]
    return _section("Training", _table(["", ""], rows))


def _figures(manifest: Manifest, report: dict[str, Any] | None) -> str:
    figures = report["figures"] if report else manifest.figures
    without = (report or {}).get("doubtful", {}).get("figures")
    columns = ["figure", "value", *(["without doubtful labels"] if without else [])]
    rows = [[_named(name), value, *([without.get(name, "")] if without else [])] for name, value in figures.items()]
    told = f"On validation photos, by `{report['command'] if report else manifest.figures_command}`."
    parts = [told, _table(columns, rows)]
    for head, classes in _classes(report):
        shown = sorted(classes, key=lambda one: one["f1"])[:20] if len(classes) > 40 else classes
        which = f", the 20 weakest of {len(classes)}" if len(shown) < len(classes) else ""
        keys = [key for key in ("support", "threshold", "precision", "recall", "f1", "box_ap50") if key in shown[0]]
        titles = {"support": "number", "f1": "F1", "box_ap50": "box AP50"}
        rows = [[_plain(one["label"]), *(one[key] for key in keys)] for one in shown]
        parts.append(f"By {_plain(head)}{which}:")
        parts.append(_table(["label", *(titles.get(key, key) for key in keys)], rows))
    return _section("Figures", "\n\n".join(parts))


INT8 = "In int8"
"""The section's title."""


def int8(manifest: Manifest) -> str:
    """The section about the int8 graphs; `ValueError` where nothing was measured of them."""
    stated = manifest.int8
    if stated is None:
        raise ValueError(f"{manifest.name}: the manifest has no int8 figures")
    rows = []
    for name, value in stated.figures.items():
        plain = manifest.figures.get(name)
        rows.append([_named(name), *(("", value, "") if plain is None else (plain, value, f"{value - plain:+.3f}"))])
    told = (
        f"By the backend `{stated.backend}`, which has to be asked for: quicker, with these differences. Measured by "
        f"`{stated.figures_command}`; the ranges of activations are from {stated.photos} training photos."
    )
    return _section(INT8, f"{told}\n\n{_table(['figure', 'value', 'int8', 'difference'], rows)}")


def _named(figure: str) -> str:
    if figure in NAMES:
        return NAMES[figure]
    if figure.startswith("box_ap50_"):
        return f"box AP50, {_plain(figure.removeprefix('box_ap50_'))}"
    if figure.endswith("_ece"):
        return f"calibration error (ECE), {_plain(figure.removesuffix('_ece'))}"
    return _plain(figure)


def _classes(report: dict[str, Any] | None) -> list[tuple[str, list[dict[str, Any]]]]:
    if report is None:
        return []
    if "instances" in report:
        return [("label", report["instances"]["classes"])]
    return [(head, found["classes"]) for head, found in report["heads"].items()]


def weaknesses(manifest: Manifest, report: dict[str, Any] | None = None) -> list[str]:
    """What the figures say against the weights, one sentence each; the manifest's own notes last."""
    found = [ELSEWHERE]
    found += _of_figures(manifest.figures if report is None else report["figures"])
    for head, classes in _classes(report):
        found += _of_classes(head, classes)
    if report is not None:
        found += _of_instances(report.get("instances", {}))
        for head, figures in report.get("heads", {}).items():
            found += _of_head(head, figures)
        if "doubtful" in report:
            found.append(f"The labels of {report['doubtful']['photos']} validation photos are doubted.")
    years = [row.year for row in manifest.table if row.year]
    if years:
        found.append(f"Its models are of {min(years)} to {max(years)}: a newer one is called by an older name.")
    if manifest.kind not in DETECTORS:
        found.append("It always gives one of its labels, also to a photo that shows none of them.")
    elif "image_false_alarm_rate" not in manifest.figures:
        found.append("How often it finds something where there is nothing has not been measured.")
    if manifest.training.notes:
        found.append(manifest.training.notes)
    return found


def _of_figures(figures: dict[str, Any]) -> list[str]:
    """What holds with or without a report."""
    found = []
    for name, value in figures.items():
        if name.startswith("box_ap50_") and value < WEAK:
            found.append(f"Weak at {_plain(name.removeprefix('box_ap50_'))}: box AP50 is {value:.2f}.")
        if (name == "ece" or name.endswith("_ece")) and value > MISCALIBRATED:
            of = _plain(name.removesuffix("ece").strip("_"))
            found.append(f"Its scores{' for ' + of if of else ''} are off by {100 * value:.0f} points on average.")
    if "recognised" in figures:
        found.append(f"It recognises {100 * figures['recognised']:.0f} % of the photos; of the others it is not sure.")
    if figures.get("image_false_alarm_rate"):
        share = 100 * figures["image_false_alarm_rate"]
        found.append(f"It finds something in {share:.0f} % of the photos that have nothing to find.")
    return found


def _of_classes(head: str, classes: list[dict[str, Any]]) -> list[str]:
    of, found = "" if head == "label" else f" ({_plain(head)})", []
    rare = [one["label"] for one in classes if one["support"] < RARE]
    if rare:
        which = f"all {len(rare)} labels" if len(rare) == len(classes) else _listed(rare, 12)
        found.append(f"Measured on fewer than {RARE} each, so figures that say little{of}: {which}.")
    for key, text in (("recall", "Misses more than half of"), ("precision", "Wrong more than half of the time on")):
        weak = [one for one in sorted(classes, key=lambda one: one[key]) if one[key] < WEAK and one["support"]]
        if weak:
            listed = _listed([f"{one['label']} ({key} {one[key]:.2f})" for one in weak], 8)
            found.append(f"{text}{of}: {listed}.")
    return found


def _of_instances(figures: dict[str, Any]) -> list[str]:
    found = []
    sizes = figures.get("box", {}).get("sizes", {})
    small, large = sizes.get("small"), sizes.get("large")
    if small is not None and large is not None and small < large / 2:
        found.append(f"Small things are found far less well than large ones: box AP {small:.2f} and {large:.2f}.")
    quiet = figures.get("quiet", {}).get("classes", {})
    loudest = max(quiet, key=lambda label: quiet[label], default=None)
    if loudest is not None and quiet[loudest]:
        found.append(f"Most of its false alarms are {_plain(loudest)}.")
    return found


def _of_head(head: str, figures: dict[str, Any]) -> list[str]:
    found = []
    often = [pair for pair in figures["confused"] if pair["share"] >= CONFUSED and pair["photos"] >= 3][:5]
    if often:
        pairs = ", ".join(f"{_plain(p['true'])} for {_plain(p['given'])} ({100 * p['share']:.0f} %)" for p in often)
        of = "" if head == "label" else f" ({_plain(head)})"
        found.append(f"Takes{of} {pairs}.")
    if "yaw" in figures:
        yaw = figures["yaw"]
        found.append(
            f"Its angle is off by {yaw['mean_error']:.0f} degrees on average, by over 45 in "
            f"{100 * yaw['over_45']:.0f} % of the photos."
        )
    return found


def _retrain(manifest: Manifest) -> str:
    if manifest.kind == "boxes":
        text = "It is not trained here: these weights are converted from those that others released."
        return _section("How to make it anew", f"{text}\n\n```sh\ncarlens import-yolox yolox_nano.onnx --out DIR\n```")
    name, recipe = manifest.name, manifest.training.recipe
    commands = [
        f"carlens train {recipe} --data DATA --out runs/{name}",
        f"carlens evaluate {name} --data DATA --weights runs/{name}/weights --report runs/{name}/report",
        f"carlens card {name} --weights runs/{name}/weights --report runs/{name}/report",
        f"CARLENS_WEIGHTS_DIR=runs/{name}/weights carlens serve",
    ]
    text = "The recipe says which photos are read and how; `training/README.md` says how to use your own."
    return _section("How to train it anew", f"{text}\n\n```sh\n" + "\n".join(commands) + "\n```")
