"""The page on speed: ratios from rounds, targets judged, nothing invented where nothing was run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from companion.pages.speed import TARGETS, growth_figure, growth_text, speed_page
from companion.pages.speed_files import COMMAND, FORMAT, GROWTH, ratios, read_speed
from companion.runs.chapters import CHAPTERS
from thermo_utils.errors import ThermoError

GROWN = Path(__file__).parents[3] / "results" / "small" / "benchmarks" / "growth.json"


def measured(**changed):
    """A machine that needs a second per pass, and is twice as slow in its second round."""
    seconds = {
        "plain": [1.0, 2.0, 1.0],
        "renormalized": [1.25, 2.5, 1.25],
        "stored": [10.0, 20.0, 10.0],
        "full": [4.8, 9.6, 4.8],
        "sampled": [0.2, 0.4, 0.2],
    }
    return {
        "format": FORMAT,
        "options": {"profile": "small", "thresholds": 50, "repetitions": 3, "seconds": 1.0},
        "examples": 500,
        "test_examples": 5000,
        "activations_per_example": 1000.0,
        "swept": 3,
        "seconds": seconds,
        "peak_bytes": dict.fromkeys(seconds, 10_000_000) | {"stored": 210_000_000},
        "sample": {
            "tau": 0.3, "exact_tau": 0.2, "step": 0.1, "examples": 400, "confidence": 0.97,
            "converged": True,
        },
        "provenance": {
            "python": "3.11.0", "packages": {"torch": "2", "numba": "0", "numpy": "2"},
            "device": "an abacus", "git_commit": "abcdef1234567890", "threads": 1,
        },
        **changed,
    }  # fmt: skip


def write(folder, name="mlp-cifar10", content=None):
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(measured() if content is None else content))


def test_ratios_are_formed_within_a_round():
    found = ratios(measured())
    assert found["rfe_per_pass"] == 1.25
    assert found["fe_per_pass"] == pytest.approx(1.2)
    assert found["fe_over_rfe"] == pytest.approx(51 * 1.2 / 1.25)
    assert found["stored_over_rfe"] == 8.0
    # The sample is of the whole test set, ten times what the rest was measured on.
    assert found["fe_over_sampled"] == pytest.approx(10 * 51 * 1.2 / 0.2)
    assert found["sampled_of_pass"] == pytest.approx(0.02)
    assert found["ns_per_activation"] == pytest.approx(1e9 / 500_000)
    assert (found["rfe_mb"], found["stored_mb"]) == (0.0, 200.0)
    assert found["sample_share"] == 0.08


@pytest.mark.parametrize(
    ("ours", "exact", "agrees"),
    [
        (0.3, 0.2, True),
        (0.4, 0.2, False),
        (None, None, True),
        (None, 0.2, False),
        (0.2, None, False),
    ],
)
def test_a_sample_agrees_within_a_step(ours, exact, agrees):
    sample = measured()["sample"] | {"tau": ours, "exact_tau": exact}
    assert ratios(measured(sample=sample))["sample_agrees"] is agrees


def test_a_system_that_does_not_tell_its_memory():
    found = ratios(measured(peak_bytes=dict.fromkeys(measured()["seconds"])))
    assert found["rfe_mb"] is None


def test_all_targets_can_be_met_and_missed():
    page = speed_page({"mlp-cifar10": measured()})
    assert page.count("| 1 of 1 | none |") == len(TARGETS)
    slow = {name: [100.0 * v for v in values] for name, values in measured()["seconds"].items()}
    slow["plain"], slow["full"] = [1.0, 2.0, 1.0], [8.0, 8.0, 8.0]
    sample = measured()["sample"] | {"tau": 0.9}
    peak = measured()["peak_bytes"] | {"renormalized": 100_000_000}
    page = speed_page({"mlp-cifar10": measured(seconds=slow, sample=sample, peak_bytes=peak)})
    assert page.count("| 0 of 1 |") == len(TARGETS)
    for target in TARGETS:
        assert target.why in page


def test_the_page_stands_beside_the_paper():
    page = speed_page({"mlp-cifar10": measured()})
    (row,) = (line for line in page.splitlines() if line.startswith("| [MLP") and "92.82" in line)
    assert "1.25" in row
    assert "an abacus" in page
    (absent,) = (line for line in page.splitlines() if line.startswith("Not measured: "))
    assert absent.count("](chapters/") == len(CHAPTERS) - 1
    assert "mlp-cifar10" not in absent
    assert "abcdef1234" in page


def test_without_measurements(tmp_path):
    assert "|" not in speed_page({})
    assert read_speed(tmp_path / "none") == {}


@pytest.mark.parametrize(
    ("text", "message"), [("{", "damaged"), ("[]", "format"), ("{}", "format")]
)
def test_damaged_files_are_named(tmp_path, text, message):
    (tmp_path / "mlp-cifar10.json").write_text(text)
    with pytest.raises(ThermoError, match=message) as error:
        read_speed(tmp_path)
    assert "mlp-cifar10.json" in str(error.value)
    assert COMMAND in str(error.value)


def test_chapters_come_in_the_order_of_the_book(tmp_path):
    folder = tmp_path / "small" / "benchmarks"
    folder.mkdir(parents=True)
    names = [c.name for c in CHAPTERS]
    for name in reversed(names):
        write(folder, name)
    shutil.copy(GROWN, folder)
    assert list(read_speed(folder)) == [*names, GROWTH]


def test_growth_draws_every_method():
    seconds = {"plain": [1.0], "renormalized": [2.0], "full": [9.0], "stored": [5.0]}
    rows = [{"thresholds": k, "examples": 9, "seconds": seconds} for k in (10, 100)]
    figure = growth_figure({"swept": 3, "by_thresholds": rows, "by_examples": rows})
    for axis in figure.axes:
        assert sorted(line.get_ydata()[0] for line in axis.lines) == [1.0, 2.0, 5.0, 9.0]
    assert figure.axes[0].lines[0].get_xdata().tolist() == [10, 100]


def test_growth_is_told_in_words():
    def rows(name, ends):
        return [
            {name: end, "seconds": {"plain": [1.0] * 5, "full": [end / 100] * 5}} for end in ends
        ]

    text = growth_text(
        {
            "by_thresholds": rows("thresholds", (10, 1000)),
            "by_examples": rows("examples", (50, 200)),
        }
    )
    for words in (
        "from 10 to 1,000 thresholds, unpruned pass 1 to 1; FE, a pass per threshold 0.1 to 10.",
        "from 50 to 200 examples, unpruned pass 1 to 1; FE, a pass per threshold 0.5 to 2.",
    ):
        assert words in text
    assert "5 rounds" in text
