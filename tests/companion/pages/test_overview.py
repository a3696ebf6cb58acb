"""Tables of all chapters: what was not run is never a number, what was is that of all its seeds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from companion.pages.overview import added_table, other_runs_table, results_table, status_table
from companion.pages.tables import NONE_FOUND, NOT_RUN, stated
from companion.runs.chapters import CHAPTERS, Chapter
from companion.runs.records import Record, read_chapter

ROOT = Path(__file__).parents[3]
NOTHING: dict[Chapter, list[Record]] = {chapter: [] for chapter in CHAPTERS}
MLP = next(c for c in CHAPTERS if c.name == "mlp-cifar10")
PLACES = ("accuracy gives way", "first feature, FE", "first feature, RFE")


def plain(text: str) -> str:
    """Numbers stay with their signs by spaces that are not broken."""
    return text.replace("\u00a0", " ")


def rows(table: str, name: str = "") -> list[dict[str, str]]:
    """Rows by the heads of their columns, those that link to a chapter."""
    lines = [line for line in table.splitlines() if line.startswith("|")]
    head, _, *body = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    found = [dict(zip(head, map(plain, cells), strict=True)) for cells in body]
    return [cells for cells in found if f"(chapters/{name}" in next(iter(cells.values()))]


def row(table: str, name: str) -> dict[str, str]:
    (found,) = rows(table, name)
    return found


def test_what_was_not_run_is_never_a_number():
    results, status = results_table(NOTHING), status_table(NOTHING)
    for chapter in CHAPTERS:
        cells = row(results, chapter.name)
        ours = [cells[head] for head in ("accuracy", "most frequent class", *PLACES, "match")]
        assert ours == [NOT_RUN] * 6
        assert list(row(status, chapter.name).values())[1:] == [NOT_RUN, *[""] * 6]


def test_what_was_run_once_is_that_of_the_record(record):
    cells = row(results_table(NOTHING | {MLP: [record()]}), MLP.name)
    assert cells["chapter"] == "[MLP on CIFAR-10](chapters/mlp-cifar10)"
    assert cells["accuracy"] == "56.0 %"
    assert cells["most frequent class"] == "12.5 %"
    assert [cells[head] for head in PLACES] == [
        "0.8<br>β 0.55", "0.12 peak<br>β 0.13", "0.31 bend<br>β 0.27",
    ]  # fmt: skip
    assert cells["match"] == "no"
    matching = results_table(NOTHING | {MLP: [record(match=True)]})
    assert row(matching, MLP.name)["match"] == "yes"


def test_what_was_run_more_than_once_is_that_of_all_seeds(record):
    valley = {"tau": 0.5, "beta": 0.33, "kind": "valley", "prominence": 0.1, "rule": "earliest"}
    peak = valley | {"tau": 0.16, "beta": 0.17, "kind": "peak"}
    found = record().result["thresholds"]
    runs = [
        record(seed=0, accuracy=0.50, match=True),
        record(seed=1, accuracy=0.56, thresholds=found | {"full": peak, "renormalized": None}),
        record(seed=2, accuracy=0.53, thresholds=found | {"full": peak, "renormalized": valley}),
    ]
    cells = row(results_table(NOTHING | {MLP: runs}), MLP.name)
    assert cells["accuracy"] == "53.0 ± 3.0 % (3)"
    assert [cells[head] for head in PLACES] == [
        "0.8, 0.8, 0.8<br>β 0.55 ± 0.00 (3)",
        "0.12, 0.16, 0.16 peak<br>β 0.16 ± 0.02 (3)",  # of 0.13, 0.17 and 0.17
        "0.31 bend, none, 0.5 valley<br>β 0.30 ± 0.04 (2)",  # of 0.27 and 0.33
    ]
    assert cells["match"] == "1 of 3"


def test_seeds_that_are_too_many_to_list_are_a_mean_and_a_range(record):
    found = record().result["thresholds"]
    runs = [
        record(seed=k, thresholds=found | {"full": found["full"] | {"tau": 0.1 * 2**k}})
        for k in range(7)
    ]
    cells = row(results_table(NOTHING | {MLP: runs}), MLP.name)
    assert cells["first feature, FE"] == "0.8 (0.1 to 6.4) peak<br>β 0.13 ± 0.00 (7)"


def test_the_papers_values_stand_in_their_columns():
    cells = row(results_table(NOTHING), MLP.name)
    for head, what in {
        "paper's τ*, accuracy": ("tau_star", "accuracy"),
        "paper's τ*, FE": ("tau_star", "full"),
        "paper's accuracy": ("accuracy",),
    }.items():
        assert cells[head] == stated("mlp", "cifar10", *what)
    assert cells["paper's Fig."] == "2"


def test_the_status_says_how_long_and_where_for_every_run(record):
    runs = [record(seed=4), record(seed=7, timings=dict.fromkeys(
        ("train", "full", "renormalized", "speedup"), 1234.5))]  # fmt: skip
    first, second = rows(status_table(NOTHING | {MLP: runs}), MLP.name)
    assert [first["seed"], second["seed"]] == ["4", "7"]
    times = ("training, s", "FE, s", "RFE, s", "FE / RFE")
    assert [first[head] for head in times] == ["414", "80.0", "4.00", "20"]
    assert [second[head] for head in times] == ["1,234", "1,234", "1,234", "1234"]
    assert (first["device"], first["commit"]) == ("an abacus", "abcdef1234")


def test_no_threshold_found_is_said(record):
    run = record(thresholds=dict.fromkeys(("accuracy", "full", "renormalized")))
    for runs in ([run], [run, record(seed=1, thresholds=run.result["thresholds"])]):
        cells = row(results_table(NOTHING | {MLP: runs}), MLP.name)
        assert [cells[head] for head in PLACES] == [NONE_FOUND] * 3


def test_added_networks_stand_under_their_titles(record):
    assert "There are none" in added_table({})
    cells = row(added_table({MLP: [record(), record(seed=1, accuracy=0.52)]}), MLP.name)
    assert cells["accuracy"] == "54.0 ± 2.8 % (2)"
    assert row(added_table({MLP: []}), MLP.name)["accuracy"] == NOT_RUN


def test_other_runs_stand_together_if_only_the_seed_differs(record):
    runs = [
        record(seed=1, accuracy=0.50),
        record(seed=0, accuracy=0.54),
        record(seed=0, accuracy=0.30, settings={"epochs": 99}),
        record(seed=0, accuracy=0.10),  # the same once more, as a copy of a folder would be
    ]
    lines = other_runs_table(runs).splitlines()[2:]
    cells = [[cell.strip() for cell in plain(line).strip("|").split("|")] for line in lines]
    assert [(c[1], c[3]) for c in cells] == [
        ("0, 1", "52.0 ± 2.8 % (2)"), ("0", "30.0 %"), ("0", "10.0 %"),
    ]  # fmt: skip
    assert all(c[0] == "MLP on CIFAR-10" for c in cells)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda c: c.name)
def test_cells_of_the_committed_records_are_those_of_their_files(chapter):
    """Means and deviations again, from the files as they are, by other code."""
    runs = read_chapter(ROOT / "results", "small", chapter.name)
    results = [json.loads((run.folder / "result.json").read_text()) for run in runs]
    assert results
    cells = row(results_table(NOTHING | {chapter: runs}), chapter.name)
    accuracy = 100 * np.array([result["metrics"]["test_accuracy"] for result in results])
    expected = f"{accuracy.mean():.1f}"
    if len(results) > 1:
        expected += f" ± {accuracy.std(ddof=1):.1f} % ({len(results)})"
    assert cells["accuracy"].startswith(expected)
    for head, method in zip(PLACES, ("accuracy", "full", "renormalized"), strict=True):
        marks = [result["thresholds"][method] for result in results]
        beta = np.array([mark["beta"] for mark in marks if mark])
        if not beta.size:
            assert cells[head] == NONE_FOUND
            continue
        listed, _, sparsity = cells[head].rpartition("<br>β ")
        told = [text.split()[0] for text in listed.split(", ")]
        assert told == [f"{mark['tau']:.3g}" if mark else "none" for mark in marks]
        mean, *deviation = sparsity.split(" (")[0].split(" ± ")
        digits = 10.0 ** -len(mean.partition(".")[2])
        assert abs(float(mean) - beta.mean()) <= digits / 2 + 1e-12
        assert (float(mean) in (0, 1)) == (beta.mean() in (0, 1))
        assert len(deviation) == (beta.size > 1)  # of seeds that have one
        if deviation:
            assert abs(float(deviation[0]) - beta.std(ddof=1)) <= digits / 2 + 1e-12
