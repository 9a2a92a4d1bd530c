"""What the simulation is fed with: how long each step of a photo takes, as `service_times` measured it."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class Run(BaseModel):
    """One run of the device: seconds it takes alone, and how many cores it keeps busy meanwhile (0 on a GPU)."""

    seconds: float = Field(gt=0)
    cores: float = Field(ge=0)


class Times(BaseModel):
    """Of one predictor on one photo. Seconds of one core: `loop_s` on the event loop (a request in, an answer out),
    `prepare_s` in the pool (header, decode, prepare), `finish_s` in the pool; `client_s` of who asks, where that is
    on the same machine. `device` by padded size. `photo_bytes` come in over the network."""

    model_config = ConfigDict(extra="forbid")

    predictor: str
    measured_on: str
    photo_bytes: int = Field(gt=0)
    cores: int = Field(ge=1)
    loop_s: float = Field(ge=0)
    prepare_s: float = Field(ge=0)
    finish_s: float = Field(ge=0)
    client_s: float = Field(default=0.0, ge=0)
    device: dict[int, Run] = Field(min_length=1)

    @property
    def sizes(self) -> list[int]:
        """Padded sizes, ascending."""
        return sorted(self.device)

    @property
    def best(self) -> tuple[int, Run]:
        """The size that takes the least device time an item, and its run."""
        return min(self.device.items(), key=lambda one: one[1].seconds / one[0])

    def limits(self, pool: int, link_gbit: float) -> dict[str, float]:
        """Photos a second that each part of one replica could pass if it were alone, by the part's name."""
        size, run = self.best
        pooled = self.prepare_s + self.finish_s
        core_s = self.loop_s + pooled + run.seconds * run.cores / size
        found = {"device": size / run.seconds, "network": link_gbit * 1e9 / 8 / self.photo_bytes}
        for name, seconds, many in (("event loop", self.loop_s, 1), ("decoders", pooled, pool)):
            if seconds:
                found[name] = many / seconds
        if core_s:
            found["cores"] = self.cores / core_s
        return found


def read(path: Path) -> Times:
    """Raises `ValueError` where it is not such a file."""
    return Times.model_validate_json(path.read_bytes())
