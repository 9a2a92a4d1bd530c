"""Where a run computes, and in which numbers."""

import os
import platform
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from models.backends import resolve_device

PRECISIONS = ("auto", "fp32", "bf16", "fp16")


@dataclass(frozen=True, slots=True)
class Place:
    """A device and the precision of the forward pass there; weights are fp32 in any case."""

    device: torch.device
    precision: str

    def autocast(self) -> torch.autocast:
        """The context for losses."""
        kind = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(self.precision)
        return torch.autocast(self.device.type, kind or torch.bfloat16, enabled=kind is not None)

    def scaler(self) -> torch.amp.GradScaler:
        """Scales the loss up so that small fp16 gradients are not lost; does nothing in other precisions."""
        return torch.amp.GradScaler(self.device.type, enabled=self.precision == "fp16")

    @property
    def workers(self) -> int:
        """Threads that make batches: a GPU wants more of them than a CPU that has to compute as well."""
        return 2 if self.device.type == "cpu" else max(2, min(8, os.cpu_count() or 2))

    def describe(self) -> str:
        """What the run is made on, without names of machines or people."""
        cores = f"{os.cpu_count()} {platform.machine()} cores"
        if self.device.type == "cuda":
            return f"{torch.cuda.get_device_name(self.device)}, {cores}, {self.precision}"
        return f"{cores}, no GPU used" if self.device.type == "cpu" else f"{cores}, {self.device.type}"


CPU = Place(torch.device("cpu"), "fp32")


def choose(device: str = "auto", precision: str = "auto", local_rank: int = 0) -> Place:
    """`auto` takes CUDA, then Apple's MPS, then the CPU; of several GPUs the one of this process's `local_rank`.

    Raises `ValueError` where the device is not there or cannot compute in that precision.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"unknown precision {precision!r}: one of {', '.join(PRECISIONS)}")
    if device == "mps" or (device == "auto" and not torch.cuda.is_available() and torch.backends.mps.is_available()):
        if not torch.backends.mps.is_available():
            raise ValueError("device 'mps' is not there; use auto or cpu")
        chosen = torch.device("mps")
    else:
        name = resolve_device(device)
        chosen = torch.device(resolve_device(f"cuda:{local_rank}") if name == "cuda" else name)
    return Place(chosen, automatic(chosen) if precision == "auto" else checked(chosen, precision))


def automatic(device: torch.device) -> str:
    """bf16 where the device computes it in hardware, else fp16 on CUDA and fp32 elsewhere. A CPU without AMX or
    AVX512-BF16 emulates bf16, several times slower than fp32."""
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    return "bf16" if device.type == "cpu" and _cpu_has_bf16() else "fp32"


def checked(device: torch.device, precision: str) -> str:
    """The precision, if the device can. Raises `ValueError`."""
    if device.type == "mps" and precision != "fp32":
        raise ValueError(f"precision {precision!r} is not used on mps: fp32 or auto")
    return precision


def _cpu_has_bf16() -> bool:
    # The public `torch.backends.cpu.get_cpu_capability` tells AVX512 apart, not its bf16.
    found = torch.cpu.get_capabilities()
    return bool(found.get("avx512_bf16") or found.get("amx_bf16"))


def of(network: nn.Module) -> torch.device:
    """Where a network lies; the CPU for one without parameters."""
    return next((parameter.device for parameter in network.parameters()), CPU.device)


def moved(value: Any, device: torch.device) -> Any:
    """The tensors of a batch on `device`; dictionaries, lists and tuples are gone into, the rest is kept."""
    if isinstance(value, torch.Tensor):
        return value.to(device, non_blocking=True)
    if isinstance(value, dict):
        return {name: moved(item, device) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(moved(item, device) for item in value)
    return value
