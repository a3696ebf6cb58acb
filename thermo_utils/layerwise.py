"""The renormalized free energy layer by layer, and which layer makes the feature of all together.

One unpruned pass fills one :class:`~thermo_utils.ActivationSpectrum` per layer; the spectrum of all
layers together is their merge, equal to the bit to what :func:`thermo_utils.renormalized` gives. So
the curve of every layer costs nothing beyond the pass that the curve of all of them needs::

    spectra = layer_spectra(model, batches, nn.ReLU)
    spectra.table        # a row per layer: size, zeros, share, scale, first feature, effect
    spectra.curves       # long: layer, then the columns of a curve, a row per layer and threshold
    spectra.together     # the curve of all layers together
    spectra.summary()    # which layer makes its first feature, in a sentence
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from torch import Tensor, nn

from thermo_utils.counting import ActivationSpectrum, check_taus
from thermo_utils.curves import Threshold
from thermo_utils.errors import ThermoError
from thermo_utils.evaluation import observe
from thermo_utils.layer_counts import FINE, LayerCounts, curve_of
from thermo_utils.layers import LayerSpec
from thermo_utils.leaving_out import effect, first_feature
from thermo_utils.running import gradients_if_needed
from thermo_utils.thermodynamics import CURVE_COLUMNS

__all__ = ["LayerSpectra", "layer_spectra"]


@dataclass(frozen=True, eq=False, repr=False)
class LayerSpectra:
    """The result of :func:`layer_spectra`.

    Attributes
    ----------
    table : DataFrame
        A row per layer, in model order:

        * ``layer``: its name; ``calls``: how often it ran; ``size``: activations it put out,
          exact zeros included; ``total``: those that are not zero, its ``N``; ``zeros``: those
          that are; ``share``: its ``N`` as a share of that of all layers; ``scale``: mean ``|a|``
          of the nonzero ones;
        * ``tau``, ``beta``, ``kind``, ``low``, ``high``: its own first feature, see
          :func:`thermo_utils.critical_threshold`, ``beta`` being the sparsity of this layer alone;
          missing where it has none;
        * ``tau_without``, ``kind_without``: the first feature of all layers but this one;
        * ``shift``: how far leaving this layer out moves the first feature of all, as the share of
          all activations (of all layers) between the two thresholds; 1 if it vanishes or appears;
        * ``effect``: ``"vanishes"``; ``"moves"``, beyond what noise tells
          apart and by more than `LEAST`, 0.05, of all activations; ``"changes"``: it
          stays where it was but is of another kind; ``"appears"``: there is a feature only without
          this layer; ``"fades"``: it is gone, but with as few activations as are left that of all
          would not stand out from the noise either, so nothing follows; ``"stays"``.
    curves : DataFrame
        ``layer``, then the columns of :func:`thermo_utils.thermodynamic_curve`: a row per layer and
        threshold, in the order of `table`. ``beta`` is the sparsity of the layer alone. A layer
        whose activations are all zero has ``free_energy`` and all that follows from it missing.
    together : DataFrame
        The curve of all layers, at the same thresholds; ``attrs`` as that of
        :func:`thermo_utils.renormalized`.
    feature : Threshold or None
        The first feature of `together`.
    features : mapping of str to Threshold or None
        The first feature of each layer, as in `table`.
    spectra : mapping of str to ActivationSpectrum
        The exact counts behind it, by layer. They can be merged at will, for example by blocks.
    """

    table: pd.DataFrame
    curves: pd.DataFrame
    together: pd.DataFrame
    feature: Threshold | None
    features: Mapping[str, Threshold | None]
    spectra: Mapping[str, ActivationSpectrum]

    def __repr__(self) -> str:
        return f"LayerSpectra({', '.join(self.spectra)}): {self.summary()}"

    def curve(self, layer: str) -> pd.DataFrame:
        """The curve of one layer, as :func:`thermo_utils.renormalized` returns it for it alone.

        Parameters
        ----------
        layer : str
            Its name.

        Returns
        -------
        DataFrame, K rows

        Raises
        ------
        ThermoError
            If there is no such layer.
        """
        if layer not in self.spectra:
            raise ThermoError(f"no layer {layer!r} was observed, only: {', '.join(self.spectra)}")
        curve = self.curves[self.curves["layer"] == layer].drop(columns="layer")
        return curve.reset_index(drop=True)

    @property
    def makers(self) -> list[str]:
        """Layers that the first feature of all needs, the one with the largest shift first."""
        made = self.table[self.table["effect"].isin(["vanishes", "moves", "changes"])]
        return made.sort_values("shift", ascending=False, kind="stable")["layer"].tolist()

    def _made(self, effect: str) -> list[str]:
        """Layers with an effect, the largest shift first, and how far it moves if it does."""
        rows = self.table[self.table["effect"] == effect]
        rows = rows.sort_values("shift", ascending=False, kind="stable")
        pairs = zip(rows["layer"].tolist(), rows["shift"].tolist(), strict=True)
        by = {"moves": " (by {:.0%} of all activations)"}.get(effect, "")
        return [name + by.format(shift) for name, shift in pairs]

    def summary(self) -> str:
        """Which layer makes the first feature of all layers together, in a sentence.

        Returns
        -------
        str
        """
        count = len(self.table)
        if count == 1:
            return "There is one layer, so its feature is that of all."
        if self.feature is None:
            hidden = self._made("appears")
            own = int(self.table["tau"].notna().sum())
            text = f"All {count} layers together have no feature; alone, {own} of them have"
            return text + (f"; one appears without {_listed(hidden)}." if hidden else ".")
        found = self.feature
        text = (
            f"The first feature of all {count} layers together ({found.kind} at tau "
            f"{found.tau:.3g}, beta {found.beta:.3g}) "
        )
        made = {effect: self._made(effect) for effect in ("vanishes", "moves", "changes")}
        parts = [f"{effect} without {_listed(names)}" for effect, names in made.items() if names]
        if parts:
            return text + ", and ".join(parts) + "."
        if faded := self._made("fades"):
            return (
                text + f"cannot be traced: without {_listed(faded)} too few activations are left."
            )
        near = self.table["tau"].between(found.low, found.high)
        return (
            text
            + "stays whichever single layer is left out, so none makes it alone"
            + (f"; {int(near.sum())} have their own there." if near.any() else ".")
        )


@gradients_if_needed
def layer_spectra(
    model: nn.Module,
    data: Iterable[Any],
    layers: LayerSpec,
    taus: ArrayLike | None = None,
    *,
    inclusive: bool = True,
    count_zeros: bool = False,
    mask: str | None = None,
    progress: bool = True,
) -> LayerSpectra:
    """Free energy of each layer and of all together, from one unpruned pass (Section 3.7).

    Parameters
    ----------
    model, data, layers, inclusive, count_zeros, mask, progress
        As for :func:`thermo_utils.renormalized`.
    taus : array_like, shape (K,), optional
        Thresholds of the curves, positive and strictly increasing, in units of the activations;
        features are sought on all of it. By default 32 to the octave over all that matters to any
        of the layers, whatever their scales, and features are sought where a curve's own sparsity
        lies within `RANGE`, 0.01 to 0.999.

    Returns
    -------
    LayerSpectra

    Raises
    ------
    ThermoError
        As :func:`thermo_utils.renormalized`; if all activations of all layers are zero.

    Notes
    -----
    Which layer makes the first feature of all is found by leaving each out in turn and asking for
    the first feature of the rest. That is a statement of necessity: where two layers make the same
    feature, it stays whichever of them is left out, and no layer is said to make it.

    The pass takes no longer than that of :func:`thermo_utils.renormalized`. Looking for features,
    twice for each layer, takes some hundredths of a second each.

    Examples
    --------
    >>> import torch
    >>> _ = torch.manual_seed(0)
    >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU())
    >>> spectra = layer_spectra(net, [torch.randn(50, 4)], nn.ReLU, progress=False)
    >>> spectra.table[["layer", "size", "total", "zeros"]]
      layer  size  total  zeros
    0     1   400    152    248
    1     3   400    107    293
    """
    shown = None if taus is None else check_taus(taus)
    grid = FINE if shown is None else np.union1d(shown, FINE)
    empty = ActivationSpectrum(grid, inclusive=inclusive, count_zeros=count_zeros)
    seen: dict[str, ActivationSpectrum] = {}
    calls: dict[str, int] = {}

    def count(name: str, tensor: Tensor) -> None:
        if name not in seen:
            seen[name], calls[name] = empty.twin(), 0
        seen[name].update(tensor)
        calls[name] += 1

    started = time.perf_counter()
    observed = observe(
        model, data, layers, count, description="layer by layer", mask=mask, progress=progress
    )
    seconds = time.perf_counter() - started
    spectra = {name: seen[name] for name in observed.layers}
    counts = LayerCounts.of(spectra)  # which names the layer where there is NaN on a GPU
    merged = empty.twin()
    for spectrum in spectra.values():
        merged.merge(spectrum)
    merged.compute()  # which refuses what has no curve at all
    for text in observed.warnings:
        warnings.warn(text, stacklevel=3)
    shown = counts.where_it_matters() if shown is None else shown
    at = np.searchsorted(grid, shown)

    cut = taus is None
    together = curve_of(
        shown, merged.active[at], merged.abs_sum[at], merged.total, merged.total_abs_sum
    )
    feature = first_feature(together, cut)
    curves = {name: counts.curve(row, at) for row, name in enumerate(spectra)}
    features = {name: first_feature(curve, cut) for name, curve in curves.items()}
    without = [
        effect(
            together,
            feature,
            counts.curve_without(row, at),
            share=1 - counts.total[row] / merged.total,
            cut=cut,
        )
        for row in range(len(spectra))
    ]
    table = pd.DataFrame(
        [
            (
                name,
                calls[name],
                spectrum.total + (0 if count_zeros else spectrum.zeros),
                spectrum.total,
                spectrum.zeros,
                spectrum.total / merged.total,
                spectrum.total_abs_sum / nonzero if (nonzero := _nonzero(spectrum)) else np.nan,
                *_described(features[name]),
            )
            for name, spectrum in spectra.items()
        ],
        columns=[
            "layer", "calls", "size", "total", "zeros", "share", "scale",
            "tau", "beta", "kind", "low", "high",
        ],
    )  # fmt: skip
    effects = pd.DataFrame(without, columns=["tau_without", "kind_without", "shift", "effect"])
    together.attrs = {
        "layers": observed.layers,
        "total": merged.total,
        "total_abs_sum": merged.total_abs_sum,
        "seconds": seconds,
        "warnings": observed.warnings,
    }
    return LayerSpectra(
        table=pd.concat([table, effects], axis=1),
        curves=pd.concat(
            [curve.assign(layer=name) for name, curve in curves.items()], ignore_index=True
        )[["layer", *CURVE_COLUMNS]],
        together=together,
        feature=feature,
        features=features,
        spectra=spectra,
    )


def _described(feature: Threshold | None) -> tuple[float, float, str | None, float, float]:
    if feature is None:
        return np.nan, np.nan, None, np.nan, np.nan
    return feature.tau, feature.beta, feature.kind, feature.low, feature.high


def _nonzero(spectrum: ActivationSpectrum) -> int:
    return spectrum.total - (spectrum.zeros if spectrum.settings.count_zeros else 0)


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
