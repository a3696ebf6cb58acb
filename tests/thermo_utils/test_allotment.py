"""Thresholds per layer against pruning written out by hand, and against Algorithm 1 of TEAL."""

from __future__ import annotations

import itertools
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from thermo_utils import (
    ActivationPruner,
    ThermoError,
    allot,
    allot_greedily,
    compare_allotments,
    layer_spectra,
)
from thermo_utils.allotment import METHODS, TOLERANCE

LAYERS = ["1", "3", "5"]
ACTS = ["ReLU", "GELU", "Tanh"]


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(6, 40), nn.ReLU(), nn.Linear(40, 24), nn.GELU(), nn.Linear(24, 60), nn.Tanh(),
        nn.Linear(60, 4),
    )  # fmt: skip


X = torch.randn(600, 6, generator=torch.Generator().manual_seed(1))
BATCHES = list(X.split(150))


def spectra_of(model, layers=ACTS, data=BATCHES):
    return layer_spectra(model, data, layers, progress=False)


def activations(model, x=X, names=LAYERS):
    """Unpruned activations by layer, as float64 numpy arrays."""
    seen = {}
    with torch.no_grad():
        for index, layer in enumerate(model):
            x = layer(x)
            if str(index) in names:
                seen[str(index)] = x.double().abs().numpy().ravel()
    return seen


@contextmanager
def pruned(model, taus):
    """Pruning written out: hooks that zero what lies below a layer's threshold."""
    handles = [
        model.get_submodule(name).register_forward_hook(
            lambda module, args, out, tau=tau: torch.where(out.abs() >= tau, out, 0.0)
        )
        for name, tau in taus.items()
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def outputs(model, taus, x=X):
    with torch.no_grad(), pruned(model, taus):
        return model(x).double()


MODEL = network()
SPECTRA = spectra_of(MODEL)
SEEN = activations(MODEL)


@given(beta=st.floats(0.02, 0.97), method=st.sampled_from(METHODS))
@settings(max_examples=40)
def test_the_sparsity_is_the_one_asked_for_and_exact(beta, method):
    found = allot(SPECTRA, beta, method)
    assert found.beta == pytest.approx(beta, abs=TOLERANCE)
    assert list(found.taus) == LAYERS
    removed = {name: int(((a > 0) & (a < found.taus[name])).sum()) for name, a in SEEN.items()}
    total = {name: int((a > 0).sum()) for name, a in SEEN.items()}
    assert found.beta == sum(removed.values()) / sum(total.values())
    for row in found.table.itertuples():
        a, tau = SEEN[row.layer], found.taus[row.layer]
        assert row.tau == tau
        assert row.beta == removed[row.layer] / total[row.layer]
        assert row.lost == pytest.approx(a[a < tau].sum() / a.sum(), rel=1e-5)
        assert row.removed == pytest.approx(removed[row.layer] / sum(removed.values()))


@pytest.mark.parametrize("beta", [0.3, 0.5, 0.9])
def test_what_is_equal_among_layers(beta):
    same = {
        method: allot(SPECTRA, beta, method).table
        for method in ("one threshold", "equal sparsity", "equal share")
    }
    assert same["one threshold"]["tau"].nunique() == 1
    for method, column in (("equal sparsity", "beta"), ("equal share", "lost")):
        assert np.ptp(same[method][column]) < 0.01
        # The quantity that is not equalised differs, so the comparison is one.
        assert np.ptp(same["one threshold"][column]) > 0.012
    assert np.ptp(same["equal share"]["beta"]) > 0.03


def test_equal_sparsity_of_one_layer_is_its_quantile():
    spectra = spectra_of(MODEL, "1")
    a = np.sort(SEEN["1"][SEEN["1"] > 0])
    for method in METHODS:
        found = allot(spectra, 0.4, method)
        assert found.taus["1"] == pytest.approx(a[int(0.4 * a.size)], rel=0.02)


def test_a_sparsity_out_of_reach_names_what_is_within():
    same = nn.Sequential(nn.Identity(), nn.Hardtanh())
    data = [torch.cat([torch.full((300,), 5.0), torch.linspace(0.1, 0.9, 100)])]
    spectra = spectra_of(same, ["1"], data)  # three in four activations are 1
    for method in METHODS:
        assert allot(spectra, 0.2, method).beta == pytest.approx(0.2, abs=TOLERANCE)
        with pytest.raises(ThermoError, match=r"0\.25 and 1"):
            allot(spectra, 0.6, method)
        assert allot(spectra, 0.6, method, tolerance=0.4).beta in (0.25, 1.0)
    with pytest.raises(ThermoError, match=r"sparsity of 0\.6"):
        allot_greedily(same, data, spectra, 0.6, progress=False)


def test_layers_of_any_scale_have_thresholds():
    class Scales(nn.Module):
        def __init__(self):
            super().__init__()
            self.acts = nn.ModuleList(nn.Identity() for _ in range(3))

        def forward(self, x):
            for act, scale in zip(self.acts, (1e-8, 1.0, 1e8), strict=True):
                act(x * scale)
            return x

    spectra = layer_spectra(Scales(), [X], "acts.*", [1.0], progress=False)
    found = allot(spectra, 0.5)
    assert found.beta == pytest.approx(0.5, abs=TOLERANCE)
    scaled = np.array(list(found.taus.values())) / [1e-8, 1.0, 1e8]
    np.testing.assert_allclose(scaled, scaled[1], rtol=0.02)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_half_precision_is_as_sparse_as_the_spectrum_says(dtype):
    model = network().to(dtype)
    data = [X.to(dtype)]
    data = [(data[0], targets_of(model, data[0]))]
    table = compare_allotments(model, data, "GELU", [0.3, 0.7], methods=METHODS, progress=False)
    np.testing.assert_allclose(table["beta"], table["beta_measured"], rtol=1e-12)
    np.testing.assert_allclose(table["beta"], table["target"], atol=TOLERANCE)


def test_a_layer_of_zeros_gets_no_threshold():
    model = nn.Sequential(nn.Identity(), nn.Threshold(1e9, 0.0))
    spectra = spectra_of(model, ["0", "1"], [X])
    for method in ("equal sparsity", "equal share"):
        found = allot(spectra, 0.5, method)
        assert found.taus["1"] == 0
        assert found.table["beta"][1] == 0
        assert found.beta == pytest.approx(0.5, abs=TOLERANCE)
    data = [torch.randn(50, 6)]
    model = nn.Sequential(nn.ReLU(), nn.Linear(6, 6), nn.Threshold(1e9, 0.0), nn.Linear(6, 2))
    spectra = spectra_of(model, ["0", "2"], data)
    assert allot_greedily(model, data, spectra, 0.3, progress=False).taus["2"] == 0


@pytest.mark.parametrize("beta", [0, 1, 50, -0.1, float("nan")])
def test_no_sparsity(beta):
    with pytest.raises(ThermoError, match="between 0 and 1"):
        allot(SPECTRA, beta)
    with pytest.raises(ThermoError, match="between 0 and 1"):
        allot_greedily(MODEL, BATCHES, SPECTRA, beta)
    with pytest.raises(ThermoError, match="between 0 and 1"):
        compare_allotments(MODEL, BATCHES, ACTS, beta)


def test_what_cannot_be_done_is_refused():
    with pytest.raises(ThermoError, match="equal share"):
        allot(SPECTRA, 0.5, "equal shares")
    with pytest.raises(ThermoError, match="greedy"):
        compare_allotments(MODEL, BATCHES, ACTS, 0.5, methods=["greed"])
    with pytest.raises(ThermoError, match="step"):
        allot_greedily(MODEL, BATCHES, SPECTRA, 0.5, step=5)
    with pytest.raises(ThermoError, match="no data"):
        allot_greedily(MODEL, [], SPECTRA, 0.5)
    silent = nn.Sequential(nn.ReLU(), nn.Threshold(1e9, 0.0))
    with pytest.raises(ThermoError, match="nothing but zeros"):
        allot_greedily(silent, [X], spectra_of(silent, ["0"], [X]), 0.5)


def algorithm_1(model, beta, step):
    """TEAL's Algorithm 1 with quantiles of the activations, all passes made in full."""
    a = {name: np.sort(x[x > 0]) for name, x in SEEN.items()}
    total = sum(x.size for x in a.values())
    share = dict.fromkeys(a, 0.0)

    def taus(p):
        return {
            name: 0.0 if p[name] == 0 else x[min(round(p[name] * x.size), x.size - 1)]
            for name, x in a.items()
        }

    truth = outputs(model, {})
    chosen, errors = [], []
    for _ in range(round(beta / step)):
        costs = {}
        for name, x in a.items():
            rise = step * total / x.size
            if share[name] + rise < 1:
                costs[name] = float(
                    (outputs(model, taus(share | {name: share[name] + rise})) - truth).norm()
                    / truth.norm()
                )
        best = min(costs, key=costs.get)
        share[best] += step * total / a[best].size
        chosen.append(best)
        errors.append(costs[best])
    return chosen, errors


@pytest.mark.parametrize("step", [0.05, 0.1])
def test_greedy_is_algorithm_1(step):
    chosen, errors = algorithm_1(MODEL, 0.6, step)
    found = allot_greedily(MODEL, BATCHES, SPECTRA, 0.6, step=step, progress=False)
    assert found.steps["layer"].tolist() == chosen
    assert len(set(chosen)) > 1  # or any order would do
    np.testing.assert_allclose(found.steps["error"], errors, rtol=0.05)
    assert found.beta == pytest.approx(0.6, abs=TOLERANCE)
    np.testing.assert_allclose(found.steps["beta"], step * np.arange(1, len(chosen) + 1), atol=0.01)
    truth = outputs(MODEL, {})
    error = float((outputs(MODEL, found.taus) - truth).norm() / truth.norm())
    assert found.steps["error"].iloc[-1] == pytest.approx(error, rel=1e-5)


def test_giving_layers_up_early_saves_passes_and_changes_nothing():
    whole = allot_greedily(MODEL, [X], SPECTRA, 0.5, progress=False)
    parts = allot_greedily(MODEL, X.split(10), SPECTRA, 0.5, progress=False)
    assert parts.taus == whole.taus
    np.testing.assert_allclose(parts.steps["error"], whole.steps["error"], rtol=1e-5)
    most = len(LAYERS) * len(whole.steps)
    assert whole.steps["passes"].iloc[-1] == most
    assert parts.steps["passes"].iloc[-1] < most


def test_greedy_takes_first_what_the_outputs_do_not_need():
    class Half(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.unused = nn.Tanh(), nn.Tanh()

        def forward(self, x):
            return self.used(x) + 0 * self.unused(x)

    model = Half()
    spectra = spectra_of(model, ["used", "unused"], [X])
    found = allot_greedily(model, [X], spectra, 0.5, progress=False)
    assert found.taus["used"] == 0
    assert found.table["beta"].tolist() == [0, 1]
    assert found.steps["error"].max() == 0
    further = allot_greedily(model, [X], spectra, 0.7, progress=False)
    assert further.table["beta"].tolist() == pytest.approx([0.4, 1], abs=0.01)


def test_a_small_layer_may_lose_what_is_left_of_it():
    # A layer smaller than a step can be pruned all the same.
    class Small(nn.Module):
        def __init__(self):
            super().__init__()
            self.large, self.small = nn.Identity(), nn.Identity()

        def forward(self, x):
            return torch.cat([self.large(x[:, 1:]), 1e-3 * self.small(x[:, :1])], dim=1)

    data = [torch.randn(100, 100)]
    spectra = spectra_of(Small(), ["large", "small"], data)
    found = allot_greedily(Small(), data, spectra, 0.2, step=0.05, progress=False)
    assert found.table["beta"].tolist() == pytest.approx([0.19 / 0.99, 1], abs=0.01)


def test_padding_does_not_count_in_the_error():
    class Tokens(nn.Module):
        """What is padded is nothing but noise in the outputs of one layer."""

        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Identity(), nn.Identity()

        def forward(self, x, attention_mask):
            padded = attention_mask[..., None] == 0
            return self.first(x) + torch.where(padded, 50.0, 1e-3) * self.second(x.flip(0))

    mask = torch.ones(40, 8, dtype=torch.int64)
    mask[:, 5:] = 0
    data = [{"x": torch.randn(40, 8, 4), "attention_mask": mask}]
    spectra = spectra_of(Tokens(), ["first", "second"], data)
    found = allot_greedily(Tokens(), data, spectra, 0.3, progress=False)
    assert found.table["beta"].tolist() == pytest.approx([0, 0.6], abs=0.01)


def test_pruning_that_makes_nan_is_not_chosen():
    class Ratio(nn.Module):
        def __init__(self):
            super().__init__()
            self.over, self.under = nn.Identity(), nn.Identity()

        def forward(self, x):
            return self.over(x) / self.under(x)  # 0 / 0 where both are pruned

    data = [torch.rand(200, 5) + 0.1]
    spectra = spectra_of(Ratio(), ["over", "under"], data)
    found = allot_greedily(Ratio(), data, spectra, 0.3, progress=False)
    assert found.taus["under"] == 0
    assert np.isfinite(found.steps["error"]).all()
    with pytest.raises(ThermoError, match="smaller beta"):
        allot_greedily(Ratio(), data, spectra, 0.7, progress=False)


def targets_of(model, x=X):
    with torch.no_grad():
        return model(x).argmax(1)


def labelled(model):
    """The network's own answers, so that it is right about all of them."""
    return list(zip(BATCHES, targets_of(model).split(150), strict=True))


def test_the_comparison_against_pruning_by_hand():
    data = labelled(MODEL)
    table = compare_allotments(MODEL, data, ACTS, [0.3, 0.6], progress=False)
    assert table["method"].tolist() == ["unpruned", *(2 * [*METHODS, "greedy"])]
    first = table.iloc[0]
    assert (first["beta"], first["beta_measured"], first["drop"], first["accuracy"]) == (0, 0, 0, 1)
    assert first["zeros"] == pytest.approx(np.mean(np.concatenate([*SEEN.values()]) == 0))
    total = sum(int((a > 0).sum()) for a in SEEN.values())
    for row in table.iloc[1:].itertuples():
        found = table.attrs["allotments"][row.target][row.method]
        assert row.beta == found.beta == pytest.approx(row.target, abs=TOLERANCE)
        with pruned(MODEL, found.taus):
            left = sum(int((a > 0).sum()) for a in activations(MODEL).values())
            right = float((targets_of(MODEL) == torch.cat([y for _, y in data])).double().mean())
        assert row.accuracy == pytest.approx(right)
        assert row.drop == pytest.approx(1 - right)
        assert row.beta_measured == pytest.approx(1 - left / total)
        assert row.zeros == pytest.approx(1 - left / sum(a.size for a in SEEN.values()))
    assert table.attrs["layers"] == LAYERS
    assert table.attrs["baseline"] == 1


def test_with_a_single_layer_all_ways_are_one():
    table = compare_allotments(MODEL, labelled(MODEL), "ReLU", 0.4, progress=False)
    pruned_rows = table.iloc[1:]
    assert pruned_rows["beta"].nunique() <= 2  # thresholds are equal up to a rung
    assert np.ptp(pruned_rows["accuracy"]) < 0.02
    np.testing.assert_allclose(pruned_rows["beta"], pruned_rows["beta_measured"], rtol=1e-12)


def test_one_threshold_costs_most_where_scales_differ():
    class Scaled(nn.Module):
        """A layer of small activations that matter as much as those of the others."""

        def __init__(self):
            super().__init__()
            self.small, self.large = nn.Identity(), nn.Identity()

        def forward(self, x):
            left, right = x.chunk(2, dim=1)
            return self.small(1e-3 * left) * 1e3 + self.large(right)

    x = torch.randn(2000, 10)
    model = Scaled()
    data = [(x, targets_of(model, x))]
    table = compare_allotments(model, data, ["small", "large"], 0.5, progress=False)
    score = table.set_index("method")["accuracy"]
    assert score["one threshold"] < score["equal sparsity"] - 0.05
    assert score["greedy"] > score["one threshold"] + 0.05


def test_other_metrics_and_their_direction():
    data = [(x, outputs(MODEL, {}, x).float()) for x in BATCHES]
    table = compare_allotments(MODEL, data, ACTS, 0.6, metric="mse", progress=False)
    assert table["mse"][0] == 0
    assert (table["drop"][1:] > 0).all()
    np.testing.assert_allclose(table["drop"], table["mse"])
    assert table.attrs["metric"] == {"name": "mse", "higher_is_better": False}


def test_thresholds_can_be_fitted_on_other_data():
    few = [X[:100]]
    table = compare_allotments(MODEL, labelled(MODEL), ACTS, 0.5, calibration=few, progress=False)
    fitted = spectra_of(MODEL, data=few)
    for row in table.iloc[1:].itertuples():
        found = table.attrs["allotments"][0.5][row.method]
        assert found.beta == pytest.approx(0.5, abs=TOLERANCE)
        assert row.beta != found.beta  # that of the data is measured
        assert row.beta == pytest.approx(0.5, abs=0.05)
        below = sum(int(((a > 0) & (a < found.taus[n])).sum()) for n, a in SEEN.items())
        assert row.beta == below / sum(int((a > 0).sum()) for a in SEEN.values())
    expected = allot(fitted, 0.5, "equal sparsity").taus
    assert table.attrs["allotments"][0.5]["equal sparsity"].taus == expected


def test_a_network_that_pruning_breaks_has_no_score():
    class Ratio(nn.Module):
        def __init__(self):
            super().__init__()
            self.under = nn.Identity()

        def forward(self, x):
            kept = self.under(x)
            return x * kept / kept

    x = torch.rand(100, 5) + 0.1
    table = compare_allotments(
        Ratio(), [(x, x.argmax(1))], "under", 0.5, methods=METHODS, progress=False
    )
    assert table["accuracy"][0] == 1
    assert table["accuracy"][1:].isna().all()
    assert table["drop"][1:].isna().all()


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(6, 20), nn.Linear(20, 20)

    def forward(self, x):
        return torch.relu(self.b(torch.relu(self.a(x))))


@pytest.mark.parametrize("layers", ["relu()", ["a:input", "b:input"], ["b:input", "relu()"]])
def test_inputs_and_calls_of_functions_have_thresholds_too(layers):
    torch.manual_seed(0)
    model = Functional()
    data = [(X, targets_of(model))]
    table = compare_allotments(model, data, layers, 0.4, progress=False)
    sites = table.attrs["layers"]
    assert len(sites) >= 2
    np.testing.assert_allclose(table["beta"][1:], 0.4, atol=TOLERANCE)
    found = table.attrs["allotments"][0.4]["greedy"].taus
    assert list(found) == sites
    with ActivationPruner(model, layers, found) as pruner, torch.no_grad():
        right = float((model(X).argmax(1) == data[0][1]).double().mean())
    assert table["accuracy"].iloc[-1] == pytest.approx(right)
    assert pruner.total > pruner.active


class Slope(nn.Module):
    """A network that takes gradients in its forward, as physical ones do."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 20), nn.Tanh(), nn.Linear(20, 20), nn.Tanh())

    def forward(self, x):
        x = x.detach().requires_grad_()
        with torch.set_grad_enabled(torch.is_grad_enabled()):
            return torch.autograd.grad(self.body(x).sum(), x, create_graph=True)[0]


@pytest.mark.filterwarnings("error")
def test_networks_that_take_gradients_in_their_forward():
    torch.manual_seed(0)
    model = Slope()
    data = [(X[:50], model(X[:50]).argmax(1)), (X[50:80], model(X[50:80]).argmax(1))]
    table = compare_allotments(model, iter(data), "Tanh", 0.3, progress=False)
    np.testing.assert_allclose(table["beta"][1:], 0.3, atol=TOLERANCE)
    assert table["accuracy"][0] == 1
    spectra = spectra_of(model, "Tanh", [X])
    assert allot_greedily(model, iter([X]), spectra, 0.3, progress=False).steps["error"].min() > 0


def test_results_say_what_they_are():
    found = allot(SPECTRA, 0.5)
    assert repr(found).startswith("Allotment(equal sparsity, beta=0.5")
    assert f"3: {found.taus['3']:.4g}" in repr(found)


def test_layers_that_never_run_do_no_harm():
    model = nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 9), nn.ReLU())
    model.spare = nn.ReLU()
    model.forward = lambda x: model[:4](x)
    with pytest.warns(UserWarning, match="spare"):
        table = compare_allotments(model, [(X, targets_of(model))], "ReLU", 0.4, progress=False)
    assert table.attrs["layers"] == ["1", "3"]
    assert len(table) == 5


def test_data_may_be_a_generator():
    once = compare_allotments(MODEL, iter(labelled(MODEL)), ACTS, 0.4, progress=False)
    many = compare_allotments(MODEL, labelled(MODEL), ACTS, 0.4, progress=False)
    pd.testing.assert_frame_equal(once, many)
    named = compare_allotments(MODEL, labelled(MODEL), (n for n in ACTS), 0.4, progress=False)
    pd.testing.assert_frame_equal(named, many)
    assert allot_greedily(MODEL, itertools.chain(BATCHES), SPECTRA, 0.4, progress=False).taus


def test_a_baseline_at_chance_is_said():
    data = [(X, torch.arange(600) % 4)]
    with pytest.warns(UserWarning, match="no better"):
        table = compare_allotments(MODEL, data, ACTS, 0.4, methods=METHODS[:1], progress=False)
    assert any("no better" in text for text in table.attrs["warnings"])


def test_padding_counts_unless_its_mask_is_named():
    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.act = nn.ReLU()

        def forward(self, x, attention_mask):
            return (self.act(x) * attention_mask[..., None]).sum(dim=1)

    mask = (torch.arange(9) < torch.randint(2, 9, (80, 1))).long()
    data = [{"x": torch.randn(80, 9, 5), "attention_mask": mask}]
    with torch.no_grad():
        data[0]["labels"] = Tokens()(**data[0]).argmax(1)
    sizes = []
    for name in (None, "attention_mask"):
        table = compare_allotments(Tokens(), data, "act", 0.4, mask=name, progress=False)
        np.testing.assert_allclose(table["beta"], table["beta_measured"], rtol=1e-12)
        np.testing.assert_allclose(table["beta"][1:], 0.4, atol=TOLERANCE)
        sizes.append(table["zeros"][0])
    assert sizes[0] != sizes[1]
