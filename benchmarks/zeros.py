"""``python -m benchmarks.zeros``: what zeros save, with dense kernels and with one that skips them.

Run it on an otherwise idle machine; it takes some minutes and writes ``results/zeros.json``, which
the page *Speed* of the book shows. How busy the machine was before is written down too.
"""

from __future__ import annotations

import argparse
import datetime
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.command import exit_code
from companion.pages.zeros import FILE
from companion.runs.provenance import provenance
from companion.runs.records import to_json
from thermo_utils import ThermoError, benchmark, break_even, skipping_speed
from thermo_utils.files import write_atomically
from thermo_utils.skipping import SPARSITIES

__all__ = ["dense_kernels", "main", "one_layer"]

#: Layers whose zeros are skipped, by inputs and outputs.
SIZES = ((1024, 4096), (4096, 4096))
#: Batch sizes and sparsities at which dense kernels are measured.
BATCHES, SHARES = (1, 64), (0.0, 0.5, 0.9, 0.99)


def one_layer(size: tuple[int, int], sparsities: Sequence[float], repetitions: int) -> Any:
    """A layer that skips zeros, over sparsity.

    Parameters
    ----------
    size : (int, int)
        Inputs and outputs.
    sparsities : sequence of float
    repetitions : int

    Returns
    -------
    dict
        Of :func:`thermo_utils.skipping_speed`: its ``attrs``, its ``rows``, and ``break_even``.
    """
    speed = skipping_speed(*size, sparsities, repetitions=repetitions)
    return {
        **speed.attrs, "break_even": break_even(speed), "rows": speed.to_dict(orient="records"),
    }  # fmt: skip


def dense_kernels(size: tuple[int, int], batch: int, repetitions: int) -> Any:
    """Two layers with a ReLU between them, pruned by :func:`thermo_utils.prune`.

    Parameters
    ----------
    size : (int, int)
        Inputs, which are also the outputs, and hidden activations.
    batch : int
        Inputs at a time.
    repetitions : int

    Returns
    -------
    dict
        Of :func:`thermo_utils.benchmark`: its ``attrs``, its ``rows``, and what was measured.
    """
    torch.manual_seed(0)
    inputs, hidden = size
    model = nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, inputs)).eval()
    data = [torch.randn(batch, inputs) for _ in range(4)]
    with torch.no_grad():
        active = model[:2](torch.cat(data))
    taus = np.quantile(active[active > 0].numpy(), SHARES)
    taus[0] = 0.0
    found = benchmark(model, data, "1", taus.tolist(), batches=len(data), repetitions=repetitions)
    return {
        **found.attrs, "inputs": inputs, "hidden": hidden, "batch": batch,
        "rows": found.to_dict(orient="records"),
    }  # fmt: skip


def processor() -> str | None:
    """The CPU's name, where Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return None
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else None


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure everything and write it down; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.zeros", description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of records")
    parser.add_argument("--repetitions", type=int, default=31, help="rounds (default 31)")
    parser.add_argument(
        "--size", action="append", metavar="INPUTSxOUTPUTS",
        help="of a layer (default 1024x4096 and 4096x4096)",
    )  # fmt: skip
    given = parser.parse_args(arguments)

    def work() -> None:
        sizes = [_size(text) for text in given.size] if given.size else SIZES
        if not given.results.is_dir():
            raise ThermoError(f"there is no folder {given.results}: make it, or name another")
        facts = {
            "load": os.getloadavg()[0],
            "skipping": [one_layer(size, SPARSITIES, given.repetitions) for size in sizes],
            "dense": [
                dense_kernels(size, batch, given.repetitions) for size in sizes for batch in BATCHES
            ],
            "processor": processor(),
            "date": datetime.date.today().isoformat(),
            "provenance": provenance(),
        }
        write_atomically(given.results / FILE, to_json(facts) + "\n")

    return exit_code(work, resumes=False)


def _size(text: str) -> tuple[int, int]:
    parts = text.split("x")
    if len(parts) != 2 or not all(
        part.isascii() and part.isdigit() and int(part) for part in parts
    ):
        raise ThermoError(f"--size takes inputs and outputs, such as 1024x4096, got {text!r}")
    return int(parts[0]), int(parts[1])


if __name__ == "__main__":
    sys.exit(main())
