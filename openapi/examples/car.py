"""Draws car.jpg, the project's example photo, and the small one of the page: a red car, its doors dented and scratched.

python openapi/examples/car.py
"""

import math
import random
from pathlib import Path

from PIL import Image, ImageChops, ImageDraw, ImageEnhance, ImageFilter

WIDTH, HEIGHT = 1200, 800
SAMPLES = 3  # drawn larger and scaled down, for smooth edges

Point = tuple[float, float]
Color = tuple[int, int, int]

BODY: list[Point] = [
    (150, 560), (146, 505), (158, 455), (196, 430), (300, 412), (372, 348), (440, 310), (540, 294), (660, 292),
    (760, 306), (836, 340), (912, 402), (1012, 418), (1066, 446), (1082, 500), (1078, 560), (1060, 586), (170, 586),
]  # fmt: skip
GLASS: list[list[Point]] = [
    [(398, 404), (452, 336), (540, 318), (604, 315), (604, 404)],
    [(626, 404), (626, 315), (700, 317), (762, 332), (824, 376), (842, 404)],
]
WHEELS: list[Point] = [(322, 576), (902, 576)]
RED: Color = (186, 34, 40)


def scaled(points: list[Point]) -> list[Point]:
    return [(x * SAMPLES, y * SAMPLES) for x, y in points]


def rounded(points: list[Point], rounds: int = 3) -> list[Point]:
    """Corners cut again and again (Chaikin), which makes a smooth curve of a polygon."""
    for _ in range(rounds):
        following = [*points[1:], points[0]]
        points = [
            point
            for (x1, y1), (x2, y2) in zip(points, following, strict=True)
            for point in (
                (0.75 * x1 + 0.25 * x2, 0.75 * y1 + 0.25 * y2),
                (0.25 * x1 + 0.75 * x2, 0.25 * y1 + 0.75 * y2),
            )
        ]
    return points


def shape(points: list[Point], rounds: int = 3, blur: float = 0, strength: int = 255) -> Image.Image:
    """A mask of the polygon."""
    mask = Image.new("L", (WIDTH * SAMPLES, HEIGHT * SAMPLES))
    ImageDraw.Draw(mask).polygon(scaled(rounded(points, rounds)), fill=strength)
    return mask.filter(ImageFilter.GaussianBlur(blur * SAMPLES)) if blur else mask


def stroke(points: list[Point], width: float, blur: float = 0, strength: int = 255) -> Image.Image:
    """A mask of the line through the points."""
    mask = Image.new("L", (WIDTH * SAMPLES, HEIGHT * SAMPLES))
    ImageDraw.Draw(mask).line(scaled(points), fill=strength, width=max(1, round(width * SAMPLES)), joint="curve")
    return mask.filter(ImageFilter.GaussianBlur(blur * SAMPLES)) if blur else mask


def ellipse(center: Point, radii: Point, blur: float = 0, strength: int = 255) -> Image.Image:
    points = [
        (center[0] + radii[0] * math.cos(step * math.pi / 48), center[1] + radii[1] * math.sin(step * math.pi / 48))
        for step in range(96)
    ]
    return shape(points, 0, blur, strength)


def fade(top: Color, bottom: Color, start: float, end: float) -> Image.Image:
    """A picture whose colour goes from `top` to `bottom` between two heights."""
    column = Image.new("RGB", (1, HEIGHT))
    for y in range(HEIGHT):
        share = min(1.0, max(0.0, (y - start) / (end - start)))
        column.putpixel((0, y), tuple(round(a + share * (b - a)) for a, b in zip(top, bottom, strict=True)))
    return column.resize((WIDTH * SAMPLES, HEIGHT * SAMPLES), Image.Resampling.BILINEAR)


def street(chance: random.Random) -> Image.Image:
    image = fade((150, 190, 226), (226, 232, 232), 0, 380)
    for left in range(-40, WIDTH, 170):
        top, tone = chance.randint(90, 210), chance.randint(120, 175)
        wall = (tone + 22, tone + 6, tone - 12)
        house = [(left, 470), (left, top), (left + 166, top), (left + 166, 470)]
        image.paste(wall, mask=shape(house, 0))
        for row in range(top + 26, 420, 62):
            for column in (left + 24, left + 72, left + 120):
                pane = [(column, row), (column + 24, row), (column + 24, row + 36), (column, row + 36)]
                image.paste((78, 92, 108), mask=shape(pane, 0))
    for place in range(30, WIDTH, 230):
        x = place + chance.randint(-40, 40)
        image.paste((84, 66, 52), mask=stroke([(x, 470), (x, 330)], 12))
        for _ in range(14):
            center = (x + chance.gauss(0, 34), 300 + chance.gauss(0, 34))
            green = (56 + chance.randint(0, 40), 104 + chance.randint(0, 40), 58)
            image.paste(green, mask=ellipse(center, (34, 28)))
    image = image.filter(ImageFilter.GaussianBlur(4 * SAMPLES))
    image.paste(
        fade((176, 174, 168), (150, 148, 144), 452, 500), mask=shape([(0, 452), (1200, 452), (1200, 500), (0, 500)], 0)
    )
    image.paste((122, 120, 116), mask=shape([(0, 498), (1200, 498), (1200, 512), (0, 512)], 0))
    image.paste(
        fade((96, 97, 101), (64, 65, 70), 512, 800), mask=shape([(0, 512), (1200, 512), (1200, 800), (0, 800)], 0)
    )
    return image


def body(image: Image.Image) -> None:
    image.paste((18, 18, 22), mask=ellipse((614, 632), (500, 26), 12, 210))
    outline = shape(BODY)
    image.paste(fade((222, 66, 66), (120, 16, 24), 292, 590), mask=outline)
    shine = shape([(300, 424), (1010, 428), (1060, 452), (150, 458), (196, 436)], 2, 9, 120)
    image.paste((255, 190, 180), mask=ImageChops.multiply(shine, outline))
    lower = shape([(146, 540), (1082, 540), (1082, 600), (146, 600)], 0, 12, 150)
    image.paste((60, 8, 14), mask=ImageChops.multiply(lower, outline))
    image.paste((30, 30, 34), mask=shape([(440, 574), (790, 574), (780, 592), (450, 592)], 1))
    for glass in GLASS:
        image.paste((24, 26, 30), mask=shape([(x + (x - 620) * 0.012, y) for x, y in glass], 1))
        image.paste(fade((150, 178, 196), (52, 66, 80), 310, 410), mask=shape(glass, 1))
    for left in (470, 690):
        gleam = [(left, 404), (left + 46, 320), (left + 70, 320), (left + 24, 404)]
        image.paste(
            (236, 244, 248), mask=ImageChops.multiply(shape(gleam, 0, 2, 80), union([shape(g, 1) for g in GLASS]))
        )


def union(masks: list[Image.Image]) -> Image.Image:
    whole = masks[0]
    for mask in masks[1:]:
        whole = ImageChops.lighter(whole, mask)
    return whole


def details(image: Image.Image) -> None:
    seams: list[list[Point]] = [
        [(396, 408), (388, 470), (404, 560)], [(615, 312), (615, 564)], [(404, 564), (806, 564)],
        [(842, 408), (846, 470), (806, 564)], [(372, 408), (850, 408)],
    ]  # fmt: skip
    for seam in seams:
        image.paste((74, 10, 16), mask=stroke(seam, 2.4, 0.5, 220))
    for left in (546, 640):
        handle = [(left, 440), (left + 44, 438), (left + 44, 448), (left, 450)]
        image.paste((236, 210, 206), mask=shape(handle, 2))
        image.paste((92, 14, 20), mask=stroke([(left + 2, 451), (left + 42, 449)], 2, 0.6))
    image.paste((196, 30, 38), mask=shape([(386, 392), (412, 388), (416, 412), (388, 412)], 2))
    image.paste((250, 246, 226), mask=shape([(152, 466), (206, 446), (226, 452), (200, 482), (154, 488)], 2))
    image.paste((202, 216, 224), mask=ellipse((184, 468), (16, 12), 2))
    image.paste((150, 10, 18), mask=shape([(1040, 444), (1066, 452), (1078, 490), (1048, 486)], 2))
    image.paste((246, 110, 96), mask=shape([(1050, 456), (1062, 460), (1068, 474), (1054, 474)], 2, 1.5))
    image.paste((40, 40, 44), mask=shape([(146, 516), (206, 516), (214, 540), (150, 544)], 2))
    image.paste((228, 228, 222), mask=shape([(150, 498), (156, 498), (158, 530), (152, 530)], 0))


def wheels(image: Image.Image) -> None:
    for x, y in WHEELS:
        image.paste((22, 8, 10), mask=ellipse((x, y - 4), (78, 76)))
        image.paste((26, 26, 29), mask=ellipse((x, y), (66, 66)))
        image.paste((58, 58, 62), mask=ellipse((x, y), (47, 47)))
        image.paste((196, 200, 206), mask=ellipse((x, y), (43, 43)))
        for spoke in range(10):
            middle = (spoke + 0.5) * math.pi / 5
            gap = [(x + r * math.cos(a), y + r * math.sin(a)) for r, a in
                   ((15, middle - 0.1), (38, middle - 0.19), (38, middle + 0.19), (15, middle + 0.1))]  # fmt: skip
            image.paste((52, 54, 58), mask=shape(gap, 1))
        image.paste((150, 154, 160), mask=ellipse((x, y), (11, 11)))


def damage(image: Image.Image, chance: random.Random) -> None:
    """The dent takes the light from below, as a hollow does; the scratch lays the primer bare."""
    dent: list[Point] = [(690, 470), (742, 456), (792, 474), (800, 514), (760, 540), (706, 532), (682, 502)]
    image.paste((96, 10, 20), mask=shape(dent, 3, 9, 190))
    image.paste((62, 4, 12), mask=stroke([(694, 494), (708, 474), (742, 463), (780, 474), (794, 494)], 16, 7, 200))
    image.paste((236, 96, 92), mask=shape([(704, 520), (742, 506), (786, 516), (762, 538), (716, 538)], 3, 8, 200))
    image.paste(
        (255, 190, 180), mask=stroke(rounded([(692, 512), (708, 540), (770, 544), (800, 508)], 2)[3:-5], 4, 2.5, 150)
    )
    crease: list[Point] = [(706, 498), (724, 490), (744, 494), (766, 487), (788, 494)]
    image.paste((44, 2, 8), mask=stroke(crease, 3, 1.6, 170))
    image.paste((255, 180, 170), mask=stroke([(x, y + 4) for x, y in crease], 2.4, 1.6, 150))
    for start, rise in ((492, -8), (500, -10), (508, -6), (515, -9)):
        left = 424 + chance.randint(0, 24)
        line = [
            (left + step * 13, start + rise * step / 11 + chance.gauss(0, 0.9)) for step in range(chance.randint(9, 12))
        ]
        image.paste((74, 12, 18), mask=stroke([(x, y + 1.4) for x, y in line], 2.2, 0.6, 170))
        image.paste((232, 226, 220), mask=stroke(line, chance.uniform(1.2, 2.6), 0.25, 235))


def main() -> None:
    chance = random.Random(7)
    image = street(chance)
    body(image)
    details(image)
    wheels(image)
    damage(image, chance)
    image = image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
    image = ImageEnhance.Contrast(image).enhance(1.04)
    image.save(Path(__file__).with_suffix(".jpg"), quality=88)
    image.save(Path(__file__).parents[2] / "app" / "page" / "example.webp", quality=55, method=6)


if __name__ == "__main__":
    main()
