"""The page on what zeros save: its numbers are the record's, and so are its words."""

from __future__ import annotations

import pytest

from companion.pages.rounds import BUSY
from companion.pages.zeros import zeros_text


def facts(**changes):
    row = {"sparsity": 0.0, "dense": 4e-4, "skipping": 8e-4, "speedup": 0.5, "low": 0.4,
           "high": 0.6, "gain": 1.0, "threads": 1}  # fmt: skip
    last = {**row, "sparsity": 0.9, "skipping": 1e-4, "speedup": 4.0, "low": 3.9, "high": 4.2,
            "gain": 8.0}  # fmt: skip
    dense = {"tau": 0.1, "beta": 0.995, "dense": 1e-3, "pruned": 1.1e-3, "ratio": 1.08,
             "low": 1.0, "high": 1.2, "threads": 2}  # fmt: skip
    layer = {"in_features": 1024, "out_features": 4096, "repetitions": 31, "break_even": 0.37,
             "rows": [row, last]}  # fmt: skip
    return {
        "load": 0.0, "processor": "Fast | CPU", "date": "2026-11-26",
        "provenance": {"device": "CPU", "git_commit": "0123456789abcdef"},
        "dense": [{"inputs": 1024, "hidden": 4096, "batch": 64, "rows": [dense]}],
        "skipping": [{**layer, **changes}],
    }  # fmt: skip


def cells(text):
    return [[c.strip() for c in line.strip("|").split("|")] for line in text.splitlines()]


def test_nothing_measured_yet():
    assert "python -m benchmarks.zeros" in zeros_text(None)


def test_rows_are_the_records():
    rows = cells(zeros_text(facts()))
    assert [
        "1024 → 4096 → 1024",
        "64",
        "0.99",
        "1,000",
        "1,100",
        "1.08 (1.00 to 1.20)",
        "2",
    ] in rows
    assert ["0.00", "400", "800", "0.50 (0.40 to 0.60)", "1.00"] in rows
    assert ["0.90", "400", "100", "4.00 (3.90 to 4.20)", "8.00"] in rows


def test_the_sentences_are_the_records():
    text = zeros_text(facts())
    assert "1.08 to 1.08 times as long" in text
    assert "1024 → 4096**, one input, one thread" in text
    assert "31 rounds" in text
    assert "Fast &#124; CPU" in text
    assert "0123456789" in text


@pytest.mark.parametrize(
    ("at", "words"), [(None, "does not pay"), (0.37, "sparsity of 0.37"), (0.0, "no slower")]
)
def test_the_verdict_is_the_break_evens(at, words):
    text = zeros_text(facts(break_even=at))
    assert words in text
    assert sum(w in text for w in ("does not pay", "breaks even", "no slower")) == 1


@pytest.mark.parametrize("load", [0.0, BUSY + 0.1])
def test_a_busy_machine_is_said(load):
    assert ("busy" in zeros_text({**facts(), "load": load})) == (load > BUSY)


def test_without_a_name_the_device_is_shown():
    assert "CPU, float32" in zeros_text({**facts(), "processor": None})
