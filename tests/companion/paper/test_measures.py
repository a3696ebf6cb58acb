"""Every measure on one small record, with the values computed by hand; and where there is none."""

from __future__ import annotations

import math

import pytest

from companion.paper.claims import claims
from companion.paper.measures import MEASURES, READS
from companion.paper.measures import measure as measured
from companion.paper.observed import Observed, observed
from tests.companion.paper.hand_record import FAST, FEATURES, FULL, NAN, at, curve, record, without
from thermo_utils.errors import ThermoError


def measure(name, of):
    """A measure of a record, or of what is seen of it."""
    return measured(name, of if isinstance(of, Observed) else observed(of))


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
    "extremum at drop": "no",
    "valley then peak": "yes",
    "extremum": "yes",
    "sign change": "yes",  # from 0.2 at tau 1.5 to -0.1 at 2.5, a step around 2
    "tau of first valley": 1.0,
    "beta of first valley": 0.10,
    "tau of later peak": 2.0,
    "beta of later peak": 0.22,
    "sign change at later peak": "yes",
    "gap of later peak": 0.18,  # 0.40 - 0.22
    "ratio of times": 3.2,
    "faster": "faster",
    "match": "yes",  # 0.27 - 0.22
    "lag": -2.0,  # (2.0 - 3.0) / 0.5: FE comes two steps early
    "gap": 0.18,  # 0.40 - 0.22
    "RFE gap": 0.13,  # 0.40 - 0.27
    "RFE lag": 1.5,  # (2.75 - 2.0) / 0.5
    "variation": 0.03,  # 0.83 at tau 1 against 0.80, up to tau 2
    "drop": 0.3,  # (0.78 - 0.54) / 0.80, from tau 2 to 4
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
    # F of 3 at tau 2; at 1.4 it is 0.8 of the way from 1 to 9, at 2.6 a fifth of it from 9 to 2:
    # 7.4 and 7.6. The range is 9 - 1.
    "sharpness": 4.5 / 8,
    "smoothness": None,  # the grid of RFE is too coarse
}


def approx(value):
    return pytest.approx(value, abs=1e-9) if isinstance(value, float) else value


@pytest.mark.parametrize("name", MEASURES)
def test_every_measure_by_hand(name):
    assert measure(name, record()) == approx(EXPECTED[name])


def test_the_table_and_the_claims_use_every_measure_and_no_other():
    assert set(EXPECTED) == set(MEASURES)
    assert {claim.measure for claim in claims()} == set(MEASURES)


def test_measures_depend_on_what_there_is_and_speed_on_times_alone():
    for name, made in MEASURES.items():
        assert made.reads <= set(READS), name
        assert (made.reads == {"time"}) == claims_of_speed(name), name


@pytest.mark.parametrize("name", MEASURES)
def test_a_placebo_moves_what_is_read_at_the_threshold_and_nothing_else(name):
    """Which measures have a placebo is what they read, not what a list says."""
    before, moved = observed(record()), observed(record()).at(8, 9)
    by_kind = {"feature", "extremum"}  # a placebo has no kind
    if not MEASURES[name].placed and name not in by_kind:
        assert measure(name, moved) == measure(name, before)
    if MEASURES[name].placed and name not in ("smoothness", "sign change"):
        assert measure(name, moved) != measure(name, before)


def claims_of_speed(name):
    return any(claim.kind == "speed" for claim in claims() if claim.measure == name)


def test_an_unknown_measure_is_refused_with_the_nearest():
    with pytest.raises(ThermoError, match="'tau full'"):
        measure("tau ful", record())


@pytest.mark.parametrize(
    ("method", "names"),
    {
        "accuracy": (
            "tau accuracy", "beta accuracy", "gap", "RFE gap", "feature at drop",
            "gap of later peak",
        ),
        "full": (
            "tau full", "beta full", "feature", "lag", "gap", "RFE lag", "variation", "drop",
            "lost at feature", "sharpness",
        ),
        "renormalized": ("tau renormalized", "beta renormalized", "RFE gap", "RFE lag"),
    }.items(),
)  # fmt: skip
def test_without_a_threshold_there_is_nothing_to_measure(method, names):
    for name in MEASURES:
        known = {
            "accuracy": ("lag", "extremum at drop"),
            "full": ("extremum", "sign change", "match"),
            "renormalized": ("match",),
        }[method]
        if name not in (*known, "smoothness"):
            assert (measure(name, without(method)) is None) == (name in names), name


def test_without_a_feature_the_answers_in_words_are_no():
    assert measure("extremum", without("full")) == "no"
    assert measure("sign change", without("full")) == "no"
    assert measure("match", without("full")) == measure("match", without("renormalized")) == "no"
    assert measure("extremum at drop", without("accuracy")) == "no"


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


def test_a_width_that_is_not_reached_is_infinite():
    flat = record(curve(accuracy=0.8))
    assert measure("fall width", flat) == math.inf
    assert measure("fall width", record(curve(accuracy=0.57))) == math.inf  # to 0.57, not to 0.56
    # To 0.96 of the plateau: it has not even begun to fall.
    assert measure("fall width", record(curve(accuracy=0.96 * 0.8))) == math.inf
    assert MEASURES["fall width"].endless


def test_where_accuracy_never_falls_there_is_no_half_way_and_no_drop():
    flat = record(curve(accuracy=0.8))
    assert measure("tau half-way down", flat) is None  # half-way to 0.8 is never passed
    assert measure("drop", flat) == approx(0.0)


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


def test_what_is_lost_is_compared_with_the_unpruned_network():
    other = record(metrics={"test_accuracy": 0.5})
    assert measure("drop", other) == approx((0.78 - 0.54) / 0.5)
    assert measure("variation", other) == approx(0.33)
    assert measure("lost at feature", other) == approx(0.5 - 0.78)


def test_the_threshold_itself_counts_as_before():
    # At 4 and 4.5 accuracy is 0.54 and 0.34.
    for tau in (4.0, 4.0 * (1 - 1e-12)):
        assert measure("variation", at("full", tau=tau)) == approx(0.26)
    assert measure("variation", at("full", tau=3.99)) == approx(0.16)


def test_a_drop_is_what_falls_right_after_the_feature():
    # From 1 to 2: 0.83 to 0.78. The collapse to 0.20 comes later and does not count.
    assert measure("drop", at("full", tau=1.0)) == approx((0.83 - 0.78) / 0.8)
    assert measure("drop", at("full", tau=1.0 * (1 - 1e-12))) == approx((0.83 - 0.78) / 0.8)
    # What was lost before the feature does not count either.
    assert measure("drop", at("full", tau=5.0)) == approx((0.20 - 0.22) / 0.8)
    # A later collapse changes nothing, an earlier one does.
    later, within = curve(accuracy={4.5: 0.0}), curve(accuracy={4.0: 0.0})
    assert measure("drop", record(later)) == measure("drop", record())
    assert measure("drop", record(within)) == approx(0.78 / 0.8)


def test_nothing_lies_beyond_a_feature_at_the_end():
    assert measure("drop", at("full", tau=6.0)) is None


def test_the_loss_at_a_feature_is_read_at_the_nearest_threshold():
    assert measure("lost at feature", at("full", tau=3.2)) == approx(0.1)
    assert measure("lost at feature", at("full", tau=3.3)) == approx(0.16)


@pytest.mark.parametrize(("ratio", "word"), [(1.01, "faster"), (1.0, "slower"), (0.5, "slower")])
def test_only_a_ratio_above_one_is_faster(ratio, word):
    assert measure("faster", record(timings={"speedup": ratio})) == word


@pytest.mark.parametrize(
    ("beta", "word"), [(0.22, "yes"), (0.27, "yes"), (0.17, "yes"), (0.2701, "no"), (0.1699, "no")]
)
def test_a_match_is_that_of_the_printed_sparsities(beta, word):
    assert measure("match", at("renormalized", beta=beta)) == word
    # Whatever the record says of it.
    assert measure("match", record(match=word == "no", **changed(beta))) == word


def changed(beta):
    thresholds = record().result["thresholds"]
    return {
        "thresholds": thresholds | {"renormalized": thresholds["renormalized"] | {"beta": beta}}
    }


@pytest.mark.parametrize(
    ("kinds", "tau"),
    [
        ("peak valley peak", 3.0), ("valley peak peak", 2.0), ("valley bend peak", 3.0),
        ("peak valley", None), ("peak peak", None),
    ],
)  # fmt: skip
def test_the_later_peak_is_the_first_after_a_valley(kinds, tau):
    features = [
        FEATURES[0] | {"kind": kind, "tau": float(k), "beta": k / 10}
        for k, kind in enumerate(kinds.split(), start=1)
    ]
    run = record(features=features)
    assert measure("tau of later peak", run) == tau
    assert measure("beta of later peak", run) == (None if tau is None else tau / 10)
    gap = None if tau is None else approx(abs(0.4 - tau / 10))
    assert measure("gap of later peak", run) == gap
    assert (measure("sign change at later peak", run) == "no") == (tau != 2.0)


def test_only_an_extremum_is_sharp_or_gentle():
    assert measure("sharpness", at("full", kind="bend")) is None
    assert measure("sharpness", at("full", kind="valley")) == approx(4.5 / 8)


def test_a_sparsity_that_the_record_lacks_is_no_sparsity():
    assert measure("gap", at("full", beta=None)) is None
    assert measure("match", at("full", beta=None)) == "no"


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
