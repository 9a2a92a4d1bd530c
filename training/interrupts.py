"""Ctrl-C and SIGTERM as a wish that the run fulfils after the step it is in."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(Exception):
    """A run was stopped and has saved its state; the same command goes on with it."""

    def __init__(self, step: int, steps: int, number: int) -> None:
        super().__init__(f"stopped after step {step} of {steps}, which is saved")
        self.number = number


class Wish:
    """`signal` is the number of the one that came, 0 before."""

    signal = 0


@contextmanager
def noticed() -> Iterator[Wish]:
    """Notes the first signal; a second one acts as ever, so that a run that hangs can be ended. Outside of the main
    thread, where Python allows no handlers, nothing is noticed."""
    wish = Wish()
    if threading.current_thread() is not threading.main_thread():
        yield wish
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def note(number: int, _: FrameType | None) -> None:
        wish.signal = number
        restore()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    for number in SIGNALS:
        signal.signal(number, note)
    try:
        yield wish
    finally:
        restore()
