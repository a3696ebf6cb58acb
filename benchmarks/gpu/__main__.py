"""What counting costs on a GPU: networks against plain passes, kernels against a copy.

``make gpu`` runs it, in some minutes, with nothing but this repository and torch; it writes
``results/gpu.json``, which the page *Speed* of the book shows. Stopped, it goes on where it was.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks import costs
from benchmarks.command import exit_code, in_parts
from benchmarks.gpu import measure
from benchmarks.gpu.shapes import SHAPES
from companion.pages.gpu import FILE, FORMAT, check
from companion.runs.provenance import provenance
from companion.runs.records import to_json
from thermo_utils import ThermoError
from thermo_utils.files import digest, write_atomically

__all__ = ["main", "parts"]

#: Where finished parts wait for the others, and where a trial on a CPU goes, among the results.
WORK, TRIAL = ".work", "gpu-trial.json"
#: Activations that the kernels count at a time.
ELEMENTS, FEW = 1 << 27, 3000


def parts(device: torch.device, small: bool) -> dict[str, Callable[[], dict[str, Any]]]:
    """What is measured, by name; names of networks and of inputs begin with what they are.

    Parameters
    ----------
    device : torch.device
    small : bool
        Whether it is a trial.
    """
    makers = measure.kinds(device)
    elements = FEW if small else ELEMENTS
    counted = (torch.float32, torch.float16, torch.bfloat16)
    todo: dict[str, Callable[[], dict[str, Any]]] = {}
    for dtype in counted:
        for name in measure.INPUTS:
            work = partial(measure.kernels, name, elements, dtype, device, makers)
            todo[f"kernels {name} {dtype}"] = work
    for dtype in (torch.float32, torch.bfloat16):
        for name in SHAPES:
            todo[f"networks {name} {dtype}"] = partial(measure.network, name, dtype, device, small)
    return todo


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure everything and write it down; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of records")
    parser.add_argument(
        "--device", choices=["cuda", "cpu"], default="cuda",
        help="cpu: a trial of everything in small, which is no measurement and is kept apart",
    )  # fmt: skip
    parser.add_argument("--force", action="store_true", help="measure again what is there already")
    given = parser.parse_args(arguments)

    def work() -> None:
        path = _measured(given.results, given.device, given.force)
        trial = given.device == "cpu"
        print(f"{'a trial without a GPU, no measurement' if trial else 'measured'}: {path}")

    return exit_code(work)


def _measured(results: Path, device_type: str, force: bool) -> Path:
    """Measure what is not there yet, and put it together."""
    if not results.is_dir():
        raise ThermoError(f"there is no folder {results}: make it, or name another")
    trial = device_type == "cpu"
    if not trial and not torch.cuda.is_available():
        raise ThermoError(
            "there is no GPU that torch can use: run it on a machine with one, where "
            "python -c 'import torch; print(torch.cuda.is_available())' says True"
        )
    work = results / WORK
    work.mkdir(exist_ok=True)
    path = work / TRIAL if trial else results / FILE
    if path.exists() and not force and not trial:
        raise ThermoError(
            f"{path} is there already: python -m benchmarks.gpu --force measures it again"
        )
    made = _made_with(trial)
    kept = work / f"parts-{device_type}.json"
    todo = parts(torch.device(device_type), trial)
    done = in_parts(todo, kept, made, desc="measuring", unit="part")
    facts = {
        "format": FORMAT, "trial": trial, **made, "date": datetime.date.today().isoformat(),
        "kernels": [done[name] for name in todo if name.startswith("kernels ")],
        "networks": [done[name] for name in todo if name.startswith("networks ")],
    }  # fmt: skip
    text = to_json(facts) + "\n"
    check(json.loads(text), path)
    write_atomically(path, text)
    kept.unlink(missing_ok=True)
    return path


def _made_with(trial: bool) -> dict[str, Any]:
    """What all parts of a record must have in common."""
    try:
        triton = importlib.metadata.version("triton")
    except importlib.metadata.PackageNotFoundError:
        triton = None
    capability = None if trial else list(torch.cuda.get_device_capability())
    here = (*sorted(Path(__file__).parent.glob("*.py")), Path(costs.__file__))
    made = {
        "sources": {path.name: digest(path) for path in here},  # provenance is of the packages
        "provenance": provenance(), "triton": triton, "cuda": torch.version.cuda,
        "capability": capability, "elements": FEW if trial else ELEMENTS,
    }  # fmt: skip
    return json.loads(to_json(made))


if __name__ == "__main__":
    sys.exit(main())
