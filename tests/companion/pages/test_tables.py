"""Tables of all chapters: what was not run is never a number, what was is the record's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion.data.specs import DATASETS
from companion.networks import NETWORKS
from companion.pages.tables import (
    NONE_FOUND,
    NOT_RUN,
    NOT_STATED,
    counted,
    located,
    results_table,
    sparsity,
    stated,
    status_table,
)
from companion.paper.published import lookup
from companion.runs.chapters import CHAPTERS, chapter_title

NOTHING = dict.fromkeys(CHAPTERS)
MLP = next(c for c in CHAPTERS if c.name == "mlp-cifar10")


def row(table: str, name: str) -> list[str]:
    """Cells of the row that links to a chapter."""
    (line,) = (line for line in table.splitlines() if f"(chapters/{name})" in line)
    return [cell.strip() for cell in line.strip("|").split("|")]


def heads(table: str) -> list[str]:
    return [cell.strip() for cell in table.splitlines()[0].strip("|").split("|")]


def test_what_was_not_run_is_never_a_number():
    results, status = results_table(NOTHING), status_table(NOTHING)
    for chapter in CHAPTERS:
        cells = row(results, chapter.name)
        assert [cells[3], *cells[5:9], cells[-1]] == [NOT_RUN] * 6
        assert row(status, chapter.name)[1:] == [NOT_RUN, *[""] * 6]


def test_what_was_run_is_that_of_the_record(record):
    table = results_table(NOTHING | {MLP: record()})
    cells = dict(zip(heads(table), row(table, MLP.name), strict=True))
    assert cells["accuracy"] == "56.0 %"
    assert cells["most frequent class"] == "12.5 %"
    assert cells["accuracy-based"] == "0.8 (0.55)"
    assert cells["FE"] == "0.12 (0.13) peak"
    assert cells["RFE"] == "0.31 (0.27) bend"
    assert cells["match"] == "no"
    assert row(table, "cnn-cifar10")[3] == NOT_RUN
    matching = results_table(NOTHING | {MLP: record(match=True)})
    assert row(matching, MLP.name)[-1] == "yes"


def test_the_papers_values_stand_in_their_columns():
    table = results_table(NOTHING)
    cells = dict(zip(heads(table), row(table, MLP.name), strict=True))
    assert cells["paper, accuracy"] == stated("mlp", "cifar10", "tau_star", "accuracy")
    assert cells["paper, FE"] == stated("mlp", "cifar10", "tau_star", "full")
    assert cells["paper"] == stated("mlp", "cifar10", "accuracy")


def test_the_status_says_how_long_and_where(record):
    table = status_table(NOTHING | {MLP: record(seed=4)})
    cells = dict(zip(heads(table), row(table, MLP.name), strict=True))
    assert cells["seed"] == "4"
    assert [cells[head] for head in ("training, s", "FE, s", "RFE, s", "FE / RFE")] == [
        "414.0", "80.00", "4.000", "20",
    ]  # fmt: skip
    assert (cells["device"], cells["commit"]) == ("an abacus", "abcdef1234")


def test_no_threshold_found_is_said(record):
    run = record(thresholds=dict.fromkeys(("accuracy", "full", "renormalized")))
    assert row(results_table(NOTHING | {MLP: run}), MLP.name)[6:9] == [NONE_FOUND] * 3
    assert located(run.result, "full") == NONE_FOUND


def test_every_row_has_all_columns(record):
    records = NOTHING | {MLP: record()}
    for table in (results_table(records), status_table(records)):
        lines = table.strip().splitlines()
        assert len(lines) == 2 + len(CHAPTERS)
        assert len({line.count("|") for line in lines}) == 1


@given(st.floats(0, 1 - 1e-8))
def test_a_sparsity_below_one_is_printed_below_one(beta):
    assert float(sparsity(beta)) < 1
    assert abs(float(sparsity(beta)) - beta) <= 0.005 * (1 + 1e-9)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda c: c.name)
def test_titles(chapter):
    assert chapter_title(chapter.name) == chapter.title
    assert NETWORKS[chapter.model].title in chapter_title(chapter.name)
    assert DATASETS[chapter.dataset].title in chapter_title(chapter.name)


@given(st.integers(0, 10**6))
def test_only_one_is_singular(number):
    assert counted(number, "run") == f"{number} run" + ("" if number == 1 else "s")


class TestStated:
    @pytest.mark.parametrize("places", [False, True])
    def test_every_value_once_with_all_its_places(self, places):
        rows = lookup("resnet18", "cifar10", "beta_star", "full")
        text = stated("resnet18", "cifar10", "beta_star", "full", places=places)
        assert len(text.split("; ")) == 2  # text and table disagree
        assert all((source in text) == places for source in rows["source"])

    def test_accuracies_are_in_percent(self):
        low = lookup("mlp", "cifar10", "accuracy")["low"].iloc[0]
        assert stated("mlp", "cifar10", "accuracy").startswith(f"{100 * low:g}")

    def test_words_come_with_their_places_only(self):
        assert "slower" in stated("vit", "cifar10", "speedup", places=True)
        assert "slower" not in stated("vit", "cifar10", "speedup")

    @pytest.mark.parametrize(
        ("model", "dataset"), [("perceptron", "cifar10"), ("mlp", "digits"), ("mlp", "yelp")]
    )
    def test_nothing_of_what_the_paper_does_not_have(self, model, dataset):
        assert stated(model, dataset, "accuracy") == NOT_STATED
