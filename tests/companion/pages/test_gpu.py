"""The page on what counting costs on a GPU: its numbers are the record's, and so are its words."""

from __future__ import annotations

import copy
import json
import math
import statistics

import pytest

from companion.pages.gpu import FILE, gpu_text, read_gpu
from companion.runs.provenance import ROOT
from thermo_utils.errors import ThermoError


def facts():
    network = {
        "name": "ResNet-18", "dtype": "float32", "size": 224, "batch": 128, "batches": 4,
        "activations": 900_000_000, "thresholds": 50, "passes": 4,
        "seconds": {"plain": [0.1, 0.2, 0.4], "summed": [0.11, 0.22, 0.44],
                    "renormalized": [0.13, 0.25, 0.48], "full": [0.6, 1.2, 2.4]},
    }  # fmt: skip
    kernel = {
        "input": "half zeros", "dtype": "float32", "elements": 10**9, "calls": 2, "bytes": 4,
        "bins": 306, "reference": "NumbaBins",
        "seconds": {"copy": [0.008, 0.008, 0.008], "atomics | 128": [0.016, 0.016, 0.032]},
        "agrees": {"atomics | 128": True}, "failed": {"products": "OutOfResources: <shared>"},
    }  # fmt: skip
    return {
        "format": 1, "trial": False, "date": "2026-11-26", "triton": "3.8.0", "cuda": "13.0",
        "capability": [9, 0], "elements": 10**9,
        "provenance": {"device": "Fast | GPU", "git_commit": "0123456789abcdef",
                       "packages": {"torch": "2.14.1"}},
        "networks": [network], "kernels": [kernel],
    }  # fmt: skip


def cells(text):
    return [[c.strip() for c in line.strip("|").split("|")] for line in text.splitlines()]


def written(folder, content):
    (folder / FILE).write_text(json.dumps(content))
    return folder / FILE


def test_nothing_measured_is_said_with_the_command(tmp_path):
    assert read_gpu(tmp_path / FILE) is None
    text = gpu_text(None)
    assert "Nothing was measured on a GPU" in text
    assert "`make gpu`" in text
    assert not any(character.isdigit() for character in text)


def test_rows_are_the_records(tmp_path):
    text = gpu_text(read_gpu(written(tmp_path, facts())))
    rows = cells(text)
    # A pass of the full evaluation takes 0.15, 0.3, 0.6; ratios are formed within a round.
    assert ["ResNet-18", "float32", "4 × 128", "900", "200.0", "1.10 (1.10 to 1.10)",
            "1.25 (1.23 to 1.27)", "1.50 (1.50 to 1.50)"] in rows  # fmt: skip
    # 2e9 in 16 ms; a copy reads and writes in 8 ms what is read alone in 4, a quarter of 16.
    assert ["half zeros", "float32", "atomics &#124; 128", "125.0", "25.0 %", "yes"] in rows
    assert any("did not run: OutOfResources: &#60;shared&#62;" in row for row in rows)
    assert "2,000 GB/s" in text
    assert "exact at 50 thresholds" in text
    assert "Medians of 3 rounds" in text
    assert "Fast &#124; GPU" in text
    assert "Not all of them agree" not in text


def test_what_differs_from_the_cpu_is_said_above_the_table():
    wrong = facts()
    wrong["kernels"][0]["agrees"]["atomics | 128"] = False
    text = gpu_text(wrong)
    assert "**Not all of them agree: atomics &#124; 128.**" in text
    assert "**no**" in text


def test_a_trial_is_never_shown(tmp_path):
    with pytest.raises(ThermoError, match="trial without a GPU"):
        read_gpu(written(tmp_path, {**facts(), "trial": True}))


PLACES = [
    ("format",), ("trial",), ("date",), ("provenance",), ("provenance", "device"), ("networks",),
    ("kernels",), ("networks", 0), ("kernels", 0), ("networks", 0, "name"),
    ("networks", 0, "passes"), ("networks", 0, "batches"), ("networks", 0, "seconds"),
    ("networks", 0, "seconds", "full"), ("networks", 0, "seconds", "plain", 0),
    ("kernels", 0, "input"), ("kernels", 0, "elements"), ("kernels", 0, "calls"),
    ("kernels", 0, "bytes"), ("kernels", 0, "seconds"), ("kernels", 0, "seconds", "copy"),
    ("kernels", 0, "agrees"), ("kernels", 0, "agrees", "atomics | 128"), ("kernels", 0, "failed"),
]  # fmt: skip


@pytest.mark.parametrize("place", PLACES, ids=lambda place: ".".join(map(str, place)))
@pytest.mark.parametrize("wrong", [None, -1, math.nan, {}, [], [0.1], "gone"], ids=str)
def test_damage_is_one_error_wherever_it_is(place, wrong, tmp_path):
    if wrong == "gone" and isinstance(place[-1], int):
        pytest.skip("a list that is shorter is a case of its own")
    broken = copy.deepcopy(facts())
    inner = broken
    for step in place[:-1]:
        inner = inner[step]
    if wrong == "gone":
        del inner[place[-1]]
    elif place[-1] == "failed" and wrong == {}:
        pytest.skip("nothing failed is as it should be")
    else:
        inner[place[-1]] = wrong
    with pytest.raises(ThermoError, match=r"gpu\.json is damaged: .*make gpu"):
        read_gpu(written(tmp_path, broken))


def test_tasks_have_the_same_rounds(tmp_path):
    broken = facts()
    broken["networks"][0]["seconds"]["full"].pop()
    with pytest.raises(ThermoError, match="same rounds"):
        read_gpu(written(tmp_path, broken))


def test_text_that_is_no_record_is_an_error(tmp_path):
    (tmp_path / FILE).write_text("{")
    with pytest.raises(ThermoError, match="damaged"):
        read_gpu(tmp_path / FILE)


def test_the_page_says_which_kernel_was_fastest():
    content = facts()
    faster = copy.deepcopy(content["kernels"][0])
    faster["seconds"]["products"] = [0.015, 0.015, 0.033]
    faster["agrees"]["products"] = True
    content["kernels"] = [content["kernels"][0], faster, faster]
    said = (
        "with atomics &#124; 128; fastest, of 3 inputs, was products on 2, atomics &#124; 128 on 1."
    )
    assert said in gpu_text(content)


def test_the_library_counts_as_was_measured_to_be_fastest():
    measured = read_gpu(ROOT / "results" / FILE)
    assert measured is not None
    for part in measured["kernels"]:
        assert all(part["agrees"].values())
        assert not part["failed"]
        times = {kind: statistics.median(values) for kind, values in part["seconds"].items()}
        copy = times.pop("copy")
        assert min(times, key=times.get) == next(iter(times))
        # It reads at least as fast as a copy reads and writes, but for what it computes.
        assert min(times.values()) < 1.25 * copy
