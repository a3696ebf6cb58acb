"""What was found in a chapter, in sentences: right for every kind of record, and of its own."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from itertools import combinations
from statistics import fmean, stdev

import numpy as np
import pandas as pd
import pytest

from companion.pages.found import found as on_page
from companion.pages.shown import fraction
from companion.paper.ledger import of_chapter
from companion.paper.published import lookup
from companion.paper.rules import Outcome
from companion.runs.chapters import CHAPTERS, Chapter
from companion.runs.provenance import ROOT
from companion.runs.records import read_chapter
from tests.companion.pages.conftest import made

MLP = Chapter("mlp", "cifar10", 2)
PEAK = {"tau": 0.5, "beta": 0.39, "kind": "peak", "prominence": 0.1, "rule": ""}


def found(chapter, records):
    """What is found, with ordinary spaces."""
    return on_page(chapter, records).replace("\u00a0", " ")


def sentences(text):
    """The sentences of a page's part, without its heading."""
    _, _, body = text.partition("\n")
    parts = re.split(r"(?<=[.:!?])(?:\*\*)?\s+(?=[*A-Z<])", " ".join(body.split()))
    return [part.strip("* ") for part in parts if part.strip("* ")]


def thresholds(full=PEAK, fast=PEAK):
    return {"accuracy": None, "full": full, "renormalized": fast}


def told(record, *arguments, **changed):
    """What is said of one run of the MLP."""
    return found(MLP, [record(*arguments, **changed)])


def lost_at(run, tau):
    """Points lost at a threshold, and two standard errors, from the counts of the examples."""
    row = run.curve("full").set_index("tau").loc[tau]
    n, lost, gained = run.curve("full").attrs["samples"], row["lost"], row["gained"]
    each = np.r_[np.ones(int(lost)), -np.ones(int(gained)), np.zeros(int(n - lost - gained))]
    return 100 * each.mean(), 200 * each.std() / math.sqrt(n)


class TestOneSeed:
    def test_the_paper_beside_ours(self, record):
        text = told(record)
        for row in lookup("mlp", "cifar10").to_dict("records"):
            if row["quantity"] in ("tau_star", "beta_star"):
                assert f"≈ {row['low']:.2f}" in text
        assert "reaches about 58 %" in text
        assert "right on 56.0 % of the CIFAR-10 test images" in text
        assert "most frequent class: 12.5 %" in text
        assert "±" not in text.replace(
            "± 2 standard errors of the difference", ""
        )  # one seed has no deviation
        assert "a peak at τ\\* = 0.12, β\\* = 0.13" in text
        assert "a bend at τ\\* = 0.31, β\\* = 0.27" in text
        assert "the two do not match" in text
        assert "the two match" in told(record, match=True)

    # The accuracy falls by a tenth of tau, so by a point at the grid's first threshold, 0.1.
    @pytest.mark.parametrize(
        ("tau", "words"),
        [
            (0.1, "within a grid step of where the accuracy gives way"),
            (0.2, "within a grid step of where the accuracy gives way"),
            (0.3, "after the accuracy gives way (by a factor of 3.0"),
            (1.2, "after the accuracy gives way (by a factor of 12 in"),
        ],
    )
    def test_place_of_the_first_feature(self, record, tau, words):
        assert words in told(record, thresholds=thresholds({**PEAK, "tau": tau}))

    def test_early(self, record):
        run = record(thresholds=thresholds({**PEAK, "tau": 0.1}))
        full = run.curves["method"] == "full"
        late = run.curves["tau"] <= 0.85
        run.curves.loc[full & late, ["lost", "gained"]] = 3
        run.curves.loc[full & late, "accuracy"] = 0.56
        text = found(MLP, [run])
        assert "before the accuracy gives way (by a factor of 8.0" in text
        assert "up to τ = 0.8, where" in text
        low, high = lost_at(run, 0.1)
        assert f"costs 0.0 (−{high:.1f} to {high:.1f}) points" in text
        assert low == 0

    def test_cost_with_its_interval(self, record):
        run = record(thresholds=thresholds())
        points, two = lost_at(run, 0.5)
        assert points == pytest.approx(5)
        assert f"costs 5.0 ({points - two:.1f} to {points + two:.1f}) points of acc" in found(
            MLP, [run]
        )

    def test_what_is_gained(self, record):
        run = record(thresholds=thresholds())
        run.curves["accuracy"] = 0.56 + 0.02
        run.curves[["lost", "gained"]] = run.curves[["gained", "lost"]].to_numpy()
        assert "gains 2.0 (" in found(MLP, [run])

    def test_without_counts_no_interval(self, record):
        run = record(thresholds=thresholds())
        run.curves = run.curves.drop(columns=["lost", "gained"])
        text = found(MLP, [run])
        assert "costs 5.0 points of accuracy" in text
        assert "standard errors" not in text


class TestSeveralSeeds:
    def test_means_and_ranges(self, record):
        taus, accuracies = (0.5, 0.7, 0.9), (0.55, 0.56, 0.6)
        runs = [
            record(seed=s, accuracy=a, thresholds=thresholds({**PEAK, "tau": t, "beta": t / 2}))
            for s, (a, t) in enumerate(zip(accuracies, taus, strict=True))
        ]
        text = found(MLP, runs)
        mean, deviation = (100 * f(accuracies) for f in (fmean, stdev))
        assert "seeds 0, 1 and 2" in text
        assert f"right on {mean:.1f} ± {deviation:.1f} %" in text
        assert "a peak at τ\\* = 0.7 ± 0.2 (0.5 to 0.9), β\\* = 0.35 ± 0.10" in text
        assert "(by a factor of 7 ± 2 in τ)" in text

    def test_a_seed_without_a_feature(self, record):
        runs = [record(seed=s, thresholds=thresholds(None if s == 2 else PEAK)) for s in range(3)]
        text = found(MLP, runs)
        assert "a peak at τ\\* = 0.5, β\\* = 0.39 on seeds 0 and 1 and no feature on seed 2" in text
        assert "there is none on seed 2" in text
        assert "on CIFAR-10 on seeds 0 and 1" in text

    def test_kinds_stand_apart(self, record):
        kinds = ("peak", "inflection", "peak")
        runs = [
            record(seed=s, thresholds=thresholds({**PEAK, "kind": k, "tau": 0.3 + 0.2 * s}))
            for s, k in enumerate(kinds)
        ]
        text = found(MLP, runs)
        assert "a peak at τ\\* = 0.3 and 0.7, β\\* = 0.39 on seeds 0 and 2" in text
        assert "an inflection at τ\\* = 0.5, β\\* = 0.39 on seed 1" in text

    def test_before_and_after(self, record):
        runs = [
            record(seed=s, thresholds=thresholds({**PEAK, "tau": t}))
            for s, t in enumerate((0.1, 0.4, 0.6))
        ]
        text = found(MLP, runs)
        assert "within a grid step of where the accuracy gives way on seed 0" in text
        assert "after it does on seeds 1 and 2 (by factors of 4.0 and 6.0 in τ)" in text

    @pytest.mark.parametrize(
        ("matching", "words"),
        [([], "never match"), ([1], "match on seed 1"), ([0, 1, 2], "the two match.")],
    )
    def test_matches(self, record, matching, words):
        assert words in found(MLP, [record(seed=s, match=s in matching) for s in range(3)])

    def test_many_are_not_listed(self, record):
        text = found(MLP, [record(seed=s, thresholds=thresholds()) for s in range(6)])
        assert "costs 5.0 points of accuracy" in text

    def test_order_of_seeds_is_that_of_the_records(self, record):
        runs = [record(seed=s, thresholds=thresholds({**PEAK, "tau": s / 10})) for s in (3, 7)]
        assert "at τ\\* = 0.3 and 0.7" in found(MLP, runs)


class TestNoFeature:
    def test_at_all(self, record):
        text = told(record, thresholds=thresholds(None, None))
        assert "F of MLP on CIFAR-10 shows no feature" in text
        assert "Pruning" not in text
        assert "nan" not in text.lower()

    def test_in_one_of_the_two(self, record):
        text = told(record, thresholds=thresholds(None))
        assert "shows no feature; renormalized" in text
        assert "Pruning" not in text

    def test_no_sparsity(self, record):
        text = told(record, thresholds=thresholds({**PEAK, "beta": None}))
        assert "a peak at τ\\* = 0.5;" in text


class TestNotJudged:
    def test_too_little_is_known(self, record):
        data = record().result["data"] | {"most_frequent": 0.545}
        text = told(record, data=data, thresholds=thresholds())
        assert "is not judged" in text
        assert "the first feature of F comes" not in text
        assert "Pruning MLP at the first feature of F costs 5.0" in text

    def test_the_grid_ends_before(self, record):
        run = record(thresholds=thresholds())
        run.curves[["accuracy", "lost", "gained"]] = 0.56, 3, 3
        text = found(MLP, [run])
        assert "loses no more than 1 point up to the last threshold, τ = 2" in text
        assert "the first feature of F comes" not in text

    def test_it_falls_at_once(self, record):
        run = record(thresholds=thresholds())
        run.curves["accuracy"] -= 0.1
        assert "at the first threshold, τ = 0.1, already" in found(MLP, [run])

    def test_on_one_seed(self, record):
        runs = [record(seed=s, thresholds=thresholds()) for s in range(2)]
        runs[1].curves[["accuracy", "lost", "gained"]] = 0.56, 3, 3
        text = found(MLP, runs)
        assert re.search(r"up to τ = 0.1, where β = 0\.\d+ on seed 0 and loses no more than", text)
        assert "after the accuracy gives way on seed 0 (by a factor of 5.0 in τ)" in text


def test_what_the_paper_does_not_have(record):
    for chapter in (Chapter("perceptron", "digits"), Chapter("mlp", "yelp")):
        text = found(chapter, [record(chapter.model, chapter.dataset)])
        assert f"{chapter.title} is not in the paper" in text
        assert "claim" not in text.replace("claims.html", "").split("What differs")[0]
        assert "test examples" in text or "test texts" in text


def test_synthetic_data_reproduce_nothing(record):
    text = told(record, synthetic=True, profile="demo")
    assert "Synthetic data, not CIFAR-10" in text
    assert "reproduces nothing" in text
    assert "of the synthetic CIFAR-10 test images" in text
    others = re.findall(r"(?<!synthetic )CIFAR-10", text)
    assert len(others) == 2  # what was not used, and the claims that are not asked
    assert "In the paper" not in text
    assert "hold" not in text  # no verdict
    assert "all count as not run" in text


@pytest.mark.parametrize(
    ("keep", "words"), [(slice(0, 10), "beyond our last"), (slice(18, 20), "before our first")]
)
def test_thresholds_of_the_paper_outside_of_our_grid(record, keep, words):
    model, dataset = ("gpt2", "ag_news") if keep.start == 0 else ("vit", "cifar10")
    run = record(model, dataset, thresholds=thresholds(None))
    full = run.curves[run.curves["method"] == "full"].iloc[keep]
    run.curves = pd.concat([full, run.curves[run.curves["method"] != "full"]])
    text = found(Chapter(model, dataset), [run])
    assert words in text
    assert f"τ = {full['tau'].iloc[-1 if keep.start == 0 else 0]:g}" in text
    assert words not in found(MLP, [record()])


def test_text_of_a_record_is_text(record):
    kind = "<script>[x](y)$z$"
    run = record(differs=[f"{kind} of the data"], thresholds=thresholds({**PEAK, "kind": kind}))
    text = found(MLP, [run])
    assert "<script" not in text
    assert "](" not in text
    assert "$" not in text


class TestClaims:
    def test_counts_are_those_of_the_ledger(self, record):
        differs = ["2,000 of the test images"]  # which matters to some claims
        runs = [record(seed=s, accuracy=0.58, differs=differs) for s in range(3)]
        table = of_chapter("mlp-cifar10", runs, draws=1)
        text = found(MLP, runs)
        assert f"Of the {len(table)} claims about MLP on CIFAR-10 alone" in text
        for setup in ("same", "other"):
            here = table[table["setup"] == setup]["outcome"].value_counts()
            assert len(here) > 1
            link = re.search(rf"setup={setup}#claims-table\">([^<]*)</a>", text)[1]
            numbers = [int(n) for n in re.findall(r"\d+", link)]
            expected = [here.get(o, 0) for o in (Outcome.HOLDS, Outcome.FAILS)]
            assert numbers == [n for n in expected if n]

    def test_what_could_not_be_asked(self, record):
        assert re.search(r"outcome=not\+run#claims-table\">3</a> were not run", told(record))


class TestDiffers:
    def test_what_matters_and_what_does_not(self, record):
        notes = ["at most 3 epochs", "random 70/15/15 split instead of the official one"]
        text = told(record, differs=notes)  # of three epochs it ran two
        assert "matters to no claim: at most 3 epochs; random 70/15/15 split" in text
        text = told(record, differs=["12 training images", notes[1]])
        assert "CIFAR-10: 12 training images; and, without weight for any claim, random" in text

    def test_nothing(self, record):
        assert "Nothing is known to differ" in told(record, differs=[])

    def test_long_lists_are_told_by_kind(self, record):
        notes = [f"{n},000 training texts" for n in range(1, 10)]
        text = told(record, differs=[*notes, "an unheard-of change"])
        assert "training data and an unheard-of change, as the card" in text


#: More records, whose pages are compared where there is time.
MORE: list[dict[str, object]] = [
    {"differs": []},
    {"thresholds": thresholds(None, None)},
    {"thresholds": thresholds({**PEAK, "tau": 0.1})},
    {"data": made()[0]["data"] | {"most_frequent": 0.555}},
]


class TestOwnSentences:
    """No sentence stands on the page of another chapter."""

    @pytest.mark.parametrize(
        "changed",
        [
            {},
            {"synthetic": True},
            *(pytest.param(changed, marks=pytest.mark.slow) for changed in MORE),
        ],
        ids=["as they are", "synthetic", "nothing differs", "no feature", "at", "not judged"],
    )
    def test_when_all_chapters_have_the_same_numbers(self, record, changed):
        pages = [
            set(sentences(found(c, [record(c.model, c.dataset, **changed)])))
            for c in (*CHAPTERS, Chapter("perceptron", "digits"), Chapter("mlp", "digits"))
        ]
        assert min(map(len, pages)) >= 3
        for one, other in combinations(pages, 2):
            assert not one & other

    @pytest.mark.slow
    def test_of_the_committed_records(self):
        chapters = {c: read_chapter(ROOT / "results", "small", c.name) for c in CHAPTERS}
        pages = {c.name: set(sentences(found(c, runs))) for c, runs in chapters.items() if runs}
        assert len(pages) >= 2
        for one, other in combinations(pages, 2):
            assert not pages[one] & pages[other]


@pytest.mark.slow
@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda c: c.name)
def test_numbers_of_the_committed_records(chapter):
    """Computed anew from the files of the records, by nothing of the project."""
    runs = read_chapter(ROOT / "results", "small", chapter.name)
    text = found(chapter, runs)
    assert "nan" not in text.lower().replace("nano", "")
    results = [json.loads((run.folder / "result.json").read_text()) for run in runs]
    shares = [100 * r["metrics"]["test_accuracy"] for r in results]
    if len(runs) > 2:
        assert f"right on {fmean(shares):.1f} ± {stdev(shares):.1f} %" in text
    else:
        assert f"right on {shares[0]:.1f} %" in text
    drops, points = [], []
    for run, result in zip(runs, results, strict=True):
        table = list(csv.DictReader(io.StringIO((run.folder / "curves.csv").read_text())))
        full = [row for row in table if row["method"] == "full"]
        plateau = result["stages"]["full"]["attrs"]["baseline_accuracy"]
        kept = 0
        while plateau - float(full[kept]["accuracy"]) <= 0.01 + 1e-9:
            kept += 1
        drops.append((float(full[kept - 1]["tau"]), float(full[kept - 1]["beta"])))
        first = result["thresholds"]["full"]
        if first is not None:
            at = min(full, key=lambda row: abs(float(row["tau"]) - first["tau"]))
            assert float(at["tau"]) == pytest.approx(first["tau"])
            points.append(100 * (plateau - float(at["accuracy"])))
            if at.get("lost"):
                lost, gained = int(at["lost"]), int(at["gained"])
                n = result["stages"]["full"]["attrs"]["samples"]
                two = 200 * math.sqrt(lost + gained - (lost - gained) ** 2 / n) / n
                ends = f"({points[-1] - two:.1f} to {points[-1] + two:.1f})"
                assert ends.replace("-", "−").replace("−0.0", "0.0") in text.replace(
                    "gains 1.2 (0.1 to 2.2)", "(−2.2 to −0.1)"
                )
    taus = [tau for tau, _ in drops]
    if len({*taus}) == 1:
        assert f"up to τ = {taus[0]:.3g}, where β = " in text
    else:
        assert f"({min(taus):.3g} to {max(taus):.3g}), where β = " in text
    if len(runs) == 1:
        assert f"where β = {fraction(drops[0][1])}" in text
