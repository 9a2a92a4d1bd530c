"""Looking closer: from the list, by buttons and keys, by fingers and the wheel, and back again."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.page.conftest import PHONE, Seen, jpeg

DENT = (64, 96, 256, 240)
"""Its box in the photo of 640 by 480."""


@pytest.fixture
def near(seen: Seen) -> Seen:
    """An answered photo."""
    seen.send(jpeg())
    seen.answered()
    return seen


def part(seen: Seen) -> tuple[float, float, float, float]:
    """What is shown, in the photo's pixels: x1, y1, x2, y2; the picture and the shapes over it show the same."""
    x, y, width, height = map(float, str(seen.page.locator(".over").get_attribute("viewBox")).split())
    image, frame = (seen.page.locator(one).bounding_box() for one in (".frame img", ".frame"))
    across = 640 / image["width"]
    assert (frame["x"] - image["x"]) * across == pytest.approx(x, abs=1.5)
    assert (frame["y"] - image["y"]) * across == pytest.approx(y, abs=1.5)
    assert frame["width"] * across == pytest.approx(width, abs=1.5)
    return x, y, x + width, y + height


ALL = (0, 0, 640, 480)


def button(seen: Seen, name: str) -> Any:
    return seen.page.get_by_role("group", name="Look closer").get_by_role("button", name=name, exact=True)


def test_a_find_that_is_chosen_in_the_list_is_shown_from_near_and_again_from_afar(near: Seen) -> None:
    assert part(near) == ALL
    line = near.page.get_by_role("button", name="Severe dent on the hood")
    line.focus()
    near.page.keyboard.press("Enter")
    x1, y1, x2, y2 = part(near)
    assert x2 - x1 < 640 / 1.4
    assert x1 < DENT[0] < DENT[2] < x2, "with room around it"
    assert y1 < DENT[1] < DENT[3] < y2
    assert near.page.locator("#status").inner_text() == "Closer at: Severe dent on the hood"
    assert line.evaluate("one => one === document.activeElement"), "the list can be gone on with"
    near.page.keyboard.press("Enter")
    assert part(near) == ALL
    assert line.get_attribute("aria-pressed") == "false"


def test_what_lies_under_a_find_is_to_be_seen_from_near(near: Seen) -> None:
    mask = near.page.locator('.find[data-label="dent"] .mask')
    near.page.get_by_role("button", name="Severe dent on the hood").click()
    assert float(mask.evaluate("one => getComputedStyle(one).fillOpacity")) <= 0.1


def test_names_keep_their_size_and_stay_in_sight(near: Seen) -> None:
    before = near.page.locator(".tag rect").first.bounding_box()["height"]
    near.page.get_by_role("button", name="Severe dent on the hood").click()
    tags, frame = near.page.locator(".tag rect"), near.page.locator(".frame").bounding_box()
    for index in range(tags.count()):
        tag = tags.nth(index).bounding_box()
        assert tag["height"] == pytest.approx(before, abs=1)
        assert frame["x"] - 1 <= tag["x"]
        assert tag["x"] + tag["width"] <= frame["x"] + frame["width"] + 1


def test_buttons_lead_closer_and_back_and_keep_the_focus(near: Seen) -> None:
    assert button(near, "Farther").is_disabled()
    assert button(near, "Whole photo").is_disabled()
    button(near, "Closer").focus()
    near.page.keyboard.press("Enter")
    x1, y1, x2, y2 = part(near)
    assert (x1 + x2, y1 + y2) == pytest.approx((640, 480)), "towards the middle"
    assert x2 - x1 == pytest.approx(640 / 1.6)
    assert near.page.locator("#status").inner_text() == "39% of the photo is shown"
    for _ in range(6):
        near.page.keyboard.press("Enter")
    assert button(near, "Closer").is_disabled(), "there is an end to it"
    assert part(near)[2] - part(near)[0] == pytest.approx(640 / 8)
    assert button(near, "Closer").evaluate("one => one === document.activeElement")
    button(near, "Whole photo").focus()
    near.page.keyboard.press("Enter")
    assert part(near) == ALL
    assert button(near, "Whole photo").evaluate("one => one === document.activeElement")


def test_arrows_move_what_is_shown_and_escape_leads_back(near: Seen) -> None:
    button(near, "Closer").click()
    x1, y1, *_ = part(near)
    near.page.keyboard.press("ArrowRight")
    assert part(near)[:2] == pytest.approx((x1 + 100, y1))
    for _ in range(4):
        near.page.keyboard.press("ArrowUp")
    assert part(near)[1] == 0, "no farther than the photo"
    near.page.keyboard.press("Escape")
    assert part(near) == ALL


def test_the_wheel_zooms_with_ctrl_alone_towards_where_it_points(near: Seen) -> None:
    frame = near.page.locator(".frame").bounding_box()
    near.page.mouse.move(frame["x"] + frame["width"] / 4, frame["y"] + frame["height"] / 4)
    near.page.mouse.wheel(0, -50)
    near.page.keyboard.down("Control")
    near.page.mouse.wheel(0, -50)
    near.page.wait_for_function("() => document.querySelector('.over').getAttribute('viewBox') !== '0 0 640 480'")
    near.page.keyboard.up("Control")
    x1, y1, x2, y2 = part(near)
    width = x2 - x1
    assert width == pytest.approx(640 / 1.6487, abs=1), "once, by the second turn"
    assert ((160 - x1) / width, (120 - y1) / (y2 - y1)) == pytest.approx((0.25, 0.25), abs=0.01)


def test_a_drag_moves_the_photo_and_chooses_nothing(near: Seen) -> None:
    button(near, "Closer").click()
    x1, y1, *_ = part(near)
    frame = near.page.locator(".frame").bounding_box()
    near.page.mouse.move(frame["x"] + 0.4 * frame["width"], frame["y"] + 0.4 * frame["height"])
    near.page.mouse.down()
    near.page.mouse.move(frame["x"] + 0.6 * frame["width"], frame["y"] + 0.5 * frame["height"], steps=8)
    near.page.mouse.up()
    assert part(near)[:2] == pytest.approx((x1 - 0.2 * 400, y1 - 0.1 * 300), abs=3)
    assert near.page.locator(".picked").count() == 0
    near.page.locator('.find[data-label="dent"] .mask').click()
    assert near.page.locator(".find.picked").count() == 1, "a click still chooses"
    near.page.mouse.move(frame["x"] + 0.6 * frame["width"], frame["y"] + 0.9 * frame["height"])
    near.page.mouse.down()
    near.page.mouse.move(frame["x"] + 0.5 * frame["width"], frame["y"] + 0.9 * frame["height"], steps=4)
    near.page.mouse.up()
    assert near.page.locator(".find.picked").count() == 1, "and a drag leaves what was chosen"


def test_two_fingers_on_a_phone(visit: Callable[..., Seen], service: str) -> None:
    seen = visit(service, **PHONE)
    seen.open()
    seen.send(jpeg())
    seen.answered()
    frame = seen.page.locator(".frame").bounding_box()
    x, y = frame["x"] + frame["width"] / 2, frame["y"] + frame["height"] / 2
    session = seen.page.context.new_cdp_session(seen.page)

    def touch(kind: str, *offsets: float) -> None:
        points = [{"x": x + offset, "y": y, "id": number} for number, offset in enumerate(offsets)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", -30, 30)
    for apart in (35, 40, 50, 60):
        touch("touchMove", -apart, apart)
    touch("touchEnd")
    x1, _, x2, _ = part(seen)
    assert x2 - x1 == pytest.approx(320, abs=15), "twice as far apart, twice as close"
    seen.page.get_by_role("button", name="Whole photo").tap()
    assert part(seen) == ALL


def test_on_a_phone_the_photo_comes_into_sight(visit: Callable[..., Seen], service: str) -> None:
    seen = visit(service, **PHONE)
    seen.open()
    seen.send(jpeg())
    seen.answered()
    seen.page.get_by_role("button", name="Wheel 80%").tap()
    frame = seen.page.locator(".frame").bounding_box()
    assert 0 <= frame["y"] < frame["y"] + frame["height"] <= 740
    assert part(seen) != ALL


def test_the_next_photo_is_shown_whole(near: Seen) -> None:
    button(near, "Closer").click()
    near.send(jpeg("other.jpg"))
    near.page.get_by_role("heading", name="other.jpg").wait_for()
    near.answered()
    assert part(near) == ALL
    button(near, "Closer").click()
    near.page.get_by_role("button", name="Photo 1, car.jpg: answered").click()
    near.page.get_by_role("heading", name="car.jpg").wait_for()
    near.settled()
    assert part(near) == ALL, "one that was answered before, too"
