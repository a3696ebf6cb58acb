"""The statements that the claims ledger checks, from the published numbers and from a file.

Most claims are made by rule from the published numbers (:mod:`companion.paper.published`): one for
each quantity of each chapter, with all the versions the paper gives. Statements in words are rows
of ``claims.csv``; some of them are about every chapter and become one claim each.

Columns of ``claims.csv``:

``id``, ``kind``, ``claim``
    A readable name, one of `KINDS`, and the statement in our words.
``over``, ``scope``
    How the chapters are combined, one of `OVER`, and which: patterns of chapter names, two groups
    separated by a bar where two are compared.
``measure``, ``rule``
    What is read off a record (:mod:`companion.paper.measures`) and when it agrees
    (:mod:`companion.paper.rules`).
``paper``, ``source``, ``quote``
    The paper's statement in a word, its place and its own words.
``published``
    Instead of these three: names of published numbers.

``claims_templates.csv`` says in the same terms what becomes of a published quantity. The numbers in
its rules are the paper's own: its spread of 3 to 5 %, and the steps of its grids. They are the same
for every chapter. A row with a ``chapter`` takes the place of the one without, in that chapter
alone: where the paper chooses another feature than the first, it is compared with that one of ours.
``claims_places.csv`` counts the paragraphs in which quotes stand.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, Final

import pandas as pd

from companion.data.specs import DATASETS
from companion.networks import NETWORKS
from companion.paper.left_out import reason_left_out
from companion.paper.measures import MEASURES
from companion.paper.published import lookup, published
from companion.paper.rules import Stated, rule_text
from companion.runs.chapters import CHAPTERS, Chapter
from companion.runs.methods import CURVES, METHODS
from thermo_utils.errors import ThermoError, unknown

__all__ = ["KINDS", "OVER", "Claim", "claims"]

#: Kinds of claims with their meaning.
KINDS: Final[Mapping[str, str]] = {
    "accuracy": "accuracies",
    "threshold": "thresholds τ*",
    "sparsity": "sparsities β*",
    "feature": "features of the free energy",
    "order": "free energy against accuracy",
    "transition": "how accuracy falls",
    "match": "RFE against FE",
    "speed": "times and speed-ups",
    "seeds": "stability over seeds",
}
#: Ways of combining chapters, as shown before the rule.
OVER: Final[Mapping[str, str]] = {
    "one": "",
    "seeds": "",
    "all": "in every chapter: ",
    "most": "in more than half of the chapters: ",
    "less": "first less second: ",
    "spread": "largest less smallest: ",
    "largest": "the largest: ",
    "alike": "the same in all",
    "unlike": "not the same in all",
}
_FILE: Final = Path(__file__).with_name("claims.csv")
_TEMPLATES: Final = Path(__file__).with_name("claims_templates.csv")
_PLACES: Final = Path(__file__).with_name("claims_places.csv")


@dataclass(frozen=True)
class Claim:
    """One statement of the paper.

    Attributes
    ----------
    id : str
        Readable and unique; the anchor of its row.
    kind : str
        A key of `KINDS`.
    text : str
        The statement in our words.
    groups : tuple of tuple of str
        Names of the chapters it is about; two groups where these are compared.
    over : str
        A key of `OVER`.
    measure, rule : str
        See :mod:`companion.paper.measures` and :mod:`companion.paper.rules`.
    stated : tuple of Stated
        All versions the paper gives.
    published : tuple of str
        Names of the published numbers it stands on.
    """

    id: str
    kind: str
    text: str
    groups: tuple[tuple[str, ...], ...]
    over: str
    measure: str
    rule: str
    stated: tuple[Stated, ...]
    published: tuple[str, ...] = ()

    @property
    def chapters(self) -> tuple[str, ...]:
        """Names of all chapters it is about."""
        return tuple(name for group in self.groups for name in group)

    @property
    def rule_text(self) -> str:
        """The rule as shown."""
        if self.over in ("alike", "unlike"):
            return OVER[self.over]
        return OVER[self.over] + rule_text(self.rule)


#: Words for a time that is no shorter, as said of RFE.
_SLOWER: Final = ("slower", "slightly slower", "none")


def claims() -> tuple[Claim, ...]:
    """All claims: first those about several chapters, then chapter by chapter.

    Returns
    -------
    tuple of Claim

    Raises
    ------
    ThermoError
        If a file names something that does not exist.

    Examples
    --------
    >>> claim = next(c for c in claims() if c.id == "mlp-cifar10-tau-fe")
    >>> [version.text for version in claim.stated], claim.rule_text
    (['0.12', '0.12'], 'within one grid step or 20%')
    """
    return _claims()


@cache
def _claims() -> tuple[Claim, ...]:
    written = list(_written())
    found = [claim for claim in written if len(claim.chapters) > 1]
    for chapter in CHAPTERS:
        found += _from_published(chapter)
        found += [claim for claim in written if claim.chapters == (chapter.name,)]
    return tuple(found)


def _from_published(chapter: Chapter) -> Iterable[Claim]:
    """Claims about a chapter that are made from published numbers by rule."""
    found = lookup(chapter.model, chapter.dataset).itertuples()
    rows = [row for row in found if reason_left_out(row) is None]
    for template in _templates(chapter.name):
        same = _of(rows, template.quantity, template.method)
        stated = tuple(_version(row) for row in same)
        if template.quantity == "speedup" and all(math.isnan(version.low) for version in stated):
            stated = (*stated, _ratio_of_times(rows))
        elif template.quantity == "time_s":
            stated, same = _direction(rows), [row for row in rows if row.quantity == "time_s"]
        elif template.rule == "same":
            stated = tuple(v._replace(word="yes") if v.word == "soft" else v for v in stated)
        if stated:
            yield _checked(
                Claim(
                    id=_id(chapter.name, template.slug),
                    kind=template.kind,
                    text=template.claim,
                    groups=((chapter.name,),),
                    over="one",
                    measure=template.measure,
                    rule=template.rule,
                    stated=stated,
                    published=tuple(row.id for row in same),
                )
            )


def _of(rows: Iterable[Any], quantity: str, method: str) -> list[Any]:
    return [row for row in rows if row.quantity == quantity and row.method == method]


def _templates(chapter: str) -> list[Any]:
    """The row of each quantity and method: the chapter's own, or else the one for all."""
    rows = _rows_of_templates()
    own = {(row.quantity, row.method) for row in rows if row.chapter == chapter}
    return [
        row
        for row in rows
        if row.chapter == chapter or (not row.chapter and (row.quantity, row.method) not in own)
    ]


@cache
def _rows_of_templates() -> list[Any]:
    return list(_read(_TEMPLATES).itertuples())


def _times(rows: Sequence[Any]) -> tuple[float, str, str]:
    """FE time over RFE time as the paper's tables have them, with place and quote."""
    full, fast = (_of(rows, "time_s", method)[0] for method in CURVES)
    place = f"{full.source}, from the times {full.quote} and {fast.quote} s"
    return full.low / fast.low, place, full.quote


def _ratio_of_times(rows: Sequence[Any]) -> Stated:
    ratio, place, quote = _times(rows)
    return Stated(round(ratio, 2), round(ratio, 2), "", place, quote)


def _direction(rows: Sequence[Any]) -> tuple[Stated, ...]:
    """Whether RFE is faster or slower, from the times and from the words."""
    ratio, place, quote = _times(rows)
    word = "faster" if ratio > 1 else "slower"
    words = [row for row in rows if row.value in _SLOWER and row.source.startswith("Section")]
    return (
        Stated(math.nan, math.nan, word, place, quote),
        *(_version(row)._replace(word="slower") for row in words),
    )


def _written() -> Iterable[Claim]:
    """Claims of ``claims.csv``; those about one chapter at a time once for each of them."""
    rows = _read(_FILE)
    numbers = {str(row.id): row for row in published().itertuples()}
    for row in rows.itertuples():
        names = tuple(str(row.published).split())
        if names:
            stated = tuple(_version(_known(numbers, name)) for name in names)
        else:
            place = _place(str(row.source), str(row.quote))
            stated = (Stated(math.nan, math.nan, str(row.paper), place, str(row.quote)),)
        groups = tuple(_matching(group) for group in str(row.scope).split("|"))
        if len(groups) != (2 if row.over == "less" else 1):
            raise ThermoError(f"claim {row.id}: 'less' compares two groups, all others take one")
        each = row.over in ("one", "seeds")
        for here in [((name,),) for name in groups[0]] if each else [groups]:
            alone = here if each and len(groups[0]) > 1 else None
            yield _checked(
                Claim(
                    id=_id(alone[0][0], str(row.id)) if alone else str(row.id),
                    kind=str(row.kind),
                    text=str(row.claim),
                    groups=here,
                    over=str(row.over),
                    measure=str(row.measure),
                    rule=str(row.rule),
                    stated=stated,
                    published=names,
                )
            )


def _read(file: Path) -> pd.DataFrame:
    return pd.read_csv(file, dtype=str, keep_default_na=False, encoding="utf-8")


def _checked(claim: Claim) -> Claim:
    """Refuse a claim that names what does not exist."""
    for what, name, allowed in (
        ("kind of claim", claim.kind, KINDS),
        ("way of combining chapters", claim.over, OVER),
        ("measure", claim.measure, MEASURES),
    ):
        if name not in allowed:
            raise unknown(f"{what} in {claim.id},", name, allowed)
    rule_text(claim.rule)
    return claim


def _id(chapter: str, slug: str) -> str:
    return f"{chapter}-{slug}".replace("_", "-")


def _matching(patterns: str) -> tuple[str, ...]:
    names = [chapter.name for chapter in CHAPTERS]
    found = tuple(n for n in names if any(fnmatchcase(n, p) for p in patterns.split()))
    if not found:
        raise unknown("chapter", patterns, names)
    return found


def _known(numbers: Mapping[str, Any], name: str) -> Any:
    if name not in numbers:
        raise unknown("published number", name, numbers)
    return numbers[name]


def _version(row: Any) -> Stated:
    """A published number as one version of a statement."""
    high = math.inf if row.value == "at least" else row.high
    word = {"at least": "", "at most": "up to"}.get(row.value, row.value)
    return Stated(row.low, high, word, _place(row.source, row.quote, row), row.quote)


def _place(source: str, quote: str, row: Any = None) -> str:
    """Where a quote stands: section and paragraph, or table and row."""
    if row is not None and source.startswith("Table"):
        head = METHODS[row.method].short if row.method else ""
        label = {
            "tau_star": f"τ*, {head}", "beta_star": f"β*, {head}", "extremum": "FE extremum",
            "derivative_zero": "derivative", "time_s": f"time of {head}", "speedup": "speed-up",
        }.get(row.quantity, "")  # fmt: skip
        return f"{source}, {DATASETS[row.dataset].title}, {NETWORKS[row.model].title}, {label}"
    paragraph = _paragraphs().get((source, quote))
    return f"{source}, paragraph {paragraph}" if paragraph else source


@cache
def _paragraphs() -> dict[tuple[str, str], str]:
    rows = _read(_PLACES)
    keys = zip(rows["source"], rows["quote"], strict=True)
    return dict(zip(keys, rows["paragraph"], strict=True))
