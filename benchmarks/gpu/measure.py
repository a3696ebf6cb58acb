"""One network, or one kind of input to the kernels, measured: every part stands for itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from benchmarks.costs import Costs, untrained
from benchmarks.gpu.shapes import SHAPES, WORDS
from thermo_utils import ThermoError
from thermo_utils.clock import interleaved
from thermo_utils.counting.bins import Bins, NumbaBins, TorchBins
from thermo_utils.counting.cpu import have_numba
from thermo_utils.counting.layouts import layout
from thermo_utils.counting.settings import cuda_obstacle, triton_obstacle

__all__ = ["INPUTS", "TAUS", "Kinds", "inputs", "kernels", "kinds", "network"]

#: Thresholds of the renormalized pass, and how many of them the full evaluation sweeps.
TAUS, SWEPT = np.linspace(0.02, 1.0, 50), 3
#: Rounds, unless they take longer than `SECONDS` together; the fewest.
ROUNDS, SECONDS, LEAST = 15, 6.0, 3
#: Calls of a kernel between two looks at the clock.
CALLS = 4
#: Inputs of the kernels, by name.
INPUTS = ("uniform", "half zeros", "one bin")

#: Makers of bins by name.
Kinds = Mapping[str, Callable[..., Bins]]


def network(name: str, dtype: torch.dtype, device: torch.device, small: bool) -> dict[str, Any]:
    """Plain pass, a hook that only sums, RFE and FE of a network, in turn.

    Parameters
    ----------
    name : str
        Of :data:`benchmarks.gpu.shapes.SHAPES`.
    dtype : torch.dtype
        Of weights and activations.
    device : torch.device
    small : bool
        Two inputs of a small size and one block, to try whether all of it runs.

    Returns
    -------
    dict
        ``seconds`` of every task in every round, and what was measured.
    """
    shape = SHAPES[name]
    torch.manual_seed(0)
    size, batch, batches = (shape.small, 2, 1) if small else (shape.size, shape.batch, 4)
    model = shape.make(size, 1 if small else 12).to(device, dtype).eval()

    def example() -> torch.Tensor:
        if shape.text:
            return torch.randint(WORDS, (batch, size), device=device)
        return torch.randn(batch, 3, size, size, device=device, dtype=dtype)

    targets = torch.zeros(batch, dtype=torch.int64, device=device)
    data = [(example(), targets) for _ in range(batches)]
    costs = Costs(model, data, shape.layers, TAUS, SWEPT)
    with untrained():
        seconds = _in_turn(costs.tasks, device)
    return {
        "name": name, "dtype": _short(dtype), "size": size, "batch": batch, "batches": batches,
        "activations": costs.activations, "thresholds": len(TAUS), "passes": SWEPT + 1,
        "seconds": seconds,
    }  # fmt: skip


def inputs(name: str, n: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Activations for a kernel.

    Parameters
    ----------
    name : str
        ``"uniform"`` between 0 and 1, ``"half zeros"`` of them, or all in ``"one bin"``.
    n : int
        How many.
    dtype, device
        Of the tensor.

    Returns
    -------
    Tensor, shape (n,)
    """
    torch.manual_seed(0)
    x = torch.rand(n, device=device)
    if name == "half zeros":
        x *= torch.rand(n, device=device) < 0.5
    elif name == "one bin":
        x = 0.505 + 0.01 * x  # between two thresholds, and between two powers of two
    return x.to(dtype)


def kernels(
    name: str, n: int, dtype: torch.dtype, device: torch.device, makers: Kinds
) -> dict[str, Any]:
    """Ways to count the same activations, in turn with a copy of them, which shows the bandwidth.

    Parameters
    ----------
    name, n, dtype, device
        As for :func:`inputs`.
    makers : mapping of str to callable
        See :func:`kinds`.

    Returns
    -------
    dict
        ``seconds`` of `CALLS` calls of each in every round; ``agrees``: whether all that it counted
        meanwhile is the integers that the CPU counts, to the bit; ``failed``: what those said that
        cannot run here.
    """
    x = inputs(name, n, dtype, device)
    target = torch.empty_like(x)
    lay = layout(dtype, TAUS.tobytes(), True)
    reference = (NumbaBins if have_numba() else TorchBins)(lay, torch.device("cpu"))
    reference.add(x.cpu(), None)
    bins: dict[str, Bins] = {}
    failed: dict[str, str] = {}
    for kind, make in makers.items():
        try:
            found = make(lay, device)
            found.add(x, None)
            found.on_host()
        except Exception as error:  # of a compiler or a driver, whatever it may be
            failed[kind] = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        else:
            bins[kind] = found

    def calls(work: Callable[[], object]) -> Callable[[], None]:
        def run() -> None:
            for _ in range(CALLS):
                work()

        return run

    tasks = {kind: calls(lambda b=found: b.add(x, None)) for kind, found in bins.items()}  # type: ignore[misc]
    seconds = _in_turn({"copy": calls(lambda: target.copy_(x)), **tasks}, device)
    expected = reference.on_host()
    return {
        "input": name, "dtype": _short(dtype), "elements": n, "calls": CALLS,
        "bytes": x.element_size(), "bins": lay.size, "reference": type(reference).__name__,
        "seconds": seconds, "failed": failed,
        "agrees": {kind: _equal(found, expected, n) for kind, found in bins.items()},
    }  # fmt: skip


def kinds(device: torch.device) -> dict[str, Callable[..., Bins]]:
    """Makers of bins by name, the library's choice first.

    Parameters
    ----------
    device : torch.device
        A CPU has kernels of its own.

    Raises
    ------
    ThermoError
        If one of the library's kernels cannot count there. It would fall back on another, whose
        times would stand for the kernel's.
    """
    if device.type == "cpu":
        found: dict[str, Callable[..., Bins]] = {"torch": TorchBins}
        return {"numba": NumbaBins, **found} if have_numba() else found
    if obstacle := cuda_obstacle(device) or triton_obstacle(device.type):
        raise ThermoError(
            f"a kernel cannot count on this GPU, {obstacle}: pip install cuda-bindings triton, "
            "which come with torch on Linux, and a C compiler such as gcc, which Triton needs"
        )
    from thermo_utils.counting.gpu import TritonBins
    from thermo_utils.counting.shared import SharedBins

    return {"shared memory": SharedBins, "global atomics": TritonBins, "torch": TorchBins}


def _equal(bins: Bins, once: Any, n: int) -> bool:
    """Whether bins hold what was counted once, as often as they were given it."""
    times, rest = divmod(bins.seen, n)
    counts, sums = bins.on_host()
    return (
        not rest
        and np.array_equal(counts, times * once[0])
        and np.array_equal(sums, times * once[1])
    )


def _in_turn(tasks: Mapping[str, Callable[[], Any]], device: torch.device) -> Any:
    """Seconds of tasks that are waited for, in as many rounds as there is time for."""

    def waited(task: Callable[[], Any]) -> Callable[[], None]:
        def run() -> None:
            task()
            if device.type == "cuda":
                torch.cuda.synchronize(device)

        return run

    todo = {name: waited(task) for name, task in tasks.items()}
    interleaved(todo, 1, progress=False)  # the first is compiled, loaded and tuned
    started = time.perf_counter()
    interleaved(todo, 1, progress=False)
    each = time.perf_counter() - started
    return interleaved(todo, max(LEAST, min(ROUNDS, int(SECONDS / each))), progress=False)


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
