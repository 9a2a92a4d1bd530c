"""Temperatures, thresholds and the map to a probability of damage: fitted on `val`, kept in the manifest."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold

from models.answers import softmax
from models.predictors.instances import strength as of_detections
from training.data.annotated import Annotated
from training.metrics import matched


def fit_temperature(logits: NDArray[np.floating], truth: NDArray[np.int64]) -> float:
    """The temperature with the least negative log-likelihood (Guo et al. 2017, arXiv:1706.04599), 0.25 to 4."""
    grid = np.exp(np.linspace(np.log(0.25), np.log(4), 121))
    rows = np.arange(len(truth))
    losses = [-np.log(np.clip(softmax(logits, t)[rows, truth], 1e-12, None)).mean() for t in grid]
    return round(float(grid[int(np.argmin(losses))]), 4)


def sure_threshold(confidence: NDArray[np.float64], right: NDArray[np.bool_], precision: float = 0.95) -> float:
    """The lowest score from which on at least `precision` of what reaches it is right; 1 where none does."""
    order = np.argsort(-confidence)
    ranked = confidence[order]
    share = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    last_of_its_score = np.append(ranked[1:] < ranked[:-1], True)  # a threshold cannot part equal scores
    enough = np.flatnonzero((share >= precision) & last_of_its_score)
    return round(float(ranked[enough[-1]]), 4) if len(enough) else 1.0


def detection_thresholds(
    photos: Sequence[Annotated],
    results: list[dict[str, Any]],
    labels: Sequence[str],
    quiet: list[list[tuple[int, float]]],
    false_alarms: float = 0.05,
) -> dict[str, float]:
    """A threshold per class: the one with the best F1 at IoU 0.5, raised where needed, all classes alike, until at most
    `false_alarms` of the undamaged photos have a detection above it. `quiet`: (label, score) pairs of each of those."""
    base = []
    for label in range(len(labels)):
        of = matched(photos, results, label)
        if not of.results:
            base.append(0.5)
            continue
        found = np.cumsum(of.hits)
        f1 = 2 * found / (np.arange(1, len(found) + 1) + len(of.objects))
        base.append(float(of.scores[int(f1.argmax())]))
    for lift in np.arange(0, 1.001, 0.01):
        raised = [threshold + (1 - threshold) * lift for threshold in base]
        loud = sum(any(score >= raised[label] for label, score in one) for one in quiet)
        if loud <= false_alarms * len(quiet):
            break
    return {name: round(min(0.99, value), 4) for name, value in zip(labels, raised, strict=True)}


Scored = Sequence[tuple[int, float]]
"""The detections of one photo: number of the label, score."""


@dataclass(frozen=True, slots=True)
class DamagedScore:
    """A map from `strength` to the probability that a photo shows damage: `numpy.interp(strength, x, y)` over `knots`.

    `auc` is of the strength, whose order the map keeps; `brier` of photos that the map had not seen; `brier_before` of
    the strength itself taken for a probability. Damaged and sound photos count alike, however many there are of each.
    """

    knots: list[tuple[float, float]]
    damaged: int
    sound: int
    auc: float
    brier: float
    brier_before: float


def strength(found: Scored, thresholds: Sequence[float]) -> float:
    """How near a photo's surest detection comes to its class's threshold, as the predictor reckons it."""
    scores, limits = np.array([score for _, score in found]), np.array([thresholds[n] for n, _ in found])
    return of_detections(scores, limits)


def damaged_score(damaged: Sequence[Scored], sound: Sequence[Scored], thresholds: Sequence[float]) -> DamagedScore:
    """Fits the map on photos that show damage and photos that do not; `thresholds` are those of the labels, in order.

    The probability is that of a photo which is as likely damaged as not. Raises `ValueError` where there are fewer than
    two photos of a kind: nothing could be held back to judge the map."""
    x = np.array([strength(found, thresholds) for found in (*damaged, *sound)])
    y = np.array([1] * len(damaged) + [0] * len(sound))
    folds = min(5, len(damaged), len(sound))
    if folds < 2:
        raise ValueError(
            f"{len(damaged)} photos with damage and {len(sound)} without: two of each are needed for a damaged score"
        )
    unseen = np.empty(len(x))
    for known, held in StratifiedKFold(folds, shuffle=True, random_state=0).split(x, y):
        unseen[held] = np.interp(x[held], *np.array(_monotone(x[known], y[known])).T)
    weight = _balanced(y)
    return DamagedScore(
        knots=_monotone(x, y),
        damaged=len(damaged),
        sound=len(sound),
        auc=round(float(roc_auc_score(y, x)), 4),
        brier=round(float(brier_score_loss(y, unseen, sample_weight=weight)), 4),
        brier_before=round(float(brier_score_loss(y, x, sample_weight=weight)), 4),
    )


def presence(
    photos: Sequence[Annotated], boxes: list[dict[str, Any]], quiet: Sequence[Scored], thresholds: Sequence[float]
) -> DamagedScore | None:
    """`damaged_score` of the detections on `photos` and on those that show nothing; None where one kind is too few.

    `boxes` are COCO results on `photos`; photos without an instance count as showing nothing."""
    scored: dict[int, list[tuple[int, float]]] = {photo.id: [] for photo in photos}
    for one in boxes:
        scored[one["image_id"]].append((one["category_id"], one["score"]))
    shown = [scored[photo.id] for photo in photos if photo.instances]
    empty = [*(scored[photo.id] for photo in photos if not photo.instances), *quiet]
    return damaged_score(shown, empty, thresholds) if min(len(shown), len(empty)) >= 2 else None


def _balanced(y: NDArray[np.int64]) -> NDArray[np.float64]:
    """Weights with which both kinds count alike, 1 on average."""
    weight: NDArray[np.float64] = len(y) / 2 / np.bincount(y, minlength=2)[y]
    return weight


def _monotone(x: NDArray[np.float64], y: NDArray[np.int64]) -> list[tuple[float, float]]:
    """Isotonic regression with a knot in the middle of each step, so that it rises all the way (centred isotonic
    regression, Oron & Flournoy 2017); kept off 0 and 1 as Platt (1999) keeps his targets."""
    sound, damaged = np.bincount(y, minlength=2)
    weight = _balanced(y)
    fit = IsotonicRegression(y_min=1 / (sound + 2), y_max=(damaged + 1) / (damaged + 2)).fit(x, y, weight)
    steps = np.round(fit.predict(x), 4)
    knots = {}
    for level in np.unique(steps):
        on = steps == level
        knots[round(float(np.average(x[on], weights=weight[on])), 4)] = float(level)
    return list(knots.items())
