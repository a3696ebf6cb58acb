"""What the moving part of a chapter's page is made from: the record's own numbers, and enough."""

from __future__ import annotations

import json
import re
from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion.pages.live import VENDOR, live_block, live_data, overlay_block, write_live
from companion.paper.published import lookup
from companion.runs.chapters import CHAPTERS, Chapter
from companion.runs.provenance import ROOT
from companion.runs.records import CURVES, Record, read_chapter
from thermo_utils import thermodynamic_curve

chapters = pytest.mark.parametrize("name", [c.name for c in CHAPTERS])
METHODS = ("full", "renormalized")
COLUMNS = ("beta", "free_energy", "dF_dtau", "dF_dbeta")


@cache
def seeds(name):
    records = read_chapter(ROOT / "results", "small", name)
    assert records, f"{name} is not committed"
    return records


@cache
def made(name):
    return live_data(name, seeds(name))


@cache
def table(name, method):
    """The first seed's curve as pandas reads it, past everything of ours."""
    whole = pd.read_csv(seeds(name)[0].folder / CURVES)
    return whole[whole["method"] == method].reset_index(drop=True)


def numbers(values):
    return np.array([np.nan if v is None else v for v in values], dtype=float)


@chapters
def test_every_threshold_of_the_full_evaluation_is_there_exactly(name):
    data, full = made(name), table(name, "full")
    assert data["full"]["tau"] == full["tau"].tolist()
    assert set(full["tau"]) <= set(data["renormalized"]["tau"])
    for column in (*COLUMNS, "accuracy"):
        np.testing.assert_allclose(
            numbers(data["full"][column]), full[column], rtol=5.1e-5, err_msg=column
        )


@chapters
def test_lines_between_what_is_kept_are_the_curve(name):
    check_lines(made(name)["renormalized"], table(name, "renormalized"))


def check_lines(fast, whole):
    # What figures draw: beyond this, a few survivors.
    drawn = whole[whole["beta"] <= 0.995]
    for column in COLUMNS:
        line = np.interp(drawn["tau"], numbers(fast["tau"]), numbers(fast[column]))
        values = drawn[column].to_numpy()
        assert np.ptp(values) > 0
        assert np.abs(line - values).max() < 0.005 * np.ptp(values), column


def test_a_long_curve_is_thinned_and_still_itself(record):
    short = record("octopus")
    tau = np.linspace(0.0005, 2.0, 4000)
    active = np.round(1e12 * np.exp(-tau) * (1 - 0.2 * np.exp(-(((tau - 1) / 0.05) ** 2))))
    fine = thermodynamic_curve(tau, active, active * (1 + tau), 1e12, 1e12)
    both = [short.curves[short.curves["method"] == "full"], fine.assign(method="renormalized")]
    made = Record(short.folder, short.result, pd.concat(both, ignore_index=True))
    data = live_data("x", [made])
    fast = data["renormalized"]
    assert len(fast["tau"]) < 1000
    check_lines(fast, fine)
    near = numbers(fast["tau"])
    assert all(np.abs(near - mark["tau"]).min() < 1e-4 for mark in data["marks"])


@chapters
def test_the_curve_goes_on_until_nothing_is_left(name):
    fast, whole = made(name)["renormalized"], table(name, "renormalized")
    last = whole["tau"][whole["active"] == 0].min() if (whole["active"] == 0).any() else None
    wanted = whole["tau"].iloc[-1] if last is None else last
    assert fast["tau"][-1] == pytest.approx(wanted, rel=1e-4)
    assert (np.diff(fast["tau"]) > 0).all()


@chapters
def test_the_histogram_counts_every_activation_once(name):
    data, whole = made(name), table(name, "renormalized")
    histogram = data["histogram"]
    edges, counts = np.array(histogram["edges"]), histogram["counts"]
    total = seeds(name)[0].curve("renormalized").attrs["total"]
    assert sum(counts) + histogram["beyond"] == total == data["total"]
    assert min(counts) >= 0
    assert len(counts) == len(edges) - 1 <= 200
    assert edges[0] == 0
    assert edges[-1] == pytest.approx(table(name, "full")["tau"].iloc[-1])
    # As many lie below an edge as are pruned there.
    below = np.cumsum(counts)
    at = whole.set_index(whole["tau"].round(9))["active"]
    near = [float(at.index[np.abs(at.index - edge).argmin()]) for edge in edges[1:]]
    assert (total - below == at.loc[near].to_numpy()).all()


@chapters
def test_ranges_hold_every_seed(name):
    data = made(name)
    if len(seeds(name)) == 1:
        assert "low" not in data["full"]
        return
    for method in METHODS:
        # Where a recipe leaves the grid to the activations, every seed has its own.
        grids = [record.curve(method)["tau"] for record in seeds(name)]
        same_grid = all(grid.equals(grids[0]) for grid in grids)
        for column, low in data[method]["low"].items():
            high = data[method]["high"][column]
            for record in seeds(name):
                at = record.curve(method).set_index("tau")[column]
                for tau, least, most in zip(data[method]["tau"], low, high, strict=True):
                    # A number that a seed lacks leaves no range at all.
                    if tau in at.index and least is not None:
                        assert least - 1e-4 * abs(least) <= at[tau] <= most + 1e-4 * abs(most)
                if same_grid:
                    assert sum(least is not None for least in low) > 0.7 * len(low)


@chapters
def test_a_page_lifts_little(name):
    size = len(json.dumps(made(name), separators=(",", ":")))
    assert size < 56_000  # with the places of the panels, 60 kB
    assert len(live_block(name, seeds(name)).encode()) < 30_000


@chapters
def test_marks_begin_with_the_papers_first(name):
    model, dataset = name.rsplit("-", 1)
    data = made(name)
    stated = lookup(model, dataset, "tau_star")["low"].dropna()
    stated = stated[stated <= data["full"]["tau"][-1]]  # beyond it there is nothing to go to
    ours = seeds(name)[0].result["thresholds"]
    wanted = [*stated.head(1), *(t["tau"] for t in ours.values() if t)]
    assert sorted(m["tau"] for m in data["marks"]) == pytest.approx(sorted(wanted))
    if len(stated):
        assert data["marks"][0]["tau"] == stated.iloc[0]
        assert "paper" in data["marks"][0]["label"]
    kept = numbers(data["renormalized"]["tau"])
    for threshold in filter(None, ours.values()):
        assert np.abs(kept - threshold["tau"]).min() < 1e-9


@chapters
def test_blocks_are_those_of_the_file(name):
    data, record = made(name), seeds(name)[0]
    if not (record.folder / "blocks.csv").exists():
        assert "blocks" not in data["full"]
        return
    whole = pd.read_csv(record.folder / "blocks.csv").query("method == 'full'")
    blocks = data["full"]["blocks"]
    assert blocks["number"] == whole["block"].nunique()
    at = len(blocks["low"]) // 2
    tau = data["full"]["tau"][at]
    counts = {t: whole[whole["tau"] == t].set_index("block")["active"] for t in (0.0, tau)}
    pruned = [1 - counts[tau][b] / counts[0.0][b] for b in counts[tau].index]
    assert blocks["low"][at] == pytest.approx(min(pruned), rel=1e-4)
    assert blocks["high"][at] == pytest.approx(max(pruned), rel=1e-4)
    assert blocks["low"][at] <= data["full"]["beta"][at] <= blocks["high"][at]


def test_a_network_of_ones_own_has_marks_of_its_own(record):
    data = live_data("mine", [record("octopus", "cifar10")])
    assert [m["label"] for m in data["marks"]] == [
        "ours: 0.12 (FE)", "ours: 0.31 (RFE)", "ours: 0.8 (accuracy)",
    ]  # fmt: skip
    assert data["title"] == "octopus on CIFAR-10"
    both = live_data("mine", [record("octopus", seed=3), record("octopus", seed=5)])
    assert both["marks"][0]["label"] == "our seed 3: 0.12 (FE)"


def test_no_mark_beyond_the_thresholds_evaluated(record):
    # The paper's 1.6 of GPT-2 is off a record that ends at 1.
    made = record("gpt2", "ag_news")
    short = made.curves[made.curves["tau"] <= 1.0]
    data = live_data("x", [Record(made.folder, made.result, short)])
    assert not any("paper" in mark["label"] for mark in data["marks"])


def test_without_thresholds_there_is_nothing_to_go_to(record):
    nothing = dict.fromkeys(("accuracy", "full", "renormalized"))
    assert live_data("x", [record("octopus", thresholds=nothing)])["marks"] == []


def test_a_seed_that_measured_elsewhere_gives_no_range(record):
    one, two = record(seed=0), record(seed=1)
    moved = two.curves.assign(tau=two.curves["tau"] * 1.01)
    data = live_data("x", [one, Record(two.folder, two.result, moved)])
    assert set(data["full"]["low"]["accuracy"]) == {None}


def test_data_are_a_call_with_plain_json(tmp_path, record):
    data = live_data("a", [record()], {"wide": [{"box": [0.1234567, 0.2, 0.3, 0.4]}]})
    write_live(tmp_path, "a", data)
    text = (tmp_path / "a.js").read_text(encoding="utf-8")
    (inside,) = re.fullmatch(r"thermo\.data\((.*)\);\n", text, re.DOTALL).groups()
    assert json.loads(inside) == data
    assert data["geometry"]["wide"][0]["box"][0] == 0.12346


@given(st.text(max_size=12))
def test_names_are_text(text):
    block = overlay_block({Chapter(text, "cifar10"): [None]})
    (offered,) = re.findall(r'data-chapters="([^"]*)"', block)
    assert "<" not in offered
    assert "\n\n" not in block  # a blank line would end the HTML in Markdown


def test_the_table_stands_without_a_script(record):
    block = live_block("mine", [record(), record(seed=1)], csv="../x/curves.csv")
    before, _, scripts = block.partition("<script")
    assert "cursor.js" in scripts
    assert before.count("<tr>") == 21
    assert '<a href="../x/curves.csv">curves.csv</a>' in before
    assert "Seed 0 of 2 seeds" in before
    assert "\n\n" not in block
    made = record().curve("full").iloc[9]
    row = re.findall(r"<tr>.*</tr>", before)[10]
    cells = re.sub(r"<[^>]*>", " ", row).split()
    assert float(cells[0]) == pytest.approx(made["tau"])
    assert float(cells[1]) == pytest.approx(made["beta"], abs=0.0005)
    assert float(cells[2]) == pytest.approx(made["free_energy"], abs=0.0005)
    assert float(cells[4]) == pytest.approx(100 * made["accuracy"], abs=0.05)


def test_only_chapters_with_records_are_offered(record):
    block = overlay_block({Chapter("mlp", "cifar10"): [record()], Chapter("vit", "cifar10"): []})
    assert "MLP on CIFAR-10" in block
    assert "ViT" not in block


def test_the_library_is_what_its_note_says():
    folder = ROOT / "book" / "static" / VENDOR
    note = (folder.parent / "VERSION.txt").read_text(encoding="utf-8")
    sizes = re.findall(r"^(\S+\.(?:js|css)) +([\d,]+) bytes", note, re.MULTILINE)
    assert len(sizes) == 2
    for name, size in sizes:
        assert (folder.parent / name).stat().st_size == int(size.replace(",", ""))
    assert f"(v{note.split()[1].rstrip(',')})" in folder.read_text(encoding="utf-8")[:100]
    assert "MIT" in (folder.parent / "LICENSE").read_text(encoding="utf-8")
