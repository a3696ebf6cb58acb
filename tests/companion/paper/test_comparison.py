"""Fair counting: what the sign test establishes, what is near, what costs too much."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from companion.paper.comparison import (
    LEVEL,
    NEAR,
    RIVALS,
    UNSAFE,
    ahead,
    compare,
    near,
    standing,
    unsafe,
)
from companion.paper.predictors import BASELINES
from tests.companion.paper.exponential_runs import errors_of, five


class TestCompare:
    def test_it_is_antisymmetric(self):
        errors = errors_of(FE=[0.1, 0.2, 2.0, 1.0])
        one, other = compare(errors, "FE", "knee"), compare(errors, "knee", "FE")
        assert (one.wins, one.losses, one.ties) == (2, 1, 1)
        assert (other.wins, other.losses, other.ties, other.p) == (1, 2, 1, one.p)

    @pytest.mark.parametrize("n", [1, 5, 8])
    def test_sign_test_of_a_clean_sweep(self, n):
        assert compare(errors_of(FE=[0.1] * n), "FE", "knee").p == pytest.approx(min(1, 2 * 0.5**n))

    def test_misses_lose_and_two_misses_tie(self):
        errors = errors_of(FE=[np.inf, np.inf], knee=[np.inf, 3.0])
        assert compare(errors, "FE", "knee") == (0, 1, 1, 1.0)

    def test_a_chapter_that_one_is_not_judged_on_does_not_count(self):
        errors = errors_of(FE=[0.1, 0.2, np.nan], knee=[0.3, np.nan, 0.1])
        for first, second, expected in (("FE", "knee", (1, 0, 0)), ("knee", "FE", (0, 1, 0))):
            assert compare(errors, first, second)[:3] == expected

    def test_no_difference_is_no_evidence(self):
        assert compare(errors_of(FE=[1.0] * 8), "FE", "knee") == (0, 0, 8, 1.0)

    def test_the_error_to_compare_can_be_chosen(self):
        errors = errors_of(FE=[0.1, 0.2]).assign(steps=1.0)
        assert compare(errors, "FE", "knee", by="steps") == (0, 0, 2, 1.0)
        assert compare(errors, "FE", "knee") == (2, 0, 0, 0.5)

    def test_rounding_is_no_difference(self):
        errors = errors_of(FE=[1 + 1e-10, 1 - 1e-10, 1 + 1e-8, 1 - 1e-8, 1 - 1e-8])
        assert compare(errors, "FE", "knee")[:3] == (2, 1, 2)

    def test_the_sign_test_is_two_sided(self):
        # 5 of 6 chapters: 2 (1 + 6) / 2^6.
        assert compare(errors_of(FE=[0.1] * 5 + [2.0]), "FE", "knee").p == pytest.approx(14 / 64)


class TestStanding:
    def test_rivals_are_the_rules_made_to_be_near(self):
        assert {*RIVALS, "careful"} == set(BASELINES)
        assert "careful" not in RIVALS

    def test_a_clean_sweep_of_six_is_established_and_of_five_is_not(self):
        # 2 / 2^6 is below the level of 0.05, 2 / 2^5 is not.
        for number, decided in ((6, True), (5, False)):
            for error in (0.1, 2.0):
                nearer, farther, undecided = standing(errors_of(FE=[error] * number), "FE")
                full, other = (farther, nearer) if error < 1 else (nearer, farther)
                assert set(full) == (set(RIVALS) if decided else set())
                assert other == {}
                assert set(undecided) == (set() if decided else set(RIVALS))

    def test_rules_are_sorted_one_by_one(self):
        errors = errors_of(RFE=[1.0] * 8, knee=[0.1] * 8, retained=[3.0] * 8, FE=[9.0] * 8)
        nearer, farther, undecided = standing(errors, "RFE")
        assert nearer == {"knee": (8, 0, 0, 2 / 2**8)}
        assert farther == {"retained": (0, 8, 0, 2 / 2**8)}
        assert undecided == {"quantile": (0, 0, 8, 1.0), "constant": (0, 0, 8, 1.0)}

    def test_the_level(self):
        assert LEVEL == 0.05


class TestCounts:
    def test_ahead_by_the_median(self):
        errors = errors_of(FE=[1.0, 2.0, 9.0], knee=[0.1, 1.9, 99.0], retained=[2.0, 2.0, 2.0])
        # Medians: 2 of FE, 1.9 of the knee, 2 of the retained sum, 1 of quantile and constant.
        assert ahead(errors, "FE") == 3
        assert ahead(errors, "RFE") == 0  # a tie is not ahead
        assert ahead(errors_of(FE=[np.inf] * 3, careful=[0.0] * 3), "FE") == len(RIVALS)

    def test_medians_are_over_chapters_that_both_are_judged_on(self):
        # Over all its chapters FE has the median 1, over those of the knee 5.
        errors = errors_of(FE=[1.0, 1.0, 1.0, 9.0, 5.0], knee=[np.nan, np.nan, 3.0, 3.0, 3.0])
        for rule in RIVALS:
            if rule != "knee":
                errors.loc[errors["predictor"] == rule, "octaves"] = 99.0
        assert ahead(errors, "FE") == 1

    def test_near_up_to_the_limit(self):
        assert NEAR == 0.5
        errors = errors_of(FE=[0.5, 0.5001, 0.0, np.inf, 0.49])
        names = list(five())
        assert near(errors, "FE") == [names[0], names[2], names[4]]
        assert near(errors, "knee") == []

    def test_unsafe_beyond_the_limit(self):
        assert UNSAFE == 0.01
        worst = [0.01, 0.0101, -0.2, np.nan, 0.3]
        errors = pd.DataFrame({"chapter": list(five()), "predictor": "FE", "worst": worst})
        names = list(five())
        assert unsafe(errors, "FE") == [names[1], names[4]]
        assert unsafe(errors, "RFE") == []
