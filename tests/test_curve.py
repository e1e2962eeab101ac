"""The errors that a report plots."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from verify.curve import MOST_POINTS, MOST_STEPS, Curve

positive = st.floats(1e-100, 1e100)
elements = st.lists(st.tuples(st.floats(allow_nan=True), positive | st.just(0.0), positive), max_size=40)


@given(st.lists(elements, max_size=4))
def test_the_nearest_to_its_allowance_is_told(steps):
    curve, ratios = Curve(), [0.0]
    for step in steps:
        value, error, allowance = (
            (np.array(x, dtype=float) for x in zip(*step, strict=True)) if step else (np.ones(0),) * 3
        )
        with np.errstate(all="ignore"):
            curve.add(value, error, allowance)
            ratios += [e / a for v, e, a in step if np.isfinite(v) and v and np.isfinite(e / a)]
    points = curve.points()
    assert len(points) <= MOST_POINTS + 1
    assert points == sorted(points)
    worst = max((e / a for _, e, a in points), default=0.0)
    # both numbers of a point are told to three digits
    assert np.isclose(worst, max(ratios), rtol=0.0101, atol=0)


def test_a_curve_has_enough_after_some_steps():
    curve = Curve()
    for _ in range(MOST_STEPS):
        assert curve.wants_more
        curve.add(np.ones(3), np.zeros(3), np.ones(3))
    assert not curve.wants_more
    other = Curve()
    other.merge(curve)
    assert other.points() == curve.points() == [[1, 0.0, 1.0]]
