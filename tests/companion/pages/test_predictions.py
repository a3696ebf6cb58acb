"""Tables and figures of the predictions: a row or mark for each, the right side and limit."""

from __future__ import annotations

import warnings

import matplotlib.pyplot as plt
import numpy as np
import pytest

from companion.pages.predictions import (
    HEADS,
    MARKS,
    NAMES,
    by_chapter,
    dots,
    factor,
    interval_words,
    points,
    summary,
)
from companion.paper.comparison import UNSAFE
from companion.paper.predictors import PREDICTORS, per_chapter
from tests.companion.pages.test_conclusion import errors
from tests.companion.paper.exponential_runs import five, predicted, record


def rows(text):
    """Cells of a Markdown table, without its head."""
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()[2:]]


@pytest.mark.parametrize("names", [HEADS, NAMES, MARKS])
def test_every_predictor_has_a_name_and_a_mark_of_its_own(names):
    assert set(names) == set(PREDICTORS)
    assert len(set(names.values())) == len(PREDICTORS)


class TestByChapter:
    @pytest.mark.parametrize(
        ("columns", "cell"),
        [
            ({"signed": -1.0, "octaves": 1.0, "early": 1, "late": 0}, "÷ 2.0"),
            ({"signed": 1.0, "octaves": 1.0, "early": 0, "late": 1}, "× 2.0"),
            ({"signed": 0.0, "octaves": 1.0, "early": 0, "late": 1}, "× 2.0"),
            ({"signed": -0.1, "octaves": 2.0, "early": 1, "late": 1}, "± 4.0"),
            ({"steps": 1.0, "octaves": 0.5}, "≈ 1.4"),
            ({"steps": 1.0 + 1e-10, "octaves": 0.5}, "≈ 1.4"),
            ({"steps": 1.01, "octaves": 0.5}, "× 1.4"),
            ({"misses": 1, "octaves": np.inf, "steps": np.inf}, "miss"),
            ({"ends": 1, "octaves": np.nan, "steps": np.nan}, "grid ends"),
        ],
    )
    def test_a_cell_says_how_far_and_on_which_side(self, columns, cell):
        table = errors(2, **{f"FE_{name}": [value] * 2 for name, value in columns.items()})
        for row in rows(by_chapter(table)):
            assert row[1] == cell
            assert set(row[2:]) == {"× 2.0"}

    def test_a_row_per_chapter_with_its_seeds(self):
        runs = five() | {"cnn-cifar10": [record(1.5, seed) for seed in range(3)]}
        found = rows(by_chapter(per_chapter(predicted(runs))))
        assert [row[0].partition("(chapters/")[2].partition(")")[0] for row in found] == list(runs)
        assert [row[0].partition(")")[2] for row in found] == ["", "", ", 3 seeds", "", ""]


class TestSummary:
    def test_numbers_of_a_row(self):
        table = errors(
            3,
            knee_octaves=[0.5, 2.0, 3.0], knee_steps=[1.0, 4.0, 9.0], knee_drop=[0.0, 0.1, 0.5],
            knee_sparsity=[0.1, 0.25, 0.9], knee_worst=[0.01, 0.06, 0.7], RFE_octaves=[3.0] * 3,
        )  # fmt: skip
        table_of = predicted(five())
        found = {row[0]: row[1:] for row in rows(summary(table_of, table))}
        assert list(found) == [NAMES[predictor] for predictor in PREDICTORS]
        assert found[NAMES["knee"]] == [
            "", "4.0", "8.0", "4.0", "0.25", "1 of 3", "10.0", "70.0", "2 of 3",
            "1 of 3 (p = 1)", "2 of 3 (p = 0.5)",
        ]  # fmt: skip
        fitted = table_of.loc[table_of["predictor"] == "constant", "parameter"]
        assert found[NAMES["constant"]][0] == f"{fitted.min():.2f} to {fitted.max():.2f}"

    def test_the_theory_is_not_compared_with_itself(self):
        found = rows(summary(predicted(five()), errors(3)))
        assert [[bool(cell) for cell in row[-2:]] for row in found] == [
            [False, True], [True, False], *[[True, True]] * 7,
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("octaves", "text"), [(0.0, "1.0"), (1.0, "2.0"), (np.inf, "none"), (np.nan, "none")]
)
def test_factors(octaves, text):
    assert factor(octaves) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.05123, "5.1"), (-1e-9, "0.0"), (-0.02, "-2.0"), (np.nan, "none"), (1.0, "100.0")],
)
def test_points(share, text):
    assert points(share) == text


class TestDots:
    @pytest.mark.parametrize("value", ["ratio", "drop"])
    @pytest.mark.parametrize("chapters", [five(), five(full=None), {}], ids=["all", "miss", "none"])
    def test_they_draw_without_a_warning_and_leave_nothing_open(self, value, chapters):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            figure = dots(predicted(chapters), value)
            figure.canvas.draw()
        assert plt.get_fignums() == []
        assert len(figure.axes[0].get_yticklabels()) == len(chapters)

    @pytest.mark.parametrize(("value", "line"), [("ratio", 1.0), ("drop", 100 * UNSAFE)])
    def test_marks_stand_at_the_predictions(self, value, line):
        chapters = five(full=0.5, fast=2.0)
        table = predicted(chapters)
        axis = dots(table, value).axes[0]
        drawn = {mark.get_label(): mark for mark in axis.get_lines()}
        for predictor in PREDICTORS:
            mark = drawn[NAMES[predictor]]
            own = table[table["predictor"] == predictor]
            shown = 2 ** own["octaves"] if value == "ratio" else 100 * own["drop"]
            assert np.allclose(mark.get_xdata(), shown, equal_nan=True)
            assert np.round(mark.get_ydata()).tolist() == list(range(5))
            assert (mark.get_color(), mark.get_marker()) == MARKS[predictor]
        assert any(list(mark.get_xdata()) == [line, line] for mark in axis.get_lines())
        assert (axis.get_xscale() == "log") == (value == "ratio")

    def test_predictors_stand_side_by_side_in_their_order(self):
        axis = dots(predicted(five()), "ratio").axes[0]
        drawn = {mark.get_label(): mark for mark in axis.get_lines()}
        heights = [drawn[NAMES[predictor]].get_ydata()[0] for predictor in PREDICTORS]
        assert heights == sorted(heights)
        assert np.mean(heights) == pytest.approx(0)
        assert -0.5 < heights[0] < heights[-1] < 0.5

    def test_those_of_generated_data_say_so(self):
        table = predicted(five())
        assert "synthetic data" in dots(table, "ratio", synthetic=True).get_suptitle()
        assert dots(table, "ratio").get_suptitle() == ""


@pytest.mark.parametrize(
    ("ends", "text"),
    [
        ((0.0, 0.5), "0 to 0.5"),
        ((0.5, 0.5), "0.5"),
        ((1.0, np.inf), "1 and more"),
        ((np.nan, np.nan), "not known"),
    ],
)
def test_intervals(ends, text):
    assert interval_words(*ends) == text
