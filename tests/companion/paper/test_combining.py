"""How seeds and chapters are combined: every way, at its limits, on claims made by hand."""

from __future__ import annotations

import math
import re

import pytest

from companion.paper.claims import OVER, Claim
from companion.paper.combining import LEAST_SEEDS, WAYS, Runs
from companion.paper.rules import Stated

NAN, INF = math.nan, math.inf


def numbers(text):
    """All numbers in a text, in order."""
    return [float(found) for found in re.findall(r"-?\d+(?:\.\d+)?", text)]


def answer(over, rule, seeds, *stated, same=(), groups=None, steps=0.0, of="gap"):
    """What runs with these values of a measure say; each chapter has a list of seeds, or one.

    Networks are named a, b and so on; all are on the data ``x``.
    """
    groups = [[f"{n}-x" for n in group] for group in groups or (tuple(seeds),)]
    lists = {f"{n}-x": f if isinstance(f, list) else [f] for n, f in seeds.items()}
    versions = tuple(
        Stated(NAN, NAN, value, f"place {k}", "")
        if isinstance(value, str)
        else Stated(value, value, "", f"place {k}", "")
        for k, value in enumerate(stated or ("?",))
    )
    claim = Claim("", "", "", tuple(map(tuple, groups)), over, of, rule, versions)
    runs = Runs(lists, dict.fromkeys(lists, steps), [f"{n}-x" for n in same])
    return WAYS[over](claim, runs)


def four(*values):
    return dict(zip("abcd", values, strict=True))


def test_there_is_one_function_for_each_way():
    assert set(WAYS) == set(OVER)


class TestOneChapter:
    def test_the_value_is_compared_with_every_version(self):
        found = answer("one", "within 0.05", {"a": 0.3}, 0.34, 0.5, 0.26)
        assert found.agreed
        assert found.places == ("place 0", "place 2")
        assert found.ours == "0.3"

    def test_no_version_agrees(self):
        found = answer("one", "within 0.05", {"a": 0.3}, 0.5, 0.6)
        assert (found.agreed, found.places) == (False, ())

    def test_the_grid_step_reaches_the_rule(self):
        assert not answer("one", "step 0.2", {"a": 0.3}, 0.2).agreed
        assert answer("one", "step 0.2", {"a": 0.3}, 0.2, steps=0.1).agreed

    def test_seeds_are_averaged(self):
        found = answer("one", "within 0.001", {"a": [0.1, 0.2, 0.6]}, 0.3)
        assert found.agreed
        assert numbers(found.ours) == [0.3, 0.1, 0.2, 0.6]

    def test_equal_seeds_are_said_once(self):
        assert numbers(answer("one", "within 0", {"a": [0.1] * 5}, 0.1).ours) == [0.1, 5]

    @pytest.mark.parametrize(
        ("seeds", "agreed"),
        [
            (["peak", "bend", "peak"], True),
            (["peak", "bend"], False),  # half is not more than half
            (["peak", None, "peak"], True),
            (["peak", "peak", "bend", None], False),
            (["bend", "peak", "peak", "peak"], True),
        ],
    )
    def test_a_word_takes_more_than_half_of_the_seeds(self, seeds, agreed):
        found = answer("one", "same", {"a": seeds}, "peak")
        assert found.agreed is agreed
        assert found.ours.split(", ") == [seed or "none found" for seed in seeds]

    @pytest.mark.parametrize(
        ("seeds", "agreed"),
        [
            ([0.3, None, 0.3], True),
            ([0.3, None], False),  # half is not more than half
            ([None], False),
            ([None, None, 0.3], False),
        ],
    )
    def test_a_number_takes_more_than_half_of_the_seeds(self, seeds, agreed):
        assert answer("one", "within 0", {"a": seeds}, 0.3).agreed is agreed


class TestSeeds:
    def test_the_spread_is_the_standard_deviation_over_the_mean(self):
        # Deviations -1, 0, 1 about 10: a sample variance of 1.
        inside = answer("seeds", "at most 0.1", {"a": [9.0, 10.0, 11.0]})
        assert inside.agreed
        assert numbers(inside.ours) == [0.1, 9, 10, 11]
        assert not answer("seeds", "at most 0.0999", {"a": [9.0, 10.0, 11.0]}).agreed

    @pytest.mark.parametrize("number", range(1, LEAST_SEEDS))
    def test_fewer_seeds_say_nothing(self, number):
        found = answer("seeds", "at most 1", {"a": [1.0] * number})
        assert found.agreed is None
        assert numbers(found.ours) == [number, LEAST_SEEDS]
        assert ("seeds run" in found.ours) == (number > 1)

    def test_just_enough_seeds_do(self):
        assert answer("seeds", "at most 1", {"a": [1.0] * LEAST_SEEDS}).agreed

    @pytest.mark.parametrize("seeds", [[1.0, 1.0, 1.0, None], [0.0] * 3, ["yes"] * 3])
    def test_without_a_number_for_every_seed_or_a_mean_there_is_no_spread(self, seeds):
        assert answer("seeds", "at most 9", {"a": seeds}).agreed is False


class TestCounting:
    @pytest.mark.parametrize(
        ("good", "every", "most"),
        [(4, True, True), (3, False, True), (2, False, False), (0, False, False)],
    )
    def test_all_takes_every_chapter_and_most_more_than_half(self, good, every, most):
        values = four(*[1.0] * good, *[5.0] * (4 - good))
        for over, expected in (("all", every), ("most", most)):
            found = answer(over, "at most 2", values, "?", "??")
            assert found.agreed is expected
            assert found.places == (("place 0", "place 1") if expected else ())
            assert numbers(found.ours)[:2] == [good, 4]

    def test_most_of_three_are_two(self):
        assert answer("most", "at most 2", {"a": 1.0, "b": 1.0, "c": 5.0}).agreed
        assert not answer("most", "at most 2", {"a": 1.0, "b": 5.0, "c": 5.0}).agreed

    def test_any_version_will_do(self):
        assert answer("all", "within 0.1", {"a": 1.0, "b": 2.0}, 1.0, 2.0).agreed

    def test_the_grid_step_reaches_the_rule(self):
        assert not answer("all", "step 0.2", {"a": 0.3, "b": 0.2}, 0.2).agreed
        assert answer("all", "step 0.2", {"a": 0.3, "b": 0.2}, 0.2, steps=0.1).agreed

    @pytest.mark.parametrize("over", ["all", "most"])
    @pytest.mark.parametrize(
        ("same", "told"), [("", None), ("abcd", None), ("bc", (1, 2)), ("d", (0, 1))]
    )
    def test_those_with_the_papers_set_up_are_counted_apart_and_decide_nothing(
        self, over, same, told
    ):
        values = four(1.0, 1.0, 5.0, 6.0)
        found = answer(over, "at most 2", values, same=same)
        alone = answer(over, "at most 2", values)
        assert (found.agreed, found.places) == (alone.agreed, alone.places)
        rest = found.ours.removeprefix(alone.ours)
        assert numbers(rest) == ([] if told is None else list(told))

    @pytest.mark.parametrize(("good", "named"), [(4, 0), (3, 1), (1, 3), (0, 0)])
    def test_up_to_three_that_fail_are_named_with_their_values(self, good, named):
        values = four(*[1.0] * good, *[5.5] * (4 - good))
        found = answer("all", "at most 2", values)
        assert found.ours.count("(5.5)") == named
        assert [name for name in "abcd" if f"{name} on x (" in found.ours] == list("abcd")[
            4 - named :
        ]


class TestLess:
    GROUPS = (("a", "b"), ("c", "d"))

    def test_means_of_the_groups_are_subtracted(self):
        found = answer("less", "below 0", four(1.0, 3.0, 2.0, 4.0), groups=self.GROUPS)
        assert found.agreed  # 2 less 3
        assert numbers(found.ours) == [2, 3]
        assert answer("less", "at most -1", four(1.0, 3.0, 2.0, 4.0), groups=self.GROUPS).agreed
        assert not answer("less", "below 0", four(2.0, 4.0, 1.0, 3.0), groups=self.GROUPS).agreed
        assert not answer("less", "below 0", four(1.0, 3.0, 1.0, 3.0), groups=self.GROUPS).agreed

    def test_chapters_without_the_measure_are_left_out_and_counted(self):
        found = answer("less", "below 0", four(1.0, None, 2.0, 4.0), groups=self.GROUPS)
        assert found.agreed
        assert numbers(found.ours) == [1, 3, 1, 4]

    @pytest.mark.parametrize("values", [(None, None, 2.0, 4.0), (1.0, 1.0, None, "yes")])
    def test_an_empty_group_agrees_with_nothing(self, values):
        found = answer("less", "at most 9", four(*values), groups=self.GROUPS)
        assert (found.agreed, numbers(found.ours)) == (False, [])

    @pytest.mark.parametrize(
        ("values", "agreed"),
        [
            ((1.0, 3.0, INF, INF), True),  # whatever is reached is below what is not
            ((1.0, 3.0, 4.0, INF), True),
            ((1.0, INF, 2.0, 4.0), False),  # not the 1 that is left without what is not reached
            ((INF, INF, 2.0, 4.0), False),
            ((INF, INF, INF, INF), False),  # cannot be told
        ],
    )
    def test_what_is_never_reached_is_infinite_and_not_left_out(self, values, agreed):
        found = answer("less", "below 0", four(*values), groups=self.GROUPS, of="fall width")
        assert found.agreed is agreed
        assert "without" not in found.ours

    def test_one_seed_in_three_that_does_not_reach_it_does_not_decide(self):
        values = {"a": [1.0, INF, 2.0], "b": 3.0}
        groups = (("a",), ("b",))
        assert answer("less", "at most -1", values, groups=groups, of="fall width").agreed
        two = {"a": [1.0, INF, INF], "b": 3.0}
        assert not answer("less", "at most 9", two, groups=groups, of="fall width").agreed


class TestExtremes:
    def test_the_spread_is_the_largest_less_the_smallest(self):
        found = answer("spread", "at most 3", four(2.0, 5.0, 3.0, 4.0))
        assert found.agreed
        assert numbers(found.ours) == [3, 2, 5, 3, 4]
        assert not answer("spread", "at most 2.9", four(2.0, 5.0, 3.0, 4.0)).agreed
        assert answer("spread", "at least 3", four(2.0, 5.0, 3.0, 4.0)).agreed

    def test_the_largest(self):
        found = answer("largest", "factor 2", four(2.0, 5.0, 3.0, 4.0), 10.0)
        assert found.agreed
        assert numbers(found.ours) == [5, 2, 5, 3, 4]
        assert not answer("largest", "factor 2", four(2.0, 4.9, 3.0, 4.0), 10.0).agreed

    @pytest.mark.parametrize("over", ["spread", "largest"])
    def test_a_chapter_without_the_measure_agrees_with_nothing(self, over):
        found = answer(over, "at most 9", four(2.0, 5.0, None, 4.0))
        assert found.agreed is False
        assert numbers(found.ours) == [2, 5, 4]


class TestAlike:
    @pytest.mark.parametrize(
        ("values", "word"),
        [
            (("peak",) * 4, "the same"),
            (("peak", "peak", "peak", "bend"), "differs"),
            (("peak", "peak", "peak", None), None),
            ((None,) * 4, None),
        ],
    )
    def test_the_same_in_all_or_not(self, values, word):
        for over, said in (("alike", "the same"), ("unlike", "differs")):
            found = answer(over, "same", four(*values), said)
            assert found.agreed is (word == said)
            assert found.ours.split(", ") == [value or "none found" for value in values]


class TestSigned:
    """Numbers with a sign: each seed for itself."""

    @pytest.mark.parametrize(
        ("seeds", "agreed"),
        [
            ([-16.0, 10.0, -2.0], False),  # the mean is below 0
            ([-16.0, 1.0, -2.0], True),
            ([1.0, 1.1, 1.0], False),
            ([-16.0, None, -2.0], True),  # more than half have one
            ([-16.0, None], False),
            ([None, None, -2.0], False),
        ],
    )
    def test_early_ones_do_not_make_up_for_late_ones(self, seeds, agreed):
        assert answer("one", "at most 1", {"a": seeds}, of="lag").agreed is agreed
        for over in ("all", "most"):
            assert answer(over, "at most 1", {"a": seeds}, of="lag").agreed is agreed

    def test_without_a_sign_the_mean_counts(self):
        assert answer("one", "at most 1", {"a": [-16.0, 10.0, -2.0]}, of="gap").agreed

    def test_they_are_shown_without_a_mean(self):
        found = answer("one", "at most 1", {"a": [-16.0, 10.0, -2.0]}, of="lag")
        assert found.ours == "-16, 10, -2"
