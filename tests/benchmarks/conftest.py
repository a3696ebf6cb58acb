"""A chapter that takes a second, for measurements of trained networks."""

from __future__ import annotations

import dataclasses
import shutil

import pytest

from companion.networks import NETWORKS
from companion.runs.experiment import experiment
from companion.runs.run import Run
from companion.runs.settings import settings

TINY = {
    "train_size": 200, "validation_size": 50, "test_size": 120, "epochs": 1,
    "options": {"hidden": (32, 16)}, "tau_step": 0.05, "tau_max": 1.5,
}  # fmt: skip


@pytest.fixture(scope="module")
def tiny():
    """A recipe for which a chapter takes a second."""
    recipes = NETWORKS["mlp"].recipes
    with pytest.MonkeyPatch.context() as patch:
        recipe = dataclasses.replace(recipes["cifar10", "demo"], **TINY)
        patch.setitem(recipes, ("cifar10", "demo"), recipe)
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory, tiny):
    """The results of a chapter that was run, with its stages."""
    results = tmp_path_factory.mktemp("results")
    chapter = experiment(Run(settings("mlp", "cifar10"), results), progress=False)
    chapter.renormalized()
    chapter.full_evaluation()
    chapter.run.save()
    return results


@pytest.fixture
def results(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "results")
