"""The ledger: which records speak for a claim, in which set-up, what a placebo would say."""

from __future__ import annotations

import math
from collections import Counter
from functools import partial
from typing import Any

import pytest

from companion.paper import ledger as module
from companion.paper.claims import KINDS, claims
from companion.paper.ledger import CELLS, counts, evaluated, headline, of_chapter
from companion.paper.measures import MEASURES
from companion.paper.rules import Outcome
from companion.paper.setup import Setup
from companion.runs.chapters import CHAPTERS
from tests.companion.paper.hand_record import THRESHOLDS, at, record, without

#: A few random thresholds are enough to test what is done with them.
ledger = partial(module.ledger, draws=2)
CLAIMS = claims()
NAMES = [chapter.name for chapter in CHAPTERS]
RUN = record()
CPU = {
    "full": {"device": "CPU (x86_64), 1 threads", "attrs": {"baseline_accuracy": 0.8}},
    "renormalized": {"device": "CPU (x86_64), 1 threads", "attrs": {}},
}
GPU = {name: stage | {"device": "NVIDIA H100"} for name, stage in CPU.items()}
#: FE and RFE mark sparsities far apart.
APART = THRESHOLDS | {"renormalized": {"tau": 4.0, "beta": 0.60, "kind": "peak"}}
#: What says whether and where, and nothing of how.
SETUP = ["setup", "differs", "differs elsewhere"]


def everywhere(**chapters):
    """Three equal runs of every chapter, but for those given; ``_`` stands for the hyphen."""
    given = {name.replace("_", "-", 1): runs for name, runs in chapters.items()}
    return {name: given.get(name, [RUN] * 3) for name in NAMES}


@pytest.fixture(scope="module")
def whole():
    """The ledger where every chapter was run three times."""
    return ledger(everywhere())


def row(table, name):
    (found,) = table[table["id"] == name].to_dict("records")
    return found


@pytest.fixture
def measured(monkeypatch):
    """Counts how often each measure of what is seen of each record is taken."""
    taken = Counter()
    measure = module.measure

    def counting(name, seen):
        taken[name, id(seen)] += 1
        return measure(name, seen)

    monkeypatch.setattr(module, "measure", counting)
    return taken


class TestWork:
    def test_each_measure_of_each_record_is_taken_once(self, measured):
        several = [record(), record(), record()]
        ledger(everywhere(vit_cifar10=several))
        assert set(measured.values()) == {1}

    def test_a_chapter_evaluates_its_own_claims_and_no_other(self, measured):
        table = of_chapter("vit-cifar10", [record(), record(), record()])
        own = [claim for claim in CLAIMS if claim.chapters == ("vit-cifar10",)]
        assert list(table["id"]) == [claim.id for claim in own]
        assert {name for name, _ in measured} == {claim.measure for claim in own}
        assert set(measured.values()) == {1}

    def test_placebos_are_taken_of_what_has_one_alone(self, measured):
        of_chapter("vit-cifar10", [record()])
        taken = Counter(name for name, _ in measured)
        for name, number in taken.items():
            assert (number > 1) == MEASURES[name].placed, name


class TestRecords:
    def test_without_records_nothing_was_run(self):
        table = ledger({})
        assert list(table["id"]) == [claim.id for claim in CLAIMS]
        assert set(table["outcome"]) == {Outcome.NOT_RUN}
        assert set(table["ours"]) == {""}
        for column in SETUP:
            assert set(table[column]) == {""}
        assert table["placebo"].isna().all()

    def test_no_claims_make_an_empty_table(self):
        assert list(evaluated([], {}).columns) == list(ledger({}).columns)

    def test_synthetic_records_confirm_nothing(self):
        made_up = dict.fromkeys(NAMES, [record(synthetic=True)] * 3)
        assert set(ledger(made_up)["outcome"]) == {Outcome.NOT_RUN}
        mixed = of_chapter("mlp-cifar10", [record(synthetic=True), record()])
        alone = of_chapter("mlp-cifar10", [record()])
        assert mixed.equals(alone)

    def test_a_record_speaks_for_its_chapter_alone(self):
        table = ledger({"cnn-cifar10": [record()] * 3})
        run = table[table["outcome"] != Outcome.NOT_RUN]
        assert set(run["chapters"]) == {("cnn-cifar10",)}
        assert len(run) > 10
        assert (run["ours"] != "").all()

    def test_with_all_records_every_claim_has_an_outcome_and_a_set_up(self, whole):
        assert Outcome.NOT_RUN not in set(whole["outcome"])
        assert set(whole["setup"]) == {Setup.SAME}

    def test_a_claim_about_several_chapters_waits_for_all(self):
        found = row(ledger(everywhere(vit_cifar10=[])), "match-everywhere")
        assert found["outcome"] == Outcome.NOT_RUN
        assert found["setup"] == ""
        assert found["ours"].split()[:3] == ["19", "of", "20"]
        assert row(ledger({}), "match-everywhere")["ours"] == ""


class TestChapter:
    def test_what_is_read_off_the_record_is_compared_with_the_paper(self):
        # In the paper: 0.76; 0.06 to 0.08 with 0.23 to 0.29; a peak at 0.02 to 0.04 with 0.04.
        fits = record(
            metrics={"test_accuracy": 0.76, "epochs": 12},
            thresholds={
                "accuracy": {"tau": 0.06, "beta": 0.23, "kind": "accuracy"},
                "full": {"tau": 0.04, "beta": 0.04, "kind": "peak"},
                "renormalized": {"tau": 0.04, "beta": 0.04, "kind": "peak"},
            },
            timings={"speedup": 7.11},
        )
        right = of_chapter("cnn-cifar10", [fits]).set_index("id")["outcome"]
        slow = record(timings={"speedup": 0.5}, thresholds=APART)
        wrong = of_chapter("cnn-cifar10", [slow]).set_index("id")["outcome"]
        same = ("accuracy", "feature", "extremum", "precedes")
        other = ("tau-accuracy", "tau-fe", "beta-accuracy", "beta-fe", "speedup", "faster", "match")
        for slug in (*same, *other):
            assert right[f"cnn-cifar10-{slug}"] == Outcome.HOLDS, slug
        for slug in other:
            assert wrong[f"cnn-cifar10-{slug}"] == Outcome.FAILS, slug

    def test_one_grid_step_is_the_step_of_the_record(self):
        # The paper has 0.36 to 0.40 for the accuracy of the MLP; a step of the record is 0.5.
        for tau, outcome in ((0.9, Outcome.HOLDS), (0.91, Outcome.FAILS)):
            table = of_chapter("mlp-cifar10", [at("accuracy", tau=tau)])
            assert row(table, "mlp-cifar10-tau-accuracy")["outcome"] == outcome

    def test_the_columns_of_a_row(self):
        run = at("full", beta=0.55)
        found = row(of_chapter("vit-flowers102", [run]), "vit-flowers102-beta-fe")
        (claim,) = (c for c in CLAIMS if c.id == "vit-flowers102-beta-fe")
        assert found["paper"].split("; ") == ["0.5", "0.56"]
        assert found["ours"] == "0.55"
        assert found["stated"] == claim.stated
        assert found["rule"] == claim.rule_text
        assert found["claim"] == claim.text
        assert found["kind"] == claim.kind
        assert [place.split(",")[0] for place in found["agrees with"]] == ["Section 5.1", "Table 1"]
        nearer = row(of_chapter("vit-flowers102", [at("full", beta=0.6)]), claim.id)
        assert [place.split(",")[0] for place in nearer["agrees with"]] == ["Table 1"]

    def test_equal_versions_are_shown_once(self):
        assert row(of_chapter("mlp-cifar10", []), "mlp-cifar10-tau-fe")["paper"] == "0.12"

    def test_no_feature_is_said_and_agrees_with_nothing(self):
        table = of_chapter("cnn-cifar10", [without("full")])
        for slug in ("tau-fe", "beta-fe", "feature", "precedes", "drop-after"):
            found = row(table, f"cnn-cifar10-{slug}")
            assert (found["ours"], found["outcome"]) == ("none found", Outcome.FAILS)

    def test_seeds_are_averaged_and_words_counted(self):
        runs = [
            at("full", tau=tau, kind=kind)
            for tau, kind in ((0.02, "peak"), (0.03, "bend"), (0.04, "peak"))
        ]
        table = of_chapter("cnn-cifar10", runs)
        tau, feature = (row(table, f"cnn-cifar10-{slug}") for slug in ("tau-fe", "feature"))
        assert tau["ours"].startswith("0.03 ")
        assert tau["outcome"] == feature["outcome"] == Outcome.HOLDS
        assert feature["ours"].split(", ") == ["peak", "bend", "peak"]

    def test_one_late_seed_is_late_whatever_the_others_are(self):
        # The accuracy gives way at 3.0, a step is 0.5: at most one step late is 3.5.
        early, late = at("full", tau=0.5), at("full", tau=4.0)
        for runs, outcome in (([early] * 3, "holds"), ([early, late, early], "fails")):
            found = row(of_chapter("cnn-cifar10", runs), "cnn-cifar10-precedes")
            assert found["outcome"] == outcome

    def test_the_later_maximum_of_gpt2_is_compared_with_the_papers_later_maximum(self):
        # The paper passes over a minimum and takes the maximum after it, at 1.6 with 0.75.
        features = [
            {"method": "full", "kind": "valley", "tau": 1.0, "beta": 0.46},
            {"method": "full", "kind": "peak", "tau": 1.6, "beta": 0.75},
        ]
        first = {"tau": 1.0, "beta": 0.46, "kind": "valley"}
        drop = {"tau": 1.6, "beta": 0.72, "kind": "accuracy"}
        run = record(features=features, thresholds=THRESHOLDS | {"full": first, "accuracy": drop})
        table = of_chapter("gpt2-ag_news", [run]).set_index("id")["outcome"]
        for slug in ("tau-fe", "beta-fe", "feature", "extremum", "tau-other-feature"):
            assert table[f"gpt2-ag-news-{slug}"] == Outcome.HOLDS, slug
        assert table["gpt2-later-maximum"] == Outcome.HOLDS
        # On Yelp it takes the first, as everywhere.
        other = of_chapter("gpt2-yelp", [run]).set_index("id")["ours"]
        assert (other["gpt2-yelp-tau-fe"], other["gpt2-yelp-feature"]) == ("1", "valley")

    def test_seeds_need_three_and_equal_ones_are_stable(self):
        name = "mlp-cifar10-seeds-tau-fe"
        for number, outcome in ((2, Outcome.NOT_RUN), (3, Outcome.HOLDS)):
            table = of_chapter("mlp-cifar10", [record()] * number)
            assert row(table, name)["outcome"] == outcome


class TestIndependence:
    """Whether a claim holds and in which set-up it was asked are two questions."""

    RUNS = (
        record(),
        record(thresholds=APART, timings={"speedup": 0.5}),
        record(metrics={"test_accuracy": 0.3, "epochs": 12}, features=[]),
    )
    DIFFERENT: tuple[dict[str, Any], ...] = (
        {},
        {"differs": ["no pretrained weights: trained from scratch"]},
        {"differs": ["2,000 of the test images"], "stages": CPU},
        {"differs": ["who knows what"]},
    )

    @pytest.mark.parametrize("name", ["cnn-cifar10", "vit-flowers102"])
    def test_neither_moves_the_other(self, name):
        tables = [
            [of_chapter(name, [record(**{**run.result, **how})] * 3) for how in self.DIFFERENT]
            for run in self.RUNS
        ]
        rest = [c for c in tables[0][0].columns if c not in SETUP]
        for run in tables:
            for table in run[1:]:
                assert table[rest].equals(run[0][rest])
        for run in tables[1:]:
            for table, first in zip(run, tables[0], strict=True):
                assert table[SETUP].equals(first[SETUP])
        # All of it happens.
        both = {(o, s) for run in tables for t in run
                for o, s in zip(t["outcome"], t["setup"], strict=True)}  # fmt: skip
        assert both == {(o, s) for o in (Outcome.HOLDS, Outcome.FAILS) for s in Setup}

    def test_claims_about_several_chapters_too(self, whole):
        same = whole
        other = ledger(everywhere(vit_cifar10=[record(differs=["who knows what"])] * 3))
        assert same["outcome"].equals(other["outcome"])
        about = other["chapters"].map(lambda names: "vit-cifar10" in names)
        reads = other["id"].map({c.id: bool(MEASURES[c.measure].reads) for c in CLAIMS})
        assert set(other["setup"][about & reads]) == {Setup.OTHER}
        assert set(other["setup"][~about]) == {Setup.SAME}


class TestSetup:
    def test_what_differs_is_told_where_it_matters_and_elsewhere(self):
        run = record(differs=["2,000 of the test images"])
        table = of_chapter("cnn-cifar10", [run]).set_index("id")
        matter = {
            "tau-accuracy": True, "speedup": True, "tau-fe": False, "accuracy": False,
            "match": False, "precedes": True,
        }  # fmt: skip
        for slug, matters in matter.items():
            found = table.loc[f"cnn-cifar10-{slug}"]
            assert found["setup"] == (Setup.OTHER if matters else Setup.SAME), slug
            told, elsewhere = ("2,000 of the test images", "")[:: 1 if matters else -1]
            assert (found["differs"], found["differs elsewhere"]) == (told, elsewhere)

    def test_each_difference_is_named_once(self):
        runs = [record(differs=["a", "b"]), record(differs=["b", "c"])]
        assert set(of_chapter("cnn-cifar10", runs)["differs"]) == {"a; b; c"}

    def test_of_several_chapters_it_is_said_which_differ(self):
        table = ledger(
            everywhere(
                vit_cifar10=[record(differs=["a"])], vit_flowers102=[record(differs=["a", "b"])]
            )
        )
        found = row(table, "vit-valley")["differs"]
        assert found == "a (ViT on CIFAR-10, ViT on Flowers-102); b (ViT on Flowers-102)"

    @pytest.mark.parametrize(
        ("stages", "differs"),
        [
            (GPU, False),
            (CPU, True),
            ({**GPU, "full": CPU["full"]}, True),
            ({**GPU, "renormalized": CPU["renormalized"]}, True),
        ],
    )
    def test_a_processor_matters_to_times_only(self, stages, differs):
        table = of_chapter("cnn-cifar10", [record(stages=stages)])
        other = table[table["setup"] == Setup.OTHER]
        assert set(other["kind"]) == ({"speed"} if differs else set())
        assert (table["kind"] == "speed").sum() == (len(other) or 2)

    def test_that_entropy_never_falls_takes_no_set_up(self):
        """Fewer are left at a higher threshold, whatever was run."""
        table = ledger({name: [record(differs=["who knows what"])] for name in NAMES})
        assert row(table, "entropy")["setup"] == Setup.SAME
        assert set(table[table["id"] != "entropy"]["setup"]) <= {Setup.OTHER}


class TestPlacebo:
    @pytest.mark.parametrize("slug", ["precedes", "stable-before"])
    def test_what_any_early_threshold_satisfies_is_empty(self, slug):
        """Both hold before the accuracy falls, wherever F has a feature, and at the first point."""
        table = of_chapter("mlp-cifar10", [record()])
        found = row(table, f"mlp-cifar10-{slug}")
        assert found["outcome"] == Outcome.HOLDS
        assert found["first point"]
        assert found["placebo"]
        # It says nothing about F: where F has no feature at all the placebo is the same.
        nothing = row(of_chapter("mlp-cifar10", [without("full")]), f"mlp-cifar10-{slug}")
        assert (nothing["first point"], nothing["random"]) == (
            found["first point"], found["random"]
        )  # fmt: skip

    def test_a_drop_anywhere_later_would_be_empty_and_one_right_after_is_not(self):
        found = row(of_chapter("mlp-cifar10", [record()]), "mlp-cifar10-drop-after")
        assert found["outcome"] == Outcome.HOLDS
        assert found["first point"] is False
        # Of the twelve thresholds 0.5 to 6.0, those from 2.0 to 4.0 have a drop of 0.24 or more
        # up to twice as far, so that a random one rarely has.
        assert 0.2 < found["random"] < 0.6

    def test_a_placebo_that_holds_makes_no_outcome(self, whole):
        first = whole["first point"] == True  # noqa: E712
        assert set(zip(whole["outcome"], first, strict=True)) == {
            (o, f) for o in (Outcome.HOLDS, Outcome.FAILS) for f in (True, False)
        }

    def test_only_what_looks_at_the_threshold_has_one(self, whole):
        table = whole
        placed = table["id"].map({c.id: MEASURES[c.measure].placed for c in CLAIMS})
        assert (table["placebo"].notna() == placed).all()
        assert (table["random"].notna() == placed).all()
        assert table["random"].dropna().between(0, 1).all()

    def test_half_of_the_random_ones_are_enough(self, whole):
        known = whole[whole["placebo"].notna()]
        assert (known["random"] == 0.5).any()
        expected = (known["first point"] == True) | (known["random"] >= 0.5)  # noqa: E712
        assert (known["placebo"] == expected).all()

    def test_they_are_drawn_once_and_for_all(self):
        assert of_chapter("vit-cifar10", [record()]).equals(of_chapter("vit-cifar10", [record()]))

    def test_each_seed_and_each_chapter_has_draws_of_its_own(self):
        """With the same for all of them, thresholds at random would be stable over seeds."""
        table = of_chapter("mlp-cifar10", [record()] * 3)
        found = row(table, "mlp-cifar10-seeds-tau-fe")
        assert found["first point"]  # the same for all
        assert found["random"] < 0.2
        shares = {
            name: row(of_chapter(name, [record()]), f"{name}-precedes")["random"]
            for name in ("mlp-cifar10", "cnn-cifar10", "lstm-yelp", "bert-yelp")
        }
        assert len(set(shares.values())) > 1

    def test_too_few_seeds_have_none(self):
        found = row(of_chapter("mlp-cifar10", [record()]), "mlp-cifar10-seeds-tau-fe")
        assert found["placebo"] is None
        assert math.isnan(found["random"])


class TestCounts:
    TABLE = ledger({
        "cnn-cifar10": [record(stages=CPU)] * 3,
        "mlp-cifar10": [record(differs=["a"])],
    })  # fmt: skip

    def test_they_add_up_to_the_rows(self):
        table, found = self.TABLE, counts(self.TABLE)
        assert list(found.index) == [*KINDS, "all"]
        assert list(found.columns) == [*CELLS, "all"]
        for kind in (*KINDS, "all"):
            of_kind = table if kind == "all" else table[table["kind"] == kind]
            for name, (what, setup) in CELLS.items():
                number = sum(
                    o == what and (setup is None or s == setup)
                    for o, s in zip(of_kind["outcome"], of_kind["setup"], strict=True)
                )
                assert found.loc[kind, name] == number
            assert found.loc[kind, "all"] == len(of_kind)
        assert (found.loc["all"] > 0).all()

    def test_the_headline_counts_each_set_up_for_itself(self):
        rows = self.TABLE.to_dict("records")
        for setup, found in headline(self.TABLE).items():
            here = [r for r in rows if r["setup"] == setup]
            assert found.holds == sum(r["outcome"] == "holds" for r in here) > 0
            assert found.fails == sum(r["outcome"] == "fails" for r in here) > 0
            empty = [r for r in here if r["outcome"] == "holds" and r["placebo"]]
            assert found.empty == len(empty) > 0

    def test_what_does_not_occur_counts_nothing(self):
        found = counts(ledger({}))
        assert found.loc["all", "all"] == found.loc["all", "not run"] == len(CLAIMS)
        assert all(sum(part) == 0 for part in headline(ledger({})).values())
