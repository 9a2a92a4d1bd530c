"""The API held against its own OpenAPI document with every check on, by requests made from it and photos of our own."""

from typing import Any

import schemathesis
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from tests.contract.schema import check, steady, with_formats
from tests.fakes import Brightness, Outliner
from tests.gateway import application, until


class Served:
    """A gateway for every lifespan, because schemathesis starts one for each call of the document, and a gateway
    starts once; a request waits until the fakes are loaded."""

    def __init__(self) -> None:
        self.app = self.fresh()

    @staticmethod
    def fresh() -> FastAPI:
        return application(Brightness("one"), Outliner(name="two", drawable=True))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            self.app = self.fresh()
        else:
            await until(lambda: bool(self.app.state.shelf.ready))
        await self.app(scope, receive, send)


served = Served()
api = schemathesis.openapi.from_dict(with_formats(served.app.openapi(), ("one", "two")))
api.app = served


@api.parametrize()
@steady
def test_every_call_keeps_its_contract(case: schemathesis.Case[Any]) -> None:
    check(case, case.call())
