"""No model at all: the same server reads the body and answers a constant. What HTTP alone costs."""

import uvicorn
from fastapi import FastAPI, Request

from tests.bench.compare.arms.work import PATH, given


def main() -> None:
    told = given()
    app = FastAPI()

    @app.post(PATH)
    async def predict(request: Request) -> dict[str, dict[str, int]]:
        return {"result": {"bytes": len(await request.body())}}

    uvicorn.run(app, host="127.0.0.1", port=told.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
