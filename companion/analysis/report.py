"""The report of an analysis: one page that needs nothing else, made from what was measured."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd
from jinja2 import Environment, StrictUndefined

from thermo_utils.curves import Threshold

if TYPE_CHECKING:
    from companion.analysis.steps import Measured

__all__ = ["About", "Picture", "is_share", "page", "summary_lines"]

TEMPLATE = Path(__file__).with_name("report.html")
#: Width in pixels of the bar of a layer that has all the activations.
BAR = 90
#: What is read off what, in words.
READ_OFF = {
    "renormalized": "F of one unpruned pass (RFE)",
    "full": "F of the pruned network (FE)",
}
#: Metrics that are shares, shown in percent.
SHARES = ("accuracy", "f1", "mean_iou")


class Picture(NamedTuple):
    """A figure as SVG, and what it shows in words."""

    svg: bytes
    alt: str
    note: str = ""


class About(NamedTuple):
    """What was analysed and how, in words.

    Attributes
    ----------
    model, data : str
        As the user named them.
    title : str
        What they turned out to be.
    facts : mapping of str to str
        How the data were prepared, and more of this kind.
    meaning : mapping of int to str
        Labels by class number.
    command : str
    versions : str
    """

    model: str
    data: str
    title: str
    facts: Mapping[str, str]
    meaning: Mapping[int, str]
    command: str
    versions: str


def page(measured: Measured, about: About, figure: Picture, heat: Picture | None = None) -> str:
    """The report as HTML, with everything in it.

    Parameters
    ----------
    measured : Measured
    about : About
    figure : Picture
        The curves.
    heat : Picture, optional
        The layers, one by one.

    Returns
    -------
    str
        Whatever models, data and layers are called is shown as text.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(
        model=about.model,
        data=about.data,
        title=about.title,
        verdict=_verdict(measured),
        cards=_cards(measured),
        warnings=measured.warnings,
        figure=_embedded(figure),
        heat=None if heat is None else _embedded(heat),
        thresholds=[_threshold(name, found) for name, found in measured.thresholds.items()],
        metric=_metric(measured),
        bound=_bound(measured),
        passes=_passes(measured),
        layers=_layers(measured.layers),
        classes=_classes(measured),
        by_class="" if measured.classes is None else measured.classes.summary(),
        summary=measured.spectra.summary(),
        facts=[*about.facts.items(), *_grid(measured)],
        meaning=sorted(about.meaning.items()),
        command=about.command,
        versions=about.versions,
    )


def summary_lines(measured: Measured) -> list[str]:
    """The same for a terminal, in a few lines.

    Parameters
    ----------
    measured : Measured

    Returns
    -------
    list of str
    """
    names = measured.layers["layer"].tolist()
    lines = [f"pruned: {', '.join(names)}"]
    for method, found in measured.thresholds.items():
        if found is None:
            none = "no transition found" if method in READ_OFF else "stays within bounds"
            lines.append(f"{method}: {none} on this grid")
            continue
        text = f"{method}: tau* = {found.tau:.4g}, beta* = {found.beta:.3f} ({found.kind})"
        if found.kind == "accuracy" and math.isfinite(found.low):
            end = f"to {found.high:.4g}" if math.isfinite(found.high) else "and more"
            text += f", not told from {found.low:.4g} {end} (two standard errors)"
        lines.append(text)
    if measured.metric is not None:
        lines.append(f"safe: {' '.join(_safety(measured))}")
    return [*lines, *(f"warning: {text}" for text in measured.warnings)]


def _verdict(measured: Measured) -> list[str]:
    sentences = []
    if measured.metric is not None:
        sentences.append(" ".join(_safety(measured)))
    found = measured.thresholds["renormalized"]
    if found is None:
        sentences.append(
            "The renormalized free energy, read off one unpruned pass, has no feature on this "
            "grid: it predicts no threshold."
        )
    else:
        sentences.append(
            "The renormalized free energy, read off one unpruned pass, has its first feature, "
            f"{_article(found.kind)}, at τ = {_number(found.tau)}, below which "
            f"{_percent(found.beta)} of the activations lie."
        )
    return sentences


def _safety(measured: Measured) -> list[str]:
    safe, metric = measured.safe, measured.metric
    assert metric is not None
    name = metric.name.replace("_", " ")
    if safe is None:
        return [f"{measured.unsafe[0].upper()}{measured.unsafe[1:]}."]
    allowed = bound_in_words(measured)
    if not safe.tau:
        return [
            f"No threshold that was tried keeps the {name} within {allowed} of the unpruned "
            f"network's {_score(safe.baseline, metric.name)}."
        ]
    return [
        f"Pruning below τ = {_number(safe.tau)} removes {_percent(safe.beta)} of the "
        f"activations, and the {name} is {_score(safe.score, metric.name)}, against "
        f"{_score(safe.baseline, metric.name)} unpruned (allowed: worse by {allowed}).",
    ]


def _cards(measured: Measured) -> list[dict[str, str]]:
    cards = []
    safe, metric = measured.safe, measured.metric
    if metric is not None:
        name = metric.name.replace("_", " ")
        full = measured.full
        assert full is not None
        cards.append(
            {
                "what": f"{name}, unpruned",
                "much": _score(full.attrs["baseline"], metric.name),
                "more": f"on {full.attrs['samples']:,} targets",
            }
        )
        known = safe if safe is not None and safe.tau > 0 else None
        cards.append(
            {
                "what": "safe threshold, measured",
                "much": f"τ = {_number(known.tau)}" if known else "none",
                "more": f"removes {_percent(known.beta)}" if known else "see above",
            }
        )
    for method, threshold in measured.thresholds.items():
        if method in READ_OFF:
            cards.append(
                {
                    "what": f"τ* of {READ_OFF[method]}",
                    "much": "none" if threshold is None else _number(threshold.tau),
                    "more": "no feature on this grid"
                    if threshold is None
                    else f"{_article(threshold.kind)}, β* = {_percent(threshold.beta)}",
                }
            )
    cards.append(
        {
            "what": "activations, nonzero",
            "much": f"{measured.renormalized.attrs['total']:,}",
            "more": f"of {int(measured.layers['size'].sum()):,} in {len(measured.layers)} layers",
        }
    )
    return cards


def _threshold(method: str, found: Threshold | None) -> dict[str, str]:
    name = READ_OFF.get(method, f"{method.replace('_', ' ')} of the pruned network (FE)")
    if found is None:
        none = "none on this grid" if method in READ_OFF else "stays within bounds on this grid"
        return {"method": name, "tau": "-", "interval": "-", "beta": "-", "kind": none}
    known = not (math.isnan(found.low) or math.isnan(found.high))
    high = _number(found.high) if math.isfinite(found.high) else "end of grid"
    return {
        "method": name,
        "tau": _number(found.tau),
        "interval": f"{_number(found.low)} to {high}" if known else "not known",
        "beta": _percent(found.beta),
        "kind": "last within bounds" if found.kind in ("accuracy", "score") else found.kind,
    }


def _passes(measured: Measured) -> list[dict[str, Any]]:
    safe, metric = measured.safe, measured.metric
    if safe is None or metric is None:
        return []
    return [
        {
            "number": number,
            "tau": _number(row["tau"]) if row["tau"] else "unpruned",
            "beta": _percent(row["beta"]),
            "score": _score(row[metric.name], metric.name),
            "drop": _score(row["drop"], metric.name).replace("%", "points"),
            "safe": "yes" if row["safe"] else "no",
            "chosen": row["tau"] == safe.tau,
        }
        for number, (_, row) in enumerate(safe.passes.iterrows(), 1)
    ]


def _layers(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {
            "layer": row["layer"],
            "kind": row["kind"],
            "shape": row["shape"],
            "share": _percent(row["share"]),
            "width": round(BAR * row["share"], 1),
            "zeros": _percent(row["zeros"] / row["size"] if row["size"] else 0.0),
            "scale": _number(row["scale"]),
            "tau": _number(row["tau"]),
            "beta": _percent(row["beta"]),
            "effect": row["effect"],
        }
        for _, row in table.iterrows()
    ]


def _classes(measured: Measured) -> list[dict[str, Any]]:
    if measured.classes is None:
        return []
    return [
        {
            "name": row["class"],
            "examples": f"{row['examples']:,}",
            "accuracy": _percent(row["accuracy"]),
            "tau": _number(row["tau"]),
            "beta": _percent(row["beta"]),
            "drop": f"{100 * row['drop']:.1f}",
            "mean": f"{100 * row['mean_drop']:.1f}",
            "p": "-" if math.isnan(row["p"]) else f"{row['p']:.2g}",
            "early": bool(row["early"]),
        }
        for _, row in measured.classes.table.iterrows()
    ]


def _grid(measured: Measured) -> list[tuple[str, str]]:
    grid = measured.grid
    chosen = "chosen from the activations" if grid["automatic"] else "as asked for"
    full = f"{grid['full']} thresholds for FE, " if grid["full"] else ""
    last = float(measured.renormalized["tau"].iloc[-1])
    return [
        (
            "grid",
            f"step {_number(grid['step'])} up to {_number(grid['last'])}, {chosen}: {full}"
            f"{grid['renormalized']} for RFE, which goes on to {_number(last)}",
        ),
        ("time", f"{measured.seconds:,.0f} s on {measured.device}"),
    ]


def _bound(measured: Measured) -> str:
    if measured.bound is None or measured.metric is None:
        return ""
    name = measured.metric.name.replace("_", " ")
    better = "higher" if measured.metric.higher_is_better else "lower"
    return (
        f"The {name} ({better} is better) may get worse by {bound_in_words(measured)}. Each row "
        "is a pass over all the data with the network pruned at this threshold; the first probe is "
        "the prediction of the renormalized curve, and from there the bracket is halved."
    )


def bound_in_words(measured: Measured) -> str:
    """How much worse the score may get, in its own unit or as a share of it."""
    assert measured.bound is not None
    assert measured.metric is not None
    drop = measured.bound.max_drop
    if measured.bound.relative:
        return f"{100 * drop:g} % of it"
    if is_share(measured.metric.name):
        return f"{100 * drop:g} {'point' if drop == 0.01 else 'points'}"
    return f"{drop:g}"


def is_share(metric: str) -> bool:
    """Whether a metric runs from 0 to 1 and is shown in percent."""
    return metric in SHARES or metric.startswith("top")


def _metric(measured: Measured) -> str:
    return "" if measured.metric is None else measured.metric.name.replace("_", " ")


def _embedded(picture: Picture) -> dict[str, str]:
    coded = base64.b64encode(picture.svg).decode()
    return {
        "source": f"data:image/svg+xml;base64,{coded}", "alt": picture.alt, "note": picture.note,
    }  # fmt: skip


def _article(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def _number(value: float) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.4g}"


def _percent(share: float) -> str:
    if share is None or math.isnan(share):
        return "-"
    return f"{100 * share:.1f} %" if share >= 0.001 or not share else f"{100 * share:.2g} %"


def _score(value: float, metric: str) -> str:
    if math.isnan(value):
        return "NaN"
    return f"{100 * value:.2f} %" if is_share(metric) else f"{value:.4g}"
