"""Which published numbers make no claim."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from companion.paper.left_out import LEFT_OUT, reason_left_out
from companion.paper.published import QUANTITIES


def reason(quantity, method="", model="mlp"):
    assert quantity in QUANTITIES
    return reason_left_out(SimpleNamespace(quantity=quantity, method=method, model=model))


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (("n_train",), "set-up"),
        (("optimizer",), "set-up"),
        (("figure",), "set-up"),
        (("extremum", "accuracy"), "accuracy columns"),
        (("derivative_zero", "accuracy"), "accuracy columns"),
        (("extremum", "full"), None),
        (("derivative_zero", "full"), None),
        (("tau_star", "accuracy"), None),
        (("cited_compression",), "cited"),
        (("cited_compute_cut",), "cited"),
        (("accuracy_after", "", "cnn"), "no place"),
        (("accuracy_after", "", "lstm"), None),
        (("accuracy", "", "cnn"), None),
        (("time_s", "full"), None),
    ],
)
def test_reasons(row, expected):
    assert reason(*row) == expected
    assert expected is None or LEFT_OUT[expected]


def test_results_are_no_set_up():
    results = {name for name in QUANTITIES if reason(name, "full") is None}
    assert results == {
        "tau_star", "beta_star", "feature", "tau_feature", "beta_feature", "derivative_zero",
        "extremum", "accuracy", "accuracy_after", "accuracy_recovered", "tau_plateau_end",
        "tau_collapse", "tau_recovery", "beta_recovery", "accuracy_variation", "accuracy_drop",
        "seed_variability", "time_s", "speedup",
    }  # fmt: skip
