"""`/docs` and `/redoc`: pages that need nothing from elsewhere."""

import base64
import hashlib
import re
from urllib.parse import urljoin

import pytest

from tests.fakes import Brightness
from tests.gateway import problem, serving

pytestmark = pytest.mark.anyio

INLINE = re.compile(r"<script>(.*?)</script>", re.DOTALL)


@pytest.mark.parametrize(("page", "word"), [("/docs", "SwaggerUIBundle"), ("/redoc", "<redoc")])
async def test_a_page_loads_only_from_here(page: str, word: str) -> None:
    async with serving(Brightness()) as client:
        response = await client.get(page)
        assert response.headers["content-type"].startswith("text/html")
        assert word in response.text
        assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", response.text)
        found = re.findall(r"""(?:src|href|spec-url)=["']([^"']+)""", response.text)
        assert len(found) == 3
        for address in found:
            asset = await client.get(urljoin(page, address))
            assert asset.status_code == 200, address
            assert len(asset.content) > 500
        policy = response.headers["content-security-policy"]
    assert "http" not in policy
    rules = {name: rest for name, _, rest in (rule.strip().partition(" ") for rule in policy.split(";"))}
    assert (rules["default-src"], rules["frame-ancestors"], rules["connect-src"]) == ("'none'", "'none'", "'self'")
    own = [base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in INLINE.findall(response.text)]
    assert rules["script-src"] == " ".join(["'self'", *(f"'sha256-{one}'" for one in own)])
    assert len(own) == response.text.count("<script") - response.text.count("<script src")


async def test_scripts_are_cached_by_version() -> None:
    async with serving(Brightness()) as client:
        page = (await client.get("/docs")).text
        script = next(iter(re.findall(r'src="([^"]+)"', page)))
        assert "?v=" in script
        first = await client.get(urljoin("/docs", script))
        assert "max-age" in first.headers["cache-control"]
        again = await client.get(urljoin("/docs", script), headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304


async def test_what_is_not_there_is_a_problem_here_too() -> None:
    async with serving(Brightness()) as client:
        for path in ("/docs/assets/none.js", "/docs/assets/../core.py", "/docs/assets/..%2fcore.py"):
            assert problem(await client.get(path)) == (404, "not_found")


async def test_photos_can_be_tried_as_files() -> None:
    async with serving(Brightness()) as client:
        document = (await client.get("/openapi.json")).json()
    body = document["paths"]["/v1/brightness"]["post"]["requestBody"]["content"]
    assert next(iter(body)) == "multipart/form-data"  # what the page offers first
    form = body["multipart/form-data"]["schema"]["$ref"].rpartition("/")[2]
    assert document["components"]["schemas"][form]["properties"]["file"]["format"] == "binary"
