"""The benchmarks: what is timed is what it says, and nothing is measured twice or lost."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks import __main__ as command
from benchmarks.memory import peak_bytes
from benchmarks.methods import stored_renormalized
from companion.pages.speed import PROCEDURES
from companion.pages.speed_files import FOLDER, GROWTH, ratios, read_speed
from companion.runs.experiment import experiment
from companion.runs.run import Run
from companion.runs.settings import settings
from thermo_utils import renormalized


@pytest.mark.parametrize("megabytes", [0, 40, 160])
def test_the_peak_is_what_the_task_holds(megabytes):
    def task():
        held = np.ones(megabytes << 17)  # eight bytes each
        return held.sum()

    # A system short of memory takes pages away meanwhile, which hides a part.
    peaks = [peak_bytes(task, torch.device("cpu")) for _ in range(3)]
    if None in peaks:
        pytest.skip("this system does not tell")
    peak = max(peaks)
    assert abs(peak / (1 << 20) - megabytes) < 8


def test_a_task_that_fails_has_no_peak():
    def task():
        raise RuntimeError("on purpose")

    assert peak_bytes(task, torch.device("cpu")) is None


def test_storing_finds_what_one_pass_finds():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 3))
    data = [(torch.randn(20, 6), torch.randint(3, (20,))) for _ in range(3)]
    taus = np.linspace(0.02, 1.5, 30)
    ours = renormalized(net, data, nn.ReLU, taus, progress=False)
    theirs = stored_renormalized(net, data, nn.ReLU, taus)
    assert theirs["active"].tolist() == ours["active"].tolist()
    np.testing.assert_allclose(theirs["free_energy"], ours["free_energy"], rtol=1e-12)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A results folder with a tiny trained chapter that the command takes for the demo's."""
    folder = tmp_path_factory.mktemp("results")
    sizes = {"train_size": 200, "validation_size": 50, "test_size": 120}
    chosen = settings("mlp", "cifar10", epochs=1, tau_step=0.1, tau_max=1.0, **sizes)
    return folder, experiment(Run(chosen, folder), progress=False)


@pytest.fixture
def small(trained, monkeypatch):
    folder, chapter = trained
    monkeypatch.setattr(command, "experiment", lambda run: chapter)
    monkeypatch.setattr(command, "COUNTS", (2, 4))
    return folder


def run(folder, *words):
    return command.main(
        ["mlp-cifar10", "--results", str(folder), "--repetitions", "2", "--seconds", "0.01",
         "--thresholds", "5", *words]
    )  # fmt: skip


def test_one_command_measures_and_keeps(small, monkeypatch):
    assert run(small) == 0
    files = read_speed(small / "demo" / FOLDER)
    assert set(files) == {"mlp-cifar10", GROWTH}
    measured = files["mlp-cifar10"]
    assert set(measured["seconds"]) == set(PROCEDURES)
    assert all(len(values) == 2 and min(values) > 0 for values in measured["seconds"].values())
    found = ratios(measured)
    assert found["thresholds"] == 5
    assert found["fe_over_rfe"] > 0
    assert [row["thresholds"] for row in files[GROWTH]["by_thresholds"]] == [2, 4]
    before = {p.name: p.read_bytes() for p in (small / "demo" / FOLDER).iterdir()}

    def refuse(*args, **kwargs):
        raise AssertionError("measured again")

    monkeypatch.setattr(command, "interleaved", refuse)
    assert run(small) == 0
    assert {p.name: p.read_bytes() for p in (small / "demo" / FOLDER).iterdir()} == before


def test_other_options_are_measured_again(small):
    assert run(small) == 0
    path = small / "demo" / FOLDER / "mlp-cifar10.json"
    before = path.read_bytes()
    assert run(small, "--thresholds", "6") == 2
    assert path.read_bytes() == before
    assert run(small, "--thresholds", "6", "--force") == 0
    assert json.loads(path.read_text())["options"]["thresholds"] == 6


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["mlp-cifar"], "unknown chapter 'mlp-cifar'"),
        (["--profile", "big"], "unknown profile 'big'"),
        (["--thresholds", "1"], "--thresholds must be 2 or more, got 1"),
        (["--repetitions", "0"], "--repetitions must be 1 or more, got 0"),
        (["--seconds", "0"], "--seconds must be 0.001 or more, got 0.0"),
    ],
)
def test_mistakes_are_one_line(words, message, capsys, tmp_path):
    assert command.main([*words, "--results", str(tmp_path / "new")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "new").exists()


def test_an_interrupt_says_how_to_go_on(small, capsys, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "interleaved", interrupt)
    assert run(small, "--force") == 130
    assert "goes on from here" in capsys.readouterr().err
