"""The committed records: whole, of today's recipes, from clean code; the cheapest runs again."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest

from companion.pages.chapter import settings_table
from companion.runs.chapters import CHAPTERS
from companion.runs.derived import same
from companion.runs.experiment import experiment
from companion.runs.methods import CURVES
from companion.runs.records import read_chapter, to_json
from companion.runs.result import result
from companion.runs.run import Run
from companion.runs.settings import settings
from companion.runs.stages import STAGES
from thermo_utils.grids import grid_step

RESULTS = Path(__file__).parents[3] / "results"
BY_CHAPTER = {c.name: read_chapter(RESULTS, "small", c.name) for c in CHAPTERS}
RECORDS = [record for records in BY_CHAPTER.values() for record in records]
NAMES = [f"{r.result['model']}-{r.result['dataset']}-{r.result['seed']}" for r in RECORDS]
#: A rerun with other versions or on another processor may differ by this much: rounding sends
#: training along another path, as another seed does.
ACCURACY_TOLERANCE = 0.05
#: In steps of the full evaluation's grid.
TAU_TOLERANCE = 2

each = pytest.mark.parametrize("record", RECORDS, ids=NAMES)


def of(record) -> Run:
    return Run(recipe(record), RESULTS, frozen=True)


def recipe(record):
    r = record.result
    return settings(r["model"], r["dataset"], r["profile"], r["seed"])


def test_there_are_records():
    assert RECORDS


@each
def test_a_record_is_of_todays_recipe_or_says_what_is_old(record):
    run = of(record)
    outdated = run.outdated()
    same = dataclasses.replace(recipe(record), differs=()) == dataclasses.replace(
        run.settings, differs=()
    )
    assert same == all(words.startswith("format") for words in outdated)
    run.check_sources()  # which a record does not need
    shown = settings_table(run.settings, outdated)["value"]
    assert (shown.index[-1].startswith("an older record")) == bool(outdated)


@each
def test_a_record_follows_from_its_curves(record):
    facts = {
        stage: {**kept, **{name: record.result[name] for name in ("layers", "history", "data")}}
        for stage, kept in record.result["stages"].items()
    }
    again = result(of(record).settings, facts, {m: record.curve(m) for m in CURVES})
    again = json.loads(to_json(again))
    for section in again.keys() - {"stages", "provenance"}:
        assert same(again[section], record.result[section]), section


@each
def test_a_record_says_where_it_comes_from(record):
    result = record.result
    assert not result["synthetic"]
    assert re.fullmatch("[0-9a-f]{64}", result["data"]["fingerprint"])
    assert result["differs"] == [*result["settings"]["differs"], *result["data"]["departures"]]
    assert re.fullmatch("[0-9a-f]{40}", result["provenance"]["git_commit"])
    assert result["provenance"]["device"]
    assert result["provenance"]["packages"]["torch"]
    assert all(result["stages"][stage]["seconds"] > 0 for stage in STAGES)


@each
def test_both_methods_counted_the_same_network(record):
    full, fast = record.curve("full"), record.curve("renormalized")
    assert full.attrs["total"] == fast.attrs["total"]
    assert full.attrs["total_abs_sum"] == fast.attrs["total_abs_sum"]
    # The same activations at every threshold; with pruning inside, later layers may differ.
    assert (np.diff(fast["active"]) <= 0).all()


@each
def test_a_renormalized_curve_goes_on_to_where_next_to_nothing_is_left(record):
    if record.result["format"] > 1:
        assert record.curve("renormalized")["beta"].max() >= 0.99


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.skipif("THERMO_DATA" not in os.environ, reason="THERMO_DATA names no real data")
def test_the_cheapest_record_runs_again(tmp_path):
    todays = [r for r in RECORDS if not of(r).outdated()]
    if not todays:
        pytest.skip("no committed record is of today's recipe")
    cheapest = min(todays, key=lambda r: sum(r.result["timings"][k] for k in ("train", "full")))
    chapter = experiment(Run(recipe(cheapest), tmp_path))
    chapter.renormalized()
    ours, theirs = chapter.full_evaluation(), cheapest.curve("full")
    again = chapter.run.save()
    assert ours["tau"].tolist() == theirs["tau"].tolist()
    difference = ours.attrs["baseline_accuracy"] - theirs.attrs["baseline_accuracy"]
    assert abs(difference) < ACCURACY_TOLERANCE
    step = grid_step(theirs)
    for method, found in again.result["thresholds"].items():
        recorded = cheapest.result["thresholds"][method]
        assert (found is None) == (recorded is None)
        if found is not None:
            assert abs(found["tau"] - recorded["tau"]) <= TAU_TOLERANCE * step * (1 + 1e-9)
