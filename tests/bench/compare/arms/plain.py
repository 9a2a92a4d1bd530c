"""Plain FastAPI: the model called in a `def` handler, which FastAPI runs in its own thread pool."""

from typing import Annotated, Any

import uvicorn
from fastapi import Depends, FastAPI

from tests.bench.compare.arms.work import PATH, Work, given, photo


def main() -> None:
    told = given()
    work = Work(told.predictor, told.table)
    app = FastAPI()

    @app.post(PATH)
    def predict(data: Annotated[bytes, Depends(photo)]) -> dict[str, Any]:
        return work.answer(data)

    uvicorn.run(app, host="127.0.0.1", port=told.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
