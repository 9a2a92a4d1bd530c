"""Losses that the libraries do not have, or do not let one choose."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.detection.roi_heads import RoIHeads


class LabelledRoIHeads(RoIHeads):
    """RoI heads whose labels are learnt by the focal loss (Lin et al. 2017, arXiv:1708.02002), over the softmax: easy
    regions, nearly all of them background, weigh little. The last `silent` classes are one with the background on
    photos on which they are not outlined, whose targets then say `partial`."""

    gamma: float
    silent: int
    _labels: list[Tensor]
    _partial: list[bool]

    @classmethod
    def taking_over(cls, heads: RoIHeads, gamma: float, silent: int = 0) -> "LabelledRoIHeads":
        """The same heads with another loss; torchvision lets neither the class nor the loss be chosen."""
        own = cls.__new__(cls)
        own.__dict__.update(heads.__dict__)
        own.gamma, own.silent = gamma, silent
        own.box_predictor.register_forward_hook(own._keep)
        return own

    def _keep(self, _: nn.Module, __: Any, output: tuple[Tensor, Tensor]) -> None:
        if self.training:
            self._logits = output[0]

    def select_training_samples(self, proposals: list[Tensor], targets: list[dict[str, Tensor]]) -> Any:
        chosen = super().select_training_samples(proposals, targets)
        self._labels = chosen[2]
        self._partial = [bool(one.get("partial", False)) for one in targets]
        return chosen

    def forward(self, *given: Any) -> Any:
        result, losses = super().forward(*given)
        if self.training:
            counts = [len(labels) for labels in self._labels]
            partial = torch.tensor(np.repeat(self._partial, counts), device=self._logits.device)
            losses["loss_classifier"] = label_loss(
                self._logits, torch.cat(self._labels), self.gamma, self.silent, partial
            )
            del self._logits, self._labels, self._partial
        return result, losses


def label_loss(logits: Tensor, labels: Tensor, gamma: float, silent: int, partial: Tensor) -> Tensor:
    """`focal_loss`, in the rows that are `partial` with the last `silent` classes counted as background, the first.

    `logits` (rows, classes), `labels` (rows,) int64, `partial` (rows,) bool.
    """
    if not silent:
        return focal_loss(logits, labels, gamma)
    known = logits.shape[1] - silent
    nothing = torch.cat([logits[:, :1], logits[:, known:]], 1).logsumexp(1, keepdim=True)
    rest = logits.new_full((len(logits), silent), -torch.inf)
    merged = torch.cat([nothing, logits[:, 1:known], rest], 1)
    return focal_loss(torch.where(partial[:, None], merged, logits), labels, gamma)


def focal_loss(logits: Tensor, labels: Tensor, gamma: float) -> Tensor:
    """Mean of `(1 - p) ** gamma * -log(p)` over rows, p the softmax share of the right label; gamma 0 is cross-entropy.

    `logits` (rows, classes), `labels` (rows,) int64.
    """
    log_p = nn.functional.log_softmax(logits, dim=1).gather(1, labels[:, None])[:, 0]
    return -((1 - log_p.exp()) ** gamma * log_p).mean()


def binary_cross_entropy(logits: Tensor, labels: Tensor, smoothing: float = 0.0, missing: int = -1) -> Tensor:
    """One yes or no for each class, summed over the classes, mean over the rows whose label is not `missing`.

    `logits` (rows, classes), `labels` (rows,) int64. Zero where every label is missing.
    """
    kept = labels != missing
    if not kept.any():
        return logits.sum() * 0
    wanted = functional.one_hot(labels[kept], logits.shape[1]).to(logits.dtype)
    wanted = wanted * (1 - smoothing) + smoothing / 2
    return functional.binary_cross_entropy_with_logits(logits[kept], wanted, reduction="none").sum(1).mean()


def squared_emd(logits: Tensor, labels: Tensor) -> Tensor:
    """Squared earth mover's distance between the softmax shares and the right label, where labels are grades in their
    order: to be off by two costs more than by one (Hou, Yu, Samaras 2016, arXiv:1611.05916). Mean over rows.

    `logits` (rows, grades), `labels` (rows,) int64.
    """
    given = logits.softmax(1).cumsum(1)
    wanted = functional.one_hot(labels, logits.shape[1]).to(logits.dtype).cumsum(1)
    return (given - wanted).square().sum(1).mean()


def adjustment(labels: np.ndarray, classes: int, strength: float = 1.0) -> Tensor:
    """What is added to the logits in training so that rare classes need no luck: `strength` times the logarithm of each
    class's share (Menon et al. 2020, arXiv:2007.07314). A class without any photo counts as one of half a photo.

    `labels` (photos,) int; the result (classes,) float32.
    """
    counts = np.maximum(np.bincount(labels, minlength=classes), 0.5)
    return torch.from_numpy(strength * np.log(counts / counts.sum())).float()


def mixed(inputs: Tensor, alpha: float) -> tuple[Tensor, Tensor, float]:
    """Mixup (Zhang et al. 2017, arXiv:1710.09412): each row blended with another, one share for the whole batch, from
    Beta(`alpha`, `alpha`). On cached activations it is manifold mixup (Verma et al. 2018, arXiv:1806.05236).

    `inputs` (rows, …); returned are the blend, the other rows' numbers, and the share of the row itself. Random numbers
    are torch's, whose state a checkpoint keeps.
    """
    share = float(torch.distributions.Beta(alpha, alpha).sample())
    others = torch.randperm(len(inputs))
    return inputs * share + inputs[others] * (1 - share), others, share
