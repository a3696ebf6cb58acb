"""Placebos: thresholds of the grid, drawn without a look at the free energy."""

from __future__ import annotations

import numpy as np
import pytest

from companion.paper.measures import MEASURES, measure
from companion.paper.placebo import at_random, first_point
from tests.companion.paper.hand_record import FULL, THRESHOLDS, seen

TAU = FULL["tau"].to_numpy()


def test_the_first_point_is_that_of_the_grid_for_both_curves():
    placed = first_point(seen())
    assert placed.marks["full"][:2] == (0.5, 0.05)
    # RFE is known from 1 on, with 0.11 there.
    assert placed.marks["renormalized"][:2] == (0.5, 0.11)
    assert placed.marks["accuracy"] == seen().marks["accuracy"]


def test_random_ones_are_points_of_the_grid_from_all_of_it():
    draws = at_random(seen(), "some seed", 2000)
    for method in ("full", "renormalized"):
        found = np.array([placed.marks[method].tau for placed in draws])
        assert set(found) == set(TAU)
        # All but the two at the ends, which have half a step, are drawn equally often.
        inner = np.array([(found == tau).mean() for tau in TAU[1:-1]])
        assert np.abs(inner - 1 / 11).max() < 5 * np.sqrt(1 / 11 / 2000)
    for placed in draws[:50]:
        mark = placed.marks["full"]
        assert mark.beta == FULL.loc[FULL["tau"] == mark.tau, "beta"].item()


def test_fe_and_rfe_are_drawn_independently():
    draws = at_random(seen(), "some seed", 2000)
    full, fast = ([placed.marks[m].tau for placed in draws] for m in ("full", "renormalized"))
    assert abs(np.corrcoef(full, fast)[0, 1]) < 0.1


def test_the_seed_alone_decides():
    def drawn(seed):
        return [p.marks["full"].tau for p in at_random(seen(), seed, 20)]

    assert drawn("a") == drawn("a") != drawn("b")


def test_finer_thresholds_near_zero_are_not_drawn_more_often():
    """A grid with more points near zero must not make placebos early."""
    fine = FULL.iloc[[0] * 20].assign(tau=np.linspace(0.01, 0.2, 20))
    full = fine._append(FULL, ignore_index=True) if hasattr(fine, "_append") else FULL
    draws = at_random(seen(full), "some seed", 1000)
    early = np.mean([placed.marks["full"].tau <= 0.35 for placed in draws])
    assert early < 0.1


def test_what_was_found_plays_no_part():
    """A record whose F has no feature gives the same placebos, and the same readings of them."""
    nothing = seen(thresholds={**THRESHOLDS, "full": None, "renormalized": None})
    for one, other in zip(at_random(seen(), "x", 20), at_random(nothing, "x", 20), strict=True):
        for name, made in MEASURES.items():
            if made.placed:
                assert measure(name, one) == measure(name, other), name


@pytest.mark.parametrize("name", [n for n, made in MEASURES.items() if made.placed])
def test_a_measure_with_a_placebo_reads_the_placebo(name):
    values = {str(measure(name, placed)) for placed in at_random(seen(), "y", 50)}
    assert len(values) > 1 or name == "smoothness"
