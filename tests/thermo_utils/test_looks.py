"""Looks of curves: each is told from every other without colour, and seen on white paper."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import seaborn as sns
from matplotlib.colors import to_rgb

from companion.pages.predictions import LINES, MARKS
from companion.pages.speed import PROCEDURES
from thermo_utils.looks import ACCURACY, DASHES, FULL, LOOKS, OF_SCORE, RENORMALIZED, STYLE

COLORS = {
    *(FULL, RENORMALIZED, ACCURACY),
    *(look.color for look in LOOKS),
    *(color for color, _ in MARKS.values()),
    *(color for _, color in PROCEDURES.values()),
}


def contrast(color: str) -> float:
    """With white, as the Web Content Accessibility Guidelines define it."""
    rgb = np.array(to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(1.05 / (linear @ [0.2126, 0.7152, 0.0722] + 0.05))


def test_the_reference_for_contrast_is_right():
    assert contrast("#ffffff") == pytest.approx(1)
    assert contrast("#000000") == pytest.approx(21)
    assert contrast("#767676") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("color", sorted(COLORS))
def test_colours_stand_out_from_paper(color):
    assert contrast(color) >= 3


def test_no_two_looks_share_dashes_or_a_mark():
    for a, b in combinations(LOOKS, 2):
        assert a.line != b.line
        assert a.marker != b.marker
        assert a.color != b.color


def test_methods_differ_in_their_dashes():
    assert len({*DASHES.values(), OF_SCORE}) == len(DASHES) + 1


def test_rules_differ_in_their_marks():
    assert set(LINES) == set(MARKS)
    assert len({marker for _, marker in MARKS.values()}) == len(MARKS)


def test_rules_that_are_curves_differ_in_their_dashes():
    simple = [line for rule, line in LINES.items() if not rule.startswith(("FE", "RFE"))]
    assert len(set(simple)) == len(simple)
    assert "--" not in simple  # the measured accuracy, which bounds them


def test_the_style_is_seaborns_with_paler_lines():
    seaborn = sns.axes_style("whitegrid")
    del seaborn["image.cmap"]  # no figure leaves its map open, and this one only seaborn has
    differs = {name for name in seaborn if seaborn[name] != STYLE[name]}
    assert differs == {"axes.edgecolor", "grid.color"}
