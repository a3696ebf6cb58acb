"""Other units beside a record: curves that :mod:`companion.runs.scale` makes, and how."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple

import pandas as pd
from pydantic import Field

from companion.runs.records import content, place, sha256
from companion.runs.schema import (
    AccuracyAttrs,
    Count,
    CurveAttrs,
    Digest,
    Least,
    Part,
    Positive,
    Provenance,
    Seed,
    Share,
    misplaced,
    parsed,
    printable,
    problems,
)
from thermo_utils.errors import ThermoError
from thermo_utils.thermodynamics import CURVE_COLUMNS

__all__ = ["COLUMNS", "FACTS", "LAYER_MEANS", "RESCALED", "TABLE", "Scale", "read_scale"]

#: The curves, and how they were made, which is written last.
TABLE, FACTS = "scale.csv", "scale.json"
#: What a curve is of: the network with all activations `c` times larger, at thresholds `c` times
#: larger; or the network itself, with thresholds in units of each layer's mean.
RESCALED: Final = "rescaled"
LAYER_MEANS: Final = "layer means"
COLUMNS = ("units", "c", "method", *CURVE_COLUMNS, "accuracy", "lost", "gained")
#: What a message about a damaged file ends with.
MEND = "delete it and run thermo scale again"


class LayerMean(Part):
    layer: str
    mean: Annotated[float, Field(gt=0)]


class CurveFacts(Part):
    units: Literal["rescaled", "layer means"]
    c: Annotated[float, Field(gt=0)]
    method: Literal["full", "renormalized"]
    attrs: AccuracyAttrs | CurveAttrs


class ScaleFacts(Part):
    """The content of ``scale.json``."""

    model: str
    dataset: str
    profile: str
    seed: Seed
    key: str
    weights: Digest
    examples: Positive
    baseline_accuracy: Share
    means: Annotated[list[LayerMean], Field(min_length=1)]
    obstacle: str | None
    off: Least | None
    curves: list[CurveFacts]
    passes: Count
    seconds: Least
    provenance: Provenance
    scale_sha256: Digest


class Scale(NamedTuple):
    """The curves of a chapter in other units.

    Attributes
    ----------
    facts : dict
        The content of ``scale.json``.
    table : DataFrame
        The content of ``scale.csv``: columns ``units``, ``c``, ``method``, those of a curve, and
        ``accuracy``, ``lost``, ``gained``.
    """

    facts: dict[str, Any]
    table: pd.DataFrame

    def fits(self, result: Mapping[str, Any]) -> bool:
        """Whether the network is that of a record.

        Parameters
        ----------
        result : mapping
            The content of the record's ``result.json``.
        """
        trained = result["stages"]["train"]
        return bool(
            trained["key"] == self.facts["key"]
            and trained.get("weights") in (None, self.facts["weights"])
        )

    @property
    def factors(self) -> list[float]:
        """Scales of the networks that were evaluated, 1 among them; empty where none could be."""
        return sorted({one["c"] for one in self.facts["curves"] if one["units"] == RESCALED})

    def curve(self, units: str, method: str, c: float = 1.0) -> pd.DataFrame:
        """One of the curves, with its ``attrs``.

        Parameters
        ----------
        units : {"rescaled", "layer means"}
            What it is of.
        method : {"full", "renormalized"}
            Which.
        c : float, default 1
            Scale of the network.

        Raises
        ------
        ThermoError
            If there is no such curve.
        """
        for one in self.facts["curves"]:
            if (one["units"], one["method"], one["c"]) == (units, method, c):
                table = self.table
                rows = (table["units"] == units) & (table["method"] == method) & (table["c"] == c)
                curve = table[rows].drop(columns=["units", "c", "method"]).reset_index(drop=True)
                if method == "renormalized":
                    curve = curve.drop(columns=["accuracy", "lost", "gained"])
                curve.attrs = dict(one["attrs"])
                return curve
        raise ThermoError(f"no {method} curve of {units} at c = {c}: see the field curves")


def read_scale(folder: str | Path) -> Scale | None:
    """Read the curves in other units that lie beside a record.

    Parameters
    ----------
    folder : path
        Folder of the record.

    Returns
    -------
    Scale or None
        None when there are none, or the first run was interrupted while it wrote them.

    Raises
    ------
    ThermoError
        If they are damaged.
    """
    folder = Path(folder)
    facts, text = content(folder / FACTS), content(folder / TABLE)
    if facts is None:
        return None
    try:
        made = parsed(facts)
        found = problems(made, ScaleFacts) or misplaced(made, place(folder))
    except ValueError as error:
        found = [str(error)]
    if found:
        raise ThermoError(f"{folder / FACTS} is damaged: {printable(found)}; {MEND}")
    if text is None or made["scale_sha256"] != sha256(text):
        raise ThermoError(
            f"{folder / TABLE} is damaged: it is not the file that {FACTS} was written with; {MEND}"
        )
    table = pd.read_csv(BytesIO(text))
    scale = Scale(made, table)
    named = {(one["units"], one["method"], one["c"]) for one in made["curves"]}
    there = set(map(tuple, table[["units", "method", "c"]].drop_duplicates().to_numpy().tolist()))
    if tuple(table) != COLUMNS or named != there:
        raise ThermoError(f"{folder / TABLE} is damaged: it does not hold these curves; {MEND}")
    return scale
