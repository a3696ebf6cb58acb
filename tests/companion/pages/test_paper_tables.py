"""Tables 1 to 4: the paper's layout, our values above the paper's, and no number out of nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion.pages.paper_tables import paper_table
from companion.pages.tables import NOT_RUN, sparsity
from companion.paper.published import table
from companion.runs.chapters import CHAPTERS
from companion.runs.records import Record, read_record
from thermo_utils import ThermoError

RESULTS = Path(__file__).parents[3] / "results" / "small"
NOTHING = dict.fromkeys(CHAPTERS)


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_without_records_every_cell_of_ours_says_not_run(number):
    page = paper_table(number, NOTHING)
    assert page.count(f'<span class="ours">{NOT_RUN}</span>') == table(number).size
    assert page.count('class="paper"') == table(number).size


@pytest.mark.parametrize("number", [1, 2])
def test_a_record_fills_its_own_cells_and_no_other(number):
    record = read_record(RESULTS / "mlp-cifar10")
    assert isinstance(record, Record)
    chapter = next(c for c in CHAPTERS if c.name == "mlp-cifar10")
    page = paper_table(number, {**NOTHING, chapter: record})
    shown = table(number).xs("mlp", axis=1, level="model")
    cells = shown.loc["cifar10"].size if number == 1 else shown["cifar10"].size
    assert page.count(f">{NOT_RUN}<") == table(number).size - cells
    found = record.result["thresholds"]["full"]
    expected = f"{found['tau']:.3g}" if number == 1 else f"{record.result['timings']['full']:.3g}"
    assert f'<span class="ours">{expected}</span>' in page


def test_there_are_four_tables():
    with pytest.raises(ThermoError, match="5"):
        paper_table(5, NOTHING)


@given(st.floats(0, 1 - 1e-8))
def test_a_sparsity_below_one_is_printed_below_one(beta):
    assert float(sparsity(beta)) < 1
    assert abs(float(sparsity(beta)) - beta) <= 0.005 * (1 + 1e-9)
