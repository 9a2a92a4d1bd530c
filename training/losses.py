"""Losses that the libraries do not have, or do not let one choose."""

from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection.roi_heads import RoIHeads


class FocalRoIHeads(RoIHeads):
    """RoI heads whose labels are learnt by the focal loss (Lin et al. 2017, arXiv:1708.02002), over the softmax:
    easy regions, nearly all of them background, weigh little."""

    gamma: float = 2.0
    _labels: list[Tensor]

    @classmethod
    def taking_over(cls, heads: RoIHeads, gamma: float) -> "FocalRoIHeads":
        """The same heads with another loss; torchvision lets neither the class nor the loss be chosen."""
        focal = cls.__new__(cls)
        focal.__dict__.update(heads.__dict__)
        focal.gamma = gamma
        focal.box_predictor.register_forward_hook(focal._keep)
        return focal

    def _keep(self, _: nn.Module, __: Any, output: tuple[Tensor, Tensor]) -> None:
        if self.training:
            self._logits = output[0]

    def select_training_samples(self, *given: Any) -> Any:
        chosen = super().select_training_samples(*given)
        self._labels = chosen[2]
        return chosen

    def forward(self, *given: Any) -> Any:
        result, losses = super().forward(*given)
        if self.training:
            losses["loss_classifier"] = focal_loss(self._logits, torch.cat(self._labels), self.gamma)
            del self._logits, self._labels
        return result, losses


def focal_loss(logits: Tensor, labels: Tensor, gamma: float) -> Tensor:
    """Mean of `(1 - p) ** gamma * -log(p)` over rows, p the softmax share of the right label; gamma 0 is cross-entropy.

    `logits` (rows, classes), `labels` (rows,) int64.
    """
    log_p = nn.functional.log_softmax(logits, dim=1).gather(1, labels[:, None])[:, 0]
    return -((1 - log_p.exp()) ** gamma * log_p).mean()
