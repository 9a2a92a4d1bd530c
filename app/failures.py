"""What goes wrong on the straight path, as the problem that a caller is told."""

import logging

from app import batcher as batching
from app.errors import DeadlineExceeded, NotReady, Overloaded, PredictionFailed, Problem, ShuttingDown

log = logging.getLogger("carlens.pipeline")


def problem_of(error: Exception, name: str, request_id: str) -> Problem:
    """The problem that `error`, raised by the predictor `name` or while it was waited for, is to the caller."""
    match error:
        case Problem():
            return error
        case batching.QueueFull():
            overloaded = Overloaded(
                f"More photos wait for {name} than can be answered in time. Try again after Retry-After.",
                retry_after_s=error.retry_after_s,
            )
            overloaded.reason = "deadline" if error.label == "deadline" else "full"
            return overloaded
        case batching.Expired():
            return DeadlineExceeded(f"The answer of {name} was not ready before the deadline. Allow more time.")
        case batching.Stopping():
            return ShuttingDown("The service is stopping. Send the photo again: another instance may answer.")
        case batching.NotServing():
            return NotReady(
                f"The predictor {name} is not ready. /health/ready says which are.",
                extra={"predictors": {name: error.state}},
            )
        case batching.DeviceStuck():
            return NotReady(f"The device of {name} does not come back from a batch. Try another instance.")
        case batching.DeviceDied():
            log.error("device died under %s, request %s", name, request_id)
            return NotReady(f"The device of {name} has stopped. /health/ready says which predictors are ready.")
    failed = PredictionFailed(f"The {name} predictor failed on this photo. The log has it under this request_id.")
    failed.__cause__ = error  # for the log, written where the problem is told
    return failed
