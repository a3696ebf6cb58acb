"""Tables 1 to 4: the paper's layout, our values above the paper's, and no number out of nothing."""

from __future__ import annotations

from xml.etree import ElementTree

import pandas as pd
import pytest

from companion.pages.paper_tables import paper_table
from companion.pages.tables import DASH, NONE_FOUND, NOT_RUN
from companion.paper.published import table
from companion.runs.chapters import CHAPTERS, Chapter
from companion.runs.records import Record
from thermo_utils import ThermoError

NOTHING: dict[Chapter, list[Record]] = {chapter: [] for chapter in CHAPTERS}
MLP = next(c for c in CHAPTERS if c.name == "mlp-cifar10")
BERT = next(c for c in CHAPTERS if c.name == "bert-yelp")


def heads(cells, span):
    """Texts of head cells, each as often as it spans."""
    return [cell.text for cell in cells for _ in range(int(cell.get(span, "1")))]


def shown(number, records, whose="ours"):
    """What a page shows, by the heads that a reader sees."""
    page = paper_table(number, records).replace("<br>", "<br/>").replace("&", "&amp;")
    root = ElementTree.fromstring(page)
    (_, *above), below = (row.findall("th") for row in root.findall(".//thead/tr"))
    columns = list(zip(heads(above, "colspan"), heads(below, "colspan"), strict=True))
    rows = {}
    for group in root.findall(".//tbody"):
        head, *lines = group.findall("tr")
        for row in lines:
            found = list(row.iter("td"))
            # On a narrow screen a cell stands alone and must say what it is.
            assert [cell.get("data-head") for cell in found] == [", ".join(c) for c in columns]
            texts = [cell.find(f"span[@class='{whose}']").text for cell in found]
            texts = [text.replace("\u00a0", " ") for text in texts]
            rows[head.find("th").text, row.find("th").text] = texts
    return pd.DataFrame(
        list(rows.values()),
        index=pd.MultiIndex.from_tuples(rows),
        columns=pd.MultiIndex.from_tuples(columns),
    )


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_without_records_every_cell_of_ours_says_not_run(number):
    ours = shown(number, NOTHING)
    assert ours.shape == table(number).shape
    assert (ours == NOT_RUN).all(axis=None)


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_every_cell_of_the_papers_stands_where_the_paper_has_it(number):
    paper, theirs = table(number), shown(number, NOTHING, "paper")
    for row in range(len(paper)):
        for column in range(paper.shape[1]):
            value, cell = paper.iloc[row, column], theirs.iloc[row, column]
            if pd.isna(value):
                assert cell == DASH
            else:
                assert cell == (value if isinstance(value, str) else f"{value:g}")


@pytest.mark.parametrize(("number", "chapter", "column"), [
    (2, MLP, ("CIFAR-10", "MLP")), (4, BERT, ("Yelp Review Full", "BERT")),
])  # fmt: skip
def test_times_and_their_ratio_stand_in_their_own_rows(number, chapter, column, record):
    run = record(chapter.model, chapter.dataset)
    ours = shown(number, NOTHING | {chapter: [run]})
    assert ours[column].to_dict() == {
        ("time, s", "FE"): "80.0", ("time, s", "RFE"): "4.00", ("FE / RFE", "RFE"): "20.0",
    }  # fmt: skip
    others = ours.drop(columns=[column])
    assert (others == NOT_RUN).all(axis=None)


def test_the_papers_times_stand_below_ours():
    theirs = shown(2, NOTHING, "paper")["CIFAR-10", "MLP"]
    paper = table(2)["cifar10", "mlp"]
    assert theirs["time, s", "FE"] == f"{paper['time_s', 'full']:g}"
    assert theirs["time, s", "RFE"] == f"{paper['time_s', 'renormalized']:g}"


def test_thresholds_stand_in_their_own_columns(record):
    ours = shown(1, NOTHING | {MLP: [record()]})
    assert ours.loc["CIFAR-10"]["MLP"].to_dict() == {
        "accuracy": {
            "τ*": "0.8", "β*": "0.55", "derivative = 0": DASH, "extremum of F": DASH,
        },
        "FE": {
            "τ*": "0.12", "β*": "0.13", "derivative = 0": "yes", "extremum of F": "peak",
        },
    }  # fmt: skip
    assert (ours.loc["Flowers-102"] == NOT_RUN).all(axis=None)
    assert (ours.drop(columns="MLP", level=0) == NOT_RUN).all(axis=None)


def test_a_bend_is_no_extremum_and_none_is_said(record):
    bend = record().result["thresholds"]["renormalized"]
    run = record(thresholds={"accuracy": None, "full": bend, "renormalized": None})
    ours = shown(1, NOTHING | {MLP: [run]}).loc["CIFAR-10"]["MLP"]
    assert set(ours["accuracy"]) == {NONE_FOUND}
    assert ours["FE"].tolist()[2:] == ["no", "bend"]


def test_of_several_seeds_a_cell_tells_all(record):
    valley = {"tau": 0.5, "beta": 0.33, "kind": "valley", "prominence": 0.1, "rule": "earliest"}
    bend = record().result["thresholds"]["renormalized"]
    runs = [
        record(seed=0),
        record(seed=1, thresholds=record().result["thresholds"] | {"full": valley}),
        record(seed=2, thresholds={"accuracy": None, "full": bend, "renormalized": None}),
    ]
    ours = shown(1, NOTHING | {MLP: runs}).loc["CIFAR-10"]["MLP"]
    assert ours["accuracy"].tolist() == ["0.8, 0.8, none", "0.55 ± 0.00 (2)", DASH, DASH]
    # 0.13, 0.33 and 0.27 by hand: mean 0.2433, deviations -0.1133, 0.0867, 0.0267.
    assert ours["FE"].tolist() == [
        "0.12, 0.5, 0.31", "0.24 ± 0.10 (3)", "yes, yes, no", "peak, valley, bend",
    ]  # fmt: skip
    times = [record(seed=k, timings={"full": t, "renormalized": 1.0, "speedup": t})
             for k, t in enumerate((10.0, 14.0))]  # fmt: skip
    assert shown(2, NOTHING | {MLP: times})["CIFAR-10", "MLP"].tolist() == [
        "12.0 ± 2.8 (2)", "1.00 ± 0.00 (2)", "12.0 ± 2.8 (2)",
    ]  # fmt: skip


def test_there_are_four_tables():
    with pytest.raises(ThermoError, match="5"):
        paper_table(5, NOTHING)
