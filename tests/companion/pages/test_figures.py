"""Figures of the book beside the six panels."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba

from companion.pages.figures import training, weight_and_activation_pruning
from thermo_utils.figures import ACCURACY, FULL


@pytest.fixture(autouse=True)
def closed():
    """No figure may stay open to be shown a second time."""
    yield
    assert plt.get_fignums() == []


HISTORY = pd.DataFrame(
    {
        "epoch": [1, 2, 3],
        "train_loss": [2.0, 1.0, 0.5],
        "validation_loss": [2.1, 1.2, 1.3],
        "validation_accuracy": [0.3, 0.6, 0.5],
        "best": [False, True, False],
    }
)


def test_training_draws_both_losses_and_the_accuracy():
    left, right = training(HISTORY, title="Ours").axes
    for line, column, color in zip(
        [*left.lines, right.lines[0]],
        ["train_loss", "validation_loss", "validation_accuracy"],
        [FULL, ACCURACY, ACCURACY],
        strict=True,
    ):
        assert line.get_xdata().tolist() == HISTORY["epoch"].tolist()
        assert line.get_ydata().tolist() == HISTORY[column].tolist()
        assert to_rgba(line.get_color()) == to_rgba(color)


def test_training_circles_the_epoch_that_was_kept():
    circle = training(HISTORY, title="Ours").axes[1].lines[-1]
    assert (list(circle.get_xdata()), list(circle.get_ydata())) == ([2], [0.6])


def test_training_of_one_epoch():
    training(HISTORY.query("best"), title="Ours").canvas.draw()


def test_synthetic_training_says_so():
    plain, marked = (training(HISTORY, title="Ours", synthetic=s) for s in (False, True))
    assert plain.get_suptitle() == "Ours"
    assert "synthetic" in marked.get_suptitle()


def test_weights_are_pruned_once_and_activations_for_each_input():
    figure = weight_and_activation_pruning()
    figure.canvas.draw()
    pruned = np.array([1.0, 1.0, 1.0, 1.0])
    hollow = [
        [bool((color == pruned).all()) for color in axis.collections[1].get_facecolor()]
        for axis in figure.axes
    ]
    assert not any(hollow[0])
    assert any(hollow[1])
    assert any(hollow[2])
    assert hollow[1] != hollow[2]
    dotted = [sum(line.get_linestyle() == ":" for line in axis.lines) for axis in figure.axes]
    assert dotted[0] == len(figure.axes[0].lines) // 2  # half of the weights
    # An activation that is gone takes all its edges with it.
    edges = len(figure.axes[0].lines) // len(hollow[0])
    assert dotted[1:] == [edges * sum(h) for h in hollow[1:]]
