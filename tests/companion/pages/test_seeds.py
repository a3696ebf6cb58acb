"""Numbers over seeds: only times that are comparable have a mean."""

from __future__ import annotations

import copy
import re

import pytest

from companion.pages.seeds import by_device, timed
from companion.runs.committed import committed_chapter
from companion.runs.records import Record


@pytest.fixture
def runs():
    """Three seeds, to change."""
    found = committed_chapter("mlp-cifar10")
    return [Record(r.folder, copy.deepcopy(r.result), r.curves) for r in found]


def test_a_training_that_was_timed_in_part_took_at_least_that(runs):
    whole = timed(runs, "train", " s")
    assert "at least" not in whole
    runs[1].result["stages"]["train"]["resumed"] = True
    assert timed(runs, "train", " s") == f"at least {whole}"
    assert "at least" not in timed(runs, "full", " s")


def test_full_evaluations_that_reuse_stand_apart(runs):
    assert len(by_device(runs)) == 1
    runs[2].result["stages"]["full"]["attrs"]["reused"] = {
        "share": 1.0,
        "bytes": 9,
        "why_not": None,
    }
    runs[1].result["stages"]["full"]["attrs"]["reused"] = {"share": 0.0, "bytes": 0, "why_not": "x"}
    groups = by_device(runs)
    assert [len(group) for group in groups.values()] == [2, 1]
    said = timed(runs, "full", " s")
    assert said.count("; ") == 1
    assert "with reuse" in said


def test_several_devices_are_named_shortly(runs):
    def said(*devices):
        for run, device in zip(runs, devices, strict=False):
            run.result["provenance"]["device"] = device
        return timed(runs[: len(devices)], "full", " s")

    cpu = "CPU (x86_64), 1 threads"
    assert re.fullmatch(r"[\d.]+ s on H100; [\d.]+ s on CPU", said("NVIDIA H100 80GB HBM3", cpu))
    alike = said(cpu, "CPU (aarch64), 1 threads")
    assert "(x86_64)" in alike
    assert "(aarch64)" in alike
