"""Words for lists, numbers and seeds in sentences that are made from records."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import fmean, stdev

from companion.pages.shown import MINUS

__all__ = ["a", "holding", "listed", "on_seeds", "over_seeds"]


def listed(words: Sequence[str], last: str = "and") -> str:
    """Words in a row.

    Examples
    --------
    >>> listed(["0"]), listed(["0", "1"]), listed(["0", "1", "2"], "or")
    ('0', '0 and 1', '0, 1 or 2')
    """
    *first, end = words
    return f"{', '.join(first)} {last} {end}" if first else end


def a(noun: str) -> str:
    """A noun with its article.

    Examples
    --------
    >>> a("peak"), a("inflection")
    ('a peak', 'an inflection')
    """
    return f"a{'n' if noun[:1].lower() in 'aeiou' else ''} {noun}"


def on_seeds(some: Sequence[int], every: Sequence[int]) -> str:
    """On which seeds something is so, to be put behind it; nothing where it is so on every one.

    Examples
    --------
    >>> on_seeds([0, 1], [0, 1]), on_seeds([2], [0, 1, 2]), on_seeds([0, 2], [0, 1, 2])
    ('', ' on seed 2', ' on seeds 0 and 2')
    """
    if len(some) == len(every):
        return ""
    return f" on seed{'' if len(some) == 1 else 's'} {listed([str(seed) for seed in some])}"


def holding(holds: int, fails: int) -> str:
    """How many claims hold and fail; words that go on a sentence.

    Examples
    --------
    >>> holding(12, 1), holding(1, 0), holding(0, 2)
    ('12 hold and 1 fails', '1 holds', '2 fail')
    """
    counts = ((holds, "hold"), (fails, "fail"))
    return " and ".join(f"{n} {verb}{'s' if n == 1 else ''}" for n, verb in counts if n)


def over_seeds(
    values: Sequence[float],
    single: Callable[[float], str],
    digits: int | None = None,
    *,
    ends: bool = False,
) -> str:
    """What several seeds measured.

    Parameters
    ----------
    values : sequence of float
        One or more, finite.
    single : callable
        How one of them is written.
    digits : int, optional
        Decimals of mean and deviation. By default the deviation has two digits where the first is
        a one, else one.
    ends : bool, default False
        Whether to add the smallest and the largest where they are not all told.

    Returns
    -------
    str
        All values of one or two seeds, or the one that they share; otherwise their mean ± the
        standard deviation of a sample.

    Examples
    --------
    >>> shown = "{:.3g}".format
    >>> over_seeds([0.12, 0.12], shown), over_seeds([0.12, 0.16], shown)
    ('0.12', '0.12 and 0.16')
    >>> over_seeds([0.36, 0.36, 0.28], shown, ends=True)
    '0.33 ± 0.05 (0.28 to 0.36)'
    """
    texts = [single(value) for value in values]
    if len(set(texts)) == 1:
        return texts[0]
    if len(values) == 2:
        return listed(texts)
    deviation = stdev(values)
    if digits is None:
        power = math.floor(math.log10(deviation))
        digits = max(0, (1 if deviation < 1.95 * 10**power else 0) - power)
    text = f"{fmean(values):.{digits}f} ± {deviation:.{digits}f}".replace("-", MINUS)
    return f"{text} ({single(min(values))} to {single(max(values))})" if ends else text
