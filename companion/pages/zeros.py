"""What zeros save on a CPU: dense kernels, and one that skips them, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from companion.pages.escape import in_markdown
from companion.pages.rounds import busy
from companion.pages.shown import fraction
from companion.pages.tables import counted, wide

__all__ = ["FILE", "zeros_text"]

#: Among the results; ``python -m benchmarks.zeros`` writes it.
FILE = "zeros.json"


def zeros_text(facts: Mapping[str, Any] | None) -> str:
    """What was measured of zeros, as two tables with what follows from them.

    Parameters
    ----------
    facts : mapping or None
        Of ``results/zeros.json``.

    Returns
    -------
    str
        Markdown.
    """
    if facts is None:
        return "Not measured: `python -m benchmarks.zeros` does it.\n"
    parts = [
        _dense(facts["dense"]),
        *(_layer(layer) for layer in facts["skipping"]),
        _machine(facts),
    ]
    return "\n\n".join(parts) + "\n"


def _dense(networks: Any) -> str:
    rows = [
        [
            f"{network['inputs']} → {network['hidden']} → {network['inputs']}",
            network["batch"],
            fraction(row["beta"]),
            _microseconds(row["dense"]),
            _microseconds(row["pruned"]),
            f"{row['ratio']:.2f} ({row['low']:.2f} to {row['high']:.2f})",
            row["threads"],
        ]
        for network in networks
        for row in network["rows"]
    ]
    ratios = [row["ratio"] for network in networks for row in network["rows"]]
    head = ["network", "batch", "β", "dense, µs", "pruned, µs", "pruned / dense", "threads"]
    return (
        "**Dense kernels.** Two linear layers with a ReLU between them, whose output is pruned by "
        "`prune`. Dense kernels multiply zeros like any other number: pruned, a batch takes "
        f"{min(ratios):.2f} to {max(ratios):.2f} times as long.\n\n{wide(head, rows)}"
    )


def _layer(layer: Mapping[str, Any]) -> str:
    size = f"{layer['in_features']} → {layer['out_features']}"
    rows = [
        [
            fraction(row["sparsity"]),
            _microseconds(row["dense"]),
            _microseconds(row["skipping"]),
            f"{row['speedup']:.2f} ({row['low']:.2f} to {row['high']:.2f})",
            f"{row['gain']:.2f}",
        ]
        for row in layer["rows"]
    ]
    head = ["sparsity", "dense, µs", "skipping, µs", "speed-up", "by zeros alone"]
    return (
        f"**A layer that skips zeros, {size}**, one input, one thread. {_verdict(layer)}\n\n"
        f"{wide(head, rows)}"
    )


def _verdict(layer: Mapping[str, Any]) -> str:
    at, rows = layer["break_even"], layer["rows"]
    if at is None:
        return "It is slower than the dense one at the highest sparsity: it does not pay here."
    if at > rows[0]["sparsity"]:
        return f"It breaks even with the dense one at a sparsity of {fraction(at)}."
    return (
        "It is no slower than the dense one at any sparsity measured. At a sparsity of "
        f"{fraction(rows[0]['sparsity'])} it is {rows[0]['speedup']:.2f} times as fast, which is "
        "not due to what is skipped but to how it reads; the last column has that taken out."
    )


def _machine(facts: Mapping[str, Any]) -> str:
    rounds = facts["skipping"][0]["repetitions"]
    name = facts["processor"] or facts["provenance"]["device"]
    commit = (facts["provenance"]["git_commit"] or "unknown")[:10]
    return (
        f"Medians of {counted(rounds, 'round')}, in parentheses the quartiles of the ratios, which "
        f"are formed within a round. {in_markdown(name)}, float32, measured on "
        f"{in_markdown(facts['date'])}, commit {in_markdown(commit)}.{busy(facts)}"
    )


def _microseconds(seconds: float) -> str:
    return f"{1e6 * seconds:,.0f}"
