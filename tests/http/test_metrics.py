"""`GET /metrics`: the path's stages and refusals are counted."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.fakes import Brightness, photo
from tests.gateway import JPEG, serving

pytestmark = pytest.mark.anyio


async def test_each_stage_is_counted() -> None:
    async with serving(Brightness("one"), Brightness("two")) as client:
        await client.post("/v1/one", content=photo(), headers=JPEG)
        await client.post("/v1/inspect", content=photo(), headers=JPEG)
        await client.post("/v1/one", content=b"GIF89a", headers=JPEG)
        response = await client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }
    assert samples["carlens_receive_seconds_count",] == 3
    assert samples["carlens_decode_seconds_count",] == 2
    for stage in ("prepare", "queue", "device", "finish"):
        assert samples[f"carlens_{stage}_seconds_count", "one"] == 2
        assert samples[f"carlens_{stage}_seconds_count", "two"] == 1
    assert samples["carlens_rejected_total", "one", "bad_input"] == 1
