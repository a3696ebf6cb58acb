"""What is to be run again is named, with the command that does it."""

from __future__ import annotations

import pytest

from companion.pages.outdated import outdated_text
from companion.runs.chapters import CHAPTERS
from companion.runs.outdated import changed
from companion.runs.records import FORMAT, Record
from companion.runs.settings import settings


def record(seed=0, profile="small", kept=FORMAT, **changed):
    recipe = settings("mlp", "cifar10", profile, seed)
    found = {**recipe.__dict__, **changed}
    return Record(None, {"seed": seed, "format": kept, "settings": found}, b"")


def rows(profile, records):
    text = outdated_text(profile, {"mlp-cifar10": records})
    return {
        line.split(" | ")[1]: line
        for line in text.splitlines()
        if line.startswith("| [MLP on CIFAR-10]")
    }


def test_missing_seeds_on_real_data():
    assert sorted(rows("small", [])) == ["0", "1", "2"]
    found = rows("small", [record(1)])
    assert sorted(found) == ["0", "2"]
    assert "`thermo run mlp cifar10 --profile small --seed 2`" in found["2"]
    assert rows("small", [record(0), record(1), record(2)]) == {}


def test_one_seed_of_generated_data_will_do():
    assert rows("demo", [record(profile="demo")]) == {}
    assert sorted(rows("demo", [])) == ["0"]


@pytest.mark.parametrize(
    ("older", "why", "force"),
    [({"epochs": 7}, "epochs 7, now 50", True), ({"kept": 1}, f"format 1, now {FORMAT}", False)],
)
def test_an_older_record(older, why, force):
    found = rows("small", [record(0), record(1, **older), record(2)])
    assert sorted(found) == ["1"]
    assert why in found["1"]
    assert ("--force" in found["1"]) == force


def test_nothing_left_is_said():
    everything = {}
    for chapter in CHAPTERS:
        found = settings(chapter.model, chapter.dataset, "demo").__dict__
        facts = {"seed": 0, "format": FORMAT, "settings": found}
        everything[chapter.name] = [Record(None, facts, b"")]
    assert outdated_text("demo", everything).startswith("Nothing")
    assert outdated_text("demo", {}).startswith(f"{len(CHAPTERS)} of {len(CHAPTERS)} runs")


def test_values_are_said_in_words():
    then = settings("mlp", "flowers102", "small")
    now = settings("mlp", "flowers102", "small", augment=not then.augment, test_size=7)
    assert changed(then, now) == (
        f"test_size {then.test_size or 'none'}, now 7",
        f"augment {'yes' if then.augment else 'no'}, now {'no' if then.augment else 'yes'}",
    )
