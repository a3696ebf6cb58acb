"""The page on units: what was measured, what follows by the identity, and who wins."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from companion.pages import scale as page
from companion.pages.scale import (
    moved_sentences,
    peaks_text,
    read_scales,
    scale_figures,
    scale_sentences,
)
from companion.paper.comparison import Comparison
from companion.paper.scale import Judged
from companion.runs.records import read_record
from companion.runs.scale_files import TABLE
from tests.companion.scale_beside import write_beside
from thermo_utils import ThermoError

COMMITTED = Path(__file__).parents[3] / "results" / "small"
NAMES = ("mlp-cifar10", "lstm-yelp", "mobilenet_v2-cifar10")


@pytest.fixture
def chapters(tmp_path):
    """Three chapters, of which two can be rescaled, with nothing beside their records."""
    for name in NAMES:
        shutil.copytree(
            COMMITTED / name,
            tmp_path / "small" / name,
            ignore=shutil.ignore_patterns("seed-*", "scale.*"),
        )
    return {name: [read_record(tmp_path / "small" / name)] for name in NAMES} | {"cnn-cifar10": []}


def test_nothing_measured(chapters):
    text = scale_sentences(chapters)
    assert "Not yet run for MLP on CIFAR-10, LSTM on Yelp Review Full (`thermo scale mlp" in text
    assert "Layer by layer not yet run for MLP on CIFAR-10, LSTM on Yelp Review Full, Mob" in text
    assert "Evaluated with" not in text
    assert "MobileNetV2 on CIFAR-10 (ReLU6" in text
    assert "CNN" not in text
    assert text.count("each layer its mean") == 0


def test_measured(chapters):
    write_beside(chapters["mlp-cifar10"][0])
    write_beside(chapters["mobilenet_v2-cifar10"][0], factors=())
    text = scale_sentences(chapters)
    assert re.search(r"Evaluated with \$c = 1/4, 4\$.*3,000 test examples: MLP on CIFAR-10\.", text)
    assert "to the last bit, and in 1 of 1 chapter" in text
    assert "Not yet run for LSTM" in text
    # In units of their layers both are judged; here these curves are the records' own.
    assert re.search(r"each layer its mean \| F, renormalized \| 2 \|.*\| 0 : 0 \| 1 \|", text)


def test_a_difference_is_not_passed_over(chapters):
    """A single activation in millions."""
    write_beside(chapters["mlp-cifar10"][0], spoil=1)
    assert "and in 0 of 1 chapter the rescaled networks keep exactly" in scale_sentences(chapters)
    write_beside(chapters["mlp-cifar10"][0], off=1e-7)
    assert "those of the network to 1e-07 of the largest" in scale_sentences(chapters)


def test_of_another_network(chapters):
    write_beside(chapters["mlp-cifar10"][0], weights="b" * 64, key="0" * 16)
    text = scale_sentences(chapters)
    assert "Evaluated with" not in text
    assert "Not yet run for MLP" in text


def test_damaged(chapters):
    (record,) = chapters["mlp-cifar10"]
    write_beside(record)
    assert set(read_scales(chapters)) == {("mlp-cifar10", 0)}
    (record.folder / TABLE).write_text("")
    with pytest.raises(ThermoError, match=TABLE):
        scale_sentences(chapters)


def test_numbers_of_the_table_are_those_of_the_curve(chapters):
    curve = chapters["mlp-cifar10"][0].curve("renormalized")
    f = curve["internal_energy"] + curve["entropy"] / (4 * curve["tau"])
    beta = curve["beta"][f[curve["beta"] <= 0.985].idxmax()]
    (line,) = (
        line
        for line in scale_sentences(chapters).splitlines()
        if line.startswith("| MLP on CIFAR-10 | RFE, highest point")
    )
    assert line.split("|")[-2].strip().startswith(f"{beta:.2f}, ")


def test_of_several_seeds_the_table_has_the_mean(chapters):
    """What becomes of one seed alone, put together by hand."""
    one = chapters["mlp-cifar10"]
    other = [read_record(COMMITTED / "mlp-cifar10" / f"seed-{seed}") for seed in (1, 2)]

    def cells(records):
        found = {}
        for line in scale_sentences({"mlp-cifar10": records}).splitlines():
            if line.startswith("| MLP on CIFAR-10 |"):
                _, _, mark, *values, _ = (cell.strip() for cell in line.split("|"))
                found[mark] = values
        return found

    alone = [cells([record]) for record in (*one, *other)]
    together = cells([*one, *other])
    assert set(together) == {mark for found in alone for mark in found}
    several = 0
    for mark, values in together.items():
        for k, value in enumerate(values):
            seen = [found[mark][k] for found in alone if found.get(mark, ["none"] * 5)[k] != "none"]
            if len(seen) < 2:
                assert value == (seen[0] if seen else "none")
                continue
            several += 1
            beta, lost = np.array(
                [text.removesuffix(" lost").split(", ") for text in seen], float
            ).T
            told = re.fullmatch(r"([\d.]+) ± ([\d.]+) \((\d)\), (\S+) ± (\S+) lost", value)
            assert int(told[3]) == len(seen)
            expected = [beta.mean(), beta.std(ddof=1), lost.mean(), lost.std(ddof=1)]
            shown = [float(told[k].replace("−", "-")) for k in (1, 2, 4, 5)]
            assert shown == pytest.approx(expected, abs=0.11)
            assert shown[:2] == pytest.approx(expected[:2], abs=0.011)
    assert several > 5


@pytest.mark.parametrize(
    ("comparison", "words"),
    [
        (Comparison(9, 0, 1, 0.004), "says more about the accuracy"),
        (Comparison(0, 9, 1, 0.004), "says less about the accuracy"),
        (Comparison(6, 3, 1, 0.5), "neither more nor less"),
    ],
)
def test_the_verdict_follows_the_comparison(comparison, words):
    one = Judged(10, 1.0, 2.0, 4, 3, 1, 2, comparison)
    text = page._verdict("one mean for all", {"FE": one, "RFE": one})
    assert text.count(words) == 2
    assert "median factor 2.0 where the paper's is off by 4.0" in text
    assert "near in 4 of 10 chapters and the paper's in 3" in text


def test_figure(chapters):
    chapters["mlp-cifar10"][0].result["synthetic"] = True
    left, right = scale_figures(chapters)["static/scale"].axes
    assert len(left.lines) == len(right.lines) == 2
    assert any("synthetic" in text.get_text().lower() for text in left.figure.texts)
    assert scale_figures({"mobilenet_v2-cifar10": chapters["mobilenet_v2-cifar10"]}) == {}


def test_peaks(chapters):
    text = peaks_text(chapters)
    assert "Of 3 renormalized curves in the records, 3 rise from zero" in text
    assert text.count("\n| ") == 5


def test_without_records():
    assert scale_sentences({}) == peaks_text({"mlp-cifar10": []}) == "No chapter has been run.\n"
    assert moved_sentences({}) == "No chapter has been run.\n"
    assert scale_figures({}) == {}


def test_the_sentence_to_quote_is_the_first_of_the_section(chapters):
    quoted = moved_sentences(chapters).strip()
    assert scale_sentences(chapters).startswith(f"{quoted} (<a ")
    assert re.search(r"moves from sparsity 0\.\d\d \(\d+\.\d points lost", quoted)
