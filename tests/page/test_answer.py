"""What a visitor sees of one photo: shapes, cards, switches, the slider."""

import re
from typing import Any

import pytest

from tests.page.conftest import BLUE, GREEN, Seen, jpeg


def test_the_shapes_lie_where_the_answer_says_at_any_size(seen: Seen) -> None:
    seen.send(jpeg())
    seen.answered()
    assert seen.drawn() == ["dent", "scratch"]
    for width in (1440, 700):
        seen.page.set_viewport_size({"width": width, "height": 900})
        image = seen.page.locator(".frame img").bounding_box()
        dent = seen.page.locator('.find[data-label="dent"] .mask').bounding_box()
        assert abs((dent["x"] - image["x"]) / image["width"] - 0.1) < 0.01
        assert abs((dent["y"] - image["y"]) / image["height"] - 0.2) < 0.01
        assert abs(dent["width"] / image["width"] - 0.3) < 0.02
    assert {text.split()[0] for text in seen.page.locator(".tag text").all_text_contents()} == {"dent", "scratch"}


def test_the_cards_say_it_in_words(seen: Seen) -> None:
    seen.send(jpeg())
    seen.answered()
    cards = seen.texts("#answer .card")
    damage, severity, car, looks, parts, rust = cards[:6]
    assert re.search(r"Damaged\s+Probability of damage\s+93%", damage)
    assert re.search(r"Severe dent on the hood\s+90%\s+Minor scratch\s+65%", damage)
    assert re.search(r"Severe\s+70%", severity)
    assert re.search(r"Audi TTS Coupe 2012\s+Recognised", car)
    assert re.search(r"BMW Z4 2012\s+5%", car)
    for text in (r"red\s+97%", r"sedan\s+88%", r"the front left\s+70%", r"41°\s+clear"):
        assert re.search(text, looks)
    assert seen.page.get_by_role("img", name="Camera at the front left, 41°").is_visible()
    assert re.search(r"Hood\s+95%\s+Wheel\s+80%", parts)
    assert re.search(r"Rusty\s+yes", rust)
    assert re.search(r"deep rust\s+80%", rust)


def test_the_arrow_of_the_compass_stands_where_the_camera_stood(seen: Seen) -> None:
    seen.send(jpeg())
    seen.answered()
    compass, needle = (seen.page.locator(one).bounding_box() for one in (".compass", ".needle"))
    x = needle["x"] + needle["width"] / 2 - compass["x"] - compass["width"] / 2
    y = needle["y"] + needle["height"] / 2 - compass["y"] - compass["height"] / 2
    assert x < 0, "the car's own left is on the left where its front is up"
    assert y < 0, "the front is up"


def test_the_time_is_told_by_task(seen: Seen) -> None:
    seen.send(jpeg())
    seen.answered()
    seen.page.get_by_text("Where the time went").click()
    rows = seen.texts(".times tr")
    assert [row.split("\t")[0] for row in rows] == [
        "Colour, type and view",
        "Make and model",
        "Damage",
        "Parts",
        "Rust",
        "How bad it looks",
    ]
    assert all(re.search(r"\d (ms|s)$", row) for row in rows)


def test_a_task_that_failed_does_not_hide_the_others(seen: Seen) -> None:
    seen.send(jpeg(color=GREEN))
    seen.answered()
    wrong = seen.page.locator("#answer .wrong")
    assert wrong.count() == 1
    assert "How bad it looks" in wrong.inner_text()
    assert "Something broke in the service" in wrong.inner_text()
    assert seen.drawn() == ["dent", "scratch"]


def test_what_is_likely_and_not_sure_is_called_so(seen: Seen) -> None:
    def unsure(route: Any) -> None:
        told = route.fetch().json()
        told["results"]["damage"] |= {"damaged": False, "damaged_score": 0.61}
        route.fulfill(json=told)

    seen.page.route("**/v1/inspect?*", unsure)
    seen.send(jpeg())
    seen.answered()
    assert seen.texts(".verdict") == ["Perhaps damaged"]


def test_no_damage_is_said_as_plainly(seen: Seen) -> None:
    seen.send(jpeg(color=BLUE))
    seen.answered()
    damage, severity, car = seen.texts("#answer .card")[:3]
    assert "No damage that is sure enough" in damage
    assert "It takes for granted that there is damage" in severity
    assert "Not recognised for sure" in car
    assert seen.drawn() == []


def test_a_class_is_switched_off_and_on_without_asking_again(seen: Seen) -> None:
    seen.send(jpeg())
    seen.answered()
    asked = list(seen.requests)
    dent = seen.page.get_by_role("checkbox", name="dent 1")
    dent.uncheck()
    assert seen.drawn() == ["scratch"]
    assert seen.texts(".find-line span:first-of-type")[0] == "Minor scratch"
    assert dent.evaluate("one => one === document.activeElement"), "the focus stays where it was"
    dent.check()
    assert seen.drawn() == ["dent", "scratch"]
    seen.page.get_by_role("checkbox", name="Damage 2").uncheck()
    assert seen.drawn() == []
    assert seen.requests == asked


def test_the_slider_filters_both_ways_without_asking_again(seen: Seen) -> None:
    seen.send(jpeg())
    seen.answered()
    asked = list(seen.requests)
    slider = seen.page.get_by_role("slider", name="Show")
    slider.fill("70")
    assert seen.drawn() == ["dent"]
    assert "from 70% sure" in seen.texts(".slider")[0]
    slider.fill("25")
    assert seen.drawn() == ["crack", "dent", "scratch"]
    assert "Minor crack" in " ".join(seen.texts(".find-line"))
    seen.page.get_by_role("button", name="As advised").click()
    assert seen.drawn() == ["dent", "scratch"]
    assert seen.requests == asked


def test_the_fainter_ones_are_a_click_away(seen: Seen) -> None:
    seen.send(jpeg())
    seen.answered()
    seen.page.get_by_text("1 fainter one below that score").get_by_role("button", name="Show").click()
    assert seen.drawn() == ["crack", "dent", "scratch"]


def test_one_request_is_enough_for_all_layers_and_all_scores(seen: Seen) -> None:
    seen.send(jpeg())
    seen.answered()
    seen.page.get_by_role("checkbox", name="Parts 2").check()
    assert seen.drawn() == ["dent", "hood", "scratch", "wheel"]
    seen.page.get_by_role("slider", name="Show").fill("20")
    assert seen.drawn() == ["crack", "dent", "hood", "scratch", "wheel"]
    assert seen.requests == ["POST /v1/inspect?min_score=0.2"]


def test_the_colours_are_those_of_the_services_pictures(seen: Seen) -> None:
    seen.send(jpeg())
    seen.answered()
    fills = {
        one: seen.page.locator(f'.find[data-label="{one}"] .mask').get_attribute("fill") for one in ("dent", "scratch")
    }
    assert fills == {"dent": "#e69f00", "scratch": "#009ee0"}
    assert seen.page.locator(".chip .dot").first.evaluate("one => getComputedStyle(one).backgroundColor") == (
        "rgb(230, 159, 0)"
    )


def test_what_is_picked_in_the_list_stands_out_in_the_photo_and_the_other_way_round(seen: Seen) -> None:
    seen.send(jpeg())
    seen.answered()
    line = seen.page.get_by_role("button", name=re.compile("Severe dent"))
    line.click()
    assert line.get_attribute("aria-pressed") == "true"
    assert opacities(seen) == {"dent": "1", "scratch": "0.28"}
    seen.page.locator('.find[data-label="scratch"] .mask').click()
    assert line.get_attribute("aria-pressed") == "false"
    assert opacities(seen) == {"dent": "0.28", "scratch": "1"}


def opacities(seen: Seen) -> Any:
    script = "all => Object.fromEntries(all.map(one => [one.dataset.label, getComputedStyle(one).opacity]))"
    return seen.page.locator(".find").evaluate_all(script)


def test_a_part_that_is_picked_is_drawn_even_where_parts_were_off(seen: Seen) -> None:
    seen.send(jpeg())
    seen.answered()
    seen.page.get_by_role("button", name=re.compile("Wheel")).click()
    assert "wheel" in seen.drawn()
    assert seen.page.get_by_role("checkbox", name="Parts 2").is_checked()


def test_boxes_are_drawn_around_the_outlines_where_they_are_wanted(seen: Seen) -> None:
    seen.send(jpeg())
    seen.answered()
    assert seen.page.locator(".find .box").count() == 0
    seen.page.get_by_role("checkbox", name="Boxes around outlines").check()
    assert seen.page.locator(".find .box").count() == 2
    image = seen.page.locator(".frame img").bounding_box()
    script = "one => { const box = one.getBBox(); return [box.x, box.y, box.width, box.height]; }"
    assert seen.page.locator('[data-label="dent"] .box').evaluate(script) == pytest.approx((64, 96, 192, 144), abs=0.5)
    assert image["width"] / image["height"] == pytest.approx(640 / 480, abs=0.01)
