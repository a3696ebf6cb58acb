"""What counting costs on a GPU, as ``python -m benchmarks.gpu`` measured it, as Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from companion.pages.escape import in_markdown
from companion.pages.rounds import are_seconds, demanding, ratio
from companion.pages.survives import read_facts
from companion.pages.tables import DASH, wide
from thermo_utils.errors import ThermoError

__all__ = ["FILE", "FORMAT", "check", "gpu_text", "read_gpu"]

#: Among the results; ``python -m benchmarks.gpu`` writes it.
FILE, FORMAT = "gpu.json", 1
#: What is timed of every network.
TASKS = ("plain", "summed", "renormalized", "full")
#: Whole numbers of a network and of an input to the kernels.
OF_NETWORK = ("size", "batch", "batches", "activations", "thresholds", "passes")
OF_KERNELS = ("elements", "calls", "bytes", "bins")


def read_gpu(path: Path) -> dict[str, Any] | None:
    """What was measured on a GPU.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    dict or None
        None where there is no such file.

    Raises
    ------
    ThermoError
        If it is damaged, of another format, or of a trial without a GPU.
    """
    facts = read_facts(path)
    if facts is None:
        return None
    check(facts, path)
    if facts["trial"]:
        raise ThermoError(f"{path} is a trial without a GPU: delete it, nothing is measured in it")
    return facts


def check(facts: Mapping[str, Any], path: Path) -> None:
    """Hold a record against what one must be.

    Raises
    ------
    ThermoError
        Naming what is wrong first.
    """
    demand = demanding(path, "make gpu")
    demand(facts.get("format") == FORMAT, f"its format is not {FORMAT}")
    demand(isinstance(facts.get("trial"), bool), "trial is not true or false")
    demand(isinstance(facts.get("date"), str), "date is no text")
    made = facts.get("provenance")
    demand(isinstance(made, dict) and isinstance(made.get("device"), str), "no device is named")
    for group, whole in (("networks", OF_NETWORK), ("kernels", OF_KERNELS)):
        found = facts.get(group)
        demand(isinstance(found, list) and found, f"{group} is no list, or empty")
        for number, part in enumerate(found or ()):
            where = f"{group}[{number}]"
            demand(isinstance(part, dict), f"{where} is no object")
            for name in whole:
                value = part.get(name)
                demand(type(value) is int and value > 0, f"{where}.{name} is no positive number")
            _check_seconds(part.get("seconds"), where, demand)
    for number, part in enumerate(facts["networks"]):
        where = f"networks[{number}]"
        demand(set(part["seconds"]) == set(TASKS), f"{where} has not been timed for each task")
        demand(all(isinstance(part.get(k), str) for k in ("name", "dtype")), f"{where} has no name")
    for number, part in enumerate(facts["kernels"]):
        where = f"kernels[{number}]"
        texts = ("input", "dtype", "reference")
        demand(all(isinstance(part.get(k), str) for k in texts), f"{where} has no name")
        kinds = set(part["seconds"]) - {"copy"}
        demand("copy" in part["seconds"] and kinds, f"{where} has no copy, or no kernel")
        agrees, failed = part.get("agrees"), part.get("failed")
        demand(isinstance(agrees, dict) and set(agrees) == kinds, f"{where}.agrees is not of it")
        demand(
            all(type(value) is bool for value in (agrees or {}).values()),
            f"{where}.agrees is not true or false",
        )
        demand(isinstance(failed, dict) and not set(failed) & kinds, f"{where}.failed is not of it")


def _check_seconds(seconds: Any, where: str, demand: Any) -> None:
    demand(isinstance(seconds, dict) and seconds, f"{where}.seconds is no object, or empty")
    rounds = set()
    for name, values in seconds.items():
        demand(are_seconds(values), f"{where}.seconds.{name} is no list of positive numbers")
        rounds.add(len(values))
    demand(len(rounds) == 1 and min(rounds) > 1, f"{where}.seconds have not the same rounds")


def gpu_text(facts: Mapping[str, Any] | None) -> str:
    """What was measured on a GPU, as two tables with what follows from them.

    Parameters
    ----------
    facts : mapping or None
        Of :func:`read_gpu`.

    Returns
    -------
    str
        Markdown.
    """
    if facts is None:
        return (
            "**Nothing was measured on a GPU.** The kernels give the right integers on a CPU "
            "and are compiled for GPUs without being run; how fast they are is not "
            "known. On a machine with a GPU, `make gpu` measures all that would stand here; "
            "it is made to take less than ten minutes, and needs this repository and torch, with "
            "what the library itself needs.\n"
        )
    parts = [_networks(facts["networks"]), _kernels(facts["kernels"]), _machine(facts)]
    return "\n\n".join(parts) + "\n"


def _networks(networks: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for part in networks:
        seconds = part["seconds"]
        each = [value / part["passes"] for value in seconds["full"]]
        rows.append(
            [
                in_markdown(part["name"]),
                in_markdown(part["dtype"]),
                f"{part['batches']} × {part['batch']}",
                f"{part['activations'] / 1e6:,.0f}",
                f"{1e3 * median(seconds['plain']):,.1f}",
                *(ratio(seconds[name], seconds["plain"]) for name in ("summed", "renormalized")),
                ratio(each, seconds["plain"]),
            ]
        )
    head = ["network", "type", "inputs", "activations, 10⁶", "plain pass, ms", "hook that sums",
            "RFE", "FE per threshold"]  # fmt: skip
    thresholds = sorted({part["thresholds"] for part in networks})
    return (
        "**Networks** of these shapes, with random weights. All costs are over a plain pass; RFE "
        f"is exact at {' or '.join(map(str, thresholds))} thresholds, FE is divided by its passes. "
        f"The hook that only sums reads the activations once more.\n\n{wide(head, rows)}"
    )


def _kernels(kernels: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for part in kernels:
        seconds, work = part["seconds"], part["elements"] * part["calls"]
        for kind, values in seconds.items():
            if kind == "copy":
                continue
            # A copy reads and writes what counting reads.
            share = [copy / 2 / own for copy, own in zip(seconds["copy"], values, strict=True)]
            rows.append(
                [
                    in_markdown(part["input"]),
                    in_markdown(part["dtype"]),
                    in_markdown(kind),
                    f"{work / median(values) / 1e9:,.1f}",
                    f"{100 * median(share):.1f} %",
                    "yes" if part["agrees"][kind] else "**no**",
                ]
            )
        rows += [
            [in_markdown(part["input"]), in_markdown(part["dtype"]), in_markdown(kind),
             DASH, DASH, f"did not run: {in_markdown(message)}"]
            for kind, message in part["failed"].items()
        ]  # fmt: skip
    head = ["activations", "type", "kernel", "10⁹ per second", "of the bandwidth", "as on the CPU"]
    fastest = max(
        2 * p["bytes"] * p["elements"] * p["calls"] / median(p["seconds"]["copy"]) for p in kernels
    )
    return (
        "**Kernels** alone. The bandwidth is that of a copy on the device, timed in turn with them "
        f"({fastest / 1e9:,.0f} GB/s at best). The last column tells whether all that was counted "
        f"meanwhile is what the CPU counts, bit for bit.{_wrong(kernels)} {_fastest(kernels)}\n\n"
        f"{wide(head, rows)}"
    )


def _fastest(kernels: Sequence[Mapping[str, Any]]) -> str:
    """Which kernel is fastest, and which the library took; that one stands first in a record."""
    taken = in_markdown(next(kind for kind in kernels[0]["seconds"] if kind != "copy"))
    best: Counter[str] = Counter()
    for part in kernels:
        times = {k: median(values) for k, values in part["seconds"].items() if k != "copy"}
        best[min(times, key=times.__getitem__)] += 1
    first = ", ".join(f"{in_markdown(kind)} on {n}" for kind, n in best.most_common())
    return f"The library counted with {taken}; fastest, of {len(kernels)} inputs, was {first}."


def _wrong(kernels: Sequence[Mapping[str, Any]]) -> str:
    wrong = {kind for part in kernels for kind, good in part["agrees"].items() if not good}
    names = ", ".join(in_markdown(kind) for kind in sorted(wrong))
    return f" **Not all of them agree: {names}.**" if wrong else ""


def _machine(facts: Mapping[str, Any]) -> str:
    parts = [*facts["networks"], *facts["kernels"]]
    rounds = sorted({len(next(iter(part["seconds"].values()))) for part in parts})
    number = f"{rounds[0]}" if len(rounds) == 1 else f"{rounds[0]} to {rounds[-1]}"
    made = facts["provenance"]
    commit = (made.get("git_commit") or "unknown")[:10]
    torch = (made.get("packages") or {}).get("torch") or "unknown"
    return (
        f"Medians of {number} rounds, in parentheses the quartiles of the ratios, which are formed "
        f"within a round. {in_markdown(made['device'])}, torch {in_markdown(torch)}, Triton "
        f"{in_markdown(facts.get('triton') or 'unknown')}, measured on "
        f"{in_markdown(facts['date'])}, commit {in_markdown(commit)}."
    )
