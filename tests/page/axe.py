"""What axe-core finds amiss on a page: its rules are those of WCAG, and good practice."""

import pytest

from tests.page.conftest import Seen


def amiss(seen: Seen) -> list[str]:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    found = axe.run(seen.page).response["violations"]
    return [f"{one['id']}: {node['html'][:200]}" for one in found for node in one["nodes"]]
