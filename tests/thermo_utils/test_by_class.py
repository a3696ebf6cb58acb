"""Classes that die first because they were built to, and classes that only seem to."""

from __future__ import annotations

import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from scipy.stats import binom
from torch import nn

from thermo_utils import ThermoError, accuracy_threshold, cost_by_class, full_evaluation
from thermo_utils.chance import beyond_share, drop_interval, holm
from thermo_utils.class_figures import class_panels

TAUS = np.arange(1, 21) / 40


class Votes(nn.Module):
    """Right as long as an example's one vote survives; the last of the classes is none."""

    def __init__(self):
        super().__init__()
        self.act = nn.ReLU()

    def forward(self, votes):
        votes = self.act(votes)
        return torch.cat([votes, torch.full_like(votes[:, :1], 1e-9)], dim=1)


def votes(scales, examples, seed=0):
    """Examples of classes whose votes are uniform from 0 to a scale."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.repeat_interleave(torch.arange(len(scales)), torch.tensor(examples))
    size = torch.rand(len(targets), generator=generator) * torch.tensor(scales)[targets]
    inputs = torch.zeros(len(targets), len(scales))
    inputs[torch.arange(len(targets)), targets] = size.clamp(min=1e-6)
    order = torch.randperm(len(targets), generator=generator)
    return list(zip(inputs[order].split(200), targets[order].split(200), strict=True))


def evaluated(data, taus=TAUS):
    return full_evaluation(Votes(), data, "act", taus, per_class=True, progress=False)


def by_hand(examples, unpruned, lost, gained, taus=None):
    """A curve with these counts by class: lists over thresholds of lists over classes."""
    lost, gained = np.array(lost), np.array(gained)
    hits = np.array(unpruned) - lost + gained
    n = sum(examples)
    curve = pd.DataFrame(
        {
            "tau": np.arange(1, len(hits) + 1.0) if taus is None else taus,
            "beta": np.linspace(0.1, 0.9, len(hits)),
            "accuracy": hits.sum(axis=1) / n,
        }
    )
    curve.attrs = {
        "baseline_accuracy": sum(unpruned) / n,
        "samples": n,
        "per_class": {
            "examples": list(examples),
            "unpruned": list(unpruned),
            "hits": hits.tolist(),
            "lost": lost.tolist(),
        },
    }
    return curve


NAMES = ["ant", "bee", "cat", "dog", "none"]


def test_the_class_of_small_votes_dies_first():
    curve = evaluated(votes([1.0, 1.0, 0.1, 1.0], [400, 500, 300, 600]))
    costs = cost_by_class(curve, NAMES, max_drop=0.1)
    assert costs.early == ["cat"]
    first = costs.table.iloc[0]
    assert (first["class"], first["examples"]) == ("cat", 300)
    assert first["p"] < 1e-6
    assert first["tau"] < costs.mean.tau
    assert "none" not in set(costs.table["class"])  # which has no examples
    text = costs.summary()
    assert "1 of 4 classes give way before it, beyond what chance explains: cat" in text
    assert f"{costs.mean.tau:.3g}" in text
    assert text in repr(costs)


def test_accuracies_are_those_of_the_network():
    data = votes([1.0, 0.5, 0.1, 0.8], [100, 50, 30, 60])
    costs = cost_by_class(evaluated(data), NAMES)
    inputs, targets = (torch.cat(parts) for parts in zip(*data, strict=True))
    size = inputs.max(dim=1).values
    assert len(costs.curves) == 4 * len(TAUS)
    for _, row in costs.curves.iterrows():
        own = targets == NAMES.index(row["class"])
        right = (size[own] >= row["tau"]).double().mean()
        assert row["accuracy"] == pytest.approx(float(right))
        assert row["drop"] == pytest.approx(1 - float(right))
        assert row["mean_drop"] == pytest.approx(1 - float((size >= row["tau"]).double().mean()))
        assert row["examples"] == int(own.sum())
        assert row["low"] <= row["drop"] <= row["high"]
    weights = costs.curves["examples"] / 240
    mean = (costs.curves["accuracy"] * weights).groupby(costs.curves["tau"]).sum()
    whole = costs.curves.groupby("tau")["mean_accuracy"].first()
    np.testing.assert_allclose(mean, whole)


def test_thresholds_follow_the_rule_of_the_accuracy():
    curve = evaluated(votes([1.0, 0.5, 0.1, 0.8], [100, 50, 30, 60]))
    costs = cost_by_class(curve, NAMES, max_drop=0.2)
    mean = accuracy_threshold(curve, 0.2)
    assert costs.mean is not None
    assert costs.mean[:2] == mean[:2]
    for _, row in costs.table.iterrows():
        own = costs.curves[costs.curves["class"] == row["class"]]
        last = 0.0
        for tau, drop in zip(own["tau"], own["drop"], strict=True):
            if drop > 0.2 + 1e-9:
                break
            last = tau
        assert row["tau"] == last
        assert row["low"] <= row["tau"] <= row["high"]
    assert costs.table["tau"].is_monotonic_increasing


def test_exchangeable_classes_cannot_be_told_from_chance():
    # A class of ten: its accuracy falls by a tenth with the first example that it loses.
    curve = evaluated(votes([1.0] * 4, [400, 400, 10, 400], seed=3))
    costs = cost_by_class(curve, NAMES, max_drop=0.05)
    assert costs.early == []
    assert (costs.table["p"] > 0.05).all()
    assert "cannot be told from chance" in costs.summary()
    small = costs.table.set_index("class").loc["cat"]
    assert small["low"] == 0
    assert small["high"] > 2 * small["tau"]


def placebo(sizes, runs):
    """How often a class is called early where classes do not matter."""
    generator = np.random.default_rng(0)
    classes = np.repeat(np.arange(len(sizes)), sizes)
    strength = np.linspace(0.5, 1, len(sizes))[classes]
    taus = np.arange(1, 9) / 50

    def count(mask):
        return np.bincount(classes[mask], minlength=len(sizes))

    called = 0
    for _ in range(runs):
        # Weak and strong classes, of which pruning takes and gives without looking at the class.
        right = generator.random(classes.size) < strength
        dies, wakes = generator.random(classes.size) * 5, generator.random(classes.size) * 60
        lost = [count(right & (dies < tau)) for tau in taus]
        gained = [count(~right & (wakes < tau)) for tau in taus]
        curve = by_hand(sizes, count(right), lost, gained, taus)
        called += bool(cost_by_class(curve).early)
    return called


SIZES = [[5, 20, 50, 100, 500, 500, 1000], [300] * 10]


def test_classes_are_called_early_by_chance_seldom():
    assert placebo(SIZES[0], 30) <= binom.ppf(0.999, 30, 0.05)


@pytest.mark.slow
@pytest.mark.parametrize("sizes", SIZES)
def test_classes_are_called_early_by_chance_as_seldom_as_said(sizes):
    assert placebo(sizes, 400) <= binom.ppf(0.999, 400, 0.05)


def test_a_class_that_loses_no_more_than_its_share_is_not_early_however_small_it_is():
    alone = by_hand([1000, 20], [1000, 20], [[9, 1], [90, 3]], [[0, 0], [0, 0]])
    costs = cost_by_class(alone)
    assert costs.table["class"].tolist()[0] == "1"
    assert costs.table["tau"].tolist() == [0, 1]
    assert costs.early == []
    everything = by_hand([1000, 3], [1000, 3], [[2, 3], [20, 3]], [[0, 0], [0, 0]])
    assert cost_by_class(everything).early == ["1"]  # 3 of 3, where 5 of 1003 are lost


def test_weak_classes_have_less_to_lose():
    # Both lose one in ten of what they had right; the accuracy of the weak one falls by less.
    curve = by_hand([1000, 1000], [200, 1000], [[20, 100]], [[0, 0]])
    costs = cost_by_class(curve)
    assert costs.early == []
    assert (costs.table["p"] > 0.5).all()
    # And what is gained counts against what is lost.
    balanced = by_hand([1000, 1000], [500, 500], [[30, 30]], [[30, 0]])
    table = cost_by_class(balanced).table.set_index("class")
    assert (table.loc["0", "p"], table.loc["1", "p"] < 0.01) == (1, True)


def test_a_class_may_break_where_the_mean_does_not():
    curve = by_hand([5000, 500], [4500, 500], [[5, 5], [20, 100]], [[5, 0], [80, 0]])
    costs = cost_by_class(curve, ["many", "few"])
    assert costs.mean is None
    assert costs.early == ["few"]
    assert "1 of 2 classes leave their own all the same" in costs.summary()


def test_losses_at_the_threshold_of_the_mean_are_said_too():
    curve = by_hand([1000, 1000], [1000, 1000], [[1, 1], [0, 500]], [[0, 0], [0, 0]])
    costs = cost_by_class(curve)
    assert costs.mean is not None
    assert costs.early == []
    assert "no class gives way before it" in costs.summary()
    assert "1 of 2 lose more by then than chance explains: 1 at" in costs.summary()


def test_the_worst_class_at_a_threshold():
    curve = by_hand(
        [1000, 1000, 20], [900, 800, 20], [[1, 90, 1], [50, 300, 2]], [[1, 0, 0], [5, 0, 0]]
    )
    costs = cost_by_class(curve, ["a", "b", "c"])
    worst = costs.worst(1.0)
    assert (worst.name, worst.tau, worst.examples) == ("b", 1.0, 1000)
    assert worst.drop == pytest.approx(0.09)
    assert worst.mean_drop == pytest.approx(91 / 2020)
    assert worst.low < 0.09 < worst.high
    assert worst.p < 1e-6
    assert costs.worst(2.0).drop == pytest.approx(0.3)
    with pytest.raises(ThermoError, match="nearest is 1"):
        costs.worst(1.2)


def test_without_pairs_there_is_no_verdict_but_an_interval():
    curve = by_hand([100, 100], [90, 90], [[0, 40], [50, 50]], [[0, 0], [0, 0]])
    paired = cost_by_class(curve).curves
    curve.attrs["per_class"]["lost"] = [None, None]
    costs = cost_by_class(curve)
    assert costs.table["p"].isna().all()
    assert costs.early == []
    assert "not known which examples" in costs.summary()
    wide = costs.curves["high"] - costs.curves["low"]
    assert (wide > paired["high"] - paired["low"]).all()
    assert np.isnan(costs.worst(1.0).p)


def test_data_that_are_shuffled_between_passes():
    class Shuffled:
        def __init__(self):
            self.passes = 0

        def __iter__(self):
            self.passes += 1
            return iter(votes([1.0, 0.1], [100, 100], seed=self.passes))

    with pytest.warns(UserWarning, match="order"):
        curve = evaluated(Shuffled(), TAUS[:4])
    assert cost_by_class(curve).table["p"].isna().all()


def test_where_pruning_makes_nan_every_class_is_out_of_bounds():
    curve = by_hand([100, 100], [100, 100], [[0, 0], [0, 9], [9, 90]], np.zeros((3, 2), int))
    curve.loc[2, ["accuracy", "beta"]] = np.nan
    for key in ("hits", "lost"):
        curve.attrs["per_class"][key][2] = None
    costs = cost_by_class(curve, max_drop=0.2)
    assert costs.table["tau"].tolist() == [2, 2]
    assert costs.curves["accuracy"].isna().sum() == 2
    with pytest.raises(ThermoError, match="NaN"):
        costs.worst(3.0)
    curve["accuracy"] = np.nan
    curve.attrs["per_class"]["hits"] = curve.attrs["per_class"]["lost"] = [None] * 3
    with pytest.raises(ThermoError, match="smaller"):
        cost_by_class(curve)


def test_nothing_lost():
    costs = cost_by_class(by_hand([10, 10], [9, 9], [[0, 0]], [[0, 0]]))
    assert costs.mean is None
    assert costs.table["tau"].isna().all()
    assert "stays on its plateau" in costs.summary()


def test_what_is_no_curve_by_class_is_refused():
    curve = by_hand([10, 10], [9, 9], [[0, 1]], [[0, 0]])
    with pytest.raises(ThermoError, match="per_class=True"):
        cost_by_class(pd.DataFrame(curve.to_dict()))
    with pytest.raises(ThermoError, match="2 different"):
        cost_by_class(curve, ["a"])
    with pytest.raises(ThermoError, match="2 different"):
        cost_by_class(curve, ["a", "a"])
    with pytest.raises(ThermoError, match="alpha"):
        cost_by_class(curve, alpha=5)
    for key, value in (
        ("hits", [[11, 9]]), ("hits", [[9, 9], [9, 9]]), ("unpruned", [9]), ("lost", [[10, 9]]),
    ):  # fmt: skip
        bad = curve.copy()
        bad.attrs["per_class"] = {**curve.attrs["per_class"], key: value}
        with pytest.raises(ThermoError, match="do not fit"):
            cost_by_class(bad)


@given(
    lost=st.integers(0, 30), gained=st.integers(0, 30), n=st.integers(60, 200),
    alpha=st.sampled_from([0.05, 0.3]),
)  # fmt: skip
@settings(max_examples=60)
def test_intervals_hold_the_drop_and_narrow_with_examples(lost, gained, n, alpha):
    low, high = drop_interval([lost], [gained], n, alpha)
    assert -1 <= low[0] <= (lost - gained) / n <= high[0] <= 1
    wider = drop_interval([lost], [gained], n, alpha / 10)
    assert wider[0][0] <= low[0]
    assert wider[1][0] >= high[0]
    low10, high10 = drop_interval([10 * lost], [10 * gained], 10 * n, alpha)
    assert high10[0] - low10[0] < high[0] - low[0]


def test_intervals_miss_as_seldom_as_said():
    generator = np.random.default_rng(1)
    n, runs = 50, 2000
    draws = generator.multinomial(n, [0.1, 0.04, 0.86], size=runs)
    low, high = drop_interval(draws[:, 0], draws[:, 1], n, 0.05)
    assert np.mean((low > 0.06) | (high < 0.06)) <= 0.05


def test_probabilities_of_losses_are_those_of_drawing():
    examples, right = np.array([6, 20, 14]), np.array([5, 12, 9])
    lost, gained = np.array([3, 2, 1]), np.array([1, 1, 3])
    exact = beyond_share(examples, right, lost, gained)
    generator = np.random.default_rng(0)
    seen = np.zeros(3)
    runs = 20000
    for _ in range(runs):
        l = generator.multivariate_hypergeometric(right, lost.sum())  # noqa: E741
        g = generator.multivariate_hypergeometric(examples - right, gained.sum())
        seen += (l - g) >= lost - gained
    np.testing.assert_allclose(exact[:2], seen[:2] / runs, atol=0.012)
    assert exact[2] == 1  # it gains more than it loses


def test_holm_against_its_definition():
    p = np.array([0.2, 0.001, 0.03, 0.02])
    np.testing.assert_allclose(holm(p), [0.2, 0.004, 0.06, 0.06])
    assert holm(np.array([0.5, 0.9])).tolist() == [1.0, 1.0]
    assert np.isnan(holm(np.full(3, np.nan))).all()


@pytest.fixture(name="strict")
def strict_fixture():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    assert plt.get_fignums() == []


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize("x", ["tau", "beta"])
def test_the_figure_names_the_worst_classes(x):
    sizes = [300] * 6
    scales = [1.0, 1.0, 0.1, 1.0, 0.3, 1.0]
    names = ["ant", "b$e_e", "cat", "dog", "a class with a name that is much too long", "fly", "-"]
    costs = cost_by_class(evaluated(votes(scales, sizes)), names, max_drop=0.05)
    figure = class_panels(costs, x, worst=2, synthetic=True)
    FigureCanvasAgg(figure).draw()
    (legend,) = figure.legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert texts[0] == "cat (300 examples)"
    assert texts[1].startswith("a class")
    assert "…" in texts[1]
    assert texts[2:] == ["mean", "4 other classes"]
    left, right = figure.axes
    assert len([line for line in left.lines if line.get_label() != "_threshold"]) == 7
    named = [line for line in left.lines if line.get_label() in texts[:2]]
    assert len({str(line._dash_pattern) for line in named}) == 2  # told apart without colour
    mean = next(line for line in left.lines if line.get_label() == "mean")
    np.testing.assert_array_equal(mean.get_ydata(), costs.curves["mean_accuracy"][: len(TAUS)])
    dashed = [line.get_xdata()[0] for line in right.lines if line.get_label() == "_threshold"]
    assert costs.mean is not None
    assert dashed == [getattr(costs.mean, x)]
    assert "synthetic" in figure._suptitle.get_text()


@pytest.mark.usefixtures("strict")
def test_figures_of_many_classes_and_of_none_named():
    costs = cost_by_class(evaluated(votes([1.0] * 60, [5] * 60), TAUS[:5]))
    for worst in (0, 10):
        FigureCanvasAgg(class_panels(costs, worst=worst)).draw()
    with pytest.raises(ThermoError, match="tau, beta"):
        class_panels(costs, "rho")
    for worst in (-1, 11):
        with pytest.raises(ThermoError, match="worst"):
            class_panels(costs, worst=worst)
