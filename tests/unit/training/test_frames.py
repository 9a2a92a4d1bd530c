"""Random parts of photos: inside, of the size asked, and where they are meant to be."""

import numpy as np
import pytest

from training.frames import CLOSE, bare_frame, close_frame, frame


@pytest.mark.parametrize(("least", "most"), [(1.0, 1.0), (0.7, 1.0), (0.2, 0.6)])
def test_a_frame_is_inside_and_of_the_size_asked(least: float, most: float) -> None:
    for seed in range(50):
        x1, y1, x2, y2 = frame((60, 40), least, np.random.default_rng(seed), most)
        assert -1e-9 <= x1 < x2 <= 60 + 1e-9
        assert -1e-9 <= y1 < y2 <= 40 + 1e-9
        assert 60 * least - 1e-9 <= x2 - x1 <= 60 * most + 1e-9
        assert 40 * least - 1e-9 <= y2 - y1 <= 40 * most + 1e-9


def test_a_bare_frame_keeps_off_every_box() -> None:
    boxes, places = np.array([[30.0, 20, 50, 40], [0, 60, 100, 70]]), set()
    for seed in range(50):
        if (part := bare_frame((100, 80), boxes, np.random.default_rng(seed))) is None:
            continue
        x1, y1, x2, y2 = part
        for left, top, right, bottom in boxes:
            assert (
                x1 >= right + 2 - 1e-9 or x2 <= left - 2 + 1e-9 or y1 >= bottom + 1.6 - 1e-9 or y2 <= top - 1.6 + 1e-9
            )
        places.add((round(x1), round(y1)))
    assert len(places) > 20


def test_there_is_no_bare_frame_where_damage_is_everywhere() -> None:
    assert bare_frame((100, 80), np.array([[0.0, 0, 100, 80]]), np.random.default_rng(0)) is None


def test_a_close_up_has_its_point_in_it() -> None:
    shares = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        x, y = rng.uniform(0, 100), rng.uniform(0, 80)
        x1, y1, x2, y2 = close_frame((100, 80), (x, y), rng)
        assert -1e-9 <= x1 <= x <= x2 <= 100 + 1e-9
        assert -1e-9 <= y1 <= y <= y2 <= 80 + 1e-9
        shares += [(x2 - x1) / 100, (y2 - y1) / 80]
    assert CLOSE[0] - 1e-9 <= min(shares) < 0.3
    assert 0.5 < max(shares) <= CLOSE[1] + 1e-9
