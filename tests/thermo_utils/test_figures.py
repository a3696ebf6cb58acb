"""Figures: what is on them, and that no curve makes them stumble."""

from __future__ import annotations

import warnings
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from thermo_utils import figures, thermodynamic_curve
from thermo_utils.curves import Threshold
from thermo_utils.figures import ACCURACY, FULL, RENORMALIZED, SHOWN_BETA

NOTE = "synthetic data, not a reproduction"
PEAK = Threshold(tau=0.4, beta=0.3, kind="peak", prominence=0.1, rule="first")
THRESHOLDS = {
    "accuracy": PEAK._replace(tau=0.8, beta=0.5, kind="accuracy"),
    "full": PEAK,
    "renormalized": PEAK._replace(tau=0.5, beta=0.35),
}


def curve(points: int = 20, last: float = 4.0, *, accuracy: bool = True) -> pd.DataFrame:
    """Activations distributed exponentially, and an accuracy that falls with them."""
    tau = np.linspace(last / points, last, points)
    active = np.round(1000 * np.exp(-tau))
    table = thermodynamic_curve(tau, active, active * (1 + tau), 1000, 1000.0)
    if accuracy:
        table["accuracy"] = 0.9 - 0.2 * tau
        table.attrs["baseline_accuracy"] = 0.9
    return table


@pytest.fixture(autouse=True)
def strict():
    """A warning is an error, and no figure may stay open to be shown a second time."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    assert plt.get_fignums() == []


def six(full=None, fast=None, thresholds=THRESHOLDS, **options):
    full = curve() if full is None else full
    fast = curve(200, accuracy=False) if fast is None else fast
    figure = figures.six_panels(full, fast, thresholds, title="Ours on ours", **options)
    figure.canvas.draw()
    return figure


def labelled(axis, label: str) -> list:
    return [line for line in axis.lines if line.get_label() == label]


def curves(axis) -> dict[str, Any]:
    """The lines that the legend names."""
    return {line.get_label(): line for line in axis.lines if not line.get_label().startswith("_")}


def test_six_panels_in_the_order_of_the_paper():
    axes = six().axes
    assert [axis.get_title() for axis in axes] == [f"({letter})" for letter in "abcdef"]
    assert all(r"\tau" in axis.get_xlabel() for axis in axes[:3])
    assert all(r"\beta" in axis.get_xlabel() for axis in axes[3:])
    labels = [axis.get_ylabel() for axis in axes]
    assert labels[:3] == ["test accuracy", "free energy $F$", r"$dF/d\tau$"]
    assert labels[3:] == ["test accuracy", "free energy $F$", r"$dF/d\beta$"]


def test_colours_of_the_methods():
    for number, axis in enumerate(six().axes):
        found = {label: line.get_color() for label, line in curves(axis).items()}
        free = {"full evaluation (FE)": FULL, "renormalized (RFE)": RENORMALIZED}
        assert found == (free if number % 3 else {"test accuracy": ACCURACY})


def test_each_method_is_drawn_with_its_own_numbers():
    full, fast = curve(), curve(200, accuracy=False)
    full["free_energy"] += 1  # else the two lie on one line
    of_label = {
        "test accuracy": full, "full evaluation (FE)": full, "renormalized (RFE)": fast,
    }  # fmt: skip
    for axis, x, y in zip(
        six(full, fast).axes,
        ["tau"] * 3 + ["beta"] * 3,
        ["accuracy", "free_energy", "dF_dtau", "accuracy", "free_energy", "dF_dbeta"],
        strict=True,
    ):
        for label, line in curves(axis).items():
            table = of_label[label]
            shown = table if y == "accuracy" else table[table["beta"] <= SHOWN_BETA]
            np.testing.assert_array_equal(line.get_xdata(), shown[x])
            np.testing.assert_array_equal(line.get_ydata(), shown[y])


def test_thresholds_are_drawn_in_every_panel():
    for number, axis in enumerate(six().axes):
        marks = labelled(axis, "_threshold")
        assert [mark.get_color() for mark in marks] == [ACCURACY, FULL, RENORMALIZED]
        places = [t.tau if number < 3 else t.beta for t in THRESHOLDS.values()]
        assert [mark.get_xdata()[0] for mark in marks] == places


def test_missing_thresholds_are_left_out():
    nowhere = dict.fromkeys(THRESHOLDS)
    undefined = {"full": PEAK._replace(beta=np.nan)}
    for thresholds, tau, beta in ((nowhere, 0, 0), ({}, 0, 0), (undefined, 1, 0)):
        axes = six(thresholds=thresholds).axes
        assert len(labelled(axes[1], "_threshold")) == tau
        assert len(labelled(axes[4], "_threshold")) == beta


def test_legend_names_both_methods():
    (legend,) = six().legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert {"renormalized (RFE)", "full evaluation (FE)"} <= set(texts)


def band(axis) -> list[np.ndarray]:
    return [collection.get_paths()[0].vertices for collection in axis.collections]


def test_seeds_shade_their_range():
    low, high = curve(), curve()
    low["accuracy"] -= 0.1
    high["accuracy"] += 0.1
    axis = six(bands={"full": [curve(), low, high], "renormalized": [curve()]}).axes[0]
    (outline,) = band(axis)
    middle = 0.9 - 0.2 * 2.0
    at = outline[np.isclose(outline[:, 0], 2.0, atol=0.01)][:, 1]
    assert at.min() == pytest.approx(middle - 0.1, abs=0.005)
    assert at.max() == pytest.approx(middle + 0.1, abs=0.005)


def test_a_single_seed_has_no_band():
    figure = six(bands={"full": [curve()], "renormalized": [curve(200, accuracy=False)]})
    assert all(band(axis) == [] for axis in figure.axes)
    assert "seeds" not in str([t.get_text() for t in figure.legends[0].texts])


def test_the_band_covers_what_all_seeds_reach():
    short = curve(last=2.0)
    axis = six(bands={"full": [curve(), short]}).axes[0]
    (outline,) = band(axis)
    assert outline[:, 0].max() == pytest.approx(2.0)
    assert outline[:, 0].min() == pytest.approx(4.0 / 20)


def test_the_legend_counts_the_seeds():
    figure = six(bands={"full": [curve(), curve(), curve()], "renormalized": []})
    assert "range over 3 seeds" in [t.get_text() for t in figure.legends[0].texts]


def test_the_accuracy_axis_begins_at_zero():
    axes = six().axes
    assert axes[0].get_ylim()[0] == axes[3].get_ylim()[0] == 0


@pytest.mark.parametrize("synthetic", [True, False])
def test_synthetic_figures_say_so(synthetic):
    title = six(synthetic=synthetic).get_suptitle()
    assert title.startswith("Ours on ours")
    assert (NOTE in title) == synthetic


def empty_free_energy(table: pd.DataFrame) -> pd.DataFrame:
    undefined = ["free_energy", "dF_dtau", "dF_dbeta", "entropy", "internal_energy"]
    return table.assign(**dict.fromkeys(undefined, np.nan))


@pytest.mark.parametrize(
    "full",
    [
        empty_free_energy(curve()),  # nothing survives anywhere
        curve(last=12.0),  # nothing survives at the end
        curve(points=1),
        curve(points=2),
        curve(last=1e-6),  # nothing is pruned
        curve().assign(dF_dtau=1.0, dF_dbeta=1.0),  # a straight line
        curve().assign(beta=1.0),  # everything is pruned at once
    ],
    ids=["undefined", "ends", "point", "pair", "full", "straight", "dead"],
)
def test_no_curve_is_too_odd(full):
    figure = six(full, full.drop(columns="accuracy"))
    for axis in figure.axes:
        assert np.isfinite([*axis.get_xlim(), *axis.get_ylim()]).all()


def test_without_a_baseline():
    full = curve()
    full.attrs = {}
    assert labelled(six(full).axes[0], "_baseline") == []


def test_over_tau_both_curves_end_where_the_full_evaluation_does():
    full, fast = curve(20, last=2.0), curve(400, last=8.0, accuracy=False)
    axes = six(full, fast, bands={"renormalized": [fast, fast]}).axes
    for axis in axes[1:3]:
        assert reach(axis) == 2
        assert axis.get_xlim()[1] < 2.5  # the band too
    assert min(map(reach, axes[4:])) > full["beta"].iloc[-1] + 0.05  # over beta the other goes on


def reach(axis) -> float:
    return max(max(line.get_xdata()) for line in curves(axis).values())


def judged(metric: str, scores: Any) -> pd.DataFrame:
    full = curve(accuracy=False).assign(**{metric: scores})
    full.attrs = {"metric": {"name": metric, "higher_is_better": False}, "baseline": 12.0}
    return full


def test_another_metric_takes_the_place_of_the_accuracy():
    full = judged("mean_error", np.linspace(12, 20, 20))
    axes = six(full, thresholds={"mean_error": PEAK, "full": None, "renormalized": None}).axes
    for axis in (axes[0], axes[3]):
        assert axis.get_ylabel() == "test mean error"
        (line,) = curves(axis).values()
        assert line.get_ydata().tolist() == full["mean_error"].tolist()
        assert axis.get_yscale() == "linear"
        assert axis.get_ylim()[0] == 0
        (mark,) = labelled(axis, "_threshold")
        assert (mark.get_color(), mark.get_xdata()[0] in (PEAK.tau, PEAK.beta)) == (ACCURACY, True)


def test_a_score_that_grows_by_magnitudes_is_shown_in_magnitudes():
    scores = 12 * np.geomspace(1, 1e5, 20)
    scores[-1] = np.nan  # pruning itself made NaN
    axes = six(judged("perplexity", scores)).axes
    assert axes[0].get_yscale() == axes[3].get_yscale() == "log"


def test_the_renormalized_curve_alone():
    fast = curve(200, 12.0, accuracy=False)
    figure = figures.four_panels(fast, PEAK, title="Ours on ours")
    figure.canvas.draw()
    assert [axis.get_title() for axis in figure.axes] == ["(a)", "(b)", "(c)", "(d)"]
    for number, (axis, x) in enumerate(
        zip(figure.axes, ("tau", "tau", "beta", "beta"), strict=True)
    ):
        y = "free_energy" if number % 2 == 0 else f"dF_d{x}"
        (line,) = curves(axis).values()
        shown = fast[fast["beta"] <= SHOWN_BETA]
        np.testing.assert_array_equal(line.get_xydata(), shown[[x, y]].to_numpy())
        (mark,) = labelled(axis, "_threshold")
        assert mark.get_xdata()[0] == getattr(PEAK, x)
    # Over tau as far as anything is left.
    assert figure.axes[0].lines[0].get_xdata().max() <= -np.log(1 - SHOWN_BETA) * 1.1


def test_the_renormalized_curve_without_a_feature():
    figure = figures.four_panels(curve(2, accuracy=False), None, title="Ours")
    figure.canvas.draw()
    assert not any(labelled(axis, "_threshold") for axis in figure.axes)
    assert "no critical threshold" in [text.get_text() for text in figure.legends[0].texts]
