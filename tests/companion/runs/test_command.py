"""The command that computes a record again asks for the record's own settings."""

import dataclasses
import json
import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from companion import cli
from companion.networks import NETWORKS
from companion.runs.command import AGAIN, in_shell, rerun_command
from companion.runs.records import RESULT, Record, read_record, to_json
from companion.runs.settings import recorded, settings
from thermo_utils.errors import ThermoError

RESULTS = Path(__file__).parents[3] / "results"


def record_of(chosen, **facts) -> Record:
    """A record that says nothing but its settings."""
    result = {
        "settings": dataclasses.asdict(chosen) | {"differs": list(chosen.differs)},
        "provenance": {"git_commit": "abc123-dirty"},
        **facts,
    }
    return Record(Path("somewhere"), result, b"")


def asked_for(words):
    """Settings that the command line asks for, as ``thermo run`` reads them."""
    assert words[0] == "thermo"
    options = cli._parser().parse_args(words[1:])
    overrides = cli._overrides(options.parameter)
    assert options.results == Path(AGAIN)
    return settings(options.model, options.dataset, options.profile, options.seed, **overrides)


def same(one, other) -> bool:
    return dataclasses.replace(one, differs=()) == dataclasses.replace(other, differs=())


@pytest.mark.parametrize(
    "folder",
    sorted(path.parent for path in RESULTS.rglob(RESULT)),
    ids=lambda folder: folder.relative_to(RESULTS).as_posix(),
)
def test_every_committed_record_says_how_it_is_run_again(folder):
    record = read_record(folder)
    recipe = settings(*(record.result[k] for k in ("model", "dataset", "profile", "seed")))
    if record.result["settings"]["options"] == recipe.options:
        assert same(asked_for(rerun_command(record)), recorded(record))
    else:  # a network of a size that is not in the recipes any more
        with pytest.raises(ThermoError, match="options") as raised:
            rerun_command(record)
        assert record.result["provenance"]["git_commit"] in str(raised.value)


CHOICES = {
    "train_size": st.integers(1, 10**6), "test_size": st.integers(1, 10**6) | st.just("all"),
    "epochs": st.integers(1, 99), "learning_rate": st.floats(1e-9, 9),
    "patience": st.integers(1, 9), "split": st.sampled_from(["official", "swapped"]),
    "augment": st.booleans(), "schedule": st.sampled_from(["constant", "cosine"]),
    "transfer": st.sampled_from(["cifar10", "none"]), "precision": st.just("16-mixed"),
}  # fmt: skip


@hypothesis_settings(deadline=None)
@given(st.fixed_dictionaries({}, optional=CHOICES), st.integers(0, 2**31 - 1))
def test_any_choice_is_said_in_words_that_choose_it(choices, seed):
    chosen = settings("resnet18", "flowers102", "small", seed, **choices)
    assert same(asked_for(rerun_command(record_of(chosen))), chosen)


@hypothesis_settings(deadline=None)
@given(st.text(min_size=1).filter(lambda text: "\0" not in text))
def test_names_survive_the_shell_and_the_command(name):
    # Whatever a folder is called: 12, True, -p, "it's".
    chosen = settings("bert", "ag_news", "small", checkpoint=name)
    line = in_shell(rerun_command(record_of(chosen)))
    assert asked_for(shlex.split(line)).checkpoint == name


def test_a_checkpoint_brings_its_settings_along():
    chosen = settings("electra", "ag_news", "small", checkpoint="folder", max_length=77)
    words = rerun_command(record_of(chosen))
    assert words[-6:] == ["-p", "checkpoint", "folder", "-p", "max_length", "77"]
    assert same(asked_for(words), chosen)


def test_a_record_of_the_recipe_needs_no_choice():
    words = rerun_command(record_of(settings("mlp", "cifar10", "small", 2)))
    assert " ".join(words) == "thermo run mlp cifar10 --profile small --seed 2 --results again"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"options": {"width": 3}}, "nothing asks for its options"),
        ({"tokenizer": None}, "nothing asks for its tokenizer"),
        ({"profile": "large"}, "unknown profile 'large'"),
        ({"precision": "8-bit"}, "unknown precision '8-bit'"),
        ({"seed": -1}, "seed must be"),
    ],
)
def test_what_cannot_be_asked_for_any_more_names_the_commit_that_could(change, message):
    chosen = dataclasses.replace(settings("electra", "ag_news", "small"), **change)
    with pytest.raises(ThermoError, match=message) as raised:
        rerun_command(record_of(chosen))
    assert "that of commit abc123 did" in str(raised.value)


def test_a_network_of_ones_own_has_no_command():
    own = dataclasses.replace(settings("mlp", "cifar10"), model="mine")
    with pytest.raises(ThermoError, match="mine is no registered network: run its notebook again"):
        rerun_command(record_of(own))


@pytest.mark.parametrize("model", sorted(NETWORKS))
def test_a_record_just_written_is_run_again_by_its_settings_alone(model):
    # Read back from JSON, sizes of a tiny network are lists.
    dataset, profile = next(iter(NETWORKS[model].recipes))
    chosen = settings(model, dataset, profile, 3)
    record = record_of(chosen)
    record.result["settings"] = json.loads(to_json(record.result["settings"]))
    assert "-p" not in rerun_command(record)
