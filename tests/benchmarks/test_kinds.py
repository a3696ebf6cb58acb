"""Every kind of network and data does what the committed file, and so the book, says of it."""

from __future__ import annotations

import json
import warnings
from functools import cache
from pathlib import Path

import pytest
import torch

from benchmarks.kinds import KINDS, tried
from benchmarks.kinds.counting import by_hand

FILE = Path(__file__).parents[2] / "results" / "kinds.json"
FACTS = json.loads(FILE.read_text())["kinds"]
WORKING = [name for name, facts in FACTS.items() if facts["outcome"] == "works"]
#: Of these metrics, the best score is 1, and most kinds are asked for their own answers.
SHARES = {"accuracy", "f1", "mean_iou", "multiclass_cohen_kappa"}

again = cache(tried)


def each(names):
    """The names, those of heavy kinds marked as slow."""
    return [
        pytest.param(name, marks=pytest.mark.slow if KINDS[name].heavy else ()) for name in names
    ]


def test_the_file_holds_every_kind():
    assert list(FACTS) == list(KINDS)
    assert len(KINDS) >= 30
    assert 30 <= len(WORKING) < len(KINDS)
    for name, facts in FACTS.items():
        assert (facts["network"], facts["data"]) == (KINDS[name].network, KINDS[name].data)
    pairs = [(facts["network"], facts["data"]) for facts in FACTS.values()]
    assert len(set(pairs)) == len(pairs)


@pytest.mark.parametrize("name", each(KINDS))
def test_outcome(name):
    found, said = again(KINDS[name]), FACTS[name]
    assert found["outcome"] == said["outcome"], found
    if said["outcome"] == "refused":
        assert (found["step"], found["message"]) == (said["step"], said["message"])
        return
    assert (found["layers"], found["metric"]) == (said["layers"], said["metric"])
    # On another processor, rounding may turn an activation or two to zero, or from it.
    assert found["total"] == pytest.approx(said["total"], rel=1e-3)
    assert found["baseline"] == pytest.approx(said["baseline"], rel=1e-3)
    drop = abs(found["safe"]["score"] - found["baseline"])
    assert drop <= 0.05 * abs(found["baseline"]) + 1e-9


@pytest.mark.parametrize("name", each(WORKING))
def test_counts_are_those_of_a_count_by_hand(name):
    found = again(KINDS[name])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the network, which says it every time
        for place, tau in enumerate(found["taus"]):
            for method, prune in (("rfe", False), ("fe", True)):
                total, active, _ = by_hand(KINDS[name].make(), found["layers"], tau, prune=prune)
                if found[method][place] is None:  # NaN, which pruning makes
                    assert name == "dividing"
                    continue
                assert active == found[method][place], (method, tau)
                if not prune:
                    assert total == found["total"]


@pytest.mark.parametrize("name", each(n for n in WORKING if FACTS[n]["metric"] in SHARES))
def test_a_network_asked_for_its_own_answers_is_right(name):
    assert again(KINDS[name])["baseline"] == pytest.approx(1.0)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [name for name in WORKING if FACTS[name]["metric"] == "perplexity"]
)
def test_perplexity_is_that_of_the_models_own_loss(name):
    case = KINDS[name].make()
    with torch.no_grad():
        losses = [case.model(**batch).loss for batch in case.batches()]  # all of the same size
    expected = float(torch.stack(losses).mean().exp())
    assert again(KINDS[name])["baseline"] == pytest.approx(expected, rel=1e-4)


def test_squared_errors_are_torchs():
    for name in ("regression", "autoencoder", "gradients"):
        case = KINDS[name].make()
        ((x, y),) = case.batches()
        expected = float(torch.nn.functional.mse_loss(case.model(x), y))
        assert again(KINDS[name])["baseline"] == pytest.approx(expected, rel=1e-4)


def test_a_network_in_train_mode_is_left_as_it_was():
    case = KINDS["training"].make()
    before = {name: tensor.clone() for name, tensor in case.model.state_dict().items()}
    made = type(KINDS["training"])("training", "", "", lambda: case)
    assert tried(made)["outcome"] == "works"
    assert all(module.training for module in case.model.modules())
    for name, tensor in case.model.state_dict().items():
        assert torch.equal(tensor, before[name]), name
