"""Torchmetrics as Lightning gets it: without what training does not use, and whole for others."""

from __future__ import annotations

import subprocess
import sys

import pytest

from companion.runs.metrics import LEFT_OUT, load_torchmetrics

LOADED = """
import sys
from companion.runs.metrics import load_torchmetrics
load_torchmetrics()
import torch, torchmetrics
print(*[name for name in {names} if name in sys.modules])
hits = torchmetrics.classification.MulticlassAccuracy(3, average="micro")
print(float(hits(torch.tensor([0, 1, 2, 2]), torch.tensor([0, 1, 2, 0]))))
print(hasattr(torchmetrics.image, "ARNIQA"), hasattr(torchmetrics.image, "TotalVariation"))
from lightning_utilities.core.imports import RequirementCache, package_available
print(package_available("scipy"), bool(RequirementCache("torchvision")))
"""


@pytest.mark.slow
def test_metrics_of_images_are_left_out_and_nothing_else():
    code = LOADED.format(names=("scipy.signal", "torchvision", "transformers"))
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=240
    )
    imported, accuracy, images, others = done.stdout.splitlines()
    assert imported == ""
    assert float(accuracy) == 0.75
    assert images == "False True"
    assert others == "True True"  # whoever asks later is told the truth


def test_what_is_imported_already_stays(monkeypatch):
    there = object()
    monkeypatch.setitem(sys.modules, "torchmetrics", there)
    load_torchmetrics()
    assert sys.modules["torchmetrics"] is there


def test_what_is_left_out_is_installed():
    assert all(__import__(name) for name in LEFT_OUT)
