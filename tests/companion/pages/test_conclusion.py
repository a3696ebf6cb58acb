"""The conclusion: what it counts, whom it names, and at which limits its sentences change."""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from companion.pages.conclusion import conclusion, conclusion_figures
from companion.pages.five import five_sentences, merit_sentence, side_of_errors
from companion.pages.nearness import (
    against_rules,
    by_kind,
    costs,
    ended,
    how_near,
    not_judged,
)
from companion.pages.predictions import HEADS, NAMES
from companion.paper.comparison import LEVEL, RIVALS
from companion.paper.frontier import Outcomes
from companion.paper.predictors import PREDICTORS
from companion.paper.runs import THEORY, runs
from companion.paper.targets import DEFAULT, TARGETS, read_targets
from companion.paper.verdict import MIN_CHAPTERS, OTHER_NETWORKS, Verdict, verdict
from companion.runs.chapters import CHAPTERS
from tests.companion.paper.exponential_runs import cut_short, errors_of, five, predicted, record

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
            "chapter": name, "predictor": predictor, "seeds": 1, "misses": 0, "ends": 0,
            "octaves": 1.0, "steps": 3.0, "sparsity": 0.2, "signed": 1.0, "early": 0, "late": 1,
            "drop": 0.1, "worst": 0.1,
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


def front(fe=(0.2, 0.01, 0.25), rfe=(0.02, 0.01, 0.3), quantile=(0.02, 0.01, 0.2)):
    """A frontier with a point per rule: worst loss, high loss, sparsity."""
    measured = (0.02, 0.02, 0.5)
    rows = [
        {"rule": r, "value": np.nan, "runs": 9, "pruned": 9, "worst": w, "high": h, "sparsity": b}
        for r, (w, h, b) in {
            "FE": fe, "RFE": rfe, "quantile": quantile, "measured": measured
        }.items()
    ]  # fmt: skip
    return pd.DataFrame(rows)


def found(table, by_target=None, frontier=None):
    """A verdict with these errors."""
    by_target = dict.fromkeys(TARGETS, table) | (by_target or {})
    frontier = front() if frontier is None else frontier
    loss, sparsity = (np.repeat(frontier[[c]].to_numpy(), 3, axis=1) for c in ("worst", "sparsity"))
    outcomes = Outcomes(
        frontier["rule"].to_numpy(), frontier["value"].to_numpy(), np.array(CHAPTER_NAMES[:3]),
        np.ones(loss.shape), loss, sparsity,
    )  # fmt: skip
    return Verdict([], {}, table, table, by_target, outcomes, frontier, synthetic=False)


def sentence(number, *args, **kwargs):
    """One of the five."""
    lines = five_sentences(found(*args, **kwargs)).splitlines()
    assert [line.partition(". ")[0] for line in lines] == ["1", "2", "3", "4", "5"]
    return lines[number - 1].partition(". ")[2]


class TestFiveSentences:
    def near(self, near_fe, near_rfe, chapters=4):
        table = errors(
            chapters,
            FE_octaves=[0.1] * near_fe + [2.0] * (chapters - near_fe),
            RFE_octaves=[0.1] * near_rfe + [2.0] * (chapters - near_rfe),
        )
        return sentence(1, table)

    def test_half_of_the_chapters_are_enough_to_predict(self):
        claims = [
            self.near(fe, rfe).split("**")[1]
            for fe, rfe in ((2, 2), (4, 3), (1, 1), (2, 1), (1, 2))
        ]
        assert claims[0] == claims[1]
        assert claims[3] == claims[4]
        assert len(set(claims)) == 3
        assert "does not predict" in claims[2]
        assert "One of the two" in claims[3]
        assert "does not" in self.near(2, 2, chapters=5)

    def test_the_first_counts_chapters_and_gives_medians(self):
        table = errors(3, FE_octaves=[0.5, 1.0, 3.0], RFE_octaves=[0.1, 0.2, np.inf])
        assert numbers(sentence(1, table)) == [1.4, 1, 1, 3, 2, 2.0, 1.1]
        assert DEFAULT.name in sentence(1, table)

    def test_a_median_without_a_prediction_is_none(self):
        table = errors(3, FE_octaves=[np.inf] * 3, FE_misses=[1] * 3)
        assert "a factor of none" in sentence(1, table)
        assert "none: the median chapter" in sentence(1, table)
        assert "none: the median chapter" in sentence(4, table)
        assert "none: the median chapter" not in sentence(1, errors(3)) + sentence(4, errors(3))

    def test_the_second_counts_runs(self):
        table = errors(
            3, FE_seeds=[3, 1, 1], FE_early=[2, 0, 0], FE_late=[0, 1, 0], RFE_early=1, RFE_late=0
        )
        assert numbers(sentence(2, table)) == [5, 2, 1, 3, 0]
        assert sentence(2, table).startswith(f"**{side_of_errors(table)[0]}**")

    @pytest.mark.parametrize(
        ("fe", "rfe", "claim", "counts"),
        [
            ([2.0] * 8, [2.0] * 8, "come nearer", [8, 8, 0, 0, 0, 4, 4, 4]),
            ([0.1] * 8, [0.1] * 8, "farther off", [8, 0, 8, 0, 0, 0, 4, 0]),
            ([2.0] * 8, [1.0] * 8, "come nearer where", [8, 4, 0, 0, 4, 4, 4, 0]),
            ([0.1] * 8, [1.0] * 8, "farther off where", [8, 0, 4, 0, 4, 0, 4, 0]),
            ([2.0] * 8, [0.1] * 8, "as often as it loses", [8, 4, 4, 0, 0, 4, 4, 0]),
            ([1.0] * 8, [1.0] * 8, "undecided", [8, 0, 0, 0, 8, 0, 4, 0]),
        ],
    )
    def test_the_third_counts_what_the_sign_test_establishes(self, fe, rfe, claim, counts):
        table = errors(8, FE_octaves=fe, RFE_octaves=rfe)
        assert claim in sentence(3, table).split("**")[1]
        assert numbers(sentence(3, table)) == counts

    def test_a_clean_sweep_of_nine_meets_the_strict_level_and_of_eight_does_not(self):
        # 2 / 2^9 is below 0.05 / 8, 2 / 2^8 is not.
        for chapters, strict in ((8, 0), (9, 8)):
            each = [2.0] * chapters
            table = errors(chapters, FE_octaves=each, RFE_octaves=each)
            assert numbers(sentence(3, table))[3] == strict

    def test_the_fourth_spans_the_targets_with_chapters_enough(self):
        few = errors(MIN_CHAPTERS - 1, FE_octaves=[9.0] * 2)
        far = errors(3, FE_octaves=[4.0] * 3, RFE_octaves=[0.4] * 3)
        text = sentence(
            4, errors(3), by_target={"30 points": few, "knee": far, OTHER_NETWORKS: few}
        )
        assert f"over {len(TARGETS) - 1} targets" in text
        assert "to 16.0 (knee, 3 chapters) under full evaluation" in text
        assert "from 1.3 (knee, 3 chapters)" in text
        assert f"in 1 of {2 * (len(TARGETS) - 1)} cases" in text
        assert "with none of them" in sentence(4, errors(3))
        half = sentence(4, errors(4, FE_octaves=[0.1, 0.1, 9.0, 9.0]))
        assert f"in {len(TARGETS)} of {2 * len(TARGETS)} cases" in half

    def test_the_fifth_is_about_equal_risk(self):
        better = sentence(5, errors(3))
        assert "is better than a simple rule" in better
        assert numbers(better) == [2.0, 9, 0.3, 1.5, 0.2, 1.5, 1.5, 0.5, 20.0, 0.25]
        worse = sentence(5, errors(3), frontier=front(quantile=(0.02, 0.01, 0.6)))
        assert "no better" in worse
        assert numbers(worse) == [2.0, 9, 0.3, 0.6, 0.5, 0.5, 0.5, 20.0, 0.25]
        alone = sentence(5, errors(3), frontier=front(quantile=(0.3, 0.3, 0.4)))
        assert "no simple rule is as safe" in alone
        assert "left out" not in alone

    def test_a_chapter_that_decides_the_fifth_is_named(self):
        # Without the second chapter the simple rule is as safe, and gains more.
        one = found(errors(3))
        rules, table = one.outcomes.rule, one.outcomes.loss.copy()
        table[rules == "quantile", 1] = 0.9
        decided = one._replace(outcomes=one.outcomes._replace(loss=table))
        gained = one.outcomes.sparsity.copy()
        gained[rules == "quantile"] = 0.4
        decided = decided._replace(outcomes=decided.outcomes._replace(sparsity=gained))
        head = five_sentences(decided).splitlines()[4].split("**")[1]
        assert head.endswith(f"but not without {TITLES['mlp-flowers102']}")

    def test_many_that_decide_are_counted(self):
        text = merit_sentence(front(), dict.fromkeys(TITLES, 0.9))
        assert "not without any one of 3 chapters" in text
        assert not any(title in text for title in TITLES.values())


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
    def text(self, chapters):
        seen = runs(chapters)
        return not_judged(seen, read_targets(seen))

    def test_every_chapter_with_a_record_and_a_target_leaves_nothing_to_say(self):
        assert self.text(five()) == ""
        assert self.text({"mlp-cifar10": []}) == ""

    def test_the_others_are_named_with_what_f_finds_there(self):
        chapters = {
            "mlp-cifar10": [record(9.0), record(9.0, 1, full=None)],
            "mlp-flowers102": [record(9.0, full=None, fast=None)],
            "cnn-cifar10": [record(1.0)],
        }
        text = self.text(chapters)
        assert numbers(text) == [1, 3, 2]
        assert TITLES["mlp-cifar10"] in text
        assert TITLES["mlp-flowers102"] in text
        assert TITLES["cnn-cifar10"] not in text
        assert "1 run " in self.text({"mlp-cifar10": [record(9.0)]})


class TestEnded:
    def test_rules_and_chapters_are_named_with_the_least_they_would_be_late(self):
        chapters = five() | {"mlp-cifar10": [cut_short(record(1.0), 2.0)]}
        chapters["lstm-yelp"] = [record(3.5)]
        table = predicted(chapters)
        text = ended(table, runs(chapters))
        for rule in PREDICTORS:
            ends = table.loc[table["predictor"] == rule, "ends"].any()
            assert (f"{NAMES[rule]} on MLP on CIFAR-10 (a factor of 2.0)" in text) == ends
        assert ended(predicted(five()), runs(five())) == ""


@cache
def of_five():
    """The verdict on five chapters, one of which has no feature under full evaluation."""
    return verdict(five(full=None))


def page(chapters):
    return conclusion(verdict(chapters))


class TestPage:
    @pytest.mark.parametrize("number", range(MIN_CHAPTERS))
    def test_too_few_chapters_make_no_tables(self, number):
        text = page(dict(list(five().items())[:number]))
        assert numbers(text) == [number, MIN_CHAPTERS]
        assert "|" not in text
        assert "generated/" not in text

    def test_just_enough_do(self):
        assert "|" in page(dict(list(five().items())[:MIN_CHAPTERS]))

    def test_chapters_without_a_drop_do_not_count_and_are_named(self):
        text = page(dict(list(five(drop_at=99.0).items())[:MIN_CHAPTERS]))
        assert numbers(text)[:2] == [MIN_CHAPTERS - 1, MIN_CHAPTERS]
        assert TITLES["mlp-cifar10"] in text

    def test_every_rule_and_every_chapter_is_shown(self):
        text = page({**five(), "vit-cifar10": []})
        assert all(f"](chapters/{name})" in text for name in five())
        assert all(f"| {name} |" in text for name in NAMES.values())
        assert text.count("| " + " | ".join(HEADS[p] for p in PREDICTORS) + " |") == 2
        assert "ViT" not in text

    def test_every_figure_is_shown_with_words_for_who_does_not_see_it(self):
        found = of_five()
        text, figures = conclusion(found), conclusion_figures(found)
        shown = re.findall(
            r"figure} generated/(static/\w+)\.svg\n:name: [-\w]+\n:alt: (.{60,})\n\n.{60,}\n```",
            text,
        )
        for name in re.findall(r":name: ([-\w]+)\n", text):
            assert f"{{numref}}`{name}`" in text
        assert [name for name, _ in shown] == list(dict(shown))
        assert {*dict(shown), *(f"{name}-narrow" for name, _ in shown)} == set(figures)
        assert not conclusion_figures(verdict({}))

    def test_letters_can_be_read_on_a_telephone(self):
        """Which leaves 342 CSS pixels to a figure of `PHONE` inches."""
        narrow = {k: v for k, v in conclusion_figures(of_five()).items() if k.endswith("-narrow")}
        assert len(narrow) == 4
        for figure in narrow.values():
            assert 342 / (72 * figure.get_figwidth()) == 1
            sizes = [text.get_fontsize() for text in figure.findobj(Text) if text.get_text()]
            assert min(sizes) > 9

    def test_the_level_is_divided_by_the_number_of_tests(self):
        text = conclusion(of_five())
        tests = len(THEORY) * len(RIVALS)
        (sentence,) = (s for s in re.split(r"\n\n", text) if f"{LEVEL / tests:g}" in s)
        assert numbers(sentence) == [tests, LEVEL / tests]

    def test_it_is_made_of_the_sentences_about_its_records(self):
        chapters = five(full=None) | {"vit-cifar10": [record(99.0)]}
        text = page(chapters)
        seen = runs(chapters)
        assert not_judged(seen, read_targets(seen)) in text
        assert "| miss |" in text

    def test_a_perfect_theory_is_said_to_predict(self):
        chapters = {
            name: [record(at, full=at, fast=at)]
            for name, at in zip(five(), (1.0, 1.2, 1.5, 2.0, 2.5), strict=True)
        }
        text = page(chapters)
        assert "does not predict" not in text
        assert text.count("5 of 5 chapters") == 3

    def test_a_theory_that_is_always_early_fails_safely(self):
        chapters = {
            name: [record(at, full=at / 4, fast=at / 4)]
            for name, at in zip(five(), (1.0, 1.2, 1.5, 2.0, 2.5), strict=True)
        }
        text = page(chapters)
        assert "does not predict" in text
        assert "mostly early" in text
