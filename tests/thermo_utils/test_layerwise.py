"""Curves per layer against those of each layer alone, and features whose maker is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from thermo_utils import ThermoError, critical_threshold, layer_spectra, renormalized
from thermo_utils.leaving_out import RANGE

GRID = np.arange(1, 61) / 40
N = 200_000


class Parts(nn.Module):
    """Every column of the input goes through a layer of its own, ``act.0``, ``act.1``, ..."""

    def __init__(self, count):
        super().__init__()
        self.act = nn.ModuleList(nn.Identity() for _ in range(count))

    def forward(self, x):
        return torch.stack([act(part) for act, part in zip(self.act, x.T, strict=True)], dim=1)


def exponential(seed, scale=1.0):
    """A density whose F falls and bends the same way all along: there is no feature."""
    generator = torch.Generator().manual_seed(seed)
    return -torch.log1p(-torch.rand(N, generator=generator)) * scale


def peaked(seed, at=1.0, width=0.1):
    """Activations of one size: F turns where they go."""
    return at * (1 + width * torch.randn(N, generator=torch.Generator().manual_seed(seed)))


def some(activations, share):
    """The same, but most are zero, as after a ReLU."""
    return torch.where(torch.arange(N) < N * share, activations, torch.zeros(()))


def spectra(*parts, taus=GRID, **options):
    return layer_spectra(
        Parts(len(parts)), [torch.stack(parts, dim=1)], "act.*", taus, progress=False, **options
    )


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 24), nn.GELU(), nn.Linear(24, 16), nn.Tanh()
    )


BATCHES = list(torch.randn(300, 6, generator=torch.Generator().manual_seed(1)).split(70))
ACTS = [nn.ReLU, nn.GELU, nn.Tanh]


@pytest.mark.parametrize(
    ("dtype", "options"),
    [
        (torch.float32, {}),
        (torch.float64, {"inclusive": False}),
        (torch.bfloat16, {"count_zeros": True}),
    ],
)
def test_together_and_each_are_the_curves_of_one_pass_to_the_bit(dtype, options):
    model, data = network().to(dtype), [batch.to(dtype) for batch in BATCHES]
    for taus in (GRID, None):
        found = layer_spectra(model, data, ACTS, taus, progress=False, **options)
        shown = found.together["tau"]
        whole = renormalized(model, data, ACTS, shown, progress=False, **options)
        pd.testing.assert_frame_equal(found.together, whole, check_exact=True)
        for key in ("total", "total_abs_sum"):
            assert found.together.attrs[key] == whole.attrs[key]
        assert found.curves["layer"].unique().tolist() == ["1", "3", "5"]
        for name in "135":
            alone = renormalized(model, data, name, shown, progress=False, **options)
            pd.testing.assert_frame_equal(found.curve(name), alone, check_exact=True)


def test_the_table_against_counting_by_hand():
    model = network()
    found = layer_spectra(model, BATCHES, ACTS, GRID, progress=False)
    with torch.no_grad():
        outputs, x = {}, torch.cat(BATCHES)
        for index, layer in enumerate(model):
            x = layer(x)
            outputs[str(index)] = x.double().abs()
    total = sum(int((outputs[name] > 0).sum()) for name in "135")
    for row in found.table.itertuples():
        a = outputs[row.layer]
        assert row.calls == len(BATCHES)
        assert row.size == a.numel()
        assert row.zeros == int((a == 0).sum())
        assert row.total == a.numel() - row.zeros
        assert row.share == pytest.approx(row.total / total)
        assert row.scale == pytest.approx(float(a.sum()) / row.total, rel=1e-5)
        own = critical_threshold(found.curve(row.layer))
        assert np.isnan(row.tau) if own is None else (row.tau, row.kind) == (own.tau, own.kind)
    assert found.table["share"].sum() == pytest.approx(1)
    assert found.table["zeros"].to_list()[1:] == [0, 0]
    assert found.table["zeros"][0] > 0


def test_zeros_count_when_asked_for():
    found = layer_spectra(network(), BATCHES, ACTS, GRID, count_zeros=True, progress=False)
    plain = layer_spectra(network(), BATCHES, ACTS, GRID, progress=False)
    pd.testing.assert_series_equal(found.table["total"], plain.table["size"], check_names=False)
    for column in ("size", "zeros", "scale"):
        pd.testing.assert_series_equal(found.table[column], plain.table[column])


@pytest.mark.parametrize("place", [0, 1, 2])
def test_the_one_layer_with_a_feature_makes_it(place):
    parts = [some(exponential(seed, 0.3), 0.01) for seed in range(3)]
    parts[place] = peaked(7)
    found = spectra(*parts)
    assert found.feature is not None
    assert found.table["kind"].notna().tolist() == [row == place for row in range(3)]
    assert found.makers == [f"act.{place}"]
    effects = ["stays"] * 3
    effects[place] = "vanishes"
    assert found.table["effect"].tolist() == effects
    assert found.table["shift"][place] == 1
    assert found.table["tau_without"].isna().tolist() == [row == place for row in range(3)]
    assert f"vanishes without act.{place}" in found.summary()
    assert found.summary() in repr(found)
    assert found.feature.kind in found.summary()


def test_the_earlier_of_two_features_gives_way_to_the_later():
    parts = some(exponential(0), 0.1), peaked(1, at=0.2), some(peaked(2, at=1.2), 0.5)
    found = spectra(*parts, taus=np.arange(1, 100) / 50)
    assert found.makers == ["act.1"]
    assert found.table["effect"].tolist() == ["stays", "moves", "stays"]
    assert found.feature is not None
    assert found.feature.tau < 0.3
    later = found.table["tau_without"][1]
    assert later > 0.8
    a = np.abs(np.concatenate([part[part != 0].numpy() for part in parts]))
    between = np.mean((a >= found.feature.tau) & (a < later))
    assert found.table["shift"][1] == pytest.approx(between, abs=1e-4)
    assert f"moves without act.1 (by {between:.0%} of all activations)" in found.summary()


def test_a_feature_of_two_layers_is_made_by_neither():
    found = spectra(peaked(1), peaked(2))
    assert found.makers == []
    assert found.table["effect"].tolist() == ["stays"] * 2
    assert "none makes it alone; 2 have their own there" in found.summary()


def test_without_a_feature_there_is_no_maker():
    found = spectra(exponential(0), exponential(1))
    assert found.feature is None
    assert found.makers == []
    assert found.table["shift"].tolist() == [0, 0]
    assert "no feature" in found.summary()


def test_a_layer_that_hides_a_feature():
    found = spectra(peaked(0, width=0.05), exponential(1, 0.1), taus=None)
    assert found.feature is None
    assert found.makers == []
    assert found.table["kind"].notna().tolist() == [True, False]
    assert found.table["effect"].tolist() == ["stays", "appears"]
    assert found.table["shift"].tolist() == [0, 1]
    assert "appears without act.1" in found.summary()


def test_a_layer_that_only_brings_the_numbers_makes_nothing():
    # Both layers are distributed alike; one is so small that noise hides the feature they share.
    many = torch.rand(N, generator=torch.Generator().manual_seed(0))
    found = spectra(many, some(many.flip(0), 1 / 400), taus=np.arange(1, 96) / 100)
    assert found.feature is not None
    assert found.table["effect"].tolist() == ["fades", "stays"]
    assert found.makers == []
    assert "without act.0 too few activations are left" in found.summary()


def test_layers_of_any_scale_share_the_default_grid():
    found = spectra(peaked(0, at=1e-4), peaked(1, at=1e4), taus=None)
    for name, at in (("act.0", 1e-4), ("act.1", 1e4)):
        curve = found.curve(name)
        beta = curve["beta"]
        assert np.interp(at, curve["tau"], beta) == pytest.approx(0.5, abs=0.02)
        assert beta.iloc[0] <= RANGE[0]
        assert beta.iloc[-1] >= RANGE[1]
    shown = found.together["tau"]
    assert shown.iloc[0] > 5e-5
    assert shown.iloc[-1] < 2e4


def test_a_network_of_other_layers_does_not_change_a_layer_on_the_default_grid():
    alone, among = spectra(peaked(0), taus=None), spectra(peaked(0), exponential(1, 50), taus=None)
    columns = ["calls", "size", "total", "zeros", "scale", "tau", "beta", "kind", "low", "high"]
    pd.testing.assert_series_equal(alone.table.loc[0, columns], among.table.loc[0, columns])


@pytest.mark.slow
def test_by_default_chance_makes_few_features():
    found = [spectra(exponential(seed), taus=None).feature for seed in range(30)]
    assert sum(feature is not None for feature in found) <= 3
    uniform = [torch.rand(N, generator=torch.Generator().manual_seed(seed)) for seed in range(10)]
    found = [spectra(part, taus=None).feature for part in uniform]
    betas = [feature.beta for feature in found if feature is not None]
    assert sum(0.3 < beta < 0.5 for beta in betas) >= 9


def test_activations_all_alike_have_a_default_grid():
    found = spectra(torch.ones(10), taus=None)
    assert found.together["beta"].iloc[[0, -1]].tolist() == [0, 1]


@pytest.mark.parametrize("scale", [1e12, 1e-12])
def test_activations_beyond_the_default_grid(scale):
    with pytest.raises(ThermoError, match="give taus"):
        spectra(scale * (1 + torch.rand(10)), taus=None)
    assert spectra(scale * (1 + torch.rand(10)), taus=[scale]).table["total"][0] == 10


def test_a_layer_of_zeros_has_no_curve_and_does_no_harm():
    found = spectra(peaked(0), torch.zeros(N))
    row = found.table.iloc[1]
    assert (row.total, row.zeros, row.share) == (0, N, 0)
    assert np.isnan(row.scale)
    assert pd.isna(row.kind)
    assert found.curve("act.1")["free_energy"].isna().all()
    assert found.makers == ["act.0"]
    with pytest.raises(ThermoError, match="zero"):
        spectra(torch.zeros(10))


def test_a_single_layer():
    assert "one layer" in spectra(peaked(0)).summary()


def test_a_module_called_twice_counts_twice():
    act = nn.ReLU()
    model = nn.Sequential(act, nn.Linear(6, 6), act)
    found = layer_spectra(model, BATCHES, nn.ReLU, GRID, progress=False)
    assert found.table["calls"].tolist() == [2 * len(BATCHES)]
    assert found.table["size"].tolist() == [2 * 300 * 6]


def test_data_may_be_a_generator_and_must_be_there():
    once = layer_spectra(network(), iter(BATCHES), ACTS, GRID, progress=False)
    twice = layer_spectra(network(), BATCHES, ACTS, GRID, progress=False)
    pd.testing.assert_frame_equal(once.table, twice.table)
    with pytest.raises(ThermoError, match="no data"):
        layer_spectra(network(), [], ACTS, GRID, progress=False)


def test_an_unknown_layer_is_named_with_those_there_are():
    with pytest.raises(ThermoError, match=r"'2'.*1, 3, 5"):
        layer_spectra(network(), BATCHES, ACTS, GRID, progress=False).curve("2")


def test_spectra_of_layers_can_be_merged():
    found = layer_spectra(network(), BATCHES, ACTS, GRID, progress=False)
    first = found.spectra["1"]
    both = first.twin().merge(first).merge(found.spectra["3"])
    pair = renormalized(network(), BATCHES, ["1", "3"], both.taus, progress=False)
    pd.testing.assert_frame_equal(both.compute(), pair, check_exact=True)


class Padded(nn.Module):
    """A layer for tokens."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.ReLU(), nn.Identity()

    def forward(self, x, attention_mask):
        return self.second(self.first(x) - 0.1)


def padded():
    mask = torch.arange(9) < torch.tensor([[9], [4], [6]])
    return [{"x": torch.randn(3, 9, 20), "attention_mask": mask.long()}]


def test_padding_counts_unless_its_mask_is_named():
    data = padded()
    options = {"layers": ["first", "second"], "taus": GRID, "progress": False}
    for mask, tokens in ((None, 27), ("attention_mask", 19)):
        found = layer_spectra(Padded(), data, mask=mask, **options)
        assert found.table["size"].tolist() == [20 * tokens] * 2
        whole = renormalized(Padded(), data, mask=mask, **options)
        pd.testing.assert_frame_equal(found.together, whole, check_exact=True)


class Calls(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(6, 6)

    def forward(self, x):
        return torch.relu(self.inner(torch.relu(x)) - 0.1)


def test_inputs_and_calls_of_functions_are_layers_too():
    found = layer_spectra(Calls(), BATCHES, ["inner:input", "relu()"], GRID, progress=False)
    names = found.table["layer"].tolist()
    assert names[0] == "inner:input"
    assert len(names) == 3
    assert found.table["size"].tolist() == [1800] * 3
    # What goes into the layer is what the first call of the function put out.
    first = next(name for name in names[1:] if "#" not in name)
    pd.testing.assert_frame_equal(found.curve("inner:input"), found.curve(first))


def test_nan_names_the_layer():
    broken = [torch.full((2, 6), float("nan"))]
    with pytest.raises(ThermoError, match=r"layer '1'.*NaN"):
        layer_spectra(network(), broken, ACTS, GRID, progress=False)


def test_layers_that_never_run_are_said():
    model = network()
    model.spare = nn.ReLU()
    model.forward = lambda x: model[:6](x)
    with pytest.warns(UserWarning, match="spare"):
        found = layer_spectra(model, BATCHES, ACTS, GRID, progress=False)
    assert found.table["layer"].tolist() == ["1", "3", "5"]
    assert "spare" in found.together.attrs["warnings"][0]
