"""One step of learning: losses of a batch's parts, their gradients together, one move of the weights."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from training import stages
from training.devices import CPU, Place, moved
from training.processes import ALONE, Processes

if TYPE_CHECKING:
    from training.loop import Batch, Task


class Learner:
    """A task's network on its device, its optimizer and its loss scaler; knows nothing of schedules and folders."""

    def __init__(self, task: "Task", place: Place = CPU, processes: Processes = ALONE) -> None:
        self.task, self.recipe, self.place, self.processes = task, task.recipe, place, processes
        torch.manual_seed(self.recipe.seed)
        self.network = task.network().to(device=place.device, memory_format=torch.channels_last)
        groups = stages.split(task.groups(self.network), self.network, self.recipe.stages)
        self.optimizer = torch.optim.AdamW(groups, lr=self.recipe.rate, weight_decay=self.recipe.weight_decay)
        self.scaler = place.scaler()

    @property
    def parameters(self) -> list[nn.Parameter]:
        """What is trained, sooner or later."""
        return [p for group in self.optimizer.param_groups for p in group["params"]]

    def learn(self, parts: "Sequence[Batch]", seeds: Sequence[int], rate: float, progress: float) -> dict[str, Tensor]:
        """One step at `rate`, times each group's scale, with the layers that are open at `progress` of the run.

        `parts` count alike; `seeds` are what each one's random numbers come from. Returns the losses' means, on the
        device. Raises `FloatingPointError` before anything has changed where a loss is not finite.
        """
        stages.open_groups(self.optimizer.param_groups, progress)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["scale"]
        self.optimizer.zero_grad(set_to_none=True)
        means: dict[str, Tensor] = {}
        for part, seed in zip(parts, seeds, strict=True):
            torch.manual_seed(seed)
            with self.place.autocast():
                losses = self.task.losses(self.network, moved(part, self.place.device))
            total = torch.stack([value.float() for value in losses.values()]).sum() / len(parts)
            if not torch.isfinite(total):
                raise FloatingPointError("the loss is not finite: lower `rate`, or look at the data")
            self.scaler.scale(total).backward()
            for name, value in losses.items():
                means[name] = means.get(name, torch.zeros_like(total)) + value.detach() / len(parts)
        self.processes.mean_gradients(self.parameters)
        self.scaler.unscale_(self.optimizer)
        nn.utils.clip_grad_norm_(self.parameters, self.recipe.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return means

    def state(self) -> dict[str, Any]:
        """What `restore` needs."""
        scaler = self.scaler.state_dict()
        return {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict(), "scaler": scaler}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from a `state`; one without a scaler, or of another precision, starts the scaler anew."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.scaler.is_enabled() and state.get("scaler"):
            self.scaler.load_state_dict(state["scaler"])
