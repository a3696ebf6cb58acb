"""How firm a chapter's first features are: intervals, variants of the rule, and piles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from companion.pages.chapter import Page
from companion.pages.features import VARIANTS, firmness, piles, variant_thresholds
from companion.pages.tables import NONE_FOUND
from companion.runs.methods import CURVES, METHODS
from companion.runs.records import Record, read_chapter, read_record
from thermo_utils import critical_threshold, thermodynamic_curve
from thermo_utils.transitions import highest_point

COMMITTED = Path(__file__).parents[3] / "results"
TAU = np.arange(1, 41) * 0.05


def half_normal(scale=1.0, tau=TAU, size=10**7):
    """Renormalized curve of half-normal activations, by numerical integration."""
    fine = np.linspace(0, 8 * scale, 200_001)
    weight = np.exp(-((fine / scale) ** 2) / 2)
    above = np.cumsum(weight[::-1])[::-1] / weight.sum()
    sums = np.cumsum((weight * fine)[::-1])[::-1] / weight.sum()
    active = np.round(size * np.interp(tau, fine, above)).astype(int)
    return thermodynamic_curve(tau, active, size * np.interp(tau, fine, sums), size, size * sums[0])


@pytest.fixture
def run(record):
    """Makes a record of given curves, which lies nowhere."""

    def make(full, renormalized, seed=0):
        by_hand = record(seed=seed)
        curves = {"full": full, "renormalized": renormalized}
        table = pd.concat([c.assign(method=m) for m, c in curves.items()], ignore_index=True)
        return Record(by_hand.folder, by_hand.result, table.assign(accuracy=0.5))

    return make


def test_there_are_five_variants_of_different_names():
    assert len({variant.words for variant in VARIANTS}) == len(VARIANTS) == 5


def test_a_clear_feature_is_the_same_under_every_variant(run):
    curve = half_normal()
    first = critical_threshold(curve)
    found = variant_thresholds(curve)
    assert {t.tau for t in found.values()} == {first.tau}
    table = firmness(run(curve, curve))
    assert table.columns.tolist() == [METHODS[m].short for m in CURVES]
    for words in ("first feature", *found):
        assert table.loc[words, "FE"].startswith(f"peak {first.tau:g} (")
    assert table.loc["highest point of F", "FE"].startswith(f"{first.tau:g} (")


def test_the_variants_change_what_they_say():
    curve = half_normal()
    peak = int(np.argmax(curve["free_energy"]))
    early = variant_thresholds(curve.iloc[peak:].reset_index(drop=True))
    assert set(early.values()) == {None}
    # A little beyond its peak F has moved back by half of what it rose, but not by all of it.
    f = curve["free_energy"].to_numpy()
    end = peak + int(np.argmax(f[peak:] < (f[0] + f[peak]) / 2)) + 1
    found = variant_thresholds(curve.iloc[:end].reset_index(drop=True))
    assert found[VARIANTS[0].words] is not None
    assert found[VARIANTS[1].words] is None
    noisy = half_normal(size=30_000)
    assert variant_thresholds(noisy)[VARIANTS[2].words] is None


def test_none_found(run):
    falling = half_normal().iloc[10:].reset_index(drop=True)
    table = firmness(run(falling, falling))
    assert table.loc["first feature"].tolist() == [NONE_FOUND, NONE_FOUND]
    assert table.loc["highest point of F", "FE"].startswith(f"{falling['tau'][0]:g} ")


def test_over_seeds(run):
    curves = [half_normal().assign(tau=TAU * unit) for unit in (1.0, 1.1, 2.0)]
    runs = [run(curve, curve, seed) for seed, curve in enumerate(curves)]
    assert firmness(runs[0])["FE"]["over seeds"] == "one seed"
    assert firmness(runs[0], runs[1:2])["FE"]["over seeds"].startswith("peak 0.3")
    assert firmness(runs[0], runs[1:])["FE"]["over seeds"].startswith("no reliable feature")


def test_examples_that_are_not_known(run):
    cell = firmness(run(half_normal(), half_normal()))["RFE"]["with other test examples"]
    assert "not known" in cell


def test_examples_drawn_again(run, monkeypatch):
    record = run(half_normal(), half_normal())
    whole = half_normal(tau=np.concatenate([[1e-9], TAU]), size=10**6)
    table = pd.concat(
        [whole.assign(block=b)[["tau", "block", "active", "abs_sum"]] for b in (0, 1)]
    )
    table.loc[table["tau"] < 0.01, "tau"] = 0.0
    monkeypatch.setattr(record, "blocks", lambda method: table)
    first = critical_threshold(half_normal(size=2 * 10**6))
    assert firmness(record)["FE"]["with other test examples"] == f"{first.tau:g}"


# -- piles ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [0.4, 1.0, 1.5])
def test_a_value_that_many_share(at):
    curve = half_normal()
    assert piles(curve) == []
    many = curve.assign(active=curve["active"] - 500_000 * (curve["tau"] >= at - 1e-9))
    assert piles(many) == [pytest.approx(at)]


def test_a_handful_of_activations_is_no_pile():
    rng = np.random.default_rng(0)
    tau = np.arange(1, 401) * 0.01
    for _ in range(5):
        active = 1000 - np.cumsum(rng.multinomial(1000, np.full(401, 1 / 401))[:400])
        few = pd.DataFrame({"tau": tau, "active": active, "rho": active / 1000})
        assert piles(few) == []


def test_a_curve_too_short_to_tell():
    assert piles(half_normal().iloc[:10]) == []


@pytest.mark.parametrize("name", ["bert-ag_news", "bert-yelp", "electra-ag_news", "electra-yelp"])
def test_gelu_piles_up_activations_at_its_minimum(name):
    # x Phi(x) is never below -0.17, and many values lie just above.
    from scipy.optimize import minimize_scalar
    from scipy.stats import norm

    lowest = minimize_scalar(lambda x: x * norm.cdf(x), bounds=(-2, 0), method="bounded").fun
    record = read_record(COMMITTED / "small" / name)
    tau = record.curve("renormalized")["tau"]
    (first, *_) = piles(record.curve("renormalized"))
    step = float(tau[1] - tau[0])
    assert first - step < -lowest <= first


def test_a_feature_where_activations_pile_up_says_so():
    for name, said in (("electra-yelp", True), ("mlp-cifar10", False)):
        page = Page(read_record(COMMITTED / "small" / name), siblings=[])
        assert ("pile" in page.firmness().loc["first feature", "RFE"]) == said


# -- committed records ---------------------------------------------------------------------------


def test_every_committed_chapter_shows_them():
    for path in sorted((COMMITTED / "small").glob("*/result.json")):
        runs = read_chapter(COMMITTED, "small", path.parent.name)
        table = Page(runs[0], runs[1:]).firmness()
        for method, short in (("full", "FE"), ("renormalized", "RFE")):
            curve = runs[0].curve(method)
            stored = runs[0].result["thresholds"][method]
            cell = table.loc["first feature", short]
            if stored is None:
                assert cell == NONE_FOUND
            else:
                assert f"{stored['kind']} {stored['tau']:g}" in cell
            assert table.loc["highest point of F", short].startswith(
                f"{highest_point(curve).tau:g} ("
            )
        assert (table != "").all(axis=None)
