"""What each worker gets: a device, and its share of the cores."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Share:
    """`threads` is how many of the CPU's threads worker `number` may keep busy."""

    number: int
    device: str
    threads: int


def shares(count: int, devices: Sequence[str], cores: int) -> list[Share]:
    """Devices go round; cores are divided evenly, the first workers take what is left over, and none has less than
    one thread."""
    each, over = divmod(cores, count)
    return [Share(number, devices[number % len(devices)], max(1, each + (number < over))) for number in range(count)]
