"""Tables of alternatives beside a record; :mod:`companion.runs.variants` makes them."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd

from companion.runs.records import content, place, sha256
from thermo_utils.errors import ThermoError

__all__ = ["FACTS", "TABLE", "read_variants"]

#: The table, and how it was made, which is written last.
TABLE, FACTS = "variants.csv", "variants.json"
#: Columns beside those that say what was chosen: of words, and of numbers.
KINDS = ("rfe_kind", "fe_kind", "acc_kind")
NUMBERS = ("total", *(f"{m}_{what}" for m in ("rfe", "fe", "acc") for what in ("tau", "beta")))
#: What a message about a damaged table ends with.
MEND = "delete it and run thermo variants again"


def read_variants(folder: str | Path) -> tuple[pd.DataFrame, dict[str, Any]] | None:
    """Read a table of alternatives and how it was made.

    Parameters
    ----------
    folder : path
        Folder of the chapter's record.

    Returns
    -------
    tuple of (DataFrame, dict), or None
        None when there is no table, or the first was interrupted while it was written.

    Raises
    ------
    ThermoError
        If there is a damaged one.
    """
    folder = Path(folder)
    facts, text = content(folder / FACTS), content(folder / TABLE)
    if facts is None:
        return None
    from companion.runs import schema

    found = []
    try:
        made = schema.parsed(facts)
        found = schema.problems(made, schema.Variants)
        if not found:
            found = schema.misplaced(made, place(folder))
    except ValueError as error:
        found = [str(error)]
    if found:
        raise ThermoError(f"{folder / FACTS} is damaged: {schema.printable(found)}; {MEND}")
    if text is None or made["variants_sha256"] != sha256(text):
        raise ThermoError(
            f"{folder / TABLE} is damaged: it is not the file that {FACTS} was written with; {MEND}"
        )
    table = pd.read_csv(BytesIO(text), keep_default_na=False, na_values=[""])
    numbers = table.select_dtypes("number").columns
    if (
        table.empty
        or not {"choice", "alternative", *KINDS} <= set(table)
        or (not set(NUMBERS) <= set(numbers) or not (table["total"] > 0).all())
    ):
        raise ThermoError(f"{folder / TABLE} is damaged: it is no table of variants; {MEND}")
    return table, made
