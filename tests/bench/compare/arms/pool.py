"""Plain FastAPI: an async handler and a thread pool of a size that was tuned, the cores shared among its threads."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

import uvicorn
from fastapi import Depends, FastAPI

from tests.bench.compare.arms.work import PATH, Work, given, photo


def main() -> None:
    told = given()
    work = Work(told.predictor, told.table, torch_threads=max(1, told.cores // told.threads))
    pool = ThreadPoolExecutor(told.threads)
    app = FastAPI()

    @app.post(PATH)
    async def predict(data: Annotated[bytes, Depends(photo)]) -> dict[str, Any]:
        return await asyncio.get_running_loop().run_in_executor(pool, work.answer, data)

    uvicorn.run(app, host="127.0.0.1", port=told.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
