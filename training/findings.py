"""What a network said of each validation photo, and all figures that follow from it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.answers import softmax
from models.predictors.attributes import YAW, circular_mean
from training import calibrate, metrics
from training.data.annotated import Annotated
from training.doubtful import Doubts
from training.joined import Placed
from training.metrics import Matched

Pixels = NDArray[np.uint8]
BINS = 15


@dataclass(frozen=True, slots=True)
class Head:
    """One head on the photos that have a label for it: `logits` (photos, labels), `truth` the number of the true label.

    `read(n)` gives the n-th photo, RGB uint8 (height, width, 3), as the network was shown it before scaling. `graded`:
    the labels are grades, in their order; `rule`: what a plain rule says of each photo, to be beaten."""

    name: str
    labels: list[str]
    files: list[str]
    logits: NDArray[np.generic]
    truth: NDArray[np.int64]
    temperature: float
    read: Callable[[int], Pixels]
    graded: bool = False
    rule: NDArray[np.int64] | None = None

    @property
    def shares(self) -> NDArray[np.float64]:
        """Calibrated probabilities (photos, labels)."""
        return softmax(self.logits, self.temperature)

    def without(self, doubts: Doubts) -> "Head":
        """The same on the photos whose label is not doubted."""
        truth = [self.labels[n] for n in self.truth]
        keep = [n for n, file in enumerate(self.files) if not doubts.holds(file, truth[n])]
        if not keep:
            raise ValueError(f"every photo of {self.name} is doubted: nothing is left to measure on")
        files, kept = [self.files[n] for n in keep], np.array(keep, np.int64)
        read = self.read
        return replace(
            self,
            files=files,
            logits=self.logits[kept],
            truth=self.truth[kept],
            read=lambda n: read(keep[n]),
            rule=None if self.rule is None else self.rule[kept],
        )

    def matrix(self) -> NDArray[np.int64]:
        """Photos by true label (row) and given label (column)."""
        return metrics.confusion(self.truth, self.logits.argmax(axis=1), len(self.labels))

    def calibration(self, temperature: float) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Confidence at a temperature, and which photos are right."""
        shares = softmax(self.logits, temperature)
        return shares.max(axis=1), shares.argmax(axis=1) == self.truth

    def worst(self, count: int) -> list[int]:
        """The wrong photos, the surest first."""
        best, right = self.calibration(self.temperature)
        wrong = np.flatnonzero(~right)
        return [int(n) for n in wrong[np.argsort(-best[wrong], kind="stable")][:count]]

    def figures(self) -> dict[str, Any]:
        """All figures of the head; `yaw` where its labels are the sides a vehicle is seen from."""
        given, ranked = self.logits.argmax(axis=1), np.argsort(-self.shares, axis=1)
        classes = metrics.per_class(self.truth, given, self.labels)
        before, after = self.calibration(1.0), self.calibration(self.temperature)
        found: dict[str, Any] = {
            "photos": len(self.files),
            "top1": float((given == self.truth).mean()),
            "top5": float((ranked[:, :5] == self.truth[:, None]).any(axis=1).mean()),
            "macro_f1": metrics.macro_f1(classes),
            "classes": classes,
            "confused": metrics.most_confused(self.matrix(), self.labels),
            "calibration": {
                "temperature": self.temperature,
                "ece_before": metrics.expected_calibration_error(*before, BINS),
                "ece": metrics.expected_calibration_error(*after, BINS),
                "bins_before": metrics.reliability(*before, BINS),
                "bins": metrics.reliability(*after, BINS),
            },
        }
        if len(self.labels) <= 5:
            del found["top5"]  # all of them
        if self.graded:
            found["grade_error"] = metrics.grade_error(self.truth, given)
        if self.rule is not None:
            found["rule_macro_f1"] = metrics.macro_f1(metrics.per_class(self.truth, self.rule, self.labels))
        if set(self.labels) <= set(YAW):
            found["yaw"] = self._yaw()
        return found

    def _yaw(self) -> dict[str, float]:
        angles = np.array([YAW[label] for label in self.labels], np.float64)
        found = np.array([circular_mean(angles, share)[0] for share in self.shares])
        error = metrics.angular_error(found, angles[self.truth])
        return {
            "mean_error": float(error.mean()),
            "median_error": float(np.median(error)),
            "over_45": float((error > 45).mean()),
        }


@dataclass(frozen=True, slots=True)
class Instances:
    """COCO results on annotated photos (`boxes`, and `masks` where there are any), and what was found on photos that
    show nothing (`quiet`: label and score of each detection). `read` and `read_quiet` give a photo by its file.
    `mirror`: for each label that of its mirror image, itself but for sides; `close`: the same on close-ups; `more`: on
    held back photos of another archive; `settled`: the same, its sides settled by the view; `placed`: damages on parts;
    `fresh`: others, by which nothing was chosen.
    """

    labels: list[str]
    thresholds: dict[str, float]
    photos: list[Annotated]
    boxes: list[dict[str, Any]]
    masks: list[dict[str, Any]]
    quiet_files: list[str]
    quiet: list[list[tuple[int, float]]]
    read: Callable[[str], Pixels]
    read_quiet: Callable[[str], Pixels]
    mirror: list[int] = field(default_factory=list)
    close: "Instances | None" = None
    more: "Instances | None" = None
    settled: "Instances | None" = None
    placed: list[Placed] = field(default_factory=list)
    fresh: list[Placed] = field(default_factory=list)

    def at(self, thresholds: dict[str, float]) -> "Instances":
        """The same with other thresholds, wherever they count."""
        return replace(
            self,
            thresholds=thresholds,
            close=self.close.at(thresholds) if self.close else None,
            more=self.more.at(thresholds) if self.more else None,
            settled=self.settled.at(thresholds) if self.settled else None,
        )

    def everywhere(self) -> tuple[list[Annotated], list[dict[str, Any]]]:
        """The photos and those of another archive, numbered anew, and the boxes found on all of them."""
        photos, boxes = [], []
        for one in (self, self.more) if self.more else (self,):
            numbers = {photo.id: len(photos) + n for n, photo in enumerate(one.photos, start=1)}
            photos += [replace(photo, id=numbers[photo.id]) for photo in one.photos]
            boxes += [{**box, "image_id": numbers[box["image_id"]]} for box in one.boxes]
        return photos, boxes

    @property
    def limits(self) -> list[float]:
        """The thresholds in the order of the labels."""
        return [self.thresholds.get(label, 0.5) for label in self.labels]

    def without(self, doubts: Doubts) -> "Instances":
        """The same on the photos whose labels are not doubted; `sound` is the given label of the quiet ones."""
        photos = [photo for photo in self.photos if not doubts.holds(photo.file, "")]
        if not photos:
            raise ValueError("every photo is doubted: nothing is left to measure on")
        kept = {photo.id for photo in photos}
        quiet = [n for n, file in enumerate(self.quiet_files) if not doubts.holds(file, "sound")]
        return replace(
            self,
            photos=photos,
            boxes=[one for one in self.boxes if one["image_id"] in kept],
            masks=[one for one in self.masks if one["image_id"] in kept],
            quiet_files=[self.quiet_files[n] for n in quiet],
            quiet=[self.quiet[n] for n in quiet],
            settled=self.settled.without(doubts) if self.settled else None,
        )

    def matched(self) -> list[Matched]:
        """The detections of each label against its objects, boxes at IoU 0.5."""
        return [metrics.matched(self.photos, self.boxes, n) for n in range(len(self.labels))]

    def sure(self) -> list[dict[str, Any]]:
        """The boxes whose score reaches their label's threshold."""
        return [one for one in self.boxes if one["score"] >= self.limits[one["category_id"]]]

    def loud(self) -> list[list[int]]:
        """For each quiet photo the labels that have a detection at or above their threshold."""
        return [sorted({n for n, score in found if score >= self.limits[n]}) for found in self.quiet]

    def figures(self, of: Sequence[Matched] | None = None) -> dict[str, Any]:
        """All figures; `of` are the matched detections where they are at hand."""
        of = of or self.matched()
        box = metrics.average_precisions(self.photos, self.boxes, self.labels, "bbox")
        classes = box.pop("classes")
        found: dict[str, Any] = {"photos": len(self.photos), "box": box}
        masks = [{}] * len(self.labels)
        if self.masks:
            found["mask"] = metrics.average_precisions(self.photos, self.masks, self.labels, "segm")
            masks = found["mask"].pop("classes")
        found["classes"] = [
            {
                "label": label,
                "support": len(of[n].objects),
                "threshold": self.limits[n],
                **of[n].at(self.limits[n]),
                **{f"box_{key}": value for key, value in classes[n].items() if key != "label"},
                **{f"mask_{key}": value for key, value in masks[n].items() if key != "label"},
            }
            for n, label in enumerate(self.labels)
        ]
        found["macro_f1"] = metrics.macro_f1(found["classes"])
        for name, damages in (("placed", self.placed), ("placed_fresh", self.fresh)):
            if damages:
                found[name] = [one.as_row() for one in damages]
        if self.quiet:
            loud = self.loud()
            found["quiet"] = {
                "photos": len(loud),
                "called": sum(bool(labels) for labels in loud),
                "share": sum(bool(labels) for labels in loud) / len(loud),
                "classes": {label: sum(n in one for one in loud) for n, label in enumerate(self.labels)},
            }
            found |= self._damaged_score()
        return found

    def _damaged_score(self) -> dict[str, Any]:
        fitted = calibrate.presence(self.photos, self.boxes, self.quiet, self.limits)
        return {"damaged_score": {name: getattr(fitted, name) for name in fitted.__slots__}} if fitted else {}
