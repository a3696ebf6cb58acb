"""The settings of runs, and the keys of their stages."""

from __future__ import annotations

import dataclasses

import pytest

from companion.networks import NETWORKS
from companion.networks.network import FINE_TUNING_RATE
from companion.runs.chapters import CHAPTERS
from companion.runs.overrides import OVERRIDES, PRECISIONS, SCHEDULES
from companion.runs.settings import ADDED, PROFILES, Settings, overridden, settings
from thermo_utils import ThermoError

COMBINATIONS = [(c.model, c.dataset, profile) for c in CHAPTERS for profile in PROFILES]
STAGES = ("train", "renormalized", "full")


@pytest.mark.parametrize(("model", "dataset", "profile"), COMBINATIONS)
def test_every_combination_has_settings(model, dataset, profile):
    s = settings(model, dataset, profile, seed=3)
    assert (s.model, s.dataset, s.profile, s.seed) == (model, dataset, profile, 3)
    assert s.synthetic == (profile == "demo")
    assert s.epochs >= 1
    assert s.batch_size >= 1
    assert (s.tau_step is None) == (s.tau_max is None)
    if profile == "demo":
        assert s.train_size
        assert s.test_size
        assert s.differs
    else:
        assert s.learning_rate == 0.001 or s.differs  # Section 4.3
    keys = {s.key(stage) for stage in STAGES}
    assert len(keys) == 3
    assert all(len(key) == 16 for key in keys)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"profile": "dem"}, "unknown profile 'dem': did you mean 'demo'"),
        ({"seed": -1}, "seed must be a whole number from 0 to 2147483647, got -1"),
        ({"seed": 1.0}, "seed must be"),
        ({"seed": True}, "seed must be"),
        ({"seed": "1"}, "seed must be"),
        ({"epoch": 3}, "unknown parameter 'epoch': did you mean 'epochs'"),
        ({"options": {}}, "unknown parameter 'options'"),
        ({"epochs": 0}, "epochs must be 1 or more, got 0"),
        ({"epochs": 1.5}, "epochs must be of type int, got 1.5"),
        ({"epochs": True}, "epochs must be of type int"),
        ({"epochs": "3"}, "epochs must be of type int, got '3'"),
        ({"max_length": 1}, "max_length must be 2 or more"),
        ({"learning_rate": 0}, "learning_rate must be finite and more than 0, got 0.0"),
        ({"learning_rate": float("nan")}, "learning_rate must be finite"),
        ({"learning_rate": float("inf")}, "learning_rate must be finite"),
        ({"tau_step": float("nan"), "tau_max": 1.0}, "tau_step must be finite"),
        ({"tau_step": 2.0, "tau_max": 1.0}, "tau_step 2.0 is larger than tau_max 1.0"),
        ({"tau_step": 0.1}, "tau_step needs tau_max"),
        ({"tau_max": 0.1}, "tau_max needs tau_step"),
        ({"precision": "32"}, "unknown precision '32': did you mean '32-true'"),
        ({"checkpoint": 3}, "checkpoint must be of type str"),
        ({"split": "pooled"}, "unknown split 'pooled': take 'official', 'swapped', or percentages"),
        ({"split": "pooled-80-10-5"}, "percentages must sum to 100, not to 95"),
        ({"split": "pooled-100-0-0"}, "unknown split"),
        ({"split": "pooled-80.5-9.5-10"}, "unknown split"),
        ({"split": 80}, "split must be of type str, got 80"),
        ({"augment": 1}, "augment must be of type bool, got 1"),
        ({"augment": "yes"}, "augment must be of type bool, got 'yes'"),
        ({"schedule": "cosin"}, "unknown schedule 'cosin': did you mean 'cosine'"),
        ({"transfer": "flowers102"}, "leave transfer out, or take resnet18 or mobilenet_v2"),
    ],
)
def test_refused_settings(options, message):
    with pytest.raises(ThermoError, match=message):
        settings("mlp", "cifar10", **options)


EXAMPLES = {
    "train_size": 7, "validation_size": 7, "test_size": 7, "epochs": 7, "batch_size": 7,
    "learning_rate": 0.5, "patience": 7, "max_length": 7, "tokenizer": "words",
    "checkpoint": "folder", "precision": "bf16-mixed", "split": "pooled-60-20-20",
    "augment": True, "schedule": "cosine", "transfer": "flowers102",
}  # fmt: skip
#: What an override says of itself where it is not ``NAME VALUE instead of ...``.
WORDS = {
    "split": "random 60/20/20 split instead of the official one",
    "augment": "random crops and flips",
    "schedule": "learning rate falls along a cosine",
    "transfer": "started from its own Flowers-102 training instead of ImageNet weights",
}


def test_examples_cover_all_overrides():
    assert set(EXAMPLES) | {"tau_step", "tau_max"} == set(OVERRIDES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_override_changes_that_setting_and_every_key(name):
    plain = settings("resnet18", "cifar10", "demo")
    changed = settings("resnet18", "cifar10", "demo", **{name: EXAMPLES[name]})
    assert getattr(changed, name) == EXAMPLES[name]
    if name != "checkpoint":  # which brings more with it, see below
        before = getattr(plain, name)
        (note,) = set(changed.differs) - set(plain.differs)
        if name in WORDS:
            assert note == WORDS[name]
        else:
            assert note.startswith(f"{name} {EXAMPLES[name]} instead of ")
            assert before is None or note.endswith(f" {before}")
        back = {name: before, "differs": plain.differs}
        assert dataclasses.replace(changed, **back) == plain
    assert all(plain.key(stage) != changed.key(stage) for stage in STAGES)


def test_a_checkpoint_replaces_sizes_and_tokenizer():
    plain = settings("electra", "ag_news", "small")
    changed = settings("electra", "ag_news", "small", checkpoint="folder")
    assert plain.options
    assert plain.tokenizer == "wordpiece"
    assert (changed.options, changed.tokenizer) == ({}, None)
    assert changed.learning_rate == FINE_TUNING_RATE
    assert "weights of folder" in changed.differs
    assert "3,000 of the test texts" in changed.differs
    assert not any("scratch" in note or "blocks" in note for note in changed.differs)
    assert (
        settings("electra", "ag_news", "small", checkpoint="f", learning_rate=0.1).learning_rate
        == 0.1
    )


def test_another_checkpoint_is_named_in_place_of_the_registered_one():
    plain = settings("bert", "ag_news", "small")
    changed = settings("bert", "ag_news", "small", checkpoint="folder")
    assert any(note.startswith("checkpoint MiniLM") for note in plain.differs)
    assert "weights of folder" in changed.differs
    assert not any("MiniLM" in note for note in changed.differs)
    assert changed.learning_rate == plain.learning_rate == FINE_TUNING_RATE


def test_none_changes_nothing():
    plain = settings("mlp", "cifar10")
    assert settings("mlp", "cifar10", **dict.fromkeys(OVERRIDES)) == plain


def test_a_bound_can_be_lifted():
    bounded = settings("gpt2", "ag_news", "small")
    lifted = settings("gpt2", "ag_news", "small", test_size="all")
    assert (bounded.test_size, lifted.test_size) == (3000, None)
    assert "test_size all instead of 3000" in lifted.differs
    assert lifted.key("full") != bounded.key("full")
    unbounded = settings("mlp", "cifar10", "small")
    assert settings("mlp", "cifar10", "small", test_size="all") == unbounded
    with pytest.raises(ThermoError, match="batch_size must be of type int, got 'all'"):
        settings("mlp", "cifar10", batch_size="all")
    # Other settings may be called so.
    assert settings("bert", "ag_news", "small", checkpoint="all").checkpoint == "all"


def test_whole_numbers_do_for_floats():
    changed = settings("mlp", "cifar10", learning_rate=1, tau_step=1, tau_max=2)
    assert (changed.learning_rate, changed.tau_max) == (1.0, 2.0)
    assert isinstance(changed.learning_rate, float)
    assert changed.key("full") == settings(
        "mlp", "cifar10", learning_rate=1.0, tau_step=1.0, tau_max=2.0
    ).key("full")


@pytest.mark.parametrize("precision", PRECISIONS)
def test_precisions(precision):
    assert settings("mlp", "cifar10", precision=precision).precision == precision


def test_training_does_not_depend_on_the_grid():
    plain = settings("mlp", "cifar10", "small")
    changed = settings("mlp", "cifar10", "small", tau_step=0.5, tau_max=1.0)
    assert changed.key("train") == plain.key("train")
    assert changed.key("full") != plain.key("full")
    assert changed.key("renormalized") != plain.key("renormalized")


def test_keys_tell_everything_else_apart_but_words():
    plain = settings("mlp", "cifar10")
    for other in (
        settings("cnn", "cifar10"),
        settings("mlp", "flowers102"),
        settings("mlp", "cifar10", "small"),
        settings("mlp", "cifar10", seed=1),
        dataclasses.replace(plain, options={**plain.options, "extra": 1}),
    ):
        assert all(plain.key(stage) != other.key(stage) for stage in STAGES)
    assert dataclasses.replace(plain, differs=("words",)).key("train") == plain.key("train")
    assert settings("mlp", "cifar10").key("full") == plain.key("full")


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda c: c.name)
def test_every_cut_of_the_data_is_named_with_its_size(chapter):
    chosen = settings(chapter.model, chapter.dataset, "small")
    for size, part in ((chosen.train_size, "training texts"), (chosen.test_size, "of the test")):
        notes = [note for note in chosen.differs if f" {part} " in f" {note} "]
        assert [note.split()[0] for note in notes] == ([] if size is None else [f"{size:,}"])


@pytest.mark.parametrize("name", NETWORKS)
def test_a_checkpoint_is_only_for_networks_that_take_one(name):
    dataset = next(iter(NETWORKS[name].recipes))[0]
    if NETWORKS[name].pretrained:
        chosen = settings(name, dataset, checkpoint="folder")
        assert chosen.network_options["checkpoint"] == "folder"
    else:
        with pytest.raises(ThermoError, match=r"leave it out.* bert"):
            settings(name, dataset, checkpoint="folder")


def test_options_of_the_network_hold_the_checkpoint_if_there_is_one():
    plain = settings("mlp", "cifar10")
    assert plain.network_options == plain.options != {}
    registered = settings("vit", "cifar10", "paper")
    assert registered.network_options == {"checkpoint": "google/vit-base-patch16-224"}
    assert registered.options == {}


def test_settings_of_a_network_of_ones_own():
    own = Settings(model="mine", dataset="cifar10", profile="demo", seed=0, epochs=3, batch_size=64)
    assert own.sizes == (None, None, None)
    assert own.network_options == {}
    assert len({own.key(stage) for stage in STAGES}) == 3
    cut = dataclasses.replace(own, train_size=5, validation_size=4, test_size=3)
    assert cut.sizes == (5, 4, 3)


@pytest.mark.parametrize(
    ("model", "dataset", "stage", "key"),
    [
        ("mlp", "cifar10", "train", "bb905c07d37d10bd"),
        ("lstm", "yelp", "train", "b8789aae4b0ce6f5"),
        ("cnn", "cifar10", "train", "1b7839ddf2446122"),
    ],
)
def test_keys_of_what_was_run_before_stay(model, dataset, stage, key):
    assert settings(model, dataset, "small").key(stage) == key


def test_what_came_later_is_in_a_key_only_where_it_is_used():
    """A key of the days before a setting is the key of its usual value, and of no other."""
    plain = settings("resnet18", "flowers102", "demo")
    others = {
        "split": "swapped", "augment": True, "schedule": "cosine", "transfer": "cifar10",
    }  # fmt: skip
    assert set(others) == set(ADDED)
    for name, value in others.items():
        assert dataclasses.replace(plain, **{name: ADDED[name]}).key("train") == plain.key("train")
        changed = settings("resnet18", "flowers102", "demo", **{name: value})
        assert all(plain.key(stage) != changed.key(stage) for stage in STAGES)
    fields = {f.name: f.default for f in dataclasses.fields(Settings)}
    assert ADDED.items() <= fields.items()


def test_a_transfer_depends_on_the_recipe_of_its_source(monkeypatch):
    given = settings("resnet18", "flowers102", "demo", 3, transfer="cifar10")
    assert given.source == settings("resnet18", "cifar10", "demo", 3)
    before = given.key("train")
    recipes = NETWORKS["resnet18"].recipes
    longer = dataclasses.replace(recipes["cifar10", "demo"], epochs=99)
    monkeypatch.setitem(recipes, ("cifar10", "demo"), longer)
    assert given.key("train") != before
    assert settings("resnet18", "cifar10", "demo").source is None


@pytest.mark.parametrize(
    ("model", "dataset", "profile", "options", "message"),
    [
        ("resnet18", "cifar10", "small", {"transfer": "cifar10"}, "nothing to transfer .* take fl"),
        ("resnet18", "cifar10", "small", {"transfer": "ag_news"}, "nothing to transfer from ag_"),
        ("resnet18", "cifar10", "paper", {"transfer": "flowers102"}, "leave checkpoint or transf"),
        (
            "resnet18", "flowers102", "small", {"transfer": "cifar10", "checkpoint": "folder"},
            "not from folder and cifar10: leave checkpoint or transfer out",
        ),
        ("bert", "yelp", "demo", {"transfer": "ag_news"}, "BERT cannot start from what it learned"),
        ("bert", "yelp", "demo", {"split": "swapped"}, "split is for images, and Yelp .* texts"),
        ("lstm", "ag_news", "demo", {"augment": True}, "augment is for images"),
    ],
)  # fmt: skip
def test_settings_that_do_not_go_together(model, dataset, profile, options, message):
    with pytest.raises(ThermoError, match=message):
        settings(model, dataset, profile, **options)


def test_a_registered_transfer_can_be_left_out_and_gives_way_to_a_checkpoint(monkeypatch):
    recipes = NETWORKS["resnet18"].recipes
    own = dataclasses.replace(recipes["flowers102", "demo"], transfer="cifar10")
    monkeypatch.setitem(recipes, ("flowers102", "demo"), own)
    registered = settings("resnet18", "flowers102")
    assert (registered.transfer, overridden(registered)) == ("cifar10", {})
    without = settings("resnet18", "flowers102", transfer="none")
    assert without.source is without.transfer is None
    assert overridden(without) == {"transfer": None}
    assert any("trained from scratch" in note for note in without.differs)
    assert not any("started from" in note for note in without.differs)
    loaded = settings("resnet18", "flowers102", checkpoint="folder")
    assert (loaded.transfer, loaded.checkpoint) == (None, "folder")
    assert not any("scratch" in note or "started" in note for note in loaded.differs)


def test_the_usual_value_of_a_setting_leaves_no_remark():
    usual = {"split": "official", "augment": False, "schedule": SCHEDULES[0], "transfer": "none"}
    plain = settings("cnn", "flowers102")
    assert settings("cnn", "flowers102", **usual) == plain
    (note,) = set(settings("cnn", "flowers102", split="swapped").differs) - set(plain.differs)
    assert note == "trained on the official test part and tested on the official training part"
