"""Free energies in other units, judged: invariance, the identity by hand, comparisons of equals."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from companion.paper.runs import HIGHEST, THEORY, runs
from companion.paper.scale import (
    FEATURE,
    TOP,
    judged,
    layer_runs,
    over_scales,
    peaks,
    scale_free_runs,
    spread,
)
from companion.paper.targets import read_targets
from companion.runs.records import Record, read_record
from companion.runs.scale_files import read_scale
from tests.companion.paper.exponential_runs import five
from tests.companion.scale_beside import write_beside
from thermo_utils import critical_threshold, thermodynamic_curve
from thermo_utils.scaling import rescaled

COMMITTED = Path(__file__).parents[3] / "results" / "small"


@pytest.fixture(scope="module")
def record():
    return read_record(COMMITTED / "mlp-cifar10")


@pytest.fixture
def beside(tmp_path, record):
    """A copy of a record that curves can be laid beside."""
    folder = tmp_path / "small" / "mlp-cifar10"
    shutil.copytree(record.folder, folder, ignore=shutil.ignore_patterns("seed-*", "scale.*"))
    return read_record(folder)


def in_other_units(record, c):
    """A record of the same network with activations `c` times larger."""
    curves = [
        rescaled(record.curve(method), c).assign(method=method)
        for method in ("full", "renormalized")
    ]
    stages = {
        name: {**stage, "attrs": curve.attrs}
        for (name, stage), curve in zip(
            ((n, record.result["stages"][n]) for n in ("full", "renormalized")), curves, strict=True
        )
    }
    result = {**record.result, "stages": {**record.result["stages"], **stages}}
    return Record(Path(), result, pd.concat(curves, ignore_index=True))


class TestOverScales:
    def test_by_hand(self, record):
        """The highest point of E + S / (c tau), with its sparsity and the accuracy lost there."""
        curve, full = record.curve("renormalized"), record.curve("full")
        table = over_scales(record, "renormalized", (0.5, 1.0, 2.0))
        there = table[table["mark"] == TOP].set_index("c")
        for c in (0.5, 1.0, 2.0):
            f = curve["internal_energy"] + curve["entropy"] / (c * curve["tau"])
            top = f[curve["beta"] <= 0.985].idxmax()
            assert there.loc[c, "tau"] == pytest.approx(c * curve["tau"][top])
            assert there.loc[c, "beta"] == pytest.approx(curve["beta"][top])
            accuracy = np.interp(
                curve["tau"][top],
                [0, *full["tau"]],
                [full.attrs["baseline_accuracy"], *full["accuracy"]],
            )
            lost = full.attrs["baseline_accuracy"] - accuracy
            assert there.loc[c, "lost"] == pytest.approx(lost)
        assert there["beta"].is_monotonic_decreasing

    @pytest.mark.parametrize("method", ["full", "renormalized"])
    def test_at_its_own_scale_it_is_the_detector(self, record, method):
        found = critical_threshold(record.curve(method))
        table = over_scales(record, method, (1.0,)).set_index("mark")
        assert table.loc[FEATURE, "tau"] == pytest.approx(found.tau)
        assert table.loc[FEATURE, "beta"] == pytest.approx(found.beta)

    def test_the_published_example(self, record):
        """Nearly everything, or an eighth of it: the same MLP, with the same predictions."""
        table = over_scales(record, "renormalized", (0.25, 2.0))
        least, most = spread(table, TOP)
        assert (most["c"], least["c"]) == (0.25, 2.0)
        assert most["beta"] == pytest.approx(0.84, abs=0.01)
        assert most["lost"] > 0.2
        assert least["beta"] == pytest.approx(0.13, abs=0.01)
        assert least["lost"] < 0.005

    def test_too_few_to_spread(self, record):
        assert spread(over_scales(record, "full", (1.0,)), FEATURE) is None


class TestScaleFree:
    @pytest.mark.parametrize("c", [0.125, 8.0])
    def test_marks_follow_the_units(self, record, c):
        """At the same pruning, whatever the scale; the paper's own marks do not."""
        own, other = (
            scale_free_runs({"mlp-cifar10": [each]})[0]
            for each in (record, in_other_units(record, c))
        )
        for name in (*THEORY, *HIGHEST):
            expected = own.marks[name]
            if expected is None:
                assert other.marks[name] is None
            else:
                assert other.marks[name] == pytest.approx(c * expected)
        assert any(own.marks.values())
        (paper,) = runs({"mlp-cifar10": [record]})
        assert paper.marks["RFE top"] != own.marks["RFE top"]
        assert own.full.equals(paper.full)


class TestJudged:
    def test_equals_are_equal(self):
        paper = runs(five())
        found = judged(paper, paper)
        assert set(found) == {*THEORY, *HIGHEST}
        for one in found.values():
            assert (one.comparison.wins, one.comparison.losses) == (0, 0)
            assert one.comparison.ties == one.chapters == 5
            assert (one.median, one.near, one.unsafe) == (
                one.median_paper,
                one.near_paper,
                one.unsafe_paper,
            )

    def test_who_knows_the_answer_wins(self):
        paper = runs(five())
        target = read_targets(paper)["tau"]
        knowing = [
            run._replace(marks={**run.marks, "FE": float(tau)})
            for run, tau in zip(paper, target, strict=True)
        ]
        found = judged(knowing, paper)
        assert found["FE"].median == 0.0
        assert found["FE"].near == 5
        assert found["FE"].unsafe == 0
        assert found["FE"].comparison.losses == 0
        assert found["FE"].comparison.wins == 4  # the paper's is right in one
        back = judged(paper, knowing)["FE"]
        assert (back.comparison.losses, back.median_paper) == (4, 0.0)
        assert found["RFE"] == judged(paper, paper)["RFE"]

    def test_only_what_both_have(self):
        paper = runs(five())
        assert judged(paper[:2], paper)["FE"].chapters == 2
        assert judged([], paper) == {}


class TestLayers:
    def test_curves_and_marks_are_those_beside_the_record(self, beside):
        write_beside(beside)
        scale = read_scale(beside.folder)
        (run,) = layer_runs({"mlp-cifar10": [beside]}, {("mlp-cifar10", 0): scale})
        for method, curve in (("full", run.full), ("renormalized", run.fast)):
            np.testing.assert_allclose(curve["active"], beside.curve(method)["active"])
            found = critical_threshold(beside.curve(method))
            name = "FE" if method == "full" else "RFE"
            assert run.marks[name] == pytest.approx(found.tau)
        assert run.full.attrs["baseline_accuracy"] == scale.facts["baseline_accuracy"]

    def test_of_another_network_they_do_not_count(self, beside):
        write_beside(beside, key="0" * 16)
        scale = read_scale(beside.folder)
        assert layer_runs({"mlp-cifar10": [beside]}, {("mlp-cifar10", 0): scale}) == []
        assert layer_runs({"mlp-cifar10": [beside]}, {}) == []


class TestPeaks:
    def test_of_a_distribution(self):
        """Half-normal activations, 16 wide: the prediction is all but exact."""
        sigma = 16.0
        tau = np.linspace(0.01, 40.0, 4000)
        mean = sigma * np.sqrt(2 / np.pi)
        curve = thermodynamic_curve(
            tau,
            1e9 * stats.halfnorm.sf(tau / sigma),
            1e9 * mean * np.exp(-(tau**2) / (2 * sigma**2)),
            1e9,
            1e9 * mean,
        )
        record = Record(
            Path(),
            {"seed": 3, "stages": {"renormalized": {"attrs": {}}}},
            curve.assign(method="renormalized", accuracy=np.nan),
        )
        (row,) = peaks({"mlp-cifar10": [record]}).itertuples()
        assert (row.chapter, row.seed) == ("mlp-cifar10", 3)
        assert row.mean == pytest.approx(mean)
        assert row.density == pytest.approx(np.sqrt(2 / np.pi) / sigma, rel=0.02)
        assert row.predicted == pytest.approx(1 / np.pi, rel=0.1)
        assert row.measured == pytest.approx(1 / np.pi, abs=0.02)

    def test_of_nothing(self):
        assert peaks({}).empty
