"""Fewer points of a curve: lines between them are as near as asked, and no nearer than needed."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from companion.pages.thinned import thinned

numbers = st.floats(-1e3, 1e3, allow_nan=False)


@given(
    st.lists(st.tuples(st.floats(0.01, 1), numbers, numbers), min_size=2, max_size=40),
    st.floats(0.001, 0.5),
    st.data(),
)
def test_lines_stay_within_the_tolerance(rows, tolerance, data):
    steps, first, second = zip(*rows, strict=True)
    curve = pd.DataFrame({"tau": np.cumsum(steps), "a": first, "b": second})
    must = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=3))
    at = thinned(curve, ["a", "b"], tolerance=tolerance, must=must)
    assert {0, len(rows) - 1, *must} <= set(at.tolist())
    assert (np.diff(at) > 0).all()
    for name in ("a", "b"):
        line = np.interp(curve["tau"], curve["tau"].iloc[at], curve[name].iloc[at])
        # Of a column that does not vary there is no fraction of a range.
        scale = np.ptp(curve[name]) or 1.0
        assert np.abs(line - curve[name]).max() <= tolerance * scale * (1 + 1e-6) + 1e-9


def test_a_line_needs_its_ends_alone():
    tau = np.linspace(0.1, 1, 50)
    at = thinned(pd.DataFrame({"tau": tau, "F": 3 - 2 * tau}), ["F"], tolerance=1e-6)
    assert at.tolist() == [0, 49]


def test_the_edge_of_what_is_undefined_is_kept():
    curve = pd.DataFrame({"tau": np.arange(1.0, 8), "F": [1, 2, 3, 4, np.nan, np.nan, np.nan]})
    at = set(thinned(curve, ["F"], tolerance=0.01).tolist())
    assert {0, 3, 4, 6} <= at


def test_the_range_may_be_that_of_a_part():
    # A plunge at the end would make every bend before it small.
    curve = pd.DataFrame({"tau": np.arange(1.0, 7), "F": [0.0, 1.0, 0.0, 1.0, 0.0, -1e6]})
    part = np.array([True] * 5 + [False])
    assert len(thinned(curve, ["F"], tolerance=0.1)) == 3
    assert len(thinned(curve, ["F"], tolerance=0.1, among=part)) == 6
