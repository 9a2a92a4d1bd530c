"""carlens with one predictor alone, nobody who finds its vehicle or completes its answer: the work of the others."""

import uvicorn

from app.commands.serve import BACKLOG, KEEP_ALIVE_S, Server, base_url, listen
from app.main import create_app
from app.settings import Settings
from models.registry import discover
from tests.bench.compare.arms.work import given

QUEUE = 1024
"""Items that may wait: as many as the others let wait, so that no request of a closed loop is refused."""


def main() -> None:
    told = given()
    settings = Settings(port=told.port, queue_limit=QUEUE)
    predictors = discover(wanted=[told.predictor], cache_dir=settings.cache_dir)
    application = create_app(settings, {told.predictor: predictors[told.predictor]})
    with listen(settings.host, settings.port) as listener:
        config = uvicorn.Config(
            application,
            loop="uvloop",
            http="httptools",
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            backlog=BACKLOG,
        )
        state = application.state
        Server(config, state.batcher, state.stop, base_url(listener)).run(sockets=[listener])


if __name__ == "__main__":
    main()
