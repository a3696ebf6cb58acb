"""Frozen tables of alternatives: how they are read, and what they say, as Markdown.

:mod:`companion.runs.variants` makes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from companion.pages.escape import in_markdown
from companion.pages.tables import counted, markdown, point
from companion.runs.chapters import CHAPTERS, chapter_title
from companion.runs.derived import RULES
from companion.runs.records import Record
from companion.runs.variant_files import read_variants

__all__ = ["chapters_with_variants", "variants_page"]

#: What stands where there is no feature or no drop, and where nothing was computed.
NONE, NOT_COMPUTED = "none", ""
HEADER = ("taken as", "N", "RFE", "FE", "accuracy")


def chapters_with_variants(
    results: str | Path, profile: str
) -> dict[str, tuple[pd.DataFrame, dict[str, Any]]]:
    """Tables of alternatives of a profile, by name of chapter, in the order of the paper.

    Parameters
    ----------
    results, profile
        Folder of the records, and which of them.

    Returns
    -------
    dict
        As returned by :func:`read_variants`.
    """
    found = {c.name: read_variants(Path(results) / profile / c.name) for c in CHAPTERS}
    return {name: table for name, table in found.items() if table is not None}


def variants_page(
    tables: Mapping[str, tuple[pd.DataFrame, Mapping[str, Any]]],
    records: Mapping[str, Record | None],
) -> str:
    """One table per chapter, with what follows from it.

    Parameters
    ----------
    tables : mapping of str to (DataFrame, mapping)
        As returned by :func:`chapters_with_variants`.
    records : mapping of str to Record or None
        By name of chapter. A table made with other settings than the record is shown and says so.

    Returns
    -------
    str
        Markdown; without tables, how to make one.
    """
    if not tables:
        return (
            "No chapter of this profile has been computed with other choices. To do it:\n\n"
            "```bash\nthermo variants mlp cifar10 --profile small\n```\n"
        )
    parts = [summary({name: table for name, (table, _) in tables.items()})]
    for name, (table, facts) in tables.items():
        parts.append(f"### {chapter_title(name)}")
        parts.append(_how(facts, records.get(name)))
        totals = table["total"] / table["total"].iloc[0]
        rows = [
            _cells(row, f"{share:.2f}", facts)
            for row, share in zip(table.to_dict("records"), totals, strict=True)
        ]
        parts.append(markdown(HEADER, rows))
    return "\n\n".join(parts) + "\n"


def summary(tables: Mapping[str, pd.DataFrame]) -> str:
    """Which choices move the renormalized threshold, in sentences.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        As returned by :func:`companion.runs.variants.variants`, by name of chapter.

    Returns
    -------
    str
        A list in Markdown, an item per choice.
    """
    together = pd.concat(list(tables.values()), ignore_index=True)
    names = {
        "comparison": "Keeping only what lies *above* the threshold",
        "N": "Counting zeros in N",
        "outputs": "Hooking other outputs",
        "padding": "Leaving out padding",
        "grid": "Another grid",
    }
    items = []
    for choice, words in names.items():
        rows = together[together["choice"] == choice]
        if rows.empty:
            continue
        gone = int(rows["rfe_tau"].isna().sum())
        shifts = rows["rfe_shift"].abs().dropna()
        moved = int((shifts > 1 + 1e-9).sum())
        text = f"{words} ({counted(len(rows), 'comparison')}): "
        if moved + gone == 0:
            largest = "not at all" if shifts.max() < 1e-9 else f"by {shifts.max():.1f} at most"
            text += f"the renormalized threshold never moves by more than a grid step ({largest})"
        else:
            said = []
            if moved:
                said.append(
                    f"it moves by more than a grid step in {moved} of {len(rows)} "
                    f"(by at most {shifts.max():.1f})"
                )
            if gone:
                said.append(f"there is no feature any more in {gone}")
            text += ", and ".join(said)
        if choice == "padding":
            shares = [_left_out(table) for table in tables.values()]
            text += f". At most {100 * max(shares):.0f} % of the activations counted are padding"
        items.append(f"- {text}.")
    return "\n".join(items)


def _left_out(table: pd.DataFrame) -> float:
    """Share of the activations that lie at padded positions."""
    total = table.set_index("choice")["total"]
    return 1 - total["padding"] / total["none"] if "padding" in total else 0.0


def _how(facts: Mapping[str, Any], record: Record | None) -> str:
    full = (
        f"full evaluation on {facts['full_examples']:,} test examples, "
        if facts["full_examples"]
        else "full evaluation left out, "
    )
    commit = facts["provenance"]["git_commit"] or "unknown"
    changed = ", with changes" if commit.endswith("-dirty") else ""
    text = (
        f"Renormalized on all test data, {full}grid step {facts['step']:.3g}, seed "
        f"{facts['seed']}, {facts['seconds']:.0f} s, commit "
        f"{in_markdown(commit[:10])}{changed}."
    )
    stages = record.result["stages"] if record else {}
    if stages and stages["renormalized"]["key"] != facts["key"]:
        text += " **The record of this chapter was made with other settings since.**"
    if facts.get("rules", 1) != RULES:
        text += " **Features and thresholds were found by earlier rules than the chapters'.**"
    return text


def _cells(row: Mapping[Any, Any], total: str, facts: Mapping[str, Any]) -> list[str]:
    has_full = bool(facts["full_examples"]) and row["choice"] not in ("padding", "grid")
    choice = "" if row["choice"] == "none" else f"{row['choice']}: "
    cells = [in_markdown(f"{choice}{row['alternative']}"), total]
    for method in ("rfe", "fe", "acc"):
        tau, shift = row[f"{method}_tau"], row[f"{method}_shift"]
        if method != "rfe" and not has_full:
            cells.append(NOT_COMPUTED)
        elif pd.isna(tau):
            cells.append(NONE)
        else:
            kind = "" if method == "acc" else f" {in_markdown(row[f'{method}_kind'])}"
            # The first row, to which others are compared, has no shift; and never "-0.0".
            by = "" if not choice or pd.isna(shift) else f", {round(shift, 1) + 0.0:+.1f}"
            cells.append(f"{point(tau, row[f'{method}_beta'])}{kind}{by}")
    return cells
