"""The running process held against the OpenAPI document that it gives out, with every check on."""

from typing import Any

import schemathesis

from tests.contract.schema import check, steady, with_formats
from tests.faults.probe import Probe
from tests.faults.process import Service
from tests.gateway import application

DOCUMENT = application(Probe(), default_deadline_ms=60_000).openapi()
"""Made here, because tests are named by its calls before any process runs."""

api = schemathesis.openapi.from_dict(with_formats(DOCUMENT, ["probe"]))


def test_the_process_gives_out_this_document(service: Service) -> None:
    assert service.get("/openapi.json").json() == DOCUMENT


@api.parametrize()
@steady
def test_every_call_keeps_its_contract(case: schemathesis.Case[Any], service: Service) -> None:
    check(case, case.call(base_url=service.url))
