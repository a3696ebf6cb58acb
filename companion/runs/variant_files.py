"""Tables of alternatives beside a record; :mod:`companion.runs.variants` makes them."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd

from companion.runs.records import sha256
from thermo_utils.errors import ThermoError

__all__ = ["FACTS", "TABLE", "read_variants"]

#: The table, and how it was made, which is written last.
TABLE, FACTS = "variants.csv", "variants.json"


def read_variants(folder: str | Path) -> tuple[pd.DataFrame, dict[str, Any]] | None:
    """Read a table of alternatives and how it was made.

    Parameters
    ----------
    folder : path
        Folder of the chapter's record.

    Returns
    -------
    tuple of (DataFrame, dict), or None
        None when there is no complete table.

    Raises
    ------
    ThermoError
        If there is a damaged one.
    """
    folder = Path(folder)
    try:
        facts = json.loads((folder / FACTS).read_bytes())
        text = (folder / TABLE).read_bytes().decode()
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ThermoError(
            f"{folder / FACTS} is damaged: {error}; delete it and run thermo variants again"
        ) from error
    if facts.get("variants_sha256") != sha256(text):
        return None  # a run was killed between the two files
    return pd.read_csv(StringIO(text), keep_default_na=False, na_values=[""]), facts
