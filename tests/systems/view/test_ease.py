"""The window's answer to a slow software renderer: coarser below, finer above, and still in between."""

import pytest

from systems.view.window import AMPLE_FPS, LEAST_DETAIL, LEAST_FPS, eased


@pytest.mark.parametrize(("detail", "fps", "then"), [
    (1.0, LEAST_FPS - 1, 0.9), (LEAST_DETAIL, 3.0, LEAST_DETAIL), (0.8, AMPLE_FPS + 1, 0.9), (1.0, 60.0, 1.0),
    (0.8, (LEAST_FPS + AMPLE_FPS) / 2, 0.8), (0.8, 0.0, 0.8),
])  # fmt: skip
def test_detail_follows_the_pictures_per_second(detail, fps, then):
    assert eased(detail, fps) == pytest.approx(then)


def test_it_settles():
    """A machine whose pictures per second grow with the pixels saved ends on one level and stays there."""
    detail, seen = 1.0, []
    for _ in range(20):
        detail = eased(detail, 11.0 / detail**2)
        seen.append(detail)
    assert len(set(seen[-5:])) == 1 and LEAST_DETAIL < seen[-1] < 1.0
