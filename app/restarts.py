"""When a worker that ended is started again, and when there is no use in it."""

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0

STEADY_S = 60.0
"""A worker that served for so long is well: the next pause is the first again."""

TRIES = 3
"""Ends in a row with an error's exit code, before the worker could serve, that show that it never will."""


class Restarts:
    """The ends of one worker."""

    def __init__(self) -> None:
        self._pause_s = FIRST_PAUSE_S
        self._hopeless = 0

    def after(self, code: int, served_s: float | None) -> float | None:
        """Seconds to wait before the next start, or None to give up. `served_s` is how long it served, None where it
        did not come so far. A negative code is the signal that ended it: that may be anyone's doing, so it counts for
        no try."""
        self._hopeless = self._hopeless + 1 if served_s is None and code > 0 else 0
        if self._hopeless >= TRIES:
            return None
        if served_s is not None and served_s >= STEADY_S:
            self._pause_s = FIRST_PAUSE_S
        pause = self._pause_s
        self._pause_s = min(2 * pause, LONGEST_PAUSE_S)
        return pause
