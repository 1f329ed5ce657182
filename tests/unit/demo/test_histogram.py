"""The drawing of ERS."""

import pytest

from tests.demo.histogram import HEIGHT, WIDTH, make_histogram


def test_every_series_has_the_same_area_however_many_values_it_has() -> None:
    drawn = make_histogram({"few": [0.2, 0.9], "many": [0.1, 0.4, 0.4, 0.8, 1.1] * 20}, gamma=0.65)
    areas = [sum(bar.width * bar.height for bar in bars) for bars in drawn.bars.values()]
    assert areas[0] == pytest.approx(areas[1])
    assert max(bar.height for bars in drawn.bars.values() for bar in bars) == pytest.approx(HEIGHT)
    assert drawn.gamma_x == pytest.approx(WIDTH / 2)


def test_values_beyond_the_axis_stay_in_the_drawing() -> None:
    (bars,) = make_histogram({"clear": [1.9, -0.2]}, gamma=0.5).bars.values()
    assert all(0 <= bar.x < bar.x + bar.width <= WIDTH + 1e-9 for bar in bars)
    assert len(bars) == 2


def test_a_series_without_values_draws_nothing() -> None:
    assert make_histogram({"clear": []}, gamma=0.5).bars == {"clear": ()}
