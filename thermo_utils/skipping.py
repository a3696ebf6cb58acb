"""The one case where zeros pay on a CPU: a single input, and a layer that skips its zeros.

A product of a matrix and one vector reads every weight once and is as fast as memory. A weight that
meets a zero need not be read, if the weights of one input lie side by side.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from thermo_utils.clock import interleaved
from thermo_utils.errors import ThermoError

__all__ = ["SPARSITIES", "SkippingLinear", "break_even", "skipping_speed"]

#: Shares of zeros at which :func:`skipping_speed` measures.
SPARSITIES = (0.0, 0.25, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)


class SkippingLinear(nn.Module):
    """A linear layer for one input at a time that reads only the weights of nonzero inputs.

    Its kernel is compiled by numba for one thread, float32 and a CPU. Results are those of the
    linear layer but for rounding, since the sums are formed in another order; a weight that is
    infinite or NaN is passed by where its input is zero. With ``prune(model, "fc:input", tau)`` the
    wrapped layer is given the zeros to skip.

    Parameters
    ----------
    linear : Linear
        What to compute: a copy of its weights is kept, transposed.

    Raises
    ------
    ThermoError
        If `linear` is no linear layer of float32 on a CPU, or numba is missing; when called, for
        more than one input, another type or device, or a gradient.

    Examples
    --------
    >>> linear = nn.Linear(4, 2)
    >>> x = torch.tensor([0.0, 1.0, 0.0, -2.0])
    >>> with torch.no_grad():
    ...     torch.allclose(SkippingLinear(linear)(x), linear(x))
    True
    """

    columns: Tensor
    bias: Tensor

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        if not isinstance(linear, nn.Linear):
            raise ThermoError(f"a linear layer can skip zeros, a {type(linear).__name__} cannot")
        _check(linear.weight, "the layer's weights are")
        _kernel()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.register_buffer(
            "columns", linear.weight.detach().t().clone(memory_format=torch.contiguous_format)
        )
        bias = torch.zeros(linear.out_features) if linear.bias is None else linear.bias.detach()
        self.register_buffer("bias", bias.clone())

    def forward(self, x: Tensor) -> Tensor:
        """Multiply one input.

        Parameters
        ----------
        x : Tensor of float32, shape (in_features,), or the same with leading dimensions of one

        Returns
        -------
        Tensor of float32, shape (out_features,), with the same leading dimensions
        """
        _check(x, "the input is")
        if x.numel() != self.in_features or x.shape[-1:] != (self.in_features,):
            raise ThermoError(
                f"one input of {self.in_features} numbers at a time can be skipped through, got "
                f"shape {tuple(x.shape)}: use nn.Linear for more"
            )
        if x.requires_grad and torch.is_grad_enabled():
            raise ThermoError("skipping has no gradient: call it under torch.no_grad()")
        out = torch.empty(self.out_features)
        _kernel()(
            x.detach().reshape(-1).contiguous().numpy(),
            self.columns.numpy(), self.bias.numpy(), out.numpy(),
        )  # fmt: skip
        return out.view(*x.shape[:-1], self.out_features)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}"


def skipping_speed(
    in_features: int,
    out_features: int,
    sparsities: Sequence[float] = SPARSITIES,
    *,
    repetitions: int = 15,
    inputs: int = 16,
    seed: int = 0,
    progress: bool = True,
) -> pd.DataFrame:
    """Wall time of a layer that skips zeros beside that of the dense one, over sparsity.

    Both run on one thread, with one input at a time, in turn. The zeros stand at other places in
    every input, so that the weights that are read are not always the same, which a cache would
    hold.

    Parameters
    ----------
    in_features, out_features : int
        Size of the layer.
    sparsities : sequence of float, default `SPARSITIES`
        Shares of the inputs that are zero, from 0 to 1, increasing.
    repetitions : int, default 15
        Rounds; each measures everything once.
    inputs : int, default 16
        Different inputs that a time is the mean over.
    seed : int, default 0
        Of weights and inputs.
    progress : bool, default True
        Show a progress bar.

    Returns
    -------
    DataFrame
        A row per sparsity: ``sparsity`` (that the inputs really have), ``dense`` and ``skipping``
        (seconds per input, medians over the rounds), ``speedup`` (dense by skipping within a round,
        median), ``low`` and ``high`` (its quartiles), ``gain`` (the same by the time of the
        skipping layer itself without zeros), ``threads`` (1). A speed-up at sparsity 0, where
        nothing is skipped, is the kernel's; what zeros alone give is ``gain``. ``attrs`` has
        ``in_features``, ``out_features``, ``repetitions`` and ``inputs``.

    Raises
    ------
    ThermoError
        If a number is out of range, or numba is missing.
    """
    shares = [float(share) for share in sparsities]
    if not shares or sorted({*shares}) != shares or not 0 <= shares[0] <= shares[-1] <= 1:
        raise ThermoError(f"sparsities must lie from 0 to 1 and increase, got {shares}")
    for name, number in (
        ("in_features", in_features), ("out_features", out_features),
        ("repetitions", repetitions), ("inputs", inputs),
    ):  # fmt: skip
        if number < 1:
            raise ThermoError(f"{name} must be 1 or more, got {number}")
    made = torch.Generator().manual_seed(seed)
    linear = nn.Linear(in_features, out_features)
    nn.init.normal_(linear.weight, std=in_features**-0.5, generator=made)
    skipping = SkippingLinear(linear)
    given = [_with_zeros(share, inputs, in_features, made) for share in shares]
    tasks = {"full": functools.partial(_each, skipping, _with_zeros(0, inputs, in_features, made))}
    for number, rows in enumerate(given):
        tasks[f"dense {number}"] = functools.partial(_each, linear, rows)
        tasks[f"skipping {number}"] = functools.partial(_each, skipping, rows)
    with _one_thread(), torch.no_grad():
        for task in tasks.values():  # the first call compiles, and warms the caches
            task()
        times = interleaved(tasks, repetitions, progress=progress)
    full = np.array(times["full"])
    found = []
    for number, rows in enumerate(given):
        dense, skipped = (np.array(times[f"{kind} {number}"]) for kind in ("dense", "skipping"))
        low, middle, high = np.quantile(dense / skipped, [0.25, 0.5, 0.75])
        found.append(
            {
                "sparsity": float((torch.stack(rows) == 0).double().mean()),
                "dense": float(np.median(dense)) / inputs,
                "skipping": float(np.median(skipped)) / inputs,
                "speedup": middle, "low": low, "high": high,
                "gain": float(np.median(full / skipped)), "threads": 1,
            }
        )  # fmt: skip
    speed = pd.DataFrame(found)
    speed.attrs = {
        "in_features": in_features, "out_features": out_features, "repetitions": repetitions,
        "inputs": inputs,
    }  # fmt: skip
    return speed


def break_even(speed: pd.DataFrame) -> float | None:
    """The sparsity from which on skipping zeros is at least as fast as the dense layer.

    Parameters
    ----------
    speed : DataFrame
        Of :func:`skipping_speed`: columns ``sparsity`` (increasing) and ``speedup``.

    Returns
    -------
    float or None
        Interpolated where the skipping layer's share of the dense one's time, which falls about
        linearly, comes down to one for good; the first sparsity if it is no slower anywhere, None
        if it is slower at the last.

    Examples
    --------
    >>> break_even(pd.DataFrame({"sparsity": [0.0, 0.5, 1.0], "speedup": [0.5, 0.8, 4.0]}))
    0.625
    """
    sparsity, share = speed["sparsity"].to_numpy(float), 1 / speed["speedup"].to_numpy(float)
    slower = np.flatnonzero(share > 1)
    if len(slower) == 0:
        return float(sparsity[0])
    last = int(slower[-1])
    if last == len(share) - 1:
        return None
    part = (share[last] - 1) / (share[last] - share[last + 1])
    return float(sparsity[last] + part * (sparsity[last + 1] - sparsity[last]))


def _with_zeros(share: float, inputs: int, size: int, made: torch.Generator) -> list[Tensor]:
    """Inputs of which the same share is zero, each at other places."""
    rows = torch.randn(inputs, size, generator=made)
    for row in rows:
        row[torch.randperm(size, generator=made)[: round(share * size)]] = 0
    return [row[None].clone() for row in rows]


def _each(layer: nn.Module, rows: Sequence[Tensor]) -> None:
    for row in rows:
        layer(row)


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _check(tensor: Tensor, subject: str) -> None:
    if tensor.dtype != torch.float32 or tensor.device.type != "cpu":
        raise ThermoError(
            f"{subject} {tensor.dtype} on {tensor.device}: zeros are skipped for float32 on a CPU"
        )


@functools.cache
def _kernel() -> Any:
    """:func:`_skip`, compiled."""
    try:
        import numba
    except ImportError:
        raise ThermoError("skipping zeros needs numba: pip install numba") from None
    # Multiplying and adding in one instruction rounds once instead of twice.
    options: dict[str, Any] = {"nogil": True, "fastmath": {"contract"}}
    try:
        return numba.njit(cache=True, **options)(_skip)
    except RuntimeError:  # nowhere to keep a cache: compile in every process
        return numba.njit(**options)(_skip)


def _skip(x, columns, bias, out):  # type: ignore[no-untyped-def]
    """Write ``bias`` plus the columns, each times its input, to ``out``."""
    n = out.size
    out[:] = bias
    found = 0
    a = b = c = d = np.float32(0)
    i = j = k = h = 0
    for m in range(x.size):
        if x[m] == 0:
            continue
        # Four columns together read and write the result once instead of four times.
        if found == 0:
            a, i, found = x[m], m, 1
        elif found == 1:
            b, j, found = x[m], m, 2
        elif found == 2:
            c, k, found = x[m], m, 3
        else:
            d, h, found = x[m], m, 0
            for o in range(n):
                first = a * columns[i, o] + b * columns[j, o]
                out[o] += first + (c * columns[k, o] + d * columns[h, o])
    if found > 0:
        for o in range(n):
            out[o] += a * columns[i, o]
    if found > 1:
        for o in range(n):
            out[o] += b * columns[j, o]
    if found > 2:
        for o in range(n):
            out[o] += c * columns[k, o]
