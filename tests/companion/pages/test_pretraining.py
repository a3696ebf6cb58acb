"""The page on pretraining: what was measured, and a verdict that follows from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from companion.pages.pretraining import MODELS, WORTH, pretraining_text
from companion.runs.chapters import CHAPTERS
from companion.runs.records import read_chapter

RESULTS = Path(__file__).parents[3] / "results"


def facts(before, after, examples=3_000):
    return {
        "epochs": 10,
        "test_examples": examples,
        "without": {"test_accuracy": before},
        "with": {"test_accuracy": after},
    }


def test_nothing_measured_yet():
    assert "benchmarks.pretraining --profile small`" in pretraining_text(None, "small")
    assert pretraining_text({}, "small") == pretraining_text(None, "small")


@pytest.mark.parametrize(("gain", "lifted"), [(-8, 0), (4.9, 0), (5.1, 1), (9, 1)])
def test_only_a_gain_of_five_points_is_a_lift(gain, lifted):
    found = {"t5-yelp": facts(0.5, 0.51), "gpt2-yelp": facts(0.5, 0.5 + gain / 100)}
    sentence = pretraining_text(found, "small").splitlines()[0]
    assert ("lifts GPT-2" in sentence, "none" in sentence) == (bool(lifted), not lifted)
    assert f"{WORTH:g} points" in sentence
    assert "T5" not in sentence


def test_a_row_holds_both_accuracies_their_difference_and_its_error():
    said = pretraining_text({"t5-yelp": facts(0.5, 0.6)}, "small").splitlines()
    (row,) = (line for line in said if line.startswith("| T5"))
    assert [word for word in row.split() if word[0] in "+-0123456789"] == [
        "10", "50.0", "60.0", "+10.0", "1.3",
    ]  # fmt: skip


def test_what_is_missing_is_named_with_its_command():
    measured = dict.fromkeys(["t5-yelp", "vit-flowers102"], facts(0.5, 0.6))
    said = pretraining_text(measured, "demo")
    last = said.splitlines()[-1]
    assert last.startswith("Not measured: ViT on CIFAR-10, ")
    assert "`python -m benchmarks.pretraining vit-cifar10 " in last
    for name in ("T5 on Yelp", "ViT on Flowers", "t5-yelp", "vit-flowers102", "mlp"):
        assert name not in last
    names = [c.name for c in CHAPTERS if c.model in MODELS]
    assert len(names) == 2 * len(MODELS)
    assert last.endswith(" --profile demo` does it).")
    assert "Not measured" not in pretraining_text(dict.fromkeys(names, facts(0.5, 0.6)), "demo")


@pytest.mark.parametrize("name", ["gpt2", "electra"])
def test_on_ag_news_there_is_no_room_for_a_lift(name):
    """As the page on choices says: not even a network that has read far more is that far above."""
    accuracy = {
        n: read_chapter(RESULTS, "small", f"{n}-ag_news")[0].result["metrics"]["test_accuracy"]
        for n in (name, "bert")
    }
    assert 100 * (accuracy["bert"] - accuracy[name]) < WORTH
