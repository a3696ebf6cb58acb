"""When a value agrees: every rule just inside and just outside of its limits; and the outcomes."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion.paper.claims import claims
from companion.paper.rules import OUTCOMES, RULES, Outcome, Stated, agrees, outcome, rule_text
from thermo_utils.errors import ThermoError

#: Rules whose tolerance is around the paper's number.
AROUND = ("within", "step", "factor")
NUMBERS = st.floats(0.01, 100)
INF, NAN = math.inf, math.nan


def stated(low, high=None, word=""):
    return Stated(low, low if high is None else high, word, "", "")


@pytest.mark.parametrize(
    ("rule", "paper", "inside", "outside"),
    [
        # Limits, here 0.15 to 0.45, are inside; rounding is forgiven.
        ("within 0.05", (0.2, 0.4), (0.15, 0.1501, 0.3, 0.45, 0.3 + 0.15), (0.1499, 0.4501)),
        ("within 0.05", (0.2, INF), (0.15, 1e9), (0.1499,)),
        ("within 0", (0.2, 0.2), (0.2, 0.1 + 0.1), (0.199, 0.201)),
        # A share of each end of the range: 0.8 to 2.4.
        ("step 0.2", (1.0, 2.0), (0.8, 2.4), (0.799, 2.401)),
        ("step 0.2", (1.0, INF), (0.8, 1e9), (0.799,)),
        # Whatever the paper says.
        ("at least 0.3", (0.9, 0.9), (0.3, 0.1 + 0.2, 5.0), (0.2999, -1.0)),
        ("at most 0.3", (0.9, 0.9), (0.3, 0.1 + 0.2, -5.0), (0.3001,)),
        ("at most -3", (NAN, NAN), (-3.0, -4.0), (-2.999, 3.0)),
        ("below 0", (NAN, NAN), (-1e-12, -1.0), (0.0, 1e-12)),
        # Half of the lower end to twice the upper.
        ("factor 2", (4.0, 19.0), (2.0, 38.0, 10.0), (1.999, 38.001)),
        ("factor 2", (0.1, 0.1), (0.05, 0.2), (0.0499, 0.2001)),
        ("factor 2", (4.0, INF), (2.0, 1e9), (1.999,)),
    ],
)
def test_limits(rule, paper, inside, outside):
    for value in inside:
        assert agrees(rule, value, stated(*paper))
    for value in outside:
        assert not agrees(rule, value, stated(*paper))


def test_one_grid_step_counts_where_it_is_more_than_the_share():
    for value, expected in ((0.5, True), (0.499, False), (2.5, True), (2.501, False)):
        assert agrees("step 0.2", value, stated(1.0, 2.0), step=0.5) is expected
    # Above, the share of the upper end is more than the step; below, the step is more.
    for value, expected in ((0.7, True), (0.699, False), (2.4, True), (2.401, False)):
        assert agrees("step 0.2", value, stated(1.0, 2.0), step=0.3) is expected


@pytest.mark.parametrize("rule", ["within 0.05", "factor 2", "at least 1", "at most 1", "below 1"])
@given(value=NUMBERS, low=NUMBERS, step=NUMBERS)
def test_other_rules_know_no_step(rule, value, low, step):
    assert agrees(rule, value, stated(low), step) == agrees(rule, value, stated(low))


def test_words():
    assert agrees("same", "yes", stated(NAN, NAN, "yes"))
    assert not agrees("same", "no", stated(NAN, NAN, "yes"))
    assert not agrees("same", "yes", stated(1.0))


@pytest.mark.parametrize("name", RULES)
def test_nothing_agrees_with_nothing_and_words_never_with_numbers(name):
    rule = name if name == "same" else f"{name} 1"
    both = Stated(1, 1, "yes", "", "")
    assert not agrees(rule, None, both)
    assert not agrees(rule, 1.0 if name == "same" else "yes", both)


@given(value=NUMBERS, low=NUMBERS, width=NUMBERS, p=NUMBERS, more=NUMBERS, step=NUMBERS)
def test_more_tolerance_never_loses_agreement(value, low, width, p, more, step):
    paper = stated(low, low + width)
    for name in AROUND:
        p_ = p + 1 if name == "factor" else p
        if agrees(f"{name} {p_}", value, paper, step):
            assert agrees(f"{name} {p_ + more}", value, paper, step)
            assert agrees(f"{name} {p_}", value, paper, step + more)
    for name in ("at most", "below"):
        if agrees(f"{name} {p}", value, paper):
            assert agrees(f"{name} {p + more}", value, paper)
    if agrees(f"at least {p + more}", value, paper):
        assert agrees(f"at least {p}", value, paper)


@given(low=NUMBERS, width=NUMBERS, share=st.floats(0, 1))
def test_whatever_lies_in_the_stated_range_agrees(low, width, share):
    for rule in ("within 0", "step 0", "factor 1"):
        assert agrees(rule, low + share * width, stated(low, low + width))


def test_the_papers_own_numbers_and_words_agree():
    for claim in claims():
        for version in claim.stated:
            if claim.rule == "same":
                assert agrees("same", version.word, version)
            elif claim.rule.startswith(AROUND) and version.low == version.low:
                assert agrees(claim.rule, version.low, version)
                assert agrees(claim.rule, min(version.high, 1e9), version)


@pytest.mark.parametrize("rule", ["near 0.05", "within", "same 3", "", "within x"])
def test_unknown_rules_are_refused(rule):
    for refuse in (lambda: agrees(rule, 1.0, stated(1.0)), lambda: rule_text(rule)):
        with pytest.raises(ThermoError, match="rule"):
            refuse()


def test_a_rule_without_its_number_names_what_stands_there():
    with pytest.raises(ThermoError, match="'x'"):
        rule_text("within x")
    with pytest.raises(ThermoError, match="'within'"):
        rule_text("within")
    with pytest.raises(ThermoError, match="at least"):  # the nearest
        rule_text("at leas 1")


@pytest.mark.parametrize(
    ("rule", "numbers"),
    [("step 0.2", "20%"), ("within 0.05", "0.05"), ("factor 2", "2"), ("at most -3", "-3")],
)
def test_the_text_of_a_rule_shows_its_number(rule, numbers):
    assert numbers in rule_text(rule).split(" ")


def test_the_text_of_a_version():
    assert stated(0.36, 0.4).text == "0.36-0.4"
    assert stated(0.12).text == "0.12"
    assert stated(NAN, NAN, "peak").text == "peak"
    assert stated(550, 550, "up to").text == "up to 550"
    assert stated(0.3, INF).text == "at least 0.3"


@pytest.mark.parametrize(
    ("agreed", "expected"),
    [(None, Outcome.NOT_RUN), (True, Outcome.HOLDS), (False, Outcome.FAILS)],
)
def test_outcomes(agreed, expected):
    assert outcome(agreed) is expected


def test_every_outcome_has_a_meaning():
    assert set(OUTCOMES) == set(Outcome)
    assert all(OUTCOMES.values())


@pytest.mark.parametrize("rule", ["within 1", "step 1", "factor 2", "at most 9", "below 9"])
def test_what_is_never_reached_is_near_no_number_and_below_none(rule):
    assert not agrees(rule, INF, stated(1.0))
    assert agrees("at least 9", INF, stated(1.0))
