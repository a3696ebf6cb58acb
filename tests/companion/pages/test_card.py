"""The card of a record: what was run, and a command that runs just that again."""

from __future__ import annotations

import dataclasses
import re
import shlex
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from companion import cli
from companion.pages.card import card
from companion.runs.committed import read_list
from companion.runs.provenance import ROOT
from companion.runs.records import Record, read_chapter, read_record
from companion.runs.settings import recorded, settings
from tests.companion.pages.conftest import made


def entries(text):
    """The card's list as it is shown: text by name."""
    found = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", text)
    assert len(found) == text.count("<dt>") == len(dict(found))
    return dict(found)


def commands(text):
    """The words of every command on the card."""
    (block,) = re.findall(r"```bash\n(.*?)\n```", text, flags=re.S)
    return [shlex.split(line) for line in block.split("\n")]


def asked_for(words):
    """The settings and the folder that ``thermo`` takes a command for."""
    assert words[:2] == ["thermo", "run"]
    options = cli._parser().parse_args(words[1:])
    overrides = cli._overrides(options.parameter)
    chosen = settings(options.model, options.dataset, options.profile, options.seed, **overrides)
    return chosen, options


def run_of(chosen, **changed):
    """A record written by hand, of other settings."""
    result, curves = made(chosen.model, chosen.dataset, chosen.seed, profile=chosen.profile)
    result |= {"settings": dataclasses.asdict(chosen), **changed}
    return Record(
        Path("results", chosen.profile, f"{chosen.model}-{chosen.dataset}", "with-12345678"),
        result,
        pd.concat([t.assign(method=m) for m, t in curves.items()]),
    )


def plain(chosen):
    return dataclasses.replace(chosen, differs=())


@pytest.mark.parametrize("name", sorted(read_list()))
def test_the_command_asks_for_the_committed_record(name):
    record = read_record(ROOT / "results" / name)
    text = card(record, committed=True)
    if "cannot be run again" in text:  # a network of a size that no setting gives any more
        recipe = settings(*(record.result[k] for k in ("model", "dataset", "profile", "seed")))
        assert record.result["settings"]["options"] != recipe.options
        assert record.result["provenance"]["git_commit"] in text
        assert "```" not in text
        return
    (words,) = commands(text)
    chosen, options = asked_for(words)
    assert plain(chosen) == plain(recorded(record))
    assert not options.force
    assert options.results != Path("results")  # where the record would be found, not computed


CHOICES = {
    "test_size": st.integers(1, 10**6), "epochs": st.integers(1, 99),
    "learning_rate": st.floats(1e-9, 9), "split": st.sampled_from(["official", "swapped"]),
    "augment": st.booleans(), "schedule": st.sampled_from(["constant", "cosine"]),
    "transfer": st.sampled_from(["cifar10", "none"]), "precision": st.just("bf16-mixed"),
}  # fmt: skip


@hypothesis_settings(deadline=None, max_examples=30)
@given(st.fixed_dictionaries({}, optional=CHOICES), st.integers(0, 2**31 - 1))
def test_the_command_asks_for_any_choice(choices, seed):
    chosen = settings("resnet18", "flowers102", "small", seed, **choices)
    (words,) = commands(card(run_of(chosen), committed=False))
    assert plain(asked_for(words)[0]) == plain(chosen)


def test_a_command_for_each_seed():
    runs = [run_of(settings("mlp", "cifar10", "small", seed)) for seed in (0, 1, 7)]
    text = card(runs[1], [runs[0], runs[2]], committed=True)
    assert [asked_for(words)[0].seed for words in commands(text)] == [0, 1, 7]
    assert entries(text)["seeds"] == "0, 1 and 7"


def test_a_network_of_ones_own_has_no_command(record):
    text = card(record("perceptron", "digits"), committed=False)
    assert "cannot be run again" in text
    assert "perceptron" in text
    assert "```" not in text
    assert entries(text)["network"] == "perceptron"


class TestEntries:
    def test_are_those_of_the_record(self, record):
        run = record()
        text = card(run, committed=True)
        told = entries(text)
        assert told["network"] == "MLP"
        assert told["dataset"] == "CIFAR-10"
        assert told["seed"] == "0"
        assert "at most 3 epochs, batch 64" in told["training"]
        assert told["training took"] == "414 s, 2 epochs"
        assert told["RFE took"] == "4.00 s, 200 thresholds"
        assert told["FE took"] == "80.0 s, 20 thresholds"
        assert told["parameters"] == "1,234,567"
        assert told["device"] == "an abacus"
        assert told["commit"] == "abcdef1234"
        assert told["versions"] == "python 3.11.7, torch 2.14.1"
        assert told["data"] == "a drawer: 4,500 training, 500 validation, 1,000 test"
        assert told["data fingerprint"] == "0123456789abcdef"
        assert told["differs from the paper"] == "half of the images"
        assert "nowhere" not in text  # no folder of this machine

    def test_several_seeds_that_differ(self, record):
        made_with = record().result["provenance"]
        other = made_with | {"device": "a GPU", "git_commit": "1234567890abc-dirty"}
        seconds = record().result["timings"]
        runs = [record(), record(seed=1, provenance=other, timings=seconds | {"full": 100.0})]
        told = entries(card(runs[0], runs[1:], committed=True))
        assert told["device"] == "an abacus (seed 0); a GPU (seed 1)"
        assert told["commit"] == "abcdef1234 (seed 0); 1234567890 with changes (seed 1)"
        assert told["FE took"] == "80.0 s on an abacus; 100 s on a GPU, 20 thresholds"
        runs[1].result["provenance"]["device"] = "an abacus"
        told = entries(card(runs[0], runs[1:], committed=True))
        assert told["FE took"] == "90.0 ± 14.1 s (2), 20 thresholds"
        assert told["parameters"] == "1,234,567"

    def test_a_processor_differs_from_the_paper_too(self, record):
        assert entries(card(record(differs=[]), committed=True))["differs from the paper"] == (
            "nothing that we know of"
        )
        run = record(differs=["12 training images"])
        run.result["stages"]["full"]["device"] = "CPU (x86_64), 1 threads"
        told = entries(card(run, committed=True))["differs from the paper"]
        assert told == "12 training images; timed on a CPU, not a GPU"

    def test_no_commit(self, record):
        made_with = record().result["provenance"] | {"git_commit": None}
        assert entries(card(record(provenance=made_with), committed=True))["commit"] == (
            "not a checkout"
        )

    @pytest.mark.parametrize(("committed", "words"), [(True, "project"), (False, "this machine")])
    def test_where_it_came_from(self, record, committed, words):
        assert words in entries(card(record(), committed=committed))["record"]

    def test_settings_of_a_checkpoint(self):
        told = entries(card(run_of(settings("bert", "ag_news", "small", 3)), committed=True))
        assert "MiniLM" in told["checkpoint"]
        assert "THERMO_MODELS" in card(run_of(settings("bert", "ag_news", "small")), committed=True)

    def test_synthetic_data_are_loaded_from_nowhere(self):
        for profile in ("small", "demo"):
            text = card(run_of(settings("mlp", "cifar10", profile)), committed=True)
            assert ("THERMO_DATA" in text) == (profile == "small")
            assert "THERMO_MODELS" not in text

    def test_synthetic_data_are_called_so(self, record):
        told = entries(card(record(synthetic=True, profile="demo"), committed=False))
        assert told["dataset"] == "synthetic CIFAR-10"

    def test_of_every_committed_chapter(self):
        runs = read_chapter(ROOT / "results", "small", "mlp-cifar10")
        told = entries(card(runs[0], runs[1:], committed=True))
        assert told["record"].startswith("small/mlp-cifar10,")


def test_links(record):
    text = card(record(), committed=True, links={"curves.csv": "../a/b.csv", "x": '"><b>'})
    assert '<a href="../a/b.csv" download>curves.csv</a>' in text
    assert "<b>" not in text


def test_text_of_a_record_is_text(record):
    name = '<script>$x$ "](y)\n\n# z'
    data = record().result["data"] | {"source": name}
    text = card(record(data=data, differs=[name]), committed=True)
    html, _, _ = text.partition("</dl>")
    assert "<script" not in text
    _, _, inside = html.partition('<dl class="record-card">')
    assert "\n\n" not in inside  # which would end the list
