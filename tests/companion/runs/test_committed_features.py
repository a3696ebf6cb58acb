"""On every committed curve: neither the end of the grid nor its fineness decides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from companion.runs.methods import CURVES
from companion.runs.records import RESULT, read_record
from thermo_utils import critical_threshold
from thermo_utils.grids import grid_step
from thermo_utils.resampling import OCTAVES, over_seeds

COMMITTED = Path(__file__).parents[3] / "results" / "small"
RECORDS = [
    record
    for path in sorted(COMMITTED.rglob(RESULT))
    if (record := read_record(path.parent)) is not None
]
#: MobileNetV2's curves jump where many activations share a value, which a coarse grid steps over.
SHARE = 34 / 36


def found(curve):
    return critical_threshold(curve.reset_index(drop=True))


def shortened(curve):
    return {
        "up to 80 % of its thresholds": curve.iloc[: int(0.8 * len(curve))],
        "up to 80 % of its range": curve[curve["tau"] <= 0.8 * curve["tau"].iloc[-1]],
        "without its first point": curve.iloc[1:],
    }


def others(record, method):
    """The same curve on other grids."""
    curve = record.curve(method)
    yield from shortened(curve).items()
    if method == "renormalized":
        step = grid_step(record.curve("full"))
        multiple = curve["tau"] / step
        coarse = curve[np.abs(multiple - multiple.round()) < 1e-6]
        assert 0 < len(coarse) < len(curve) / 5
        yield "thinned tenfold", coarse


def moves(record):
    """What moves the critical threshold of a record by more than a step, or to a later feature."""
    step = grid_step(record.curve("full"))
    for method in CURVES:
        whole = found(record.curve(method))
        for words, curve in others(record, method):
            again = found(curve)
            if again is None:  # which is allowed
                continue
            if whole is None or abs(again.tau - whole.tau) > step * (1 + 1e-9):
                yield f"{method} {words}: {whole and whole.tau} becomes {again.tau}"


def test_the_end_and_the_fineness_of_the_grid_do_not_matter():
    moved = {str(r.folder.relative_to(COMMITTED)): list(moves(r)) for r in RECORDS}
    bad = {name: words for name, words in moved.items() if words}
    assert len(bad) <= (1 - SHARE) * len(RECORDS) + 1e-9, bad


@pytest.mark.parametrize("method", CURVES)
def test_what_follows_the_decision_changes_nothing_at_all(method):
    """Not a share: no committed feature is moved by where the grid ends."""
    for record in RECORDS:
        curve = record.curve(method)
        whole = found(curve)
        for share in (0.95, 0.9, 0.8, 0.7, 0.6, 0.5):
            again = found(curve.iloc[: int(share * len(curve))])
            if whole is None or whole.kind not in ("peak", "valley") or "flat" in whole.rule:
                continue
            assert again is None or again.kind not in ("peak", "valley") or again.tau == whole.tau


def test_every_threshold_has_an_interval():
    for record in RECORDS:
        for method in CURVES:
            first = found(record.curve(method))
            if first is not None:
                assert first.low < first.tau < first.high


def test_over_seeds_half_an_octave_or_no_reliable_feature():
    chapters: dict[str, list[object]] = {}
    for record in RECORDS:
        name = f"{record.result['model']}-{record.result['dataset']}"
        chapters.setdefault(name, []).append(found(record.curve("full")))
    several = {name: seeds for name, seeds in chapters.items() if len(seeds) > 2}
    assert len(several) >= 8
    reliable = 0
    for seeds in several.values():
        agreed = over_seeds(seeds)
        if agreed is not None:
            places = [t.tau for t in seeds]
            assert max(places) <= min(places) * 2**OCTAVES * (1 + 1e-9)
            reliable += 1
    assert reliable >= len(several) / 2


def test_a_flat_maximum_is_not_handed_on_to_a_bend():
    """MLP on CIFAR-10: the maximum of F, or nothing; never what comes long after it."""
    for record in RECORDS:
        if (record.result["model"], record.result["dataset"]) == ("mlp", "cifar10"):
            curve = record.curve("full")
            top = float(curve["tau"][curve["free_energy"].idxmax()])
            first = found(curve)
            assert first is None or (first.kind, first.tau) == ("peak", top)
