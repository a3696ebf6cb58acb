"""Layers, thresholds per layer and classes of networks trained on real data."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd
import pytest

from companion.examples import EXAMPLES, load
from thermo_utils import (
    allot_greedily,
    compare_allotments,
    cost_by_class,
    full_evaluation,
    layer_spectra,
    renormalized,
)
from thermo_utils.activations import default_layers
from thermo_utils.allotment import TOLERANCE
from thermo_utils.layer_figures import heat_map, small_multiples

PROFILES = [
    pytest.param("demo", marks=pytest.mark.slow),
    pytest.param("small", marks=[pytest.mark.slow, pytest.mark.data]),
]


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", list(EXAMPLES))
def test_layer_by_layer(name, profile):
    if profile == "small" and "THERMO_DATA" not in os.environ:
        pytest.skip("set THERMO_DATA to the local mirror")
    example = load(name, profile)
    network, data = example.network, example.batches[:4]
    layers = default_layers(network, data[0])
    spectra = layer_spectra(network, data, layers, progress=False)
    whole = renormalized(network, data, layers, spectra.together["tau"], progress=False)
    pd.testing.assert_frame_equal(spectra.together, whole, check_exact=True)
    assert spectra.table["total"].sum() == whole.attrs["total"]
    assert spectra.summary()
    for figure in (heat_map(spectra), small_multiples(spectra)):
        assert figure.axes

    methods = ["one threshold", "equal sparsity", "equal share"]
    table = compare_allotments(
        network, data, layers, [0.2, 0.6], metric=example.metric, methods=methods, progress=False
    )
    np.testing.assert_allclose(table["beta"], table["target"], atol=TOLERANCE)
    np.testing.assert_allclose(table["beta_measured"], table["target"], atol=0.2)
    by_layer = allot_greedily(
        network, data[:1], spectra, 0.2, layers=layers, step=0.1, progress=False
    )
    assert by_layer.beta == pytest.approx(0.2, abs=TOLERANCE)
    assert 0 < by_layer.steps["error"].iloc[0] <= by_layer.steps["error"].iloc[-1]

    if example.metric == "accuracy":
        taus = np.quantile(spectra.together["tau"], [0.5, 0.8, 0.9])
        curve = full_evaluation(network, data, layers, taus, per_class=True, progress=False)
        costs = cost_by_class(curve)
        worst = costs.worst(float(taus[-1]))
        assert worst.drop >= worst.mean_drop
        weighted = costs.curves["accuracy"] * costs.curves["examples"]
        mean = weighted.groupby(costs.curves["tau"]).sum() / curve.attrs["samples"]
        np.testing.assert_allclose(mean, curve["accuracy"])
