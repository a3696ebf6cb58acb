"""The registry: what it finds, in which order, and what it makes of it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import torch

from companion.data.specs import DATASETS
from companion.networks import NETWORKS, Network, Recipe, build
from companion.networks.network import BATCH_SIZE, DEMO, check_dropout
from companion.runs.settings import Settings
from thermo_utils.errors import ThermoError
from thermo_utils.layers import resolve_layers

FOLDER = Path(__file__).parents[3] / "companion" / "networks"
PROFILES = ("demo", "small", "paper")
CHAPTERS = [(n.name, dataset) for n in NETWORKS.values() for dataset in n.figures]
RECIPES = [(n.name, *key) for n in NETWORKS.values() for key in n.recipes]


def shape(dataset):
    spec = DATASETS[dataset]
    known = {"classes": len(spec.class_names)}
    if spec.kind == "image":
        return {**known, "image_size": spec.image_size}
    return {**known, "vocabulary": 100, "padding": 0, "max_length": 16}


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_networks_of_the_paper_come_in_the_order_of_its_figures():
    figures = [figure for n in NETWORKS.values() for figure in n.figures.values()]
    assert figures == list(range(2, 22))


def test_every_file_with_a_network_is_in_the_registry():
    files = {p.stem for p in FOLDER.glob("*.py") if "\nNETWORK = " in p.read_text()}
    assert files == set(NETWORKS)


def test_no_library_is_loaded_before_a_network_is_made():
    heavy = ("torch", "transformers", "torchvision", "pandas")
    code = f"""
import sys
from companion.networks import NETWORKS
assert len(NETWORKS) >= 10
print(*[name for name in {heavy} if name in sys.modules])
"""
    assert run(code) == []


MINE = """
from companion.networks.network import Network, Recipe

def make(classes, *, image_size, width=4):
    from torch import nn
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * image_size**2, width), nn.ReLU(),
                         nn.Linear(width, classes))

NETWORK = Network(
    name="{name}", title="Mine", reads="image", layers=("ReLU",), where="after the ReLU", make=make,
    recipes={{("cifar10", "demo"): Recipe(epochs=1, batch_size=8)}},
)
"""


def test_a_new_file_is_a_new_network_and_a_new_chapter(tmp_path):
    (tmp_path / "mine.py").write_text(MINE.format(name="mine"))
    (tmp_path / "helpers.py").write_text("")
    code = f"""
import companion.networks as package
package.__path__.append({str(tmp_path)!r})
from companion.runs.chapters import CHAPTERS, chapter
from companion.runs.settings import settings
found = chapter("mine", "cifar10")
assert found.figure is None and found not in CHAPTERS and len(CHAPTERS) == 20
assert settings("mine", "cifar10").epochs == 1
network = package.build("mine", {{"classes": 5, "image_size": 2}}, width=3)
print(list(package.NETWORKS)[-1], network[1].out_features, found.title)
try:
    settings("mine", "cifar10", "paper")
except ValueError as error:
    print(error)
"""
    found = run(code)
    assert found[:5] == ["mine", "3", "Mine", "on", "CIFAR-10"]
    assert {"mine", "cifar10", "paper:", "demo"} <= set(found[5:])


def test_a_network_is_named_like_its_file(tmp_path):
    (tmp_path / "mine.py").write_text(MINE.format(name="yours"))
    code = f"""
import companion.networks as package
package.__path__.append({str(tmp_path)!r})
try:
    len(package.NETWORKS)
except ValueError as error:
    print(error)
"""
    assert {"mine.py", "'yours':"} <= set(run(code))


@pytest.mark.parametrize(("name", "dataset"), CHAPTERS)
def test_chapters_of_the_paper_have_every_profile_and_fitting_data(name, dataset):
    network = NETWORKS[name]
    assert {profile for d, profile in network.recipes if d == dataset} == set(PROFILES)
    assert network.reads == DATASETS[dataset].kind


@pytest.mark.parametrize(("name", "dataset", "profile"), RECIPES)
def test_every_recipe_can_be_made(name, dataset, profile):
    network = NETWORKS[name]
    recipe = network.recipes[dataset, profile]
    assert network.pretrained or recipe.checkpoint is None
    with torch.device("meta"):  # no memory for the weights
        made = build(network, shape(dataset), **recipe.options)
    assert made.training
    assert resolve_layers(made, network.layers)


@pytest.mark.parametrize("name", NETWORKS)
def test_alternatives_are_other_outputs_that_exist(name):
    network = NETWORKS[name]
    dataset = next(d for d, profile in network.recipes if profile == "demo")
    made = build(name, shape(dataset), **network.recipes[dataset, "demo"].options)
    found = [
        frozenset(resolve_layers(made, layers))
        for layers in (network.layers, *network.alternatives.values())
    ]
    assert len(set(found)) == len(found)
    assert len(found) > 1 or not network.figures


def test_shared_facts_are_of_the_datasets():
    assert set(BATCH_SIZE) == set(DEMO) == set(DATASETS)


IMAGES, TEXTS = shape("cifar10"), shape("yelp")


@pytest.mark.parametrize(
    ("name", "data", "options", "message"),
    [
        ("resnet", IMAGES, {}, "'resnet18'"),
        ("mlp", IMAGES, {"hiden": (8,)}, "MLP .*'hiden'.*'hidden'.*dropout"),
        ("lstm", TEXTS, {"layers": 2}, "LSTM .*'layers'.*widths"),
        ("mlp", IMAGES, {"classes": 3}, "'classes'"),
        ("mlp", IMAGES, {"checkpoint": "folder"}, "'checkpoint'"),
        ("mlp", TEXTS, {}, "images.*texts"),
        ("bert", IMAGES, {}, "texts.*images"),
    ],
)
def test_what_cannot_be_made(name, data, options, message):
    with pytest.raises(ThermoError, match=message):
        build(name, data, **options)


def test_a_network_that_has_no_file():
    own = Network(
        name="own", title="Own", reads="image", layers=("1",), where="",
        make=lambda classes, image_size: torch.nn.Linear(image_size, classes),
    )  # fmt: skip
    assert build(own, IMAGES).out_features == 10
    assert not own.pretrained
    with pytest.raises(ThermoError, match="none"):
        build(own, IMAGES, width=3)


@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5, float("nan")])
def test_rates_of_dropout(rate):
    with pytest.raises(ThermoError, match=str(rate)):
        check_dropout(rate)
    for name in dict(CHAPTERS):  # a network that is added may have none
        with pytest.raises(ThermoError, match=str(rate)):
            build(name, IMAGES if NETWORKS[name].reads == "image" else TEXTS, dropout=rate)


def test_recipes_are_of_the_same_words_as_settings():
    own = {"model", "dataset", "profile", "seed", "precision"}
    assert {f.name for f in fields(Recipe)} == {f.name for f in fields(Settings)} - own
