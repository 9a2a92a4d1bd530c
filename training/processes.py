"""Several processes that train one network, as torchrun starts them: each takes its share of every batch."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, distributed

PATIENCE = timedelta(hours=2)  # the others wait as long for the first: it measures, and computes features


@dataclass(frozen=True, slots=True)
class Processes:
    """This process's number (`rank`) among `world`; alone, every method is free of cost and of effect."""

    rank: int = 0
    local_rank: int = 0
    world: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes, measures and reports."""
        return self.rank == 0

    def mean(self, values: Tensor) -> Tensor:
        """The mean over all processes, in place."""
        if self.world > 1:
            distributed.all_reduce(values)
            values /= self.world
        return values

    def mean_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Each gradient becomes the mean over all processes, in one exchange a step and type of number. It is asked
        for once all parts of a batch are summed up, so that `accumulate` and stages need no special care."""
        if self.world == 1:
            return
        trained = [p for p in parameters if p.requires_grad]
        for p in trained:
            if p.grad is None:  # this share had no use for it, another's may have had
                p.grad = torch.zeros_like(p)
        for kind in {p.dtype for p in trained}:
            gradients = [p.grad for p in trained if p.dtype == kind and p.grad is not None]
            flat = self.mean(torch.cat([gradient.reshape(-1) for gradient in gradients]))
            for gradient, piece in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
                gradient.copy_(piece.view(gradient.shape))

    def first_then_others(self, work: Callable[[], object]) -> None:
        """`work` in the first process, then in the others: what the first left on disk is there for them."""
        if self.first:
            work()
        self.wait()
        if not self.first:
            work()

    def wait(self) -> None:
        """Until all are here."""
        if self.world > 1:
            distributed.barrier()


ALONE = Processes()


def found() -> Processes:
    """What torchrun says in the environment; alone without it."""
    return Processes(*(int(os.environ.get(name, value)) for name, value in _VARIABLES.items()))


_VARIABLES = {"RANK": 0, "LOCAL_RANK": 0, "WORLD_SIZE": 1}


@contextmanager
def joined(processes: Processes, device: torch.device) -> Iterator[None]:
    """The processes can talk to each other inside: NCCL between GPUs, gloo between CPUs."""
    if processes.world == 1:
        yield
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    backend = "nccl" if device.type == "cuda" else "gloo"
    distributed.init_process_group(backend, timeout=PATIENCE)
    try:
        yield
    finally:
        distributed.destroy_process_group()
