"""The first page: its lines say what the conclusion says; every chapter is led to."""

from __future__ import annotations

import re
import shlex
import time
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from companion import cli
from companion.pages.five import five_sentences
from companion.pages.front import DOTS, FASTER, MATCH, findings, front, front_figures, three_lines
from companion.pages.gallery import all_dots, small_multiple, small_multiple_alt
from companion.pages.panels import NARROW
from companion.paper.ledger import CELLS, counts, ledger
from companion.paper.rules import Outcome
from companion.paper.setup import Setup
from companion.paper.verdict import MIN_CHAPTERS, verdict
from companion.runs.chapters import CHAPTERS, Chapter
from companion.runs.records import read_chapter
from tests.companion.pages import test_conclusion as by_hand
from tests.companion.paper.exponential_runs import five
from thermo_utils.figures import ACCURACY, FULL, RENORMALIZED

ROOT = Path(__file__).parents[3]


def claims(*rows):
    """A ledger by hand: kind, outcome, and optionally set-up, placebo, name."""
    table = [(*row, *(Setup.SAME, False, "c")[len(row) - 2 :]) for row in rows]
    return pd.DataFrame(
        {
            "id": [row[4] for row in table],
            "kind": [row[0] for row in table],
            "outcome": [row[1] for row in table],
            "setup": [row[2] if row[1] != Outcome.NOT_RUN else "" for row in table],
            "placebo": [row[3] for row in table],
            "chapters": [("mlp-cifar10",)] * len(table),
            "ours": "20 of 20 chapters",
        }
    )


NO_CLAIMS = claims()


def lines(found, table=NO_CLAIMS):
    """The three lines, by their marks."""
    text = three_lines(found, table).splitlines()
    assert [re.search(r'aria-label="(\w+)"', line)[1] for line in text] == ["claim", "yes", "no"]
    held, open_ = text[1], text[2].partition("*Open*")[2]
    return {True: held, False: text[2].partition("*Open*")[0], None: open_}


def bold(found, number):
    """The claim of one of the five sentences."""
    return five_sentences(found).splitlines()[number - 1].split("**")[1]


def errors(chapters=4, near=(0, 0), early=0, late=0):
    octaves = [[0.1] * number + [2.0] * (chapters - number) for number in near]
    return by_hand.errors(
        chapters, FE_octaves=octaves[0], RFE_octaves=octaves[1],
        FE_early=early, RFE_early=early, FE_late=late, RFE_late=late,
    )  # fmt: skip


class TestLinesAndSentences:
    """What stands in which line follows from the bold part of the conclusion's sentence."""

    @pytest.mark.parametrize("near", [*product((0, 1, 2, 4), repeat=2)])
    def test_whether_it_predicts(self, near):
        found = by_hand.found(errors(near=near))
        said, shown = bold(found, 1), lines(found)
        if "One of the two" in said:
            assert ("predicts where accuracy gives way" in shown[True]) == (max(near) >= 2)
            assert "does not predict where" in shown[False]
            better = "under full evaluation" if near[0] > near[1] else "renormalized"
            assert f"F {better} predicts" in shown[True]
        else:
            held = "does not" not in said
            assert said.removeprefix("The ").split(":")[0] in shown[held]
            assert "predict" not in shown[not held]
        both = shown[True] + shown[False]
        assert [int(n) for n in re.findall(r"(\d) of 4 chapters", both)] in (
            [near[0]], [near[0], near[1]], [near[1], near[0]]
        )  # fmt: skip

    @pytest.mark.parametrize("early", range(4))
    @pytest.mark.parametrize("late", range(4))
    def test_to_which_side_it_errs(self, early, late):
        found = by_hand.found(errors(early=early, late=late))
        said, shown = bold(found, 2), lines(found)
        where = True if "early" in said else False if "late" in said else None
        assert any(said in finding.text for finding in findings(found, NO_CLAIMS)) == (
            where is not None
        )
        for held, text in shown.items():
            assert (said in text or "errs to both" in text) == (held is where)

    @pytest.mark.parametrize(
        ("fe", "rfe"),
        [(2.0, 2.0), (0.1, 0.1), (2.0, 1.0), (0.1, 1.0), (2.0, 0.1), (1.0, 1.0)],
    )
    def test_against_simple_rules(self, fe, rfe):
        found = by_hand.found(by_hand.errors(8, FE_octaves=[fe] * 8, RFE_octaves=[rfe] * 8))
        said, shown = bold(found, 3), lines(found)
        where = False if "come nearer" in said else True if "farther off" in said else None
        for held, text in shown.items():
            assert ("rules on the same activations" in text) == (held is where)
        assert ("undecided" in said) == ("tests are undecided" in shown[None])

    @pytest.mark.parametrize("rule", [(0.02, 0.01, 0.2), (0.02, 0.01, 0.6), (0.3, 0.3, 0.4)])
    def test_as_a_threshold_to_prune_at(self, rule):
        found = by_hand.found(errors(), frontier=by_hand.front(quantile=rule))
        said, shown = bold(found, 5), lines(found)
        better = "is better than a simple rule of equal risk" in said
        assert ("better than a simple rule of equal risk" in shown[True]) == better
        assert ("no better than a simple rule" in shown[False]) == (not better)

    def test_what_hangs_on_a_chapter_is_open(self):
        one = by_hand.found(errors(3))
        loss, gained = one.outcomes.loss.copy(), one.outcomes.sparsity.copy()
        rule = one.outcomes.rule == "quantile"
        loss[rule, 1], gained[rule] = 0.9, 0.4
        found = one._replace(outcomes=one.outcomes._replace(loss=loss, sparsity=gained))
        assert "but not without" in bold(found, 5)
        assert "not without certain chapters" in lines(found)[None]

    def test_few_chapters_are_not_judged_and_the_claims_are(self):
        found = by_hand.found(errors(MIN_CHAPTERS - 1))
        shown = lines(found, claims((MATCH, Outcome.HOLDS)))
        assert f"to be judged from {MIN_CHAPTERS} chapters on" in shown[None]
        assert "keeps to" in shown[True]
        assert [f.held for f in findings(found, NO_CLAIMS)] == []

    def test_synthetic_records_are_said_to_be(self):
        found = by_hand.found(errors())
        assert "synthetic" not in three_lines(found, NO_CLAIMS)
        assert "synthetic" in three_lines(found._replace(synthetic=True), NO_CLAIMS)


class TestClaims:
    def shown(self, *rows):
        return lines(by_hand.found(errors(2)), claims(*rows))

    @pytest.mark.parametrize("holds", range(3))
    @pytest.mark.parametrize("fails", range(3))
    def test_the_majority_of_the_claims_about_the_two_curves(self, holds, fails):
        rows = [(MATCH, Outcome.HOLDS)] * holds + [(MATCH, Outcome.FAILS)] * fails
        shown = self.shown(*rows, (MATCH, Outcome.NOT_RUN))
        where = None if holds == fails else holds > fails
        for held, text in shown.items():
            assert ("renormalized curve" in text) == (held is where and holds + fails > 0)
        if holds + fails:
            number = f"{max(holds, fails)} of {holds + fails} claim"
            assert number in shown[where]
            word = "outcome=fails" if fails > holds else "outcome=holds"
            assert f"kind={MATCH}&amp;{word}" in shown[where]

    @pytest.mark.parametrize("outcome", Outcome)
    def test_the_claim_that_it_is_faster(self, outcome):
        shown = self.shown(("speed", outcome, Setup.OTHER, None, FASTER))
        assert ("It takes less time" in shown[True]) == (outcome == Outcome.HOLDS)
        assert ("does not always take" in shown[False]) == (outcome == Outcome.FAILS)

    def test_counts_are_those_in_the_papers_set_up(self):
        rows = (
            *[("sparsity", Outcome.HOLDS, Setup.SAME, k < 2) for k in range(5)],
            *[("sparsity", Outcome.FAILS)] * 3,
            *[("sparsity", Outcome.FAILS, Setup.OTHER)] * 7,
            ("sparsity", Outcome.NOT_RUN),
        )
        shown = self.shown(*rows)
        assert ">5 of 8</a> claims hold, 2 of them for a {term}`placebo` too" in shown[True]
        assert ">3 of 8</a> claims fail" in shown[False]
        assert "set-up" not in "".join(self.shown(("sparsity", Outcome.NOT_RUN)).values())

    def test_without_a_finding_it_says_so(self):
        shown = self.shown()
        assert "Nothing so far" in shown[True]
        assert "Nothing so far" in shown[False]


@cache
def committed():
    records = {c.name: read_chapter(ROOT / "results", "small", c.name) for c in CHAPTERS}
    return records, verdict(records), ledger(records)


@cache
def figures():
    records, found, _ = committed()
    return front_figures(found, records)


def queries(text):
    """The choices of the links into the ledger, with the first number that is the link's text."""
    for query, number in re.findall(r'claims\.html\?([^#"]*)#claims-table">(\d+)', text):
        yield dict(pair.split("=") for pair in query.split("&amp;")), int(number)


@pytest.mark.slow
class TestCommitted:
    """The page of the records that the book is about."""

    @pytest.mark.parametrize(
        ("readme", "held", "line"),
        [
            ("the first feature does not say where", False, "does not predict where accuracy"),
            ("it is mostly early, which is safe", True, "it is mostly early, which is safe"),
            ("though most comparisons are undecided", None, "tests are undecided"),
            ("no better than a simple rule of equal risk", False, "no better than a simple rule"),
        ],
    )
    def test_the_lines_say_what_the_readme_does(self, readme, held, line):
        text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
        assert readme in text.partition("## ")[0]
        _, found, table = committed()
        assert line in lines(found, table)[held]

    def test_numbers_of_the_links_are_those_of_the_ledger_they_lead_to(self):
        _, found, table = committed()
        links = list(queries(three_lines(found, table)))
        assert len(links) == 3
        for chosen, number in links:
            rows = table
            for column, value in chosen.items():
                rows = rows[rows[column] == value]
            assert len(rows) == number
        # The last two are those that the summary of the ledger counts.
        summary = counts(table).loc["all"]
        cells = [name for name, (_, setup) in CELLS.items() if setup == Setup.SAME]
        assert [number for _, number in links[1:]] == [summary[name] for name in cells]
        assert f">{len(table)} claims</a>" in three_lines(found, table)

    def test_every_chapter_is_led_to_with_a_figure_and_words_for_it(self):
        records, found, table = committed()
        text = front(found, table, records)
        items = re.findall(
            r"^- \[!\[([^\]]+)\]\(generated/(\S+)\.svg\) (.+?)\]\((\S+)\)$", text, re.M
        )
        assert [item[3] for item in items] == [f"chapters/{c.name}" for c in CHAPTERS]
        assert [item[2] for item in items] == [c.title for c in CHAPTERS]
        assert all(item[0].startswith(item[2]) for item in items)
        shown = {item[1] for item in items} | {DOTS, f"{DOTS}{NARROW}"}
        assert shown == set(figures())

    def test_alternative_texts_of_the_dots_count_the_runs(self):
        records, found, table = committed()
        (alt,) = re.findall(r"^:alt: (.+)$", front(found, table, records), re.M)
        runs = sum(map(len, records.values()))
        numbers = re.findall(r"(\d+) (?:left|in it|right|without)", alt)
        assert len(numbers) == 8
        assert [sum(map(int, numbers[k : k + 4])) for k in (0, 4)] == [runs, runs]


class TestWithoutRecords:
    def test_a_chapter_that_was_not_run_says_so_and_is_led_to(self):
        found = verdict({})
        text = front(found, NO_CLAIMS, {c.name: [] for c in CHAPTERS})
        assert text.count("not run</span>") == len(CHAPTERS)
        assert all(f"](chapters/{c.name})" in text for c in CHAPTERS)
        assert "generated/" not in text
        assert front_figures(found, {}) == {}

    @pytest.mark.slow
    def test_one_of_several(self):
        records, _, _ = committed()
        some = {**dict(list(records.items())[:4]), "mlp-cifar10": []}
        text = front(verdict(some), NO_CLAIMS, some)
        assert len(front_figures(verdict(some), some)) == 3 + 2
        assert text.count("not run</span>") == len(CHAPTERS) - 3


class TestFigures:
    @pytest.mark.slow
    def test_small_ones_are_small(self, tmp_path):
        for name, figure in figures().items():
            figure.savefig(tmp_path / "a.svg", metadata={"Date": None})
            assert (tmp_path / "a.svg").stat().st_size < (130_000 if DOTS in name else 12_000)

    @pytest.mark.slow
    def test_twenty_of_them_cost_little(self, tmp_path):
        records, _, _ = committed()
        for each in records.values():
            assert all(len(record.curves) for record in each)  # reading them is no part of it
        start = time.process_time()
        for chapter in CHAPTERS:
            figure = small_multiple(chapter, records[chapter.name])
            figure.savefig(tmp_path / "a.svg", metadata={"Date": None})
        assert time.process_time() - start < 5

    def test_without_thresholds_no_line_is_drawn(self, record):
        none = record(thresholds=dict.fromkeys(("accuracy", "full", "renormalized")))
        mine = Chapter("mine", "cifar10")
        figure = small_multiple(mine, [none])
        assert not any(self.drawn(figure, c) for c in (ACCURACY, FULL, RENORMALIZED))
        assert small_multiple_alt(mine, [none]).count("nowhere") == 3
        # A network that the paper does not have has no bands.
        assert not any(axis.patches for axis in figure.axes)
        assert "paper" not in small_multiple_alt(mine, [none])
        known = small_multiple(CHAPTERS[0], [none])
        assert all(axis.patches for axis in known.axes)

    def test_words_have_the_middle_of_the_seeds(self, record):
        seeds = []
        for beta in (0.1, 0.2, 0.6):
            peak = {"tau": 0.12, "beta": beta, "kind": "peak", "prominence": 0.1, "rule": "r"}
            thresholds = {"accuracy": peak, "full": peak, "renormalized": None}
            seeds.append(record(thresholds=thresholds))
        words = small_multiple_alt(CHAPTERS[0], seeds)
        assert words.count("at 0.20") == 2
        assert words.count("nowhere") == 1
        assert words.startswith(f"{CHAPTERS[0].title},")

    def drawn(self, figure, color):
        """Sparsities of the vertical lines of a colour."""
        return sorted(
            line.get_xdata()[0]
            for axis in figure.axes
            for line in axis.lines
            if line.get_color() == color and len(set(line.get_xdata())) == 1
        )

    @pytest.mark.slow
    def test_small_ones_mark_every_seed(self):
        records, _, _ = committed()
        for chapter in CHAPTERS:
            figure = figures()[f"front_{chapter.name}"]
            for method, color in (
                ("accuracy", ACCURACY), ("full", FULL), ("renormalized", RENORMALIZED)
            ):  # fmt: skip
                found = [r.result["thresholds"][method] for r in records[chapter.name]]
                expected = sorted(one["beta"] for one in found if one)
                np.testing.assert_allclose(self.drawn(figure, color), expected)

    @pytest.mark.parametrize("narrow", [False, True])
    def test_letters_are_read_at_the_width_of_their_screen(self, narrow):
        """At least nine pixels high, on a page 600 and on one 350 pixels wide."""
        figure = all_dots(verdict(five()).predicted, narrow=narrow)
        width = 72 * figure.get_figwidth()
        (axis,) = figure.axes
        labels = [*axis.get_xticklabels(), *axis.get_yticklabels(), axis.xaxis.label]
        smallest = min(label.get_size() for label in [*labels, *figure.legends[0].get_texts()])
        assert smallest * (350 if narrow else 600) / width >= 9

    def test_dots_are_where_the_predictions_are_and_misses_are_seen(self):
        chapters = five(full=None)
        found = verdict(chapters)
        (axis,) = all_dots(found.predicted).axes
        own = found.predicted[found.predicted["predictor"] == "FE"]
        ratio = (own["tau"] / own["target"]).to_numpy()
        shown = {tuple(line.get_xdata()): line.get_ydata() for line in axis.lines}
        at = [np.array(x) for x in shown if len(x) == len(ratio)]
        assert any(np.allclose(x, ratio, equal_nan=True) for x in at)
        crosses = [x for line in axis.lines if line.get_marker() == "x" for x in line.get_xdata()]
        assert len(crosses) == np.isnan(ratio).sum() == 1
        assert crosses[0] > np.nanmax([np.nanmax(x) for x in at])
        assert axis.get_xlim()[1] > crosses[0]


class TestCommands:
    """What the three cards tell the reader to type is there."""

    def commands(self):
        text = (ROOT / "book" / "index.md").read_text(encoding="utf-8")
        return re.findall(r"^```bash\n(.+?)\n```$", text, re.M | re.S)

    def test_they_are_understood(self):
        blocks = self.commands()
        assert len(blocks) == 3
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        for line in "\n".join(blocks).splitlines():
            program, *words = shlex.split(line)
            if program == "make":
                assert all(re.search(rf"^{word}:", makefile, re.M) for word in words)
            else:
                assert program == "thermo"
                assert cli._parser().parse_args(words)
