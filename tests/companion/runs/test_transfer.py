"""A run that starts from another: which weights it gets, and what its record says of it."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch

from companion.data.specs import DATASETS
from companion.networks import NETWORKS
from companion.runs import experiment as chapters
from companion.runs import weights
from companion.runs.experiment import experiment, transferred
from companion.runs.kept import read_sealed
from companion.runs.notebooks import EXECUTED, execute, notebook_path
from companion.runs.records import read_record
from companion.runs.run import Run
from companion.runs.settings import settings
from companion.runs.stages import DONE, WEIGHTS
from tests.companion.data.mirrors import make_mirror
from thermo_utils import ThermoError

SMALLER = {"train_size": 120, "validation_size": 30, "test_size": 60, "epochs": 1}
TINY = {**SMALLER, "train_size": 306, "validation_size": 102, "tau_step": 0.3, "tau_max": 1.5}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """A source that is trained in a second."""
    for name in ("resnet18", "mobilenet_v2"):
        recipes = NETWORKS[name].recipes
        smaller = dataclasses.replace(recipes["cifar10", "demo"], **SMALLER)
        monkeypatch.setitem(recipes, ("cifar10", "demo"), smaller)


def run(results, model="resnet18", seed=0, **changed):
    given = {**TINY, "transfer": "cifar10", **changed}
    return Run(settings(model, "flowers102", seed=seed, **given), results)


def source(results, model="resnet18", seed=0):
    return Run(settings(model, "cifar10", seed=seed), results)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["resnet18", "mobilenet_v2"])
def test_the_start_is_the_body_of_the_training_of_that_network_and_seed(tmp_path, model, capsys):
    start = transferred(run(tmp_path, model, 3), progress=False)
    assert "flowers102 starts from " in capsys.readouterr().err
    kept = torch.load(source(tmp_path, model, 3).scratch("train") / WEIGHTS, weights_only=True)
    head = NETWORKS[model].head
    body = {name: weight for name, weight in kept.items() if not name.startswith(head)}
    assert 0 < len(body) < len(kept)
    assert start.weights.keys() == body.keys()
    assert all(torch.equal(weight, start.weights[name]) for name, weight in body.items())
    # What was left out is a layer of the source's ten classes.
    assert {len(kept[name]) for name in kept.keys() - body.keys()} == {10}
    again = transferred(run(tmp_path, model, 3), progress=False)
    assert again.fingerprint == start.fingerprint
    assert capsys.readouterr().err == ""  # found, not trained
    other = transferred(run(tmp_path / "other", model, 4), progress=False)
    assert other.fingerprint != start.fingerprint


def test_what_the_source_has_trained_before_is_taken(tmp_path, monkeypatch):
    before = experiment(source(tmp_path), progress=False)
    fingerprint = weights.fingerprint(before.network())

    def refuse(*args, **options):
        raise AssertionError("this was to be recalled, not trained")

    monkeypatch.setattr(chapters, "train", refuse)
    assert transferred(run(tmp_path), progress=False).fingerprint == fingerprint


def test_a_run_trains_from_its_start_and_says_so(tmp_path):
    # At such a rate a network stays where it starts.
    begun = run(tmp_path, learning_rate=1e-12)
    chapter = experiment(begun, progress=False)
    start = transferred(begun, progress=False)
    facts = json.loads(read_sealed(begun.scratch("train") / DONE))["facts"]
    assert facts["started_from"] == start.fingerprint
    alone = run(tmp_path, learning_rate=1e-12, transfer="none")
    ours, fresh = (
        experiment(r, progress=False).network().state_dict()["conv1.weight"].cpu()
        for r in (chapter.run, alone)
    )
    there = start.weights["conv1.weight"]
    assert float((ours - there).abs().max()) < 1e-9
    assert float((fresh - there).abs().max()) > 1e-3  # what a start that does nothing looks like
    facts = json.loads(read_sealed(alone.scratch("train") / DONE))["facts"]
    assert "started_from" not in facts


@pytest.mark.slow
def test_the_notebook_and_the_experiment_start_from_the_same(tmp_path, monkeypatch):
    """And their records say so, to the same digits."""
    monkeypatch.undo()  # of which a kernel would not know
    shown, computed = run(tmp_path / "notebook"), run(tmp_path / "experiment")
    chapter = experiment(computed, progress=False)
    chapter.renormalized()
    chapter.full_evaluation()
    values = {
        "dataset": "flowers102", "results": str(shown.results),
        "overrides": {**TINY, "transfer": "cifar10"},
    }  # fmt: skip
    execute(notebook_path("resnet18"), shown.folder / EXECUTED, values, progress=False)
    ours, theirs = computed.save(), read_record(shown.folder)
    started = [r.result["stages"]["train"]["started_from"] for r in (ours, theirs)]
    assert started[0] == started[1] == transferred(computed, progress=False).fingerprint
    assert ours.result["history"] == theirs.result["history"]
    assert ours.curves.equals(theirs.curves)
    words = "started from its own CIFAR-10 training instead of ImageNet weights"
    assert words in theirs.result["differs"]


def test_a_recalled_run_needs_no_start(tmp_path, monkeypatch):
    experiment(run(tmp_path), progress=False)

    def refuse(*args, **options):
        raise AssertionError("the start of a finished training is not needed")

    monkeypatch.setattr(chapters, "transferred", refuse)
    assert len(experiment(run(tmp_path), progress=False).history) == 1


def test_without_transfer_there_is_no_start(tmp_path):
    assert transferred(run(tmp_path, transfer="none")) is None
    assert list(tmp_path.iterdir()) == []


def test_data_of_the_source_that_are_out_of_reach_are_named_beforehand(tmp_path, monkeypatch):
    flowers = {"train": 102, "validation": 102, "test": 102}
    root = make_mirror(tmp_path / "data", DATASETS["flowers102"], side=8, sizes=flowers)
    monkeypatch.setenv("THERMO_DATA", str(root))
    given = settings("resnet18", "flowers102", "small")
    assert given.transfer == "cifar10"
    with pytest.raises(ThermoError, match="uoft-cs/cifar10 for CIFAR-10"):
        Run(given, tmp_path / "results").check_sources()
    alone = settings("resnet18", "flowers102", "small", transfer="none")
    Run(alone, tmp_path / "results").check_sources()


def test_a_network_of_other_options_is_no_start(tmp_path):
    given = dataclasses.replace(run(tmp_path).settings, options={"divisor": 16})
    with pytest.raises(ThermoError, match="give both the same options, or leave transfer out"):
        experiment(Run(given, tmp_path), progress=False)
