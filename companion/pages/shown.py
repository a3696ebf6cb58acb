"""Tables as the story of a chapter shows them: text in every cell, a head over every column."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

import pandas as pd

from companion.pages.escape import in_html

__all__ = [
    "MINUS",
    "NOTHING",
    "Shown",
    "decimals",
    "fraction",
    "percent",
    "shown",
    "significant",
    "unbroken",
]

#: What stands where there is nothing to say.
NOTHING = "–"
MINUS = "\N{MINUS SIGN}"
#: Spaces around signs and before units.
_TOGETHER = re.compile(r" (?=[≈=±%]|s(?![\w*]))|(?<=[≈=±]) ")
#: Characters that fit side by side on a telephone.
PHONE = 42


class Shown(pd.DataFrame):
    """A table to look at, in one line of heads with that of the rows first.

    A DataFrame, so that a notebook may go on with it; what is made from it is an ordinary one.
    ``attrs["caption"]`` is shown above it. Where a telephone has no room for the columns, cells
    know their heads, so that the style sheet can show rows as cards.
    """

    def _repr_html_(self) -> str:
        heads = [str(self.index.name), *map(str, self.columns)]
        lines = [[_text(cell) for cell in line] for line in self.itertuples(name=None)]
        head = "".join(f'<th scope="col">{in_html(name)}</th>' for name in heads)
        known = heads if _needs_cards(heads, lines) else [""] * len(heads)
        rows = [
            f'<tr><th scope="row">{in_html(name)}</th>'
            + "".join(map(_cell, known[1:], cells))
            + "</tr>"
            for name, *cells in lines
        ]
        caption = self.attrs.get("caption")
        above = f"<caption>{in_html(caption)}</caption>" if caption else ""
        return (
            f'<table class="shown">{above}<thead><tr>{head}</tr></thead><tbody>\n'
            + "\n".join(rows)
            + "\n</tbody></table>"
        )


def shown(head: Sequence[str], rows: Iterable[Sequence[object]], caption: str = "") -> Shown:
    """A table of text.

    Parameters
    ----------
    head : sequence of str
        Heads of all columns; under the first stand the names of the rows.
    rows : iterable of sequences
        Cells.
    caption : str, optional
        Shown above it.

    Returns
    -------
    Shown

    Examples
    --------
    >>> shown(["seed", "tau"], [("0", "0.12")])["tau"].to_dict()
    {'0': '0.12'}
    """
    table = Shown(list(rows), columns=list(head), dtype=object)
    table = Shown(table.set_index(head[0]))
    table.attrs["caption"] = caption
    return table


def significant(number: float, digits: int) -> str:
    """A number to so many significant digits, without an exponent where that can be.

    Examples
    --------
    >>> significant(1.15596, 3), significant(0.284, 3), significant(12345.6, 3)
    ('1.16', '0.284', '12,346')
    >>> significant(-0.0123, 2), significant(float("nan"), 3), significant(-0.0, 2)
    ('−0.012', '–', '0')
    """
    if math.isnan(number):
        return NOTHING
    text = f"{number:,.0f}" if abs(number) >= 10**digits else f"{number + 0.0:.{digits}g}"
    return text.replace("-", MINUS)


def decimals(number: float, digits: int) -> str:
    """A number to so many decimals, for columns in which these stand under each other.

    Examples
    --------
    >>> decimals(-0.0269, 2), decimals(-0.0001, 2), decimals(float("nan"), 2)
    ('−0.03', '0.00', '–')
    """
    if math.isnan(number):
        return NOTHING
    return f"{round(number, digits) + 0.0:.{digits}f}".replace("-", MINUS)


def fraction(beta: float | None, digits: int = 2) -> str:
    """A sparsity, to so many digits or as many as tell it from one and from zero.

    Examples
    --------
    >>> fraction(0.3496), fraction(0.99974), fraction(0.0041), fraction(None), fraction(0.3496, 3)
    ('0.35', '0.9997', '0.004', '–', '0.350')
    """
    if beta is None or math.isnan(beta):
        return NOTHING
    while digits < 9 and round(beta, digits) in (0, 1) and 0 < beta < 1:
        digits += 1
    return f"{beta:.{digits}f}"


def unbroken(text: str) -> str:
    """A text whose numbers stay with their signs and units when a line is broken.

    Examples
    --------
    >>> unbroken("β ≈ 0.3 ± 0.1 and 5 %").split(" ")
    ['β\\xa0≈\\xa00.3\\xa0±\\xa00.1', 'and', '5\\xa0%']
    """
    return _TOGETHER.sub("\u00a0", text)


def percent(share: float) -> str:
    """A share in percent.

    Examples
    --------
    >>> percent(0.823754)
    '82.4 %'
    """
    return NOTHING if math.isnan(share) else f"{100 * share:.1f} %"


def _needs_cards(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> bool:
    """Whether a telephone has too little room for the longest words of all columns.

    Two columns always fit.
    """
    words = (max(map(_longest, column)) for column in zip(heads, *lines, strict=True))
    return len(heads) > 2 and sum(words) > PHONE


def _cell(head: str, text: str) -> str:
    """A cell that knows the head of its column, if that is given."""
    attribute = f' data-head="{in_html(head)}"' if head else ""
    return f"<td{attribute}>{unbroken(in_html(text))}</td>"


def _longest(cell: str) -> int:
    return max(len(word) for word in unbroken(cell).split(" "))


def _text(cell: object) -> str:
    return NOTHING if cell is None or cell != cell else str(cell)
