"""carlens with one predictor alone, nobody who finds its vehicle or completes its answer: the work of the others."""

from app.commands.serve import listen
from app.main import create_app
from app.server import Server, configured
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
        state = application.state
        config = configured(application, settings, access_log=False)
        Server(config, settings, state.batcher, state.stop, lambda: None).run(sockets=[listener])


if __name__ == "__main__":
    main()
