"""Every measure on one small record, with the values computed by hand; and where there is none."""

from __future__ import annotations

import pytest

from companion.paper.claims import claims
from companion.paper.measures import MEASURES, TIMED, measure
from tests.companion.paper.hand_record import FAST, FEATURES, FULL, NAN, at, curve, record, without
from thermo_utils.errors import ThermoError

#: What each measure of the record in ``hand_record.py`` is, by hand.
EXPECTED = {
    "tau accuracy": 3.0,
    "tau full": 2.0,
    "tau renormalized": 2.75,
    "beta accuracy": 0.40,
    "beta full": 0.22,
    "beta renormalized": 0.27,
    "accuracy": 0.8,
    "lowest accuracy": 0.20,  # at tau 5
    "recovered accuracy": 0.24,  # at tau 5.5, the highest after the lowest
    "tau of lowest accuracy": 5.0,
    "beta of lowest accuracy": 0.72,
    # Half-way between 0.80 and 0.20 is 0.50, a fifth of the way from 0.54 at 4 to 0.34 at 4.5.
    "tau half-way down": 4.1,
    "feature": "peak",
    "features": "valley, peak, bend, valley",
    "feature at drop": "bend",  # beta 0.48 is 0.08 from 0.40; the peak is 0.18 away
    "valley then peak": "yes",
    "extremum": "yes",
    "sign change": "yes",  # from 0.2 at tau 1.5 to -0.1 at 2.5, a step around 2
    "tau of first valley": 1.0,
    "beta of first valley": 0.10,
    "ratio of times": 3.2,
    "faster": "faster",
    "match": "no",
    "lag": -2.0,  # (2.0 - 3.0) / 0.5: FE comes two steps early
    "gap": 0.18,  # 0.40 - 0.22
    "RFE gap": 0.13,  # 0.40 - 0.27
    "RFE lag": 1.5,  # (2.75 - 2.0) / 0.5
    "variation": 0.03,  # 0.83 at tau 1 against 0.80, up to tau 2
    "drop": 0.75,  # 1 - 0.20 / 0.80, beyond tau 2
    "lost at feature": 0.02,  # 0.80 - 0.78 at tau 2
    # 0.95 of 0.8 is 0.76, half-way from 0.78 at 0.22 to 0.74 at 0.30: 0.26.
    # 0.70 of 0.8 is 0.56, eight tenths of the way from 0.64 at 0.48 to 0.54 at 0.56: 0.544.
    "fall width": 0.284,
    # At 1, 2, 3, 4: F of 1, 3, 2, 4 against 1.1, 2.2, 3.3, 4.4. About their means, in units of
    # half: -3, 1, -1, 3 against -3, -1, 1, 3, which gives 16 / 20.
    "shape": 0.8,
    # At 1, 2, 3: 0.4, 0.1, -0.2 against 0.1, 0.3, 0.2. About their means 3, 0, -3 against
    # -1, 1, 0, which gives -3 / sqrt(18 * 2).
    "shape of derivative": -0.5,
    # Distances 0.1, 0.8, 1.3, 0.4 over the range of F, 4 - 1.
    "largest distance": 1.3 / 3,
    "vertical shift": 0.6 / 3,
    "entropy falls": "no",
}


def approx(value):
    return pytest.approx(value, abs=1e-9) if isinstance(value, float) else value


@pytest.mark.parametrize("name", MEASURES)
def test_every_measure_by_hand(name):
    assert measure(name, record()) == approx(EXPECTED[name])


def test_the_table_and_the_claims_use_every_measure_and_no_other():
    assert set(EXPECTED) == set(MEASURES)
    assert {claim.measure for claim in claims()} == set(MEASURES)
    assert {name for name in MEASURES if claims_of_speed(name)} == TIMED


def claims_of_speed(name):
    return any(claim.kind == "speed" for claim in claims() if claim.measure == name)


def test_an_unknown_measure_is_refused_with_the_nearest():
    with pytest.raises(ThermoError, match="'tau full'"):
        measure("tau ful", record())


@pytest.mark.parametrize(
    ("method", "names"),
    {
        "accuracy": ("tau accuracy", "beta accuracy", "gap", "RFE gap", "feature at drop"),
        "full": (
            "tau full", "beta full", "feature", "lag", "gap", "RFE lag", "variation", "drop",
            "lost at feature",
        ),
        "renormalized": ("tau renormalized", "beta renormalized", "RFE gap", "RFE lag"),
    }.items(),
)  # fmt: skip
def test_without_a_threshold_there_is_nothing_to_measure(method, names):
    for name in MEASURES:
        known = ("lag",) if method == "accuracy" else ("extremum", "sign change")
        if name not in known:
            assert (measure(name, without(method)) is None) == (name in names), name


def test_without_a_feature_the_answers_in_words_are_no():
    assert measure("extremum", without("full")) == "no"
    assert measure("sign change", without("full")) == "no"


def test_the_lag_of_an_accuracy_that_never_falls_counts_to_the_end_of_the_grid():
    assert measure("lag", without("accuracy")) == -8.0  # (2 - 6) / 0.5


def test_the_lag_is_positive_where_the_feature_comes_late():
    assert measure("lag", at("full", tau=4.5)) == 3.0


def test_the_lag_is_free_of_rounding():
    assert measure("lag", at("full", tau=3.0 + 0.5 + 1e-9)) == 1.0
    assert measure("lag", at("full", tau=3.0 + 1e-3)) == 0.002


def test_gaps_have_no_sign():
    assert measure("gap", at("full", beta=0.58)) == approx(0.18)
    assert measure("RFE gap", at("renormalized", beta=0.53)) == approx(0.13)


def test_without_features_no_kind_is_found():
    for name in ("features", "feature at drop", "tau of first valley", "beta of first valley"):
        assert measure(name, record(features=FEATURES[-1:])) is None  # one of RFE does not count
    assert measure("valley then peak", record(features=[])) == "no"


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ("valley peak", "yes"),
        ("valley bend peak", "yes"),
        ("peak valley peak", "yes"),
        ("peak valley", "no"),
        ("valley", "no"),
        ("peak peak", "no"),
    ],
)
def test_a_peak_counts_only_after_a_valley(kinds, expected):
    features = [FEATURES[0] | {"kind": kind} for kind in kinds.split()]
    assert measure("valley then peak", record(features=features)) == expected


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("peak", "yes"), ("valley", "yes"), ("bend", "no"), ("inflection", "no")],
)
def test_extrema_are_peaks_and_valleys(kind, expected):
    assert measure("extremum", at("full", kind=kind)) == expected


@pytest.mark.parametrize(
    ("slopes", "expected"),
    [
        ({2.5: 0.1}, "no"),  # the change from 0.1 to -0.2 is beyond one step
        ({2.5: 0.1, 1.5: -0.1}, "yes"),  # from below
        ({2.5: 0.0}, "yes"),  # it vanishes
        ({1.5: -0.1, 2.0: -0.1}, "no"),
        ({1.5: 0.0, 2.0: -0.1}, "yes"),
        ({1.5: NAN, 2.0: -0.1}, "no"),
        ({1.5: NAN, 2.0: NAN, 2.5: NAN}, "no"),
    ],
)
def test_the_sign_of_the_slope_counts_within_one_step(slopes, expected):
    assert measure("sign change", record(curve(dF_dtau=slopes))) == expected


def test_where_accuracy_never_falls_there_is_no_width_and_no_half_way():
    flat = record(curve(accuracy=0.8))
    assert measure("fall width", flat) is None
    assert measure("tau half-way down", flat) is None  # half-way to 0.8 is never passed
    assert measure("drop", flat) == approx(0.0)
    assert measure("fall width", record(curve(accuracy=0.57))) is None  # to 0.57, not to 0.56


def test_a_fall_before_the_first_threshold_is_measured_from_the_unpruned_network():
    # From 0.8 at 0 to 0.2 at 0.05: 0.76 a fifteenth of the way, 0.56 six fifteenths.
    sudden = record(curve(accuracy=0.2))
    assert measure("fall width", sudden) == approx(0.05 * (6 - 1) / 15)
    assert measure("tau half-way down", sudden) == approx(0.25)


def test_a_recovery_does_not_undo_a_fall():
    recovered = record(curve(accuracy={5.5: 0.9}))
    assert measure("tau half-way down", recovered) == approx(4.1)
    assert measure("recovered accuracy", recovered) == 0.9


def test_an_accuracy_of_just_the_share_has_not_fallen_yet():
    # 0.56 at tau 3.5 is 0.70 of 0.8 exactly; the fall is placed there from both sides.
    assert measure("fall width", record(curve(accuracy={3.5: 0.56}))) == approx(0.48 - 0.26)


def test_the_lowest_accuracy_is_the_first_of_equals():
    assert measure("tau of lowest accuracy", record(curve(accuracy={6.0: 0.2}))) == 5.0


def test_a_drop_is_compared_with_the_unpruned_network():
    other = record(metrics={"test_accuracy": 0.5})
    assert measure("drop", other) == approx(1 - 0.2 / 0.5)
    assert measure("variation", other) == approx(0.33)
    assert measure("lost at feature", other) == approx(0.5 - 0.78)


def test_the_threshold_itself_counts_as_before():
    # At 5, the lowest accuracy: it belongs to the variation up to the feature, not to the drop.
    late = at("full", tau=5.0)
    assert measure("variation", late) == approx(0.6)
    assert measure("drop", late) == approx(1 - 0.22 / 0.8)
    rounded = at("full", tau=5.0 * (1 - 1e-12))
    assert measure("variation", rounded) == approx(0.6)
    assert measure("drop", rounded) == approx(1 - 0.22 / 0.8)
    early = at("full", tau=4.99)
    assert measure("variation", early) == approx(0.8 - 0.34)
    assert measure("drop", early) == approx(0.75)


def test_nothing_lies_beyond_a_feature_at_the_end():
    assert measure("drop", at("full", tau=6.0)) is None


def test_the_loss_at_a_feature_is_read_at_the_nearest_threshold():
    assert measure("lost at feature", at("full", tau=3.2)) == approx(0.1)
    assert measure("lost at feature", at("full", tau=3.3)) == approx(0.16)


@pytest.mark.parametrize(("ratio", "word"), [(1.01, "faster"), (1.0, "slower"), (0.5, "slower")])
def test_only_a_ratio_above_one_is_faster(ratio, word):
    assert measure("faster", record(timings={"speedup": ratio})) == word


def test_a_match_is_a_word():
    assert measure("match", record(match=True)) == "yes"


@pytest.mark.parametrize(
    ("entropy", "expected"),
    [
        ({0.5: 2.0}, "yes"),
        ({5.5: 0.05}, "no"),
        ({5.5: 0.04}, "yes"),  # the last, not the one before
        ({0.5: 0.12}, "no"),  # nor the second
        ({0.5: NAN, 1.0: 1.7}, "yes"),
    ],
)
def test_entropy_falls_where_the_last_known_is_below_the_first(entropy, expected):
    assert measure("entropy falls", record(curve(entropy=entropy))) == expected


class TestTwoCurves:
    def test_three_thresholds_in_common_are_enough_and_two_are_not(self):
        three, two = FAST[FAST["tau"] <= 3], FAST[FAST["tau"] <= 2]
        # 1, 3, 2 against 1.1, 2.2, 3.3: -1, 1, 0 against -1, 0, 1 gives 1/2.
        assert measure("shape", record(fast=three)) == approx(0.5)
        assert measure("largest distance", record(fast=three)) == approx(1.3 / 2)
        for name in ("shape", "shape of derivative", "largest distance", "vertical shift"):
            assert measure(name, record(fast=two)) is None

    @pytest.mark.parametrize(("beta", "counts"), [(0.985, True), (0.9851, False)])
    def test_nearly_empty_networks_do_not_count_in_either_curve(self, beta, counts):
        full = record(curve(beta={3.0: beta}))
        fast = record(fast=FAST.assign(beta=FAST["beta"].where(FAST["tau"] != 3.0, beta)))
        for changed in (full, fast):
            assert measure("largest distance", changed) == approx((1.3 if counts else 0.8) / 3)

    def test_constant_curves_have_no_shape(self):
        flat = FULL.assign(free_energy=2.0)
        assert measure("shape", record(flat)) is None
        assert measure("largest distance", record(flat)) is None
        assert measure("shape", record(fast=FAST.assign(free_energy=2.0))) is None
        # Distances 1, 1, 0, 2 over 3.
        constant = record(fast=FAST.assign(free_energy=2.0))
        assert measure("largest distance", constant) == approx(2 / 3)

    def test_equal_curves_are_alike_whatever_their_level(self):
        equal = FULL[FULL["tau"].isin([1, 2, 3, 4])].drop(columns="accuracy")
        assert measure("shape", record(fast=equal)) == approx(1.0)
        assert measure("largest distance", record(fast=equal)) == 0.0
        shifted = equal.assign(free_energy=equal["free_energy"] + 6)
        assert measure("shape", record(fast=shifted)) == approx(1.0)
        assert measure("vertical shift", record(fast=shifted)) == approx(2.0)
