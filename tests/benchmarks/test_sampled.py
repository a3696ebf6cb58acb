"""Samples of test sets beside all of them: measured, kept, skipped with a word."""

from __future__ import annotations

import shutil

import pytest

from benchmarks import sampled
from companion.pages.sampled import FILE, read_sampled

CHAPTER = "mlp-cifar10"
pytestmark = pytest.mark.usefixtures("tiny")


def measure(results, *words):
    return sampled.main(["--results", str(results), CHAPTER, "--draws", "2", *words])


def test_so_few_examples_are_all_read_and_say_what_the_record_says(results, monkeypatch, capsys):
    assert measure(results) == 0
    assert "within a step in 2 of 2" in capsys.readouterr().out
    entry = read_sampled(results / "demo" / FILE)["chapters"][CHAPTER]
    assert entry["examples"] == 120
    assert [draw["examples"] for draw in entry["draws"]] == [120, 120]
    assert {draw["tau_star"] for draw in entry["draws"]} == {entry["tau_star"]}
    assert [draw["confidence"] for draw in entry["draws"]] == [1.0, 1.0]
    drawn = []
    monkeypatch.setattr(sampled, "drawn", lambda *given: drawn.append(given) or entry)
    assert measure(results) == 0
    assert not drawn, "what is there is kept"
    assert measure(results, "--force") == 0
    assert len(drawn) == 1


def test_without_the_network_a_chapter_is_skipped(results, capsys):
    shutil.rmtree(results / ".work")
    assert measure(results) == 0
    assert f"{CHAPTER} is skipped: its trained network is not kept" in capsys.readouterr().err
    assert not (results / "demo" / FILE).exists()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--draws", "0"], "--draws must be 1 or more"),
        (["--profile", "huge"], "huge"),
        (["no-chapter"], "no-chapter"),
        (["--profile", "small"], "there is no folder"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(results, capsys, words, why):
    assert sampled.main(["--results", str(results), *words]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert why in said[0]
