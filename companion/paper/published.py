"""Every number the paper states, as one long table with its place in the paper.

A row is one statement. Where the paper gives several values for the same thing, each is a row, so
a disagreement shows as two rows that differ in ``source``. Nothing is corrected here. Left out are
dates and addresses, and the numbers of sections, equations and references.

``id``
    Stable and readable: place, model, dataset, method, quantity (``T1-mlp-cifar10-full-tau``).
``model``, ``dataset``
    Those of a chapter; empty where the statement is about all of them.
``quantity``
    One of `QUANTITIES`, which also gives the unit. Percentages are stored as fractions.
``method``
    What a threshold or time was read from, one of :data:`companion.runs.methods.METHODS`:
    ``accuracy`` (where accuracy gives way), ``full`` (free energy of the pruned network),
    ``renormalized`` (free energy from one unpruned pass); empty where that does not apply.
``low``, ``high``
    The number; equal unless the paper gives a range. ``nan`` where the statement is a word.
``value``
    One of `VALUES`: the word, or for a number whether it is a bound (``at least``, ``at most``) or
    which feature it belongs to.
``approximate``
    Whether the paper writes "about", "near", "≈" or the like at this very place.
``source``, ``quote``
    Section, table or figure, and a few words or the cell as printed. For words in a table the
    quote is the label of the row.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import pandas as pd

from companion.data.specs import DATASETS
from companion.runs.chapters import CHAPTERS
from companion.runs.methods import METHODS
from thermo_utils.errors import ThermoError, unknown

__all__ = [
    "MODELS",
    "QUANTITIES",
    "VALUES",
    "as_printed",
    "as_range",
    "lookup",
    "published",
    "table",
]

#: Networks in the order of the paper.
MODELS: Final = tuple(dict.fromkeys(chapter.model for chapter in CHAPTERS))
#: What ``quantity`` may be, with its meaning and unit.
QUANTITIES: Final[dict[str, str]] = {
    "tau_star": "critical threshold, in units of the activations",
    "beta_star": "sparsity at the critical threshold, a fraction",
    "feature": "kind of free-energy feature at the critical threshold (word)",
    "tau_feature": "threshold of a feature that is named but not chosen",
    "beta_feature": "sparsity at a feature that is named but not chosen, a fraction",
    "derivative_zero": "does the derivative vanish or change sign there (word)",
    "extremum": "does the free energy have an extremum there (word)",
    "accuracy": "test accuracy on the plateau, a fraction",
    "accuracy_after": "test accuracy after the drop, a fraction",
    "accuracy_recovered": "test accuracy after a later recovery, a fraction",
    "tau_plateau_end": "last threshold of stable accuracy, where given beside the drop",
    "tau_collapse": "thresholds over which accuracy falls, where given beside the onset",
    "tau_recovery": "threshold from which accuracy recovers",
    "beta_recovery": "sparsity from which accuracy recovers, a fraction",
    "accuracy_variation": "change of accuracy before the transition, a fraction",
    "accuracy_drop": "drop of accuracy after the transition, a fraction",
    "seed_variability": "variation of thresholds and sparsities across seeds, a fraction",
    "time_s": "time of the analysis, in seconds",
    "speedup": "time of full evaluation over time of the renormalized method (or a word)",
    "n_train": "training samples",
    "n_val": "validation samples",
    "n_test": "test samples",
    "n_total": "samples in all",
    "n_classes": "classes",
    "image_size": "height and width of an image, in pixels",
    "norm_range": "range of pixel values after normalisation",
    "norm_mean": "mean used to normalise every channel",
    "norm_std": "standard deviation used to normalise every channel",
    "batch_size": "samples per batch",
    "optimizer": "optimiser (word)",
    "learning_rate": "learning rate",
    "dropout": "dropout rate of the fully connected layers",
    "patience": "epochs without improvement before training stops",
    "seed": "random seed (word: the number is not given)",
    "n_gpus": "graphics processors used for training",
    "n_hidden_layers": "hidden layers",
    "n_conv_layers": "convolutional layers",
    "n_pruned_fc_layers": "fully connected layers that are pruned",
    "n_classifier_layers": "layers of the classifier",
    "n_finetuned_blocks": "transformer blocks that are fine-tuned",
    "n_panels": "panels per figure",
    "figure": "number of the figure",
    "cited_compression": "share of weights removed, from a cited work",
    "cited_compute_cut": "share of computation removed, from a cited work",
}
#: What ``value`` may be besides empty.
VALUES: Final = (
    *("peak", "valley", "bend", "yes", "soft"),
    *("slower", "slightly slower", "negligible", "none"),
    *("at least", "at most", "adam", "fixed"),
)

_COLUMNS: Final = (
    *("id", "model", "dataset", "quantity", "method"),
    *("low", "high", "value", "approximate", "source", "quote"),
)
_FILE: Final = Path(__file__).with_name("published.csv")


def published() -> pd.DataFrame:
    """Every statement of the paper, one row each, in the order of the paper by place.

    Returns
    -------
    DataFrame
        Columns as in the module's description: text except ``low`` and ``high`` (float64) and
        ``approximate`` (bool). A fresh copy; the file is read and checked once.

    Raises
    ------
    ThermoError
        If the data file breaks its own rules.

    Examples
    --------
    >>> rows = published()
    >>> rows[rows["quantity"] == "patience"][["low", "high", "quote"]].to_dict("records")
    [{'low': 3.0, 'high': 3.0, 'quote': 'with a patience of three epochs'}]
    """
    return _load().copy()


def as_range(low: float, high: float) -> str:
    """A published number, or a range where the two ends differ, as text.

    Parameters
    ----------
    low, high : float
        The columns of the same names.

    Returns
    -------
    str

    Examples
    --------
    >>> as_range(0.36, 0.4), as_range(0.12, 0.12)
    ('0.36-0.4', '0.12')
    """
    return f"{low:g}" if low == high else f"{low:g}-{high:g}"


def as_printed(row: Mapping[Any, Any]) -> str:
    """A published number or range with the decimals that the paper prints.

    Parameters
    ----------
    row : mapping
        A row of :func:`published` with a number; accuracies are given in percent.

    Returns
    -------
    str

    Examples
    --------
    >>> rows = lookup("vit", "flowers102", "beta_star", "full").to_dict("records")
    >>> [(row["low"], as_printed(row)) for row in rows]
    [(0.5, '0.50'), (0.56, '0.56')]
    """
    percent = str(row["quantity"]).startswith("accuracy")
    ends = [round(100 * row[end], 6) if percent else row[end] for end in ("low", "high")]
    printed = [word for word in re.findall(r"\d+(?:\.\d+)?", row["quote"]) if float(word) in ends]
    words = printed or [f"{end:g}" for end in ends]
    digits = max(len(word.partition(".")[2]) for word in words)
    text = "–".join(dict.fromkeys(f"{end:.{digits}f}" for end in ends))
    return f"{text} %" if percent else text


def lookup(
    model: str, dataset: str, quantity: str | None = None, method: str | None = None
) -> pd.DataFrame:
    """All the paper says about one model on one dataset.

    Parameters
    ----------
    model, dataset : str
        Names of a chapter; ``""`` for statements about all of them.
    quantity : str, optional
        Name from `QUANTITIES`. By default rows of every quantity.
    method : str, optional
        Name from :data:`companion.runs.methods.METHODS`, ``""`` for statements without one. By
        default rows of every method.

    Returns
    -------
    DataFrame
        Rows of `published`, numbered from zero; more than one where the paper says it more than
        once, empty where it says nothing.

    Raises
    ------
    ThermoError
        If a name is unknown.

    Examples
    --------
    Text and table disagree about the sparsity at which ResNet-18 peaks on CIFAR-10:

    >>> lookup("resnet18", "cifar10", "beta_star", "full")[["low", "high", "source"]]
        low  high       source
    0  0.50  0.55  Section 5.1
    1  0.05  0.10      Table 1
    """
    rows = _load()
    wanted = {"model": model, "dataset": dataset}
    _check("model", model, MODELS)
    _check("dataset", dataset, DATASETS)
    if quantity is not None:
        _check("quantity", quantity, QUANTITIES)
        wanted["quantity"] = quantity
    if method is not None:
        _check("method", method, METHODS)
        wanted["method"] = method
    for column, name in wanted.items():
        rows = rows[rows[column] == name]
    return rows.reset_index(drop=True)


def table(number: int) -> pd.DataFrame:
    """One of the paper's four tables, in its own layout.

    Parameters
    ----------
    number : {1, 2, 3, 4}
        1 and 3 are the critical thresholds of the vision and text models, 2 and 4 the timings.

    Returns
    -------
    DataFrame
        Tables 1 and 3: text such as ``"≈ 0.66"`` or ``"yes"``, rows (dataset, quantity), columns
        (model, method). Tables 2 and 4: numbers, rows (quantity, method), columns (dataset,
        model), ``nan`` where the paper prints a dash because the renormalized method is slower.
        Models stand in the order of the table, which differs between Tables 3 and 4.

    Raises
    ------
    ThermoError
        If there is no such table.

    Examples
    --------
    >>> table(1).loc[("cifar10", "beta_star"), "vit"].to_dict()
    {'accuracy': '≈ 0.66', 'full': '≈ 0.52'}
    >>> float(table(2).loc[("speedup", "renormalized"), ("flowers102", "mlp")])
    550.5
    """
    if number not in (1, 2, 3, 4):
        raise ThermoError(f"unknown table {number!r}: the paper has tables 1, 2, 3 and 4")
    rows = _load()
    rows = rows[rows["source"] == f"Table {number}"]
    if number in (1, 3):
        index, columns = ["dataset", "quantity"], ["model", "method"]
        cells = pd.Series(
            [_cell(*row) for row in rows[["low", "high", "value", "approximate"]].to_numpy()],
            index=rows.index,
        )
    else:
        index, columns = ["quantity", "method"], ["dataset", "model"]
        cells = rows["low"]
    wide = rows.assign(cell=cells).set_index([*index, *columns])["cell"].unstack(columns)
    return wide.reindex(
        index=pd.MultiIndex.from_frame(rows[index].drop_duplicates()),
        columns=pd.MultiIndex.from_frame(rows[columns].drop_duplicates()),
    )


def _cell(low: float, high: float, value: str, approximate: bool) -> str:
    """Write a statement as the paper's Tables 1 and 3 print it, always with two decimals."""
    if value:
        return value
    text = f"{low:.2f}" if low == high else f"{low:.2f}\N{EN DASH}{high:.2f}"
    return f"≈ {text}" if approximate else text


def _check(what: str, name: str, allowed: Collection[str]) -> None:
    """Refuse a name that is neither empty nor `allowed`."""
    if name not in ("", *allowed):
        raise unknown(what, name, allowed)


@cache
def _load() -> pd.DataFrame:
    """Read and check the file, once; callers must not change what they get."""
    return _validated(pd.read_csv(_FILE, dtype=str, keep_default_na=False, encoding="utf-8"))


def _validated(raw: pd.DataFrame) -> pd.DataFrame:
    """Turn the text of the file into typed columns, or name the offending rows."""
    if tuple(raw.columns) != _COLUMNS:
        raise ThermoError(f"published numbers need the columns {', '.join(_COLUMNS)}")
    rows = raw.copy()
    for column in ("low", "high"):
        rows[column] = pd.to_numeric(raw[column], errors="coerce").astype("float64")
    rows["approximate"] = raw["approximate"] == "true"
    word = rows["low"].isna()
    problems = {
        "repeated id": rows["id"].duplicated() | (rows["id"] == ""),
        "unknown model": ~rows["model"].isin(["", *MODELS]),
        "unknown dataset": ~rows["dataset"].isin(["", *DATASETS]),
        "unknown quantity": ~rows["quantity"].isin(list(QUANTITIES)),
        "unknown method": ~rows["method"].isin(["", *METHODS]),
        "unknown value": ~rows["value"].isin(["", *VALUES]),
        "neither number nor word": (word & (rows["value"] == "")) | (word != rows["high"].isna()),
        "low above high": rows["low"] > rows["high"],
        "approximate neither true nor false": ~raw["approximate"].isin(["true", "false"]),
        "no source or quote": (rows["source"] == "") | (rows["quote"] == ""),
    }
    for problem, bad in problems.items():
        if bad.any():
            raise ThermoError(f"published numbers, {problem}: {', '.join(rows.loc[bad, 'id'])}")
    return rows
