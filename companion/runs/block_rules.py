"""``blocks.csv``: the counts of a record's curves, for each block of test examples.

Who draws samples of the test set needs them (:mod:`thermo_utils.resampling`); nothing else does.
"""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["COLUMNS", "block_problems", "block_table", "parsed_blocks"]

COLUMNS = ("method", "tau", "block", "active", "abs_sum")


def block_table(blocks: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """A row per method, threshold and block.

    Parameters
    ----------
    blocks : mapping of str to mapping
        By method, as :func:`thermo_utils.full_evaluation` returns them in ``attrs["blocks"]``.

    Returns
    -------
    DataFrame
        With columns `COLUMNS`.

    Examples
    --------
    >>> kept = {"tau": [0.0, 0.5], "active": [[9, 8], [4, 3]], "abs_sum": [[7.0, 6.5], [5.0, 4.0]]}
    >>> block_table({"full": kept})[["tau", "block", "active", "abs_sum"]].values.tolist()
    [[0.0, 0.0, 9.0, 7.0], [0.0, 1.0, 8.0, 6.5], [0.5, 0.0, 4.0, 5.0], [0.5, 1.0, 3.0, 4.0]]
    """
    import pandas as pd

    rows = [
        (method, tau, block, active, abs_sum)
        for method, kept in blocks.items()
        for tau, counts, sums in zip(kept["tau"], kept["active"], kept["abs_sum"], strict=True)
        for block, (active, abs_sum) in enumerate(zip(counts, sums, strict=True))
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def parsed_blocks(content: bytes) -> pd.DataFrame:
    """The table in a ``blocks.csv``.

    Parameters
    ----------
    content : bytes
        Of the file.

    Returns
    -------
    DataFrame
        With columns `COLUMNS`.

    Raises
    ------
    ValueError
        If it is no such table.
    """
    import pandas as pd

    table = pd.read_csv(BytesIO(content))
    if tuple(table) != COLUMNS:
        raise ValueError(f"its columns are not {', '.join(COLUMNS)}")
    return table


def block_problems(content: bytes, curves: Mapping[str, pd.DataFrame]) -> list[str]:
    """What is wrong with the content of ``blocks.csv``.

    Parameters
    ----------
    content : bytes
        Of the file.
    curves : mapping of str to DataFrame
        The curves of the record by method, with ``attrs``.

    Returns
    -------
    list of str
        Whatever is found first.
    """
    try:
        table = parsed_blocks(content)
    except ValueError as error:  # of pandas too
        return [str(error)]
    for name in COLUMNS[1:]:
        values = table[name].to_numpy()
        if values.dtype.kind not in "iuf" or not np.isfinite(values).all():
            return [f"{name} is no number everywhere"]
    if (table[["tau", "block", "active", "abs_sum"]] < 0).any(axis=None):
        return ["it holds numbers below zero"]
    for method, curve in curves.items():
        own = table[table["method"] == method]
        sums = own.groupby("tau")[["active", "abs_sum"]].sum()
        whole = curve.set_index("tau")[["active", "abs_sum"]]
        whole.loc[0.0] = [curve.attrs["total"], curve.attrs["total_abs_sum"]]
        if not set(sums.index) <= set(whole.index) or 0.0 not in sums.index:
            return [f"{method}: its thresholds are not those of the curve"]
        if not np.allclose(sums, whole.loc[sums.index], rtol=1e-9, atol=0.0):
            return [f"{method}: the blocks do not add up to the curve"]
        if not (own.groupby("tau")["block"].nunique() == own["block"].nunique()).all():
            return [f"{method}: not every block is there at every threshold"]
    if set(table["method"]) != set(curves):
        return ["it holds other curves than the record"]
    return []
