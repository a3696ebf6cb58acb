"""What is remarkable in what the paper says about each chapter, in our words and with its numbers.

``remarks.csv`` has a row per chapter of the paper. A number stands there by the name that it has
among the published ones (:mod:`companion.paper.published`), in curly brackets.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Final

import pandas as pd

from companion.paper.published import as_printed, published
from thermo_utils.errors import unknown

__all__ = ["remark", "remarks"]

_FILE: Final = Path(__file__).with_name("remarks.csv")
#: Of a number's name in a remark.
_NAME: Final = re.compile(r"\{([^{}]+)\}")


def remark(chapter: str) -> str:
    """The remark on a chapter, with the paper's numbers.

    Parameters
    ----------
    chapter : str
        Its name.

    Returns
    -------
    str
        Plain text; empty where the paper has no such chapter.

    Raises
    ------
    ThermoError
        If the file names a number that is not published.

    Examples
    --------
    >>> remark("resnet18-cifar10")[:81]
    'The paper contradicts itself here: the text puts the peak of F at a sparsity of 0'
    """
    numbers = {row["id"]: row for row in published().to_dict("records")}

    def filled(found: re.Match[str]) -> str:
        if found[1] not in numbers:
            raise unknown("published number", found[1], numbers)
        return as_printed(numbers[found[1]])

    return _NAME.sub(filled, remarks().get(chapter, ""))


@cache
def remarks() -> dict[str, str]:
    """The remarks as they are written, by name of the chapter.

    Returns
    -------
    dict of str to str
    """
    rows = pd.read_csv(_FILE, dtype=str, keep_default_na=False, encoding="utf-8")
    return dict(zip(rows["chapter"], rows["remark"], strict=True))
