"""The ledger: which records speak for a claim, what excuses them, and no work done twice."""

from __future__ import annotations

from collections import Counter

import pytest

from companion.paper import ledger as module
from companion.paper.claims import KINDS, claims
from companion.paper.ledger import counts, evaluated, ledger, of_chapter
from companion.paper.rules import VERDICTS, Verdict
from companion.runs.chapters import CHAPTERS
from tests.companion.paper.hand_record import at, record, without

CLAIMS = claims()
NAMES = [chapter.name for chapter in CHAPTERS]
RUN = record()
CPU = {
    "full": {"device": "CPU (x86_64), 1 threads", "attrs": {"baseline_accuracy": 0.8}},
    "renormalized": {"device": "CPU (x86_64), 1 threads", "attrs": {}},
}
GPU = {name: stage | {"device": "NVIDIA H100"} for name, stage in CPU.items()}


def everywhere(**chapters):
    """Three equal runs of every chapter, but for those given; ``_`` stands for the hyphen."""
    given = {name.replace("_", "-", 1): runs for name, runs in chapters.items()}
    return {name: given.get(name, [RUN] * 3) for name in NAMES}


def row(table, name):
    (found,) = table[table["id"] == name].to_dict("records")
    return found


@pytest.fixture
def measured(monkeypatch):
    """Counts how often each measure of each record is taken."""
    taken = Counter()
    measure = module.measure

    def counting(name, run):
        taken[name, id(run)] += 1
        return measure(name, run)

    monkeypatch.setattr(module, "measure", counting)
    return taken


class TestWork:
    def test_the_whole_ledger_takes_each_measure_of_each_record_once(self, measured):
        several = [record(), record(), record()]
        ledger(everywhere(vit_cifar10=several))
        assert set(measured.values()) == {1}
        assert {run for _, run in measured} == {id(run) for run in (RUN, *several)}

    def test_a_chapter_evaluates_its_own_claims_and_no_other(self, measured, monkeypatch):
        given = []
        verdict = module.verdict
        monkeypatch.setattr(
            module, "verdict", lambda *a, **k: given.append(verdict(*a, **k)) or given[-1]
        )
        table = of_chapter("vit-cifar10", [record(), record(), record()])
        own = [claim for claim in CLAIMS if claim.chapters == ("vit-cifar10",)]
        assert list(table["id"]) == [claim.id for claim in own]
        assert list(table["verdict"]) == given
        assert {name for name, _ in measured} == {claim.measure for claim in own}
        assert set(measured.values()) == {1}


class TestRecords:
    def test_without_records_nothing_was_run(self):
        table = ledger({})
        assert list(table["id"]) == [claim.id for claim in CLAIMS]
        assert set(table["verdict"]) == {Verdict.NOT_RUN}
        assert set(table["ours"]) == set(table["setup"]) == {""}

    def test_no_claims_make_an_empty_table(self):
        assert list(evaluated([], {}).columns) == list(ledger({}).columns)

    def test_synthetic_records_confirm_nothing(self):
        made_up = dict.fromkeys(NAMES, [record(synthetic=True)] * 3)
        assert set(ledger(made_up)["verdict"]) == {Verdict.NOT_RUN}
        mixed = of_chapter("mlp-cifar10", [record(synthetic=True), record()])
        alone = of_chapter("mlp-cifar10", [record()])
        assert mixed.equals(alone)

    def test_a_record_speaks_for_its_chapter_alone(self):
        table = ledger({"cnn-cifar10": [record()] * 3})
        run = table[table["verdict"] != Verdict.NOT_RUN]
        assert set(run["chapters"]) == {("cnn-cifar10",)}
        assert len(run) > 10
        assert (run["ours"] != "").all()

    def test_with_all_records_every_claim_has_a_verdict(self):
        assert Verdict.NOT_RUN not in set(ledger(everywhere())["verdict"])

    def test_a_claim_about_several_chapters_waits_for_all(self):
        found = row(ledger(everywhere(vit_cifar10=[])), "match-everywhere")
        assert found["verdict"] == Verdict.NOT_RUN
        assert found["ours"].split()[:3] == ["19", "of", "20"]
        assert row(ledger({}), "match-everywhere")["ours"] == ""


class TestChapter:
    def test_what_is_read_off_the_record_is_compared_with_the_paper(self):
        # In the paper: 0.76; 0.06 to 0.08 with 0.23 to 0.29; a peak at 0.02 to 0.04 with 0.04.
        fits = record(
            metrics={"test_accuracy": 0.76},
            thresholds={
                "accuracy": {"tau": 0.06, "beta": 0.23, "kind": "accuracy"},
                "full": {"tau": 0.04, "beta": 0.04, "kind": "peak"},
                "renormalized": None,
            },
            timings={"speedup": 7.11},
            match=True,
        )
        right = of_chapter("cnn-cifar10", [fits]).set_index("id")["verdict"]
        slow = record(timings={"speedup": 0.5})
        wrong = of_chapter("cnn-cifar10", [slow]).set_index("id")["verdict"]
        same = ("accuracy", "feature", "extremum", "precedes")
        other = ("tau-accuracy", "tau-fe", "beta-accuracy", "beta-fe", "speedup", "faster", "match")
        for slug in (*same, *other):
            assert right[f"cnn-cifar10-{slug}"] == Verdict.CONFIRMED, slug
        for slug in other:
            assert wrong[f"cnn-cifar10-{slug}"] == Verdict.NOT_CONFIRMED, slug

    def test_one_grid_step_is_the_step_of_the_record(self):
        # The paper has 0.36 to 0.40 for the accuracy of the MLP; a step of the record is 0.5.
        for tau, verdict in ((0.9, Verdict.CONFIRMED), (0.91, Verdict.NOT_CONFIRMED)):
            table = of_chapter("mlp-cifar10", [at("accuracy", tau=tau)])
            assert row(table, "mlp-cifar10-tau-accuracy")["verdict"] == verdict

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
            assert (found["ours"], found["verdict"]) == ("none found", Verdict.NOT_CONFIRMED)

    def test_seeds_are_averaged_and_words_counted(self):
        runs = [
            at("full", tau=tau, kind=kind)
            for tau, kind in ((0.02, "peak"), (0.03, "bend"), (0.04, "peak"))
        ]
        table = of_chapter("cnn-cifar10", runs)
        tau, feature = (row(table, f"cnn-cifar10-{slug}") for slug in ("tau-fe", "feature"))
        assert tau["ours"].startswith("0.03 ")
        assert tau["verdict"] == feature["verdict"] == Verdict.CONFIRMED
        assert feature["ours"].split(", ") == ["peak", "bend", "peak"]

    def test_seeds_need_three_and_equal_ones_are_stable(self):
        name = "mlp-cifar10-seeds-tau-fe"
        for number, verdict in ((2, Verdict.NOT_RUN), (3, Verdict.CONFIRMED)):
            table = of_chapter("mlp-cifar10", [record()] * number)
            assert row(table, name)["verdict"] == verdict


class TestExcuses:
    def test_a_difference_excuses_what_fails_and_nothing_else(self):
        before = of_chapter("cnn-cifar10", [record()])
        after = of_chapter("cnn-cifar10", [record(differs=["no pretrained weights"])])
        assert Verdict.NOT_CONFIRMED in set(before["verdict"])
        expected = before["verdict"].replace(Verdict.NOT_CONFIRMED, Verdict.DIFFERS)
        assert list(after["verdict"]) == list(expected)
        assert set(before["setup"]) == {""}
        assert set(after["setup"]) == {"no pretrained weights"}

    def test_each_difference_is_named_once(self):
        runs = [record(differs=["a", "b"]), record(differs=["b", "c"])]
        assert set(of_chapter("cnn-cifar10", runs)["setup"]) == {"a; b; c"}

    def test_of_several_chapters_it_is_said_which_differ(self):
        table = ledger(
            everywhere(
                vit_cifar10=[record(differs=["a"])], vit_flowers102=[record(differs=["a", "b"])]
            )
        )
        setup = row(table, "vit-valley")["setup"]
        assert setup == "a (vit-cifar10, vit-flowers102); b (vit-flowers102)"

    @pytest.mark.parametrize(
        ("stages", "excused"),
        [
            (GPU, False),
            (CPU, True),
            ({**GPU, "full": CPU["full"]}, True),
            ({**GPU, "renormalized": CPU["renormalized"]}, True),
        ],
    )
    def test_a_processor_excuses_times_only(self, stages, excused):
        table = of_chapter("cnn-cifar10", [record(stages=stages)])
        noted = table[table["setup"] != ""]
        assert set(noted["kind"]) == ({"speed"} if excused else set())
        timed = table[table["kind"] == "speed"]
        assert (Verdict.DIFFERS in set(timed["verdict"])) == excused

    def test_one_failure_without_excuse_refutes_a_claim_about_all(self):
        good, bad = record(match=True), record(match=False)
        excused = record(match=False, differs=["another checkpoint"])

        def verdict(**found):
            runs = {name: [good] for name in NAMES} | found
            return row(ledger(runs), "match-everywhere")["verdict"]

        assert verdict() == Verdict.CONFIRMED
        assert verdict(**{"vit-cifar10": [excused]}) == Verdict.DIFFERS
        assert verdict(**{"vit-cifar10": [excused], "t5-yelp": [bad]}) == Verdict.NOT_CONFIRMED


class TestCounts:
    def test_they_add_up_to_the_rows(self):
        table = ledger({"cnn-cifar10": [record()], "mlp-cifar10": [record(differs=["a"])]})
        found = counts(table)
        assert list(found.index) == [*KINDS, "all"]
        assert list(found.columns) == [*VERDICTS, "all"]
        for kind in KINDS:
            for verdict in VERDICTS:
                number = ((table["kind"] == kind) & (table["verdict"] == verdict)).sum()
                assert found.loc[kind, verdict] == number
            assert found.loc[kind, "all"] == (table["kind"] == kind).sum()
        for verdict in VERDICTS:
            assert found.loc["all", verdict] == (table["verdict"] == verdict).sum() > 0
        assert found.loc["all", "all"] == len(table)

    def test_verdicts_that_do_not_occur_count_nothing(self):
        found = counts(ledger({}))
        assert found[Verdict.CONFIRMED].sum() == 0
        assert found.loc["all", Verdict.NOT_RUN] == len(CLAIMS)
