"""Differences from the paper's set-up: each of one kind, each kind mattering to what it should."""

from __future__ import annotations

from pathlib import Path

import pytest

from companion.networks import NETWORKS
from companion.paper import setup as module
from companion.paper.measures import MEASURES, READS
from companion.paper.setup import SETUPS, UNKNOWN, UNLESS, Setup, differences, kinds
from companion.runs.chapters import CHAPTERS
from companion.runs.overrides import OVERRIDES
from companion.runs.records import other_runs, read_chapter
from companion.runs.settings import settings
from thermo_utils.errors import ThermoError

ROOT = Path(__file__).parents[3]
EVERYTHING = set(READS)


def result(*differs, epochs=12, bound=12, dataset="flowers102", devices=("NVIDIA H100",) * 2):
    names = ("full", "renormalized")
    return {
        "differs": list(differs),
        "dataset": dataset,
        "settings": {"epochs": bound},
        "metrics": {"epochs": epochs},
        "stages": {n: {"device": d} for n, d in zip(names, devices, strict=True)},
    }


def of(text, **how):
    (found,) = differences([result(text, **how)])
    return found


def fitting(text):
    return [kind.kind for kind in kinds() if kind.pattern.fullmatch(text)]


def test_every_difference_of_the_committed_records_has_one_kind():
    runs = [r for c in CHAPTERS for r in read_chapter(ROOT / "results", "small", c.name)]
    others, bad = other_runs(ROOT / "results", "small", [c.name for c in CHAPTERS])
    assert runs
    assert not bad
    texts = {text for run in (*runs, *others) for text in run.result["differs"]}
    assert texts
    assert {text: fitting(text) for text in texts if len(fitting(text)) != 1} == {}


def test_every_difference_of_the_recipes_has_one_kind():
    texts = {
        text
        for network in NETWORKS.values()
        for dataset, profile in network.recipes
        for text in settings(network.name, dataset, profile).differs
    }
    assert texts
    assert {text: fitting(text) for text in texts if len(fitting(text)) != 1} == {}


#: Another value of each setting that a run may change.
CHANGED = {
    "train_size": 7, "validation_size": 7, "test_size": 7, "epochs": 7, "batch_size": 7,
    "learning_rate": 0.037, "patience": 7, "tau_step": 0.037, "tau_max": 7.0, "max_length": 7,
    "tokenizer": "wordpiece", "checkpoint": "someone/else", "precision": "16-mixed",
    "split": "swapped", "augment": True, "schedule": "cosine", "transfer": "cifar10",
}  # fmt: skip


@pytest.mark.parametrize("name", OVERRIDES)
def test_every_setting_that_can_be_changed_has_a_kind(name):
    model, profile = ("vit", "paper") if name == "checkpoint" else ("resnet18", "small")
    changed = {name: CHANGED[name]}
    if name.startswith("tau"):
        changed = {key: CHANGED[key] for key in ("tau_step", "tau_max")}
    transfer = {} if name in ("transfer", "checkpoint") else {"transfer": "none"}
    plain, found = (
        set(settings(model, "flowers102", profile, **how).differs)
        for how in ({"transfer": "none"} if name != "checkpoint" else {}, {**transfer, **changed})
    )
    if name not in ("augment", "schedule"):  # the recipe has these
        assert found - plain
    assert {text: fitting(text) for text in found if len(fitting(text)) != 1} == {}


def test_a_difference_of_no_known_kind_matters_to_everything():
    found = of("painted blue")
    assert (found.text, found.kind, found.matters) == ("painted blue", UNKNOWN, EVERYTHING)


@pytest.mark.parametrize(
    ("text", "matters"),
    [
        ("no pretrained weights: trained from scratch", {"accuracy", "place", "energy"}),
        ("six blocks of width 128", EVERYTHING),
        ("checkpoint MiniLM-L6 (six layers of width 384) instead of BERT-base", EVERYTHING),
        ("6,000 training texts", {"accuracy", "place", "energy"}),
        ("2,000 of the test images", {"place", "time"}),
        ("random 80/10/10 split instead of the official one", set()),
        (
            "trained on the official test part and tested on the official training part",
            EVERYTHING,
        ),
    ],
)
def test_what_some_differences_matter_to(text, matters):
    assert of(text).matters == matters
    # Words around it make it something else, which matters to everything.
    assert of(f"{text} or so").matters == of(f"almost {text}").matters == EVERYTHING


@pytest.mark.parametrize("text", ["at most 12 epochs", "1 epoch", "epochs 12 instead of 50"])
def test_a_bound_on_training_matters_only_where_it_came_before_early_stopping(text):
    assert of(text, epochs=12, bound=12).matters == {"accuracy", "place", "energy"}
    assert of(text, epochs=11, bound=12).matters == set()


@pytest.mark.parametrize(
    ("side", "dataset", "matters"),
    [
        (64, "flowers102", set()),  # all networks take 64 pixels
        (63, "flowers102", EVERYTHING),
        (500, "flowers102", set()),
        (31, "cifar10", EVERYTHING),
        (64, "of my own", EVERYTHING),
    ],
)
def test_images_as_large_as_the_networks_take_them_change_nothing(side, dataset, matters):
    assert of(f"images stored at {side} pixels, officially 500", dataset=dataset).matters == matters


@pytest.mark.parametrize("slow", [("full",), ("renormalized",), ("full", "renormalized")])
def test_a_processor_matters_to_times(slow):
    devices = ["CPU (x86_64)" if n in slow else "NVIDIA" for n in ("full", "renormalized")]
    (found,) = differences([result(devices=devices)])
    assert found.matters == {"time"}
    assert differences([result()]) == ()


def test_a_difference_matters_if_it_does_to_one_of_the_runs_and_is_told_once():
    runs = [result("at most 12 epochs", "a", epochs=7), result("at most 12 epochs"), result("a")]
    for order in (runs, runs[::-1]):
        found = {d.text: d.matters for d in differences(order)}
        assert found == {"at most 12 epochs": {"accuracy", "place", "energy"}, "a": EVERYTHING}
    assert len(differences(runs)) == 2


def test_every_kind_is_explained_and_every_condition_is_used():
    assert len({kind.kind for kind in kinds()}) == len(kinds())
    assert all(kind.why for kind in kinds())
    assert {kind.unless for kind in kinds()} == set(UNLESS)
    assert set().union(*(kind.matters for kind in kinds())) == EVERYTHING
    assert set().union(*(made.reads for made in MEASURES.values())) == EVERYTHING
    assert set(SETUPS) == set(Setup)


@pytest.mark.parametrize(("column", "value"), [("matters", "colour time"), ("unless", "raining")])
def test_unknown_names_in_the_file_are_refused(column, value):
    row = {"kind": "odd", "pattern": ".", "matters": "time", "unless": "", "why": "so"}
    assert module._kind(row).matters == {"time"}
    with pytest.raises(ThermoError, match=f"'odd'.*'{value.split()[0]}'"):
        module._kind(row | {column: value})
