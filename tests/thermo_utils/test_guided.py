"""Guided evaluations: which thresholds are chosen, and whether the answers are a whole grid's."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from thermo_utils import (
    ThermoError,
    accuracy_threshold,
    critical_threshold,
    find_transitions,
    full_evaluation,
    load_curve,
    renormalized,
    save_curve,
    score_threshold,
    thermodynamic_curve,
)
from thermo_utils.accuracy import MAX_DROP
from thermo_utils.grids import automatic_step, grid_step, grids
from thermo_utils.guided import PASSES, completed_curve, estimate, guide, next_tau

TAUS = grids(0.05, 2.0)[0]
NOTHING = pd.DataFrame(columns=["tau", "active", "abs_sum", "drop"])
TOTAL = 1_000_000


def exponential(taus=TAUS, rate=1.0):
    """Of exponential activations: no feature, so that only the score is looked for."""
    rho = np.exp(-rate * taus)
    sums = TOTAL * (taus + 1 / rate) * rho
    active = np.rint(TOTAL * rho).astype(np.int64)
    curve = thermodynamic_curve(taus, active, sums, TOTAL, TOTAL / rate)
    curve.attrs = {"total": TOTAL, "total_abs_sum": TOTAL / rate}
    return curve


def measured(curve, drop):
    """What a network gives that prunes as a curve says and loses so much."""
    return curve[["tau", "active", "abs_sum"]].assign(drop=drop)


def replayed(rfe, full):
    """The thresholds that are chosen where a whole evaluation is known."""
    rows = full.set_index("tau", drop=False)
    return list(guide(rfe, lambda tau: rows.loc[tau]))


class TestChoice:
    """Curves alone."""

    @settings(max_examples=15)
    @given(st.integers(0, len(TAUS)), st.integers(1, len(TAUS)))
    def test_the_fall_is_found_to_the_step_wherever_it_is(self, fall, size):
        rfe = exponential(TAUS[:size])
        rfe.attrs = exponential().attrs
        full = measured(rfe, np.where(np.arange(size) < fall, 0.0, 0.5))
        chosen = replayed(rfe, full)
        assert len(set(chosen)) == len(chosen) <= PASSES - 1
        inside = [tau for tau in chosen if tau in TAUS[:fall]]
        outside = [tau for tau in chosen if tau not in TAUS[:fall]]
        assert max(inside, default=0.0) == (TAUS[min(fall, size) - 1] if fall else 0.0)
        assert min(outside, default=np.inf) == (TAUS[fall] if fall < size else np.inf)

    def test_where_sparsity_does_not_vary_the_bracket_is_halved_all_the_same(self):
        taus = np.arange(1, 201) / 200
        active = np.where(taus < 5e-3, TOTAL, TOTAL // 2)
        rfe = thermodynamic_curve(taus, active, active * 1.0, TOTAL, TOTAL * 1.0)
        rfe.attrs = {"total": TOTAL, "total_abs_sum": TOTAL * 1.0}
        chosen = np.sort(replayed(rfe, measured(rfe, np.where(taus < 0.6, 0.0, 0.5))))
        bracket = chosen[chosen >= 0.6].min() - chosen[chosen < 0.6].max()
        assert bracket < 0.3

    def test_an_exact_drop_is_within_bounds_and_nan_is_not(self):
        rfe = exponential()
        at = len(TAUS) // 2
        for value, last in ((MAX_DROP, at), (MAX_DROP + 1e-6, at - 1), (np.nan, at - 1)):
            drop = np.repeat([0.0, value, 1.0], [at, 1, len(TAUS) - at - 1])
            chosen = replayed(rfe, measured(rfe, drop))
            assert {TAUS[last], TAUS[last + 1]} <= set(chosen)

    @pytest.mark.parametrize("name", ["tau", "beta"])
    def test_the_order_of_what_is_measured_does_not_matter(self, name):
        rfe = exponential()
        some = measured(rfe, np.where(TAUS < 0.7, 0.0, 0.5)).iloc[[30, 2, 17, 9]]
        assert next_tau(rfe, some) == next_tau(rfe, some.iloc[::-1])
        assert estimate(rfe, some)[name].equals(estimate(rfe, some.iloc[::-1])[name])

    def test_what_is_not_on_the_grid_is_refused(self):
        rfe = exponential()
        for strange in (0.777, 1e9):
            with pytest.raises(ThermoError, match=re.escape(f"{strange:g}")):
                next_tau(rfe, measured(rfe, 0.0).iloc[:1].assign(tau=strange))

    def test_after_the_passes_nothing_is_asked_for(self):
        rfe = exponential()
        assert next_tau(rfe, measured(rfe, 0.0).iloc[: PASSES - 1]) is None


class TestEstimate:
    """The curve that is completed."""

    def test_without_measurements_it_is_the_renormalized_curve(self):
        rfe = exponential()
        pd.testing.assert_frame_equal(estimate(rfe, NOTHING), rfe)

    def test_measured_points_are_kept_to_the_bit(self):
        rfe, full = exponential(), measured(exponential(rate=1.3), 0.0)
        some = full.iloc[[3, 20, 11]]
        found = estimate(rfe, some).iloc[[3, 20, 11]]
        assert found["active"].dtype == np.int64
        for name in ("tau", "active", "abs_sum"):
            assert found[name].tolist() == some[name].tolist()

    def test_a_change_that_grows_with_tau_is_known_everywhere_between_two_points(self):
        rfe, other = exponential(), exponential(rate=1.3)
        # ln(M / M_RFE) / tau is -0.3 at every threshold: an interpolation of anything else errs.
        some = measured(other, 0.0).iloc[[4, 35]]
        found = estimate(rfe, some)
        np.testing.assert_allclose(found["active"][:36], other["active"][:36], rtol=1e-5)
        assert not np.allclose(found["active"][36:], other["active"][36:], rtol=1e-3)

    def test_thresholds_that_break_or_leave_nothing_spoil_no_others(self):
        rfe = exponential()
        some = measured(rfe, 0.0).iloc[[4, 20, 30, 36]].astype(float)
        some.loc[20, ["active", "abs_sum"]] = np.nan
        some.loc[30, ["active", "abs_sum"]] = 0.0
        found = estimate(rfe, some)
        assert np.flatnonzero(found["active"].isna()).tolist() == [20]
        assert np.flatnonzero(found["active"] == 0).tolist() == [30]
        rest = np.setdiff1d(np.arange(len(TAUS)), [20, 30])
        np.testing.assert_allclose(found["active"][rest], rfe["active"][rest])


def network(seed=0, width=48):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(8, width), nn.ReLU(), nn.Linear(width, width), nn.Tanh(),
        nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 5),
    )  # fmt: skip


def examples(net, n=2000, seed=1):
    """Inputs with the answers of the unpruned network: a baseline of one."""
    x = torch.randn(n, 8, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        y = net(x).argmax(1)
    return list(zip(x.split(500), y.split(500), strict=True))


LAYERS = [nn.ReLU, nn.Tanh]


class Counted:
    """Data that knows how often it was gone through."""

    def __init__(self, batches, most=None):
        self.batches, self.passes, self.most = batches, 0, most

    def __iter__(self):
        self.passes += 1
        if self.most is not None and self.passes > self.most:
            raise KeyboardInterrupt
        return iter(self.batches)


def evaluated(net, data, layers=LAYERS, taus=TAUS, **options):
    return full_evaluation(net, data, layers, taus, progress=False, **options)


def near(left, right, step):
    return (left is None) == (right is None) and (
        left is None or abs(left.tau - right.tau) <= step * (1 + 1e-9)
    )


class TestNetworks:
    """The real thing."""

    @pytest.mark.parametrize("layers", ["1", LAYERS])
    @pytest.mark.parametrize("seed", range(3))
    def test_both_thresholds_are_those_of_the_whole_grid_within_a_step(self, seed, layers):
        net = network(seed)
        data = Counted(examples(net))
        found = evaluated(net, data, layers, guided=True)
        assert data.passes == len(found) + 1 <= PASSES
        whole = evaluated(net, data, layers)
        step = grid_step(whole)
        completed = completed_curve(found)
        assert near(critical_threshold(completed), critical_threshold(whole), step)
        assert near(accuracy_threshold(found), accuracy_threshold(whole), step)
        # What was measured is what the whole grid has there, to the bit.
        columns = ["tau", "active", "abs_sum", "free_energy", "accuracy", "lost", "gained"]
        same = whole[whole["tau"].isin(found["tau"])].reset_index(drop=True)
        pd.testing.assert_frame_equal(found[columns], same[columns], check_exact=True)

    def test_with_a_single_layer_the_completed_curve_is_the_whole_one(self):
        net = network()
        data = examples(net)
        whole = evaluated(net, data, "1")
        completed = completed_curve(evaluated(net, data, "1", guided=True))
        pd.testing.assert_frame_equal(completed[list(completed)[:-1]], whole[list(completed)[:-1]])
        first = renormalized(net, data, "1", TAUS, progress=False)
        assert completed["active"].tolist() == first["active"].tolist()

    def test_it_says_of_itself_what_follows_from_it(self, tmp_path):
        net = network(1)
        curve = evaluated(net, examples(net), guided=True)
        said = curve.attrs["guided"]
        assert said["grid"] == TAUS.tolist()
        assert sorted(said["measured"]) == curve["tau"].tolist()
        assert said["accuracy_threshold"] == accuracy_threshold(curve).tau
        feature = critical_threshold(completed_curve(curve))
        assert said["tau_star"] == (None if feature is None else feature.tau)
        unseen = [t for a, b in said["not_looked_at"] for t in TAUS[(a <= TAUS) & (b >= TAUS)]]
        assert sorted([*unseen, *said["measured"]]) == TAUS.tolist()
        save_curve(curve, tmp_path / "curve.csv")
        again = load_curve(tmp_path / "curve.csv")
        assert again.attrs["guided"] == said
        pd.testing.assert_frame_equal(completed_curve(again), completed_curve(curve))

    def test_features_are_not_read_off_the_measured_thresholds_alone(self):
        net = network()
        data = examples(net)
        with pytest.raises(ThermoError, match="completed_curve"):
            find_transitions(evaluated(net, data, guided=True))
        with pytest.raises(ThermoError, match="no guided evaluation"):
            completed_curve(evaluated(net, data, taus=[0.1]))

    @pytest.mark.parametrize("done", [1, 2, 5, 11])
    def test_an_interrupted_run_goes_on_and_ends_in_the_same(self, tmp_path, done):
        net, path = network(2), tmp_path / "sweep.jsonl"
        batches = examples(net)
        whole = evaluated(net, batches, guided=True)
        assert len(whole) == PASSES - 1
        if done < PASSES - 1:
            with pytest.raises(KeyboardInterrupt):
                evaluated(net, Counted(batches, done + 1), guided=True, checkpoint=path)
        else:
            evaluated(net, batches, guided=True, checkpoint=path)
        rest = Counted(batches)
        again = evaluated(net, rest, guided=True, checkpoint=path)
        assert rest.passes == 1 + len(whole) - done
        pd.testing.assert_frame_equal(again, whole, check_exact=True)
        assert again.attrs["guided"] == whole.attrs["guided"]
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        assert [line["tau"] for line in lines[1:]] == whole.attrs["guided"]["measured"]

    def test_a_checkpoint_of_the_whole_grid_serves_it_too_and_changes_nothing(self, tmp_path):
        net, path = network(2), tmp_path / "sweep.jsonl"
        data = Counted(examples(net))
        evaluated(net, data, checkpoint=path)
        before = data.passes
        found = evaluated(net, data, guided=True, checkpoint=path)
        assert data.passes == before + 1
        fresh = evaluated(net, data, guided=True)
        pd.testing.assert_frame_equal(found, fresh, check_exact=True)
        assert found.attrs["guided"] == fresh.attrs["guided"]

    def test_the_options_of_a_whole_evaluation(self):
        net = network()
        data = examples(net)
        options = {"inclusive": False, "count_zeros": True, "per_class": True}
        found = evaluated(net, data, guided=True, **options)
        whole = evaluated(net, data, taus=found["tau"], **options)
        assert found.attrs["per_class"] == whole.attrs["per_class"]
        assert found["active"].tolist() == whole["active"].tolist()
        single = evaluated(net, data, "3", guided=True, **options)
        every = evaluated(net, data, "3", **options)
        assert completed_curve(single)["active"].tolist() == every["active"].tolist()
        with pytest.raises(ThermoError, match="blocks"):
            evaluated(net, data, guided=True, blocks=TAUS[:1])

    def test_another_metric(self):
        net = network()
        with torch.no_grad():
            data = [(x, 10 * net(x)) for x, _ in examples(net)]
        found = evaluated(net, data, metric="mse", guided=True)
        whole = evaluated(net, data, metric="mse")
        left = score_threshold(whole)
        assert left is not None
        assert found.attrs["guided"]["score_threshold"] == left.tau

    def test_the_mask_is_that_of_the_whole_evaluation(self):
        class Masked(nn.Module):
            def __init__(self):
                super().__init__()
                self.act = nn.ReLU()

            def forward(self, x, attention_mask):
                return self.act(x).mean(1)

        x = torch.randn(64, 5, 3)
        mask = torch.ones(64, 5, dtype=torch.long)
        mask[:, 3:] = 0
        data = [({"x": x, "attention_mask": mask, "labels": x.relu().mean(1).argmax(1)})]
        options = {"layers": "act", "mask": "attention_mask"}
        found = completed_curve(evaluated(Masked(), data, guided=True, **options))
        assert found["active"].tolist() == evaluated(Masked(), data, **options)["active"].tolist()

    def test_where_pruning_makes_nan_is_out_of_bounds(self):
        class Fragile(nn.Module):
            def __init__(self):
                super().__init__()
                self.act, self.after = nn.ReLU(), nn.Tanh()

            def forward(self, x):
                kept = self.act(x)
                return self.after(kept / (kept.amin() > 0).float())

        x = torch.linspace(0.31, 1.9, 300).reshape(100, 3)
        data = [(x, x.argmax(1))]
        with pytest.warns(UserWarning, match="makes NaN"):
            found = evaluated(Fragile(), data, "act", guided=True)
        assert accuracy_threshold(found).tau == max(t for t in TAUS if t <= 0.31)
        assert found.attrs["guided"]["accuracy_threshold"] == accuracy_threshold(found).tau

    def test_a_grid_of_few_thresholds_is_evaluated_as_a_whole_at_most(self):
        net = network()
        data = Counted(examples(net))
        found = evaluated(net, data, taus=[0.1, 0.3, 0.6], guided=True)
        assert data.passes == len(found) + 1 <= 4

    def test_activations_that_are_functions_and_data_read_once(self):
        class Functional(nn.Module):
            def __init__(self):
                super().__init__()
                self.first, self.last = nn.Linear(8, 20), nn.Linear(20, 5)

            def forward(self, x):
                return self.last(torch.relu(self.first(x)))

        torch.manual_seed(0)
        net = Functional()
        data = examples(net)
        found = evaluated(net, iter(data), "relu()", guided=True)
        whole = evaluated(net, data, "relu()")
        assert completed_curve(found)["active"].tolist() == whole["active"].tolist()

    @pytest.mark.slow
    @pytest.mark.parametrize("seed", range(2))
    @pytest.mark.parametrize("kind", ["cnn", "gelu", "norm"])
    def test_trained_networks(self, kind, seed):
        net, data = trained(kind, seed)
        layers = [type(m) for m in net if isinstance(m, nn.ReLU | nn.GELU | nn.ReLU6)][:1]
        taus = grids(*automatic_step(net, data, layers))[0]
        whole, counted = evaluated(net, data, layers, taus), Counted(data)
        found = evaluated(net, counted, layers, taus, guided=True)
        step = grid_step(whole)
        assert counted.passes <= PASSES < len(taus) / 3
        assert accuracy_threshold(whole) is not None
        assert critical_threshold(whole) is not None
        assert near(critical_threshold(completed_curve(found)), critical_threshold(whole), step)
        assert near(accuracy_threshold(found), accuracy_threshold(whole), step)


def trained(kind, seed):
    """A small network that tells ten patterns in noise apart, and other examples of them."""
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    patterns = torch.randn(10, 3, 16, 16, generator=generator)

    def drawn(n):
        y = torch.randint(10, (n,), generator=generator)
        return 0.35 * patterns[y] + torch.randn(n, 3, 16, 16, generator=generator), y

    nets = {
        "cnn": lambda: [
            nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Conv2d(16, 16, 3, stride=2), nn.ReLU(),
            nn.Flatten(), nn.Linear(576, 64), nn.ReLU(), nn.Linear(64, 10),
        ],
        "gelu": lambda: [
            nn.Flatten(), nn.Linear(768, 96), nn.GELU(), nn.LayerNorm(96), nn.Linear(96, 96),
            nn.GELU(), nn.Linear(96, 10),
        ],
        "norm": lambda: [
            nn.Conv2d(3, 12, 3), nn.BatchNorm2d(12), nn.ReLU6(), nn.Conv2d(12, 16, 3, stride=2),
            nn.BatchNorm2d(16), nn.ReLU6(), nn.AdaptiveAvgPool2d(3), nn.Flatten(),
            nn.Linear(144, 10),
        ],
    }  # fmt: skip
    net = nn.Sequential(*nets[kind]())
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    x, y = drawn(2500)
    for _ in range(4):
        for part in torch.randperm(2500).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x[part]), y[part]).backward()
            optimizer.step()
    x, y = drawn(2000)
    return net.eval(), list(zip(x.split(250), y.split(250), strict=True))
