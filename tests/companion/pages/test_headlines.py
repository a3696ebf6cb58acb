"""The headline numbers of the conclusion, computed again from the files by other code.

Nothing of the companion's judging is used: the curves are read with ``csv``, the first features and
the accuracy of the most frequent class from ``result.json``, and everything else follows here from
the words on the page.
"""

from __future__ import annotations

import csv
import itertools
import json
import re
from collections import defaultdict
from functools import cache
from math import comb
from pathlib import Path

import numpy as np
import pytest

from companion.pages.conclusion import conclusion
from companion.paper.verdict import verdict
from companion.runs.chapters import CHAPTERS
from companion.runs.records import read_chapter

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "results" / "small"
METHODS = {"FE": "full", "RFE": "renormalized"}
RULES = ("quantile", "retained", "knee", "constant")
FACTOR = np.log2(2**0.5)


@cache
def runs():
    """Every committed run of a chapter's own settings, as plain arrays with the point at zero."""
    found = []
    for path in sorted([*FOLDER.glob("*/result.json"), *FOLDER.glob("*/seed-*/result.json")]):
        result = json.loads(path.read_text())
        name = f"{result['model']}-{result['dataset']}"
        if path.parent not in (FOLDER / name, FOLDER / name / f"seed-{result['seed']}"):
            continue
        baseline = result["stages"]["full"]["attrs"]["baseline_accuracy"]
        run = {
            "chapter": name,
            "first": {
                short: result["thresholds"][method] and result["thresholds"][method]["tau"]
                for short, method in METHODS.items()
            },
            "lift": baseline - result["data"]["most_frequent"],
            "samples": result["stages"]["full"]["attrs"]["samples"],
        }
        with (path.parent / "curves.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        for method in METHODS.values():
            own = [row for row in rows if row["method"] == method]
            sums = [float(row["abs_sum"]) for row in own]
            total = result["stages"][method]["attrs"]["total_abs_sum"]
            run[method] = {
                "tau": np.array([0.0, *(float(row["tau"]) for row in own)]),
                "beta": np.array([0.0, *(float(row["beta"]) for row in own)]),
                "gone": np.array([0.0, *(1 - value / total for value in sums)]),
            }
        own = [row for row in rows if row["method"] == "full"]
        run["loss"] = np.array([0.0, *(baseline - float(row["accuracy"]) for row in own)])
        run["counts"] = (
            np.array([[0, 0], *([float(row["lost"]), float(row["gained"])] for row in own)])
            if all(row.get("lost") for row in own)
            else None
        )
        found.append(run)
    means = defaultdict(list)
    for run in found:
        means[run["chapter"]].append(run["lift"])
    return [run | {"lift": np.mean(means[run["chapter"]])} for run in found]


def last_within(run, outside):
    """The threshold before the first one that is out of bounds; None where there is none."""
    (where,) = np.nonzero(outside)
    return run["full"]["tau"][where[0] - 1] if where.size else None


def dropped(drop):
    return lambda run: last_within(run, run["loss"] > drop + 1e-9) if enough(run, drop) else None


def enough(run, drop):
    return drop < run["lift"] / 2


def share(run):
    return last_within(run, run["loss"] > run["lift"] / 10 + 1e-9)


def told(run):
    if run["counts"] is None or not enough(run, 0):
        return None
    lost, gained = run["counts"].T
    n = run["samples"]
    error = np.sqrt((lost + gained) / n - ((lost - gained) / n) ** 2) / np.sqrt(n)
    return last_within(run, (lost - gained) / n - 2 * error > 1e-9)


def falls(run):
    return enough(run, 0.01) and (run["loss"] > 0.01 + 1e-9).any()


def knee(run):
    if not falls(run):
        return None
    tau, loss = run["full"]["tau"], run["loss"]
    above = loss[-1] * tau / tau[-1] - loss
    return tau[np.argmax(above)] if above.max() > 1e-12 else None


def changepoint(run):
    """The first of the two knots of the joined lines with the least squared distance."""
    if not falls(run):
        return None
    tau = run["full"]["tau"]
    steps = tau / np.max(np.diff(tau))
    at = np.abs(steps - np.round(steps)) < 1e-6
    x, y = np.arange(at.sum()), -run["loss"][at]
    best, knot = np.inf, 0
    for first, second in itertools.combinations(x[2:-3], 2):
        if second - first < 3:
            continue
        knots = [0, first, second, len(x) - 1]
        # The first piece begins with its own first point.
        error = np.sum((y - np.interp(x, knots, y[knots])) ** 2)
        if error < best - 1e-15:
            best, knot = error, first
    return tau[at][knot]


TARGETS = {
    **{f"{100 * d:g} point{'' if d == 0.01 else 's'}": dropped(d)
       for d in (0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.3)},
    "10 % of the lift": share,
    "two standard errors": told,
    "changepoint": changepoint,
    "knee": knee,
}  # fmt: skip


def reach(tau, rising, level):
    """Where a rising curve reaches a level; None beyond its end."""
    return np.interp(level, rising[: rising.argmax() + 1], tau[: rising.argmax() + 1]) if (
        rising.max() >= level
    ) else None  # fmt: skip


def knee_of_sparsity(run):
    fast, last = run["renormalized"], run["full"]["tau"][-1]
    tau, beta = (fast[name][fast["tau"] <= last] for name in ("tau", "beta"))
    return tau[np.argmax(beta - beta[-1] * tau / tau[-1])]


@cache
def octaves(name):
    """Mean absolute octaves off by predictor and chapter; nan where a grid ends."""
    judged = [(run, target) for run in runs() if (target := TARGETS[name](run))]

    def value(run, tau, column):
        return np.interp(tau, run["renormalized"]["tau"], run["renormalized"][column])

    right = {
        "quantile": lambda run, tau: value(run, tau, "beta"),
        "retained": lambda run, tau: value(run, tau, "gone"),
        "constant": lambda run, tau: tau,
    }
    errors = defaultdict(lambda: defaultdict(list))
    for run, target in judged:
        found = {**run["first"], "knee": knee_of_sparsity(run)}
        for rule, read in right.items():
            others = defaultdict(list)
            for other, its in judged:
                if other["chapter"] != run["chapter"]:
                    others[other["chapter"]].append(read(other, its))
            fitted = np.median([np.mean(each) for each in others.values()])
            fast = run["renormalized"]
            if rule == "constant":
                found[rule] = fitted
            else:
                end = reach(fast["tau"], fast["beta" if rule == "quantile" else "gone"], fitted)
                found[rule] = np.nan if end is None else end
        for predictor, tau in found.items():
            off = np.inf if tau is None else abs(np.log2(tau / target))
            errors[predictor][run["chapter"]].append(off)
    return {
        predictor: {name: np.mean(each) for name, each in chapters.items()}
        for predictor, chapters in errors.items()
    }


def sides():
    """Runs that are early and late by more than a step, by free energy."""
    counts = []
    for short in METHODS:
        early = late = 0
        for run in runs():
            target, tau = TARGETS["1 point"](run), run["first"][short]
            if target and tau is not None:
                steps = (tau - target) / np.max(np.diff(run["full"]["tau"]))
                early, late = early + (steps < -1 - 1e-9), late + (steps > 1 + 1e-9)
        counts += [int(early), int(late)]
    return counts


def sign_test(one, other):
    """Wins of the first, losses, and two-sided p, over chapters where both are judged."""
    pairs = [(a, other[c]) for c, a in one.items() if not np.isnan([a, other[c]]).any()]
    wins = sum(a < b - 1e-9 for a, b in pairs)
    losses = sum(b < a - 1e-9 for a, b in pairs)
    n = wins + losses
    tail = sum(comb(n, k) for k in range(min(wins, losses) + 1)) / 2**n
    return wins, losses, min(1.0, 2 * tail)


def ahead(rule, theory):
    both = [(a, theory[c]) for c, a in rule.items() if not np.isnan(a) and not np.isnan(theory[c])]
    return bool(np.median([a for a, _ in both]) < np.median([b for _, b in both]))


def outcome(taus):
    """Loss and sparsity of every run; nan where its grid ends before the threshold."""
    pairs = [(run, np.nan if t is None else t) for run, t in zip(runs(), taus, strict=True)]
    loss = [np.interp(tau, run["full"]["tau"], run["loss"]) for run, tau in pairs]
    beta = [np.interp(tau, run["full"]["tau"], run["full"]["beta"]) for run, tau in pairs]
    return np.array(loss), np.array(beta)


@cache
def simple_rules():
    """What the simple rules do with every value of their parameter."""
    shares = np.round(np.arange(0.01, 0.96, 0.01), 2)
    tries = [[knee_of_sparsity(run) for run in runs()]]
    tries += [[value] * len(runs()) for value in np.round(np.geomspace(0.002, 4, 100), 5)]
    for column, levels in (("beta", shares), ("gone", [0.0005, 0.001, 0.002, 0.005, *shares])):
        for level in levels:
            fast = [run["renormalized"] for run in runs()]
            tries.append([reach(curve["tau"], curve[column], level) for curve in fast])
    return [outcome(taus) for taus in tries]


@cache
def measured():
    tries = []
    for allowed in np.round(np.geomspace(0.001, 0.3, 40), 5):
        taus = [last_within(run, run["loss"] > allowed + 1e-9) for run in runs()]
        tries.append(
            [r["full"]["tau"][-1] if t is None else t for r, t in zip(runs(), taus, strict=True)]
        )
    return [outcome(taus) for taus in tries]


def most(tries, limit, kept):
    """The most median sparsity whose worst loss over some runs is within a limit."""
    whole = [(loss[kept], beta[kept]) for loss, beta in tries if not np.isnan(loss[kept]).any()]
    safe = [np.median(beta) for loss, beta in whole if loss.max() <= limit + 1e-9]
    return max(safe, default=0.0)


def merit(method, kept):
    """Worst loss of a free energy, its median sparsity, and that of the best simple rule."""
    loss, beta = outcome([run["first"][method] or 0.0 for run in runs()])
    limit = loss[kept].max()
    return limit, np.median(beta[kept]), most(simple_rules(), limit, kept)


@cache
def page():
    records = {c.name: read_chapter(FOLDER.parent, "small", c.name) for c in CHAPTERS}
    return conclusion(verdict(records))


def said(number):
    """The numbers of one of the five sentences, as printed."""
    (line,) = [line for line in page().splitlines() if line.startswith(f"{number}. ")]
    line = re.sub(r"\*\*.*?\*\*|\([^()]*chapters?\)|\(none: [^()]*\)", "", line.partition(". ")[2])
    return [n.rstrip(".") for n in re.findall(r"\d[\d.]*|none(?! of)", line)]


def factor(value):
    return f"{2**value:.1f}" if np.isfinite(value) else "none"


def median(values):
    return np.median([v for v in values if not np.isnan(v)])


@pytest.mark.parametrize(
    ("here", "there"),
    [
        ("the first feature does not say where", "does not predict where accuracy gives way**"),
        ("it is mostly early, which is safe", "it is mostly early**, which is safe"),
        (
            "nearer in the median, though most comparisons are undecided",
            "Against simple rules on the same activations, most is undecided**",
        ),
        (
            "no better than a simple rule of equal risk",
            "is no better than a simple rule of equal risk**",
        ),
    ],
)
def test_the_readme_says_what_the_page_does(here, there):
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert here in readme.partition("## ")[0]
    assert there in page().partition("## ")[0]
    # "Very late" is a loss of a quarter of the accuracy and more.
    assert float(said(5)[0]) > 25


def test_the_runs_are_those_of_the_page():
    assert len(runs()) == sum(len(read_chapter(FOLDER.parent, "small", c.name)) for c in CHAPTERS)


def test_how_near_the_first_features_are():
    found = octaves("1 point")
    near = [sum(v <= FACTOR + 1e-12 for v in found[m].values()) for m in METHODS]
    medians = [factor(np.median(list(found[m].values()))) for m in METHODS]
    expected = ["1.4", "1", near[0], len(found["FE"]), near[1], *medians]
    assert said(1) == [str(x) for x in expected]


def test_to_which_side_they_err():
    early_full, late_full, early_fast, late_fast = sides()
    judged = sum(bool(TARGETS["1 point"](run)) for run in runs())
    assert said(2) == [str(n) for n in (judged, early_full, late_full, early_fast, late_fast)]
    mostly = "early" if early_full + early_fast > 2 * (late_full + late_fast) else "late|both"
    assert re.search(f"2. .*{mostly}", page())


def test_what_the_sign_tests_establish():
    found = octaves("1 point")
    tests = [sign_test(found[rule], found[method]) for rule in RULES for method in METHODS]
    nearer = sum(p < 0.05 and wins > losses for wins, losses, p in tests)
    farther = sum(p < 0.05 and wins < losses for wins, losses, p in tests)
    strict = sum(p < 0.05 / len(tests) for *_, p in tests)
    expected = [
        len(tests), nearer, farther, strict, len(tests) - nearer - farther,
        sum(ahead(found[rule], found["FE"]) for rule in RULES), len(RULES),
        sum(ahead(found[rule], found["RFE"]) for rule in RULES),
    ]  # fmt: skip
    assert said(3) == [str(n) for n in expected]


def test_the_range_over_targets():
    judged = {name: found for name in TARGETS if len((found := octaves(name)).get("FE", {})) >= 3}
    expected = [str(len(judged))]
    for method in METHODS:
        medians = [median(found[method].values()) for found in judged.values()]
        expected += [factor(min(medians)), factor(max(medians))]
    shares = [
        np.mean([v <= FACTOR + 1e-12 for v in found[m].values()])
        for m in METHODS
        for found in judged.values()
    ]
    half = sum(s >= 0.5 for s in shares)
    expected += [str(half), str(len(shares)), "1.4"] if half else ["1.4"]
    assert said(4) == expected


def test_the_merit_at_equal_worst_loss():
    chapters = np.array([run["chapter"] for run in runs()])
    everything = np.full(len(chapters), fill_value=True)
    loss, sparsity, simple = merit("RFE", everything)
    full = merit("FE", everything)
    assert simple > 0
    times = [f"{sparsity / simple:.1f}"] if sparsity > simple else []
    without = [merit("RFE", chapters != name) for name in dict.fromkeys(chapters)]
    ratios = [gained / other for _, gained, other in without]
    needed = sum(sparsity > simple and ratio <= 1 for ratio in ratios)
    expected = [
        f"{100 * loss:.1f}", str(len(chapters)), f"{sparsity:.2f}", *times, f"{simple:.2f}",
        f"{min(ratios):.1f}", f"{max(ratios):.1f}", f"{most(measured(), loss, everything):.2f}",
        f"{100 * full[0]:.1f}", f"{full[1]:.2f}",
    ]  # fmt: skip
    assert said(5) == expected
    # The chapters without which it is no better are named, or counted where they are many.
    (line,) = [line for line in page().splitlines() if line.startswith("5. ")]
    assert (f"any one of {needed} chapters" in line.split("**")[1]) == (needed > 2)
    for name, ratio in zip(dict.fromkeys(chapters), ratios, strict=True):
        title = next(c.title for c in CHAPTERS if c.name == name)
        named = sparsity > simple and ratio <= 1 and needed < 3
        assert (title in line.split("**")[1]) == named


@pytest.mark.parametrize("name", TARGETS)
def test_the_table_of_targets(name):
    found = octaves(name)
    head = re.compile(rf"\| \**{re.escape(name)}\** \|")
    (row,) = [line for line in page().splitlines() if head.match(line)]
    cells = [cell.strip() for cell in row.split("|")[2:-1]]
    assert cells[0] == str(len(found.get("FE", {})))
    columns = ("FE", "RFE", None, None, "quantile", None, "retained", "knee", "constant")
    for cell, predictor in zip(cells[1:], columns, strict=True):
        if predictor is None:
            continue
        values = [v for v in found.get(predictor, {}).values() if not np.isnan(v)]
        if not values:
            assert cell == ""
            continue
        near = sum(v <= FACTOR + 1e-12 for v in values)
        of = "" if len(values) == len(found["FE"]) else f" of {len(values)}"
        assert cell == f"{factor(np.median(values))} ({near}{of})"
