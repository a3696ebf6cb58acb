"""Ctrl-C at a terminal: nothing half-written, a line that says how to go on, and that it does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from companion.analysis.request import CHECKPOINT

#: A network that takes its time over every pass.
SLOW = """
import time
import torch
from torch import nn
from pathlib import Path

torch.manual_seed(0)

class Slow(nn.Sequential):
    def forward(self, x):
        time.sleep(0.05)
        with Path("passes").open("a") as file:
            file.write(".")
        return super().forward(x)

network = Slow(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 3))
points = torch.randn(90, 6)
batches = [(points, network(points).argmax(1))]
Path("passes").write_text("")
"""


@pytest.mark.slow
def test_interrupt(here):
    (here / "slow.py").write_text(SLOW)
    words = [
        "slow.py:network",
        "slow.py:batches",
        "-o",
        "out",
        "--tau-step",
        "0.02",
        "--tau-max",
        "1",
    ]
    command = [sys.executable, "-m", "companion.cli", "analyze", *words]
    running = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ}
    )
    deadline = time.monotonic() + 120
    checkpoint = here / "out" / CHECKPOINT
    while not (checkpoint.exists() and checkpoint.read_text().count("\n") > 10):
        assert time.monotonic() < deadline
        assert running.poll() is None, running.stderr.read()
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert out == ""
    assert err.splitlines()[-1] == "thermo: interrupted; the same command goes on from here"
    assert "Traceback" not in err
    assert [path.name for path in (here / "out").iterdir()] == [CHECKPOINT]
    first = len((here / "passes").read_text())

    done = subprocess.run([*command, "--quiet"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert not checkpoint.exists()
    assert (here / "out" / "report.html").exists()
    second = len((here / "passes").read_text())
    alone = 1 + 1 + 1 + 1 + 56 + 6  # default layers, sites, spectrum, unpruned, sweep, safe
    assert second <= alone - 9
    assert first < alone
