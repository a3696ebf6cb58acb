"""The page of contradictions: every row, numbered, with what was measured beside it."""

from __future__ import annotations

import re

import pytest

from companion.pages.errata import errata_page
from companion.paper.errata import KINDS, SMALL, errata
from tests.companion.paper.hand_record import record

ALL = errata()
SLIPS, ROWS = ALL[ALL["kind"] == SMALL], ALL[ALL["kind"] != SMALL]
NUMBERED = re.compile(r"^\*\*(\d+)\. (.*)\.\*\*", re.MULTILINE)


#: Another seed, which has no threshold.
OTHER = record(
    timings={"speedup": 7.6}, thresholds=dict.fromkeys(("accuracy", "full", "renormalized"))
)


def entry(page, number):
    """The text from one number to the next."""
    start = page.index(f"**{number}. ")
    return re.split(r"\n\*\*|\n## |\nThere are also", page[start:])[0].strip()


def test_every_row_stands_in_the_order_of_the_kinds_with_its_number():
    page = errata_page({})
    found = NUMBERED.findall(page)
    assert [int(number) for number, _ in found] == list(range(1, len(ROWS) + 1))
    assert [title for _, title in found] == list(ROWS["title"])
    headings = re.findall(r"^## (.*)$", page, re.MULTILINE)
    assert headings == [heading for kind, heading in KINDS.items() if kind != SMALL]


def test_an_entry_has_both_places_the_problem_and_the_chapters():
    page = errata_page({})
    for number, row in enumerate(ROWS.to_dict("records"), start=1):
        text = entry(page, number)
        assert text.index(row["first_place"]) < text.index(row["problem"]) < text.index(row["here"])
        assert re.findall(r"\(chapters/(.*?)\)", text) == row["chapters"].split()


def test_only_sections_are_quoted_verbatim():
    page = errata_page({})
    for row in ALL.to_dict("records"):
        for place in ("first", "second"):
            quoted = f"{row[place + '_place']}: “{row[place + '_quote']}”" in page
            assert quoted == row[place + "_place"].startswith(("Section", "Abstract"))


@pytest.mark.parametrize("number", range(1, len(ROWS) + 1))
def test_what_was_measured_stands_where_the_row_asks_for_it(number):
    row = ROWS.iloc[number - 1]
    if row["measured"] == "split":
        pytest.skip("has a test of its own")
    names = row["chapters"].split()
    nothing = entry(errata_page({name: [] for name in names}), number)
    assert nothing == entry(errata_page({}), number)
    added = entry(errata_page({n: [record(), OTHER] for n in names}), number).removeprefix(nothing)
    expected = {
        "thresholds": ["3", "0.40", "2", "0.22", "2.75", "0.27"],
        "times": ["5.40", "3.11", "2"],  # of 3.2 and 7.6
        "": [],
    }[row["measured"]]
    found = re.findall(r"(?<![-\w])\d+\.?\d*(?![-\w])", added)
    assert [n for n in found if n not in ("10", "102")] == expected * len(names)
    if row["measured"] == "thresholds":
        assert added.count("peak") == added.count("inflection") == len(names)
        assert added.index("accuracy 3") < added.index("FE 2") < added.index("RFE 2.75")
        assert added.count("none") == 3 * len(names)


def test_a_method_without_a_threshold_is_said():
    result = record().result["thresholds"] | {"renormalized": None}
    page = errata_page({"mlp-cifar10": [record(thresholds=result)]})
    assert "RFE none found" in page


def test_small_slips_are_one_footnote():
    page = errata_page({})
    text, _, note = page.partition("\n[^small]: ")
    assert text.count("[^small]") == 1
    assert "\n" not in note.strip()
    for row in SLIPS.to_dict("records"):
        assert note.count(row["problem"]) == 1
        assert row["problem"] not in text


class TestSplit:
    """The accuracies with each split of Flowers-102, from whatever records there are."""

    NUMBER = list(ROWS["id"]).index("flowers102-split") + 1

    def run(self, model, split, accuracy, seed=0, **changed):
        settings = {"model": model, "seed": seed, "epochs": 50, "patience": 3, **changed}
        if split is not None:  # older records do not say so
            settings["split"] = split
        return record(
            model=model, dataset="flowers102", seed=seed, settings=settings,
            metrics={"test_accuracy": accuracy, "epochs": 12},
        )  # fmt: skip

    def lines(self, chapters, others=()):
        text = entry(errata_page(chapters, others), self.NUMBER)
        return [line for line in text.splitlines() if line.startswith("- *Measured")]

    def test_what_was_not_run_is_said(self):
        for line in self.lines({}):
            assert line.count("not yet run") == 3
            assert "Nearest" not in line

    def test_numbers_are_the_means_of_the_seeds_of_each_split(self):
        mine = [self.run("mlp", None, a, seed) for seed, a in enumerate((0.13, 0.15, 0.11))]
        pooled = [self.run("mlp", "pooled-80-10-10", a, k) for k, a in enumerate((0.30, 0.33))]
        swapped = [self.run("cnn", "swapped", 0.38)]
        mlp, cnn = self.lines({"mlp-flowers102": mine}, [*pooled, *swapped])
        assert "official split, 13.0 ± 2.0 % (3)" in mlp
        assert "31.5 ± 2.1 % (2)" in mlp
        assert mlp.count("not yet run") == 1
        # 31 % for the MLP: 18 points off, or half a point.
        assert mlp.endswith("random 80/10/10 split instead of the official one, 0.5 points off.")
        assert ", 38.0 %" in cnn
        assert cnn.count("not yet run") == 2
        assert "Nearest" not in cnn  # there is nothing to choose from

    def test_it_does_not_matter_which_of_them_is_the_chapters(self):
        official, pooled = (
            self.run("cnn", "official", 0.19),
            self.run("cnn", "pooled-80-10-10", 0.5),
        )
        one = self.lines({"cnn-flowers102": [official]}, [pooled])
        assert one == self.lines({"cnn-flowers102": [pooled]}, [official])
        # 43 to 44 %: 24 points too low, or 6 too high.
        assert "6.0 points off" in one[1]

    def test_a_range_is_off_by_nothing_within(self):
        runs = [self.run("cnn", "swapped", 0.435), self.run("cnn", None, 0.45)]
        assert "0.0 points off" in self.lines({}, runs)[1]

    @pytest.mark.parametrize("changed", [{"patience": 10}, {"epochs": 7}, {"learning_rate": 0.1}])
    def test_runs_that_were_trained_otherwise_do_not_count(self, changed):
        other = self.run("mlp", "swapped", 0.3, **changed)
        (line, _) = self.lines({"mlp-flowers102": [self.run("mlp", None, 0.13)]}, [other])
        assert line.count("not yet run") == 2
        same = self.run("mlp", "swapped", 0.3, test_size=100, tau_step=0.5)
        (line, _) = self.lines({"mlp-flowers102": [self.run("mlp", None, 0.13)]}, [same])
        assert ", 30.0 %" in line

    def test_synthetic_records_do_not_count(self):
        run = self.run("mlp", None, 0.13)
        made_up = record(**{**run.result, "synthetic": True})
        assert self.lines({"mlp-flowers102": [made_up]}) == self.lines({})

    def test_other_splits_that_were_run_are_shown_too(self):
        runs = [self.run("mlp", None, 0.13), self.run("mlp", "pooled-70-15-15", 0.29)]
        assert "random 70/15/15 split" in self.lines({"mlp-flowers102": runs})[0]
