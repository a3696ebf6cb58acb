"""Training: what is recorded, what is restored, and that an interruption leaves no trace."""

from __future__ import annotations

import signal

import numpy as np
import pytest
import torch
from torch import nn

from companion.data.tensors import Examples, Splits, batches
from companion.runs import classifier, training
from thermo_utils import ThermoError, evaluate
from thermo_utils.batches import forward


class KilledError(RuntimeError):
    pass


def splits(train=96, validation=48, wrong=0.0):
    generator = torch.Generator().manual_seed(0)
    rule = torch.randn(6, 3, generator=generator)

    def part(n):
        x = torch.randn(n, 6, generator=generator)
        y = (x @ rule).argmax(1)
        noise = torch.rand(n, generator=generator) < wrong
        return Examples(x, torch.where(noise, (y + 1) % 3, y))

    return Splits(part(train), part(validation), part(48), ("a", "b", "c"), "made up", "0")


def network(seed=1):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 3)
    )


DATA = splits()


def fit(folder, net=None, data=DATA, **options):
    net = network() if net is None else net
    options = {"epochs": 4, "batch_size": 16, "learning_rate": 0.02, **options}
    return net, training.train(net, data, folder=folder, progress=False, **options)


def same(a, b):
    return all(
        torch.equal(x, y)
        for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    )


def interrupt(monkeypatch, epoch, step, error=KilledError):
    real = classifier.Classifier.training_step

    def training_step(self, batch, index):
        if (self.current_epoch, index) == (epoch, step):
            raise error
        return real(self, batch, index)

    monkeypatch.setattr(classifier.Classifier, "training_step", training_step)


def test_history_and_best_weights(tmp_path):
    net, history = fit(tmp_path, epochs=6)
    assert history.columns.tolist() == [
        "epoch", "train_loss", "validation_loss", "validation_accuracy", "best",
    ]  # fmt: skip
    assert history["epoch"].tolist() == list(range(1, len(history) + 1))
    assert history["best"].sum() == 1
    assert history["best"].idxmax() == history["validation_accuracy"].idxmax()
    assert history["train_loss"].iloc[-1] < history["train_loss"].iloc[0]
    assert not net.training
    assert next(net.parameters()).device.type == "cpu"
    measured = evaluate(net, batches(DATA.validation, 7))
    assert measured == pytest.approx(history["validation_accuracy"].max(), abs=1e-6)
    best = history.loc[history["best"], "validation_loss"].item()
    with torch.no_grad():
        loss = nn.functional.cross_entropy(net(DATA.validation.inputs), DATA.validation.targets)
    assert best == pytest.approx(float(loss), rel=1e-4)


def test_the_loss_of_the_first_step_is_plain_cross_entropy(tmp_path):
    net = nn.Sequential(nn.Linear(6, 3))
    x, y = DATA.train.inputs, DATA.train.targets
    with torch.no_grad():
        expected = float(nn.functional.cross_entropy(net(x), y))
    _, history = fit(tmp_path, net, epochs=1, batch_size=len(y))
    assert history["train_loss"].item() == pytest.approx(expected, rel=1e-5)


def test_seeds(tmp_path):
    runs = [fit(tmp_path / str(i), seed=seed) for i, seed in enumerate((0, 0, 1))]
    assert same(runs[0][0], runs[1][0])
    assert runs[0][1].equals(runs[1][1])
    assert not same(runs[0][0], runs[2][0])


def test_the_state_of_the_generator_does_not_matter(tmp_path):
    first = fit(tmp_path / "a", network())
    net = network()
    torch.rand(77)
    second = fit(tmp_path / "b", net)
    assert same(first[0], second[0])


@pytest.mark.parametrize(("epoch", "step"), [(0, 2), (1, 0), (2, 3), (3, 5)])
def test_a_killed_training_ends_with_the_same_weights(tmp_path, monkeypatch, epoch, step):
    expected, expected_history = fit(tmp_path / "whole")
    interrupt(monkeypatch, epoch, step)
    with pytest.raises(KilledError):
        fit(tmp_path / "parts")
    monkeypatch.undo()
    steps = []
    real = classifier.Classifier.training_step
    monkeypatch.setattr(
        classifier.Classifier,
        "training_step",
        lambda self, batch, i: (steps.append(self.current_epoch), real(self, batch, i))[1],
    )
    torch.rand(5)
    net, history = fit(tmp_path / "parts")
    assert same(net, expected)
    assert history.equals(expected_history)
    assert sorted(set(steps)) == list(range(epoch, 4))


def test_killed_twice(tmp_path, monkeypatch):
    expected, _ = fit(tmp_path / "whole")
    for epoch in (1, 3):
        interrupt(monkeypatch, epoch, 4)
        with pytest.raises(KilledError):
            fit(tmp_path / "parts")
        monkeypatch.undo()
    assert same(fit(tmp_path / "parts")[0], expected)


def test_early_stopping(tmp_path):
    _, history = fit(tmp_path, data=splits(wrong=1.0, validation=24), epochs=60, patience=2)
    accuracy = history["validation_accuracy"].tolist()
    assert len(accuracy) < 60
    assert len(accuracy) - 1 - int(np.argmax(accuracy)) == 2


@pytest.mark.parametrize("options", [{"epochs": 3}, {"epochs": 60, "patience": 2}])
def test_a_finished_training_is_not_continued(tmp_path, options):
    first, history = fit(tmp_path, **options)
    second, again = fit(tmp_path, network(9), **options)
    assert again.equals(history)
    assert same(first, second)


def test_frozen_parameters_stay(tmp_path):
    net = network()
    frozen = net[0].requires_grad_(False).weight.clone()
    moved = net[4].weight.detach().clone()
    fit(tmp_path, net)
    assert torch.equal(net[0].weight, frozen)
    assert not torch.equal(net[4].weight, moved)
    assert not net[0].weight.requires_grad


def test_dict_inputs(tmp_path):
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = network()

        def forward(self, *, values):
            return {"logits": self.net(values)}

    def named(part):
        return Examples({"values": part.inputs}, part.targets)

    data = Splits(
        named(DATA.train), named(DATA.validation), named(DATA.test), ("a", "b", "c"), "", ""
    )
    net, history = fit(tmp_path / "dict", Named(), data)
    plain, expected = fit(tmp_path / "plain")
    assert same(net.net, plain)
    assert history.equals(expected)
    assert forward(net, data.test.inputs)["logits"].shape == (48, 3)


def test_interrupt_from_the_keyboard(tmp_path, monkeypatch):
    before = signal.getsignal(signal.SIGINT)
    interrupt(monkeypatch, 1, 1, KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path)
    assert signal.getsignal(signal.SIGINT) is before  # a second Ctrl-C still works
    monkeypatch.undo()
    assert same(fit(tmp_path)[0], fit(tmp_path / "whole")[0])


def test_loss_that_is_no_number(tmp_path):
    net = network()
    with torch.no_grad():
        net[4].bias[0] = float("nan")
    with pytest.raises(ThermoError, match="the loss became nan in epoch 1: lower learning_rate"):
        fit(tmp_path, net)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs must be 1 or more, got 0"),
        ({"precision": "half"}, "precision 'half' is not to be had"),
        ({"data": splits(train=0)}, "there are no training examples"),
        ({"data": splits(validation=0)}, "there are no validation examples"),
    ],
)
def test_refusals(tmp_path, options, message):
    with pytest.raises(ThermoError, match=message):
        fit(tmp_path / "folder", **options)
    assert not (tmp_path / "folder").exists()


def test_progress_bar(tmp_path, capsys):
    training.train(network(), DATA, epochs=2, batch_size=32, folder=tmp_path, progress=True)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "epoch 2/2" in shown.err
    assert "best accuracy" in shown.err


def test_mixed_precision_trains(tmp_path):
    net, history = fit(tmp_path, precision="bf16-mixed", epochs=2)
    assert next(net.parameters()).dtype == torch.float32
    assert len(history) == 2
