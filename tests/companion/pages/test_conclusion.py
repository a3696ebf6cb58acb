"""The conclusion: what it counts, whom it names, and at which limits its sentences change."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from companion.pages.conclusion import (
    MIN_CHAPTERS,
    against_rules,
    by_kind,
    conclusion,
    costs,
    how_near,
    in_short,
    not_judged,
)
from companion.pages.predictions import HEADS, NAMES
from companion.paper.comparison import LEVEL, RIVALS
from companion.paper.predictors import PREDICTORS, THEORY
from companion.runs.chapters import CHAPTERS
from tests.companion.paper.exponential_runs import errors_of, five, record

CHAPTER_NAMES = [chapter.name for chapter in CHAPTERS]
TITLES = {
    "mlp-cifar10": "MLP on CIFAR-10",
    "mlp-flowers102": "MLP on Flowers-102",
    "cnn-cifar10": "CNN on CIFAR-10",
}


def numbers(text):
    """All numbers in a text, in order; those in names left out."""
    text = re.sub(r"CIFAR-10|Flowers-102|ResNet-18|GPT-2|MobileNetV2|T5", "", text)
    return [float(found) for found in re.findall(r"\d+(?:\.\d+)?(?:e-\d+)?", text)]


def errors(number, **columns):
    """Errors of all predictors in the first chapters: one octave late, unless given otherwise.

    A column is given as ``FE_octaves=[...]``, with a value for each chapter.
    """
    rows = [
        {
            "chapter": name, "predictor": predictor, "seeds": 1, "misses": 0, "octaves": 1.0,
            "steps": 3.0, "sparsity": 0.2, "signed": 1.0, "early": 0, "late": 1, "drop": 0.1,
            "worst": 0.1,
        }
        for name in CHAPTER_NAMES[:number]
        for predictor in PREDICTORS
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    for given, values in columns.items():
        predictor, column = given.split("_")
        table.loc[table["predictor"] == predictor, column] = values
    return table


def sentences(text):
    return re.split(r"(?<=\.)(?:\*\*)? (?=[A-Z*])", text)


class TestAgainstRules:
    def named(self, text):
        """The rules in each sentence that names any, in their order."""
        found = [[rule for rule in PREDICTORS if NAMES[rule] in part] for part in sentences(text)]
        return [rules for rules in found if rules]

    @pytest.mark.parametrize("method", THEORY)
    def test_where_the_theory_loses_it_says_so(self, method):
        text = against_rules(errors_of(**{method: [2.0] * 8}), method)
        assert "loses" in text
        assert "wins" not in text
        assert self.named(text) == [list(RIVALS)]
        assert numbers(text)[-2:] == [4, 4]
        assert text.count("8 of 8") == 4

    @pytest.mark.parametrize("method", THEORY)
    def test_where_it_wins_too(self, method):
        text = against_rules(errors_of(**{method: [0.1] * 8}), method)
        assert "wins" in text
        assert "loses" not in text
        assert numbers(text)[-2:] == [0, 4]
        assert text.count("0 of 8") == 4
        assert text.count("0.0078") == 4  # 2 / 2^8

    def test_nearer_farther_and_undecided_rules_stand_apart_in_that_order(self):
        table = errors_of(FE=[1.0] * 8, knee=[0.1] * 8, retained=[3.0] * 8)
        text = against_rules(table, "FE")
        assert self.named(text) == [["knee"], ["retained"], ["quantile", "constant"]]
        assert "wins" in text
        assert "loses" in text
        assert numbers(text)[-2:] == [1, 4]

    def test_each_outcome_has_a_sentence_of_its_own_and_each_theory_too(self):
        tables = (
            errors_of(FE=[2.0] * 8), errors_of(FE=[0.1] * 8), errors_of(FE=[2.0] * 4),
            errors_of(FE=[1.0] * 8, knee=[0.1] * 8, retained=[3.0] * 8),
        )  # fmt: skip
        heads = {sentences(against_rules(table, m))[0] for table in tables for m in THEORY}
        # RFE ties with all but two rules: one outcome, or both.
        assert len(heads) == 4 + 2

    def test_few_chapters_establish_nothing(self):
        text = against_rules(errors_of(FE=[2.0] * 4), "FE")
        assert not re.search("wins|loses", text)
        assert self.named(text) == [list(RIVALS)]

    def test_ties_count_among_the_chapters(self):
        text = against_rules(errors_of(FE=[2.0, 1.0, 1.0]), "FE")
        assert text.count("1 of 3") == 4


class TestHowNear:
    @pytest.mark.parametrize("method", THEORY)
    def test_near_chapters_are_counted_and_named(self, method):
        text = how_near(errors(3, **{f"{method}_octaves": [0.5, 0.51, 2.0]}), method)
        first = sentences(text)[0]
        assert numbers(first) == [1.4, 1, 3]
        assert TITLES["mlp-cifar10"] in first
        assert TITLES["mlp-flowers102"] not in first

    def test_no_chapter_is_near(self):
        first = sentences(how_near(errors(1), "FE"))[0]
        assert numbers(first) == [1.4, 0, 1]
        assert "(" not in first
        assert not first.endswith("chapters.")

    @pytest.mark.parametrize(("signed", "side"), [(-0.1, "early"), (0.1, "late"), (0.0, "late")])
    def test_the_farthest_is_named_with_its_factor_and_side(self, signed, side):
        table = errors(3, FE_octaves=[1.0, 3.0, 2.0], FE_signed=[1.0, signed, -1.0])
        (sentence,) = (s for s in sentences(how_near(table, "FE")) if f"({side})" in s)
        assert TITLES["mlp-flowers102"] in sentence
        assert numbers(sentence) == [8]

    def test_misses_are_named_instead(self):
        table = errors(3, FE_octaves=[1.0, np.inf, 2.0], FE_misses=[0, 1, 0])
        text = how_near(table, "FE")
        (sentence,) = (s for s in sentences(text) if TITLES["mlp-flowers102"] in s)
        assert not any(TITLES[name] in sentence for name in ("mlp-cifar10", "cnn-cifar10"))
        assert not re.search("early|late", text)

    def test_the_median_chapter(self):
        table = errors(3, FE_octaves=[0, 3, 4], FE_steps=[1, 4, 9], FE_sparsity=[0.1, 0.25, 0.9])
        assert numbers(sentences(how_near(table, "FE"))[-1]) == [8, 4, 0.25]

    def test_without_a_prediction_in_the_median_there_are_no_numbers(self):
        table = errors(3, FE_octaves=[0, np.inf, np.inf], FE_misses=[0, 1, 1])
        assert numbers(sentences(how_near(table, "FE"))[-1]) == []

    def test_the_other_predictors_do_not_matter(self):
        other = errors(3, knee_octaves=[0.0] * 3, RFE_octaves=[9.0] * 3, RFE_misses=[1] * 3)
        assert how_near(other, "FE") == how_near(errors(3), "FE")


class TestByKind:
    def test_images_and_texts_apart(self):
        # Ten chapters on images, ten on texts.
        octaves = [0.5] * 4 + [1.0] * 6 + [0.0] * 2 + [3.0] * 8
        images, texts = by_kind(errors(20, FE_octaves=octaves)).split(" and ")
        assert numbers(images) == [4, 10, 2]
        assert numbers(texts) == [2, 10, 8]
        assert "image" in images
        assert "text" in texts

    def test_only_kinds_that_there_are(self):
        assert numbers(by_kind(errors(3))) == [0, 3, 2]

    def test_no_prediction_in_the_median(self):
        assert numbers(by_kind(errors(3, FE_octaves=[0.1, np.inf, np.inf]))) == [1, 3]

    def test_it_is_about_full_evaluation(self):
        assert by_kind(errors(3, RFE_octaves=[0.0] * 3)) == by_kind(errors(3))


class TestInShort:
    def first(self, near_fe, near_rfe, chapters=4):
        table = errors(
            chapters,
            FE_octaves=[0.1] * near_fe + [2.0] * (chapters - near_fe),
            RFE_octaves=[0.1] * near_rfe + [2.0] * (chapters - near_rfe),
        )
        return sentences(in_short(table))[1]

    def test_half_of_the_chapters_are_enough_to_predict(self):
        both, none = self.first(2, 2), self.first(1, 1)
        assert both != none
        assert self.first(4, 3) == both
        assert "does not" in none
        assert "does not" not in both
        one, other = self.first(2, 1), self.first(1, 2)
        assert len({both, none, one, other}) == 4
        assert NAMES["FE"] in one
        assert NAMES["RFE"] in other
        assert all("1.4" in text for text in (both, none, one, other))
        assert "does not" in self.first(2, 2, chapters=5)

    def test_rules_ahead_and_what_pruning_costs_are_counted(self):
        table = errors(
            4,
            FE_octaves=[1.0] * 4,
            RFE_octaves=[0.2] * 4,
            knee_octaves=[0.1] * 4,
            constant_octaves=[0.9] * 4,
            FE_worst=[0.05, 0.06, 0.2, 0.3],
            RFE_worst=[0.0, 0.0, 0.0, 0.06],
            careful_worst=[0.0, 0.0, 0.2, 0.06],
            knee_worst=[0.0] * 4,
            quantile_worst=[0.0, 0.9, 0.9, 0.9],
            retained_worst=[0.9] * 4,
            constant_worst=[0.9, 0.9, 0.9, 0.0],
        )
        # Chapters, the factor; rules, ahead of FE and of RFE; points, then chapters in which FE,
        # RFE, the least and the most of the rules, and the careful one cost more.
        assert numbers(in_short(table)) == [4, 1.4, 4, 2, 1, 5, 3, 1, 0, 4, 2]

    def test_a_single_chapter_is_no_plural(self):
        assert "1 chapter " in in_short(errors(1))
        assert "2 chapters " in in_short(errors(2))


class TestCosts:
    def head(self, early, late):
        table = errors(2, FE_early=early, RFE_early=0, FE_late=late, RFE_late=0)
        return sentences(costs(table))[0].split("**")[1]

    def test_one_side_takes_more_than_twice_the_other(self):
        both = self.head([2, 2], [2, 0])
        early, late = self.head([3, 2], [1, 1]), self.head([1, 1], [2, 3])
        assert len({both, early, late}) == 3
        assert "early" in early
        assert "late" in late
        assert self.head([2, 2], [1, 1]) == self.head([1, 1], [2, 2]) == both
        assert self.head([0, 0], [0, 0]) == both
        assert self.head([1, 0], [0, 0]) == early
        assert self.head([0, 0], [1, 0]) == late

    def test_only_the_theory_is_counted(self):
        table = errors(2, FE_late=[0, 0], RFE_late=[0, 0], FE_early=[1, 0])
        assert costs(table).startswith(f"**{self.head([1, 0], [0, 0])}")

    def test_numbers_of_each_free_energy_and_of_the_careful_rule(self):
        table = errors(
            3,
            FE_early=[1, 2, 0], FE_late=[0, 0, 3], FE_seeds=[1, 3, 5],
            FE_drop=[0.01, 0.02, 0.3], FE_worst=[0.1, 0.4, 0.2],
            RFE_early=[1, 0, 0], RFE_late=[0, 1, 1],
            RFE_drop=[0.0, np.nan, 0.5], RFE_worst=[0.6, np.nan, 0.5],
            careful_drop=[0.001, 0.002, 0.003], careful_worst=[0.0, 0.07, 0.01],
        )  # fmt: skip
        text = costs(table)
        full, fast = ([3, 9, 3, 2, 40], [1, 3, 2, 25, 60])
        assert numbers(text) == [*full, *fast, 0.2, 7]
        assert NAMES["careful"] in text


class TestNotJudged:
    def test_every_chapter_with_a_record_and_a_target_leaves_nothing_to_say(self):
        assert not_judged(five(), list(five())) == ""
        assert not_judged({"mlp-cifar10": []}, []) == ""

    def test_the_others_are_named_with_what_f_finds_there(self):
        chapters = {
            "mlp-cifar10": [record(9.0), record(9.0, 1, full=None)],
            "mlp-flowers102": [record(9.0, full=None, fast=None)],
            "cnn-cifar10": [record(1.0)],
        }
        text = not_judged(chapters, ["cnn-cifar10"])
        assert numbers(text) == [5, 1, 3, 2]
        assert TITLES["mlp-cifar10"] in text
        assert TITLES["mlp-flowers102"] in text
        assert TITLES["cnn-cifar10"] not in text
        assert "1 run " in not_judged({"mlp-cifar10": [record(9.0)]}, [])


class TestPage:
    @pytest.mark.parametrize("number", range(MIN_CHAPTERS))
    def test_too_few_chapters_make_no_tables(self, number):
        text = conclusion(dict(list(five().items())[:number]))
        assert numbers(text) == [number, MIN_CHAPTERS]
        assert "|" not in text
        assert "generated/" not in text

    def test_just_enough_do(self):
        assert "|" in conclusion(dict(list(five().items())[:MIN_CHAPTERS]))

    def test_chapters_without_a_drop_do_not_count_and_are_named(self):
        text = conclusion(dict(list(five(drop_at=99.0).items())[:MIN_CHAPTERS]))
        assert numbers(text)[:2] == [MIN_CHAPTERS - 1, MIN_CHAPTERS]
        assert TITLES["mlp-cifar10"] in text

    def test_every_rule_and_every_chapter_is_shown(self):
        text = conclusion({**five(), "vit-cifar10": []})
        assert all(f"](chapters/{name})" in text for name in five())
        assert all(f"| {name} |" in text for name in NAMES.values())
        assert text.count("| " + " | ".join(HEADS[p] for p in PREDICTORS) + " |") == 2
        assert "ViT" not in text
        assert text.index("generated/conclusion_ratio.svg") < text.index("conclusion_drop.svg")

    def test_the_level_is_divided_by_the_number_of_tests(self):
        text = conclusion(five())
        tests = len(THEORY) * len(RIVALS)
        (sentence,) = (s for s in re.split(r"\n\n", text) if f"{LEVEL / tests:g}" in s)
        assert numbers(sentence) == [tests, LEVEL / tests]

    def test_it_is_made_of_the_sentences_about_its_records(self):
        chapters = five(full=None) | {"vit-cifar10": [record(99.0)]}
        text = conclusion(chapters)
        assert not_judged(chapters, list(five())) in text
        assert "| miss |" in text

    def test_a_perfect_theory_is_said_to_predict(self):
        chapters = {
            name: [record(at, full=at, fast=at)]
            for name, at in zip(five(), (1.0, 1.2, 1.5, 2.0, 2.5), strict=True)
        }
        text = conclusion(chapters)
        assert "does not predict" not in text
        assert text.count("5 of 5 chapters") == 2

    def test_a_theory_that_is_always_early_fails_safely(self):
        chapters = {
            name: [record(at, full=at / 4, fast=at / 4)]
            for name, at in zip(five(), (1.0, 1.2, 1.5, 2.0, 2.5), strict=True)
        }
        text = conclusion(chapters)
        assert "does not predict" in text
        assert "mostly early" in text
