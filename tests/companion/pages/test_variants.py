"""The page of alternatives: every row shown, shifts beside values, and what follows from them."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from companion.pages.variants import HEADER, chapters_with_variants, summary, variants_page
from companion.runs.derived import RULES

MADE = {
    "full_examples": 32, "step": 0.1, "seed": 0, "seconds": 2.0, "key": "renormalized",
    "rules": RULES,
    "provenance": {"git_commit": None},
}  # fmt: skip
NONE = {"tau": np.nan, "beta": np.nan, "kind": None, "shift": np.nan}


def line(choice, alternative, total, rfe, fe=None, acc=None):
    methods = {"rfe": rfe, "fe": fe or NONE, "acc": acc or NONE}
    values = {f"{m}_{name}": found[name] for m, found in methods.items() for name in NONE}
    return {"choice": choice, "alternative": alternative, "total": total, **values}


def peak(tau, shift):
    return {"tau": tau, "beta": tau / 2, "kind": "peak", "shift": shift}


TABLE = pd.DataFrame(
    [
        line("none", "as chosen", 100, peak(1.0, 0.0), peak(0.8, 0.0), peak(1.2, 0.0)),
        line("comparison", "above", 100, peak(1.0, 0.0), peak(0.7, -1.0), peak(1.2, -0.04)),
        line("N", "zeros too", 200, NONE, peak(0.9, 1.0), peak(1.2, 0.0)),
        line("outputs", "before ReLU", 50, peak(1.5, 5.0), peak(0.8, 0.0), peak(1.2, 0.0)),
        line("outputs", "after dropout", 60, peak(1.05, 0.5), peak(0.8, 0.0), peak(1.2, 0.0)),
        line("padding", "left out", 76, peak(1.0, 0.0)),
        line("grid", "coarser", 100, peak(1.05, 0.5)),
    ]
)


def rows(page):
    """Cells of the page's table by alternative."""
    lines = [text.strip("| ").split(" | ") for text in page.splitlines() if text.startswith("| ")]
    head, _, *body = (cells + [""] * (len(HEADER) - len(cells)) for cells in lines)
    return {
        cells[0]: dict(zip(head, (c.strip("| ") for c in cells), strict=True)) for cells in body
    }


@pytest.fixture
def page():
    return variants_page({"mlp-cifar10": (TABLE, MADE)}, {})


def test_without_tables_the_page_says_how_to_make_one(tmp_path):
    assert chapters_with_variants(tmp_path, "demo") == {}
    assert re.search(
        r"^thermo variants \w+ \w+ --profile \w+$", variants_page({}, {}), re.MULTILINE
    )


def test_every_alternative_is_shown(page):
    assert "### MLP on CIFAR-10" in page
    assert list(rows(page)) == [
        "as chosen", "comparison: above", "N: zeros too", "outputs: before ReLU",
        "outputs: after dropout", "padding: left out", "grid: coarser",
    ]  # fmt: skip
    assert "nan" not in page


def test_values_stand_with_their_shifts_in_steps(page):
    found = rows(page)
    assert found["as chosen"]["RFE"] == "1 (0.50) peak"
    assert found["outputs: before ReLU"]["RFE"] == "1.5 (0.75) peak, +5.0"
    assert found["comparison: above"]["FE"] == "0.7 (0.35) peak, -1.0"
    assert found["comparison: above"]["accuracy"] == "1.2 (0.60), +0.0"  # never -0.0
    assert found["N: zeros too"]["RFE"] == "none"
    assert [cells["N"] for cells in found.values()] == [
        "1.00", "1.00", "2.00", "0.50", "0.60", "0.76", "1.00",
    ]  # fmt: skip


def test_what_was_not_computed_is_empty(page):
    for name in ("padding: left out", "grid: coarser"):
        assert (rows(page)[name]["FE"], rows(page)[name]["accuracy"]) == ("", "")
    fast = rows(variants_page({"mlp-cifar10": (TABLE, MADE | {"full_examples": 0})}, {}))
    assert {cells["FE"] for cells in fast.values()} == {""}


def test_a_record_of_other_settings_is_told(page, record):
    tables = {"mlp-cifar10": (TABLE, MADE)}
    same, other = record(), record()
    other.result["stages"]["renormalized"]["key"] = "other"
    assert variants_page(tables, {"mlp-cifar10": same}) == page
    assert variants_page(tables, {"mlp-cifar10": other}) != page


def test_earlier_rules_are_told(page):
    older = {name: value for name, value in MADE.items() if name != "rules"}
    assert "earlier rules" in variants_page({"mlp-cifar10": (TABLE, older)}, {})
    assert "earlier rules" not in page


def test_the_summary_counts_moves_and_losses():
    items = {text.split("(")[0]: text for text in summary({"mlp-cifar10": TABLE}).splitlines()}
    assert len(items) == 5
    comparison, zeros, outputs, padding, grid = items.values()
    assert "1 comparison)" in comparison
    assert "2 comparisons)" in outputs
    assert "in 1 of 2 (by at most 5.0)" in outputs
    assert "in 1." in zeros  # where no feature is left
    assert "0.5 at most" in grid
    assert "24 %" in padding  # of the activations


def test_the_summary_names_only_what_was_tried():
    some = TABLE[TABLE["choice"].isin(["none", "grid"])]
    assert len(summary({"mlp-cifar10": some}).splitlines()) == 1
