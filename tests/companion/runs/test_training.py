"""Training: what is recorded, what is restored, and that an interruption leaves no trace."""

from __future__ import annotations

import signal
from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn

from companion.data.tensors import Examples, Splits, batches
from companion.runs import classifier, training, weights
from thermo_utils import ThermoError, evaluate
from thermo_utils.running import forward


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


def test_what_was_trained_is_not_trained_again(tmp_path, monkeypatch):
    """Nor where the epochs before the interrupt were no better than an earlier one."""
    data = splits(wrong=1.0, validation=24)
    options = {"data": data, "epochs": 9, "patience": 9}
    expected, history = fit(tmp_path / "whole", **options)
    accuracy = history["validation_accuracy"]
    kill = next(e for e in range(2, 9) if accuracy[e - 1] <= accuracy[: e - 1].max())
    interrupt(monkeypatch, kill, 0)
    with pytest.raises(KilledError):
        fit(tmp_path / "parts", **options)
    monkeypatch.undo()
    epochs = []
    real = classifier.Classifier.on_train_epoch_start
    monkeypatch.setattr(
        classifier.Classifier,
        "on_train_epoch_start",
        lambda self: (epochs.append(self.current_epoch), real(self))[1],
    )
    net, again = fit(tmp_path / "parts", **options)
    assert epochs == list(range(kill, 9))
    assert same(net, expected)
    assert again.equals(history)


def test_the_time_of_an_interrupted_training_is_that_of_all_its_epochs(tmp_path, monkeypatch):
    interrupt(monkeypatch, 2, 1)
    with pytest.raises(KilledError):
        fit(tmp_path)
    monkeypatch.undo()
    before = classifier.load_state(tmp_path / "last.ckpt")["callbacks"]["Timer"]["time_elapsed"][
        "train"
    ]
    _, history = fit(tmp_path)
    assert history.attrs["seconds"] > before > 0
    assert "resumed" not in history.attrs
    after = classifier.load_state(tmp_path / "last.ckpt")["callbacks"]["Timer"]["time_elapsed"][
        "train"
    ]
    assert fit(tmp_path)[1].attrs["seconds"] == after, "nothing is trained, and the time is kept"


def test_a_state_that_does_not_know_its_time_is_said(tmp_path, monkeypatch):
    interrupt(monkeypatch, 2, 1)
    with pytest.raises(KilledError):
        fit(tmp_path)
    monkeypatch.undo()
    state = classifier.load_state(tmp_path / "last.ckpt")
    del state["callbacks"]["Timer"]
    classifier.SealedIO().save_checkpoint(state, tmp_path / "last.ckpt")
    assert fit(tmp_path)[1].attrs["resumed"] is True


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


# -- crops, flips, schedule, and a start from elsewhere -------------------------------------------


def pictures(train=48, validation=24):
    generator = torch.Generator().manual_seed(0)

    def part(n):
        x = torch.randn(n, 3, 8, 8, generator=generator)
        return Examples(x, x[:, 0].mean((1, 2)).gt(0).long())

    return Splits(part(train), part(validation), part(24), ("a", "b"), "made up", "0")


def convolutional(seed=1):
    torch.manual_seed(seed)
    return nn.Sequential(
        OrderedDict(
            body=nn.Sequential(
                nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(0.2)
            ),
            head=nn.Linear(4 * 36, 2),
        )
    )


PICTURES = pictures()
FULL = {"augment": True, "schedule": "cosine"}


def fit_pictures(folder, net=None, data=PICTURES, **options):
    return fit(folder, convolutional() if net is None else net, data, **options)


@pytest.mark.parametrize(("epoch", "step"), [(0, 1), (1, 0), (2, 1), (3, 2)])
def test_a_killed_training_with_crops_and_a_schedule_ends_the_same(
    tmp_path, monkeypatch, epoch, step
):
    expected, expected_history = fit_pictures(tmp_path / "whole", **FULL)
    interrupt(monkeypatch, epoch, step)
    with pytest.raises(KilledError):
        fit_pictures(tmp_path / "parts", **FULL)
    monkeypatch.undo()
    torch.rand(5)
    net, history = fit_pictures(tmp_path / "parts", **FULL)
    assert same(net, expected)
    assert history.equals(expected_history)


def test_crops_are_for_training_alone_and_new_in_every_epoch(tmp_path, monkeypatch):
    seen = {"training_step": [], "validation_step": []}
    for name, batches_seen in seen.items():
        real = getattr(classifier.Classifier, name)

        def step(self, batch, index, real=real, batches_seen=batches_seen):
            batches_seen.append(batch)
            return real(self, batch, index)

        monkeypatch.setattr(classifier.Classifier, name, step)
    before = PICTURES.train.inputs.clone()
    net, history = fit_pictures(tmp_path, augment=True, epochs=2)
    assert torch.equal(PICTURES.train.inputs, before)
    validated = torch.cat([x for x, _ in seen["validation_step"]])
    assert torch.equal(validated, torch.cat([PICTURES.validation.inputs] * 2))
    trained = torch.cat([x for x, _ in seen["training_step"]])
    original = {tuple(image.flatten().tolist()) for image in before}
    assert len(trained) == 96
    untouched = sum(tuple(image.flatten().tolist()) in original for image in trained)
    assert untouched < 20  # of 96, one in eighteen is expected to stay where it is
    assert not torch.equal(trained[:48].sum(), trained[48:].sum())
    best = history["validation_accuracy"].max()
    assert evaluate(net, batches(PICTURES.validation, 7)) == pytest.approx(best, abs=1e-6)


def test_training_without_crops_is_as_it_was(tmp_path):
    plain = fit_pictures(tmp_path / "plain")[0]
    assert same(fit_pictures(tmp_path / "said", augment=False, schedule="constant")[0], plain)
    for number, option in enumerate(({"augment": True}, {"schedule": "cosine"})):
        assert not same(fit_pictures(tmp_path / str(number), **option)[0], plain)


def rates(monkeypatch):
    seen = []
    real = classifier.Classifier.training_step

    def step(self, batch, index):
        seen.append(self.optimizers().param_groups[0]["lr"])
        return real(self, batch, index)

    monkeypatch.setattr(classifier.Classifier, "training_step", step)
    return seen


def test_the_learning_rate_falls_along_half_a_cosine(tmp_path, monkeypatch):
    seen = rates(monkeypatch)
    fit_pictures(tmp_path, epochs=4, batch_size=16, schedule="cosine", learning_rate=0.5)
    steps = np.arange(4 * 3)
    np.testing.assert_allclose(seen, 0.5 * (1 + np.cos(np.pi * steps / 12)) / 2, rtol=1e-12)


def test_the_schedule_goes_on_where_training_was_killed(tmp_path, monkeypatch):
    seen = rates(monkeypatch)
    fit_pictures(tmp_path / "whole", schedule="cosine")
    whole = list(seen)
    monkeypatch.undo()
    interrupt(monkeypatch, 2, 0)
    with pytest.raises(KilledError):
        fit_pictures(tmp_path / "parts", schedule="cosine")
    monkeypatch.undo()
    seen = rates(monkeypatch)
    fit_pictures(tmp_path / "parts", schedule="cosine")
    assert seen == whole[6:]


def test_without_a_schedule_the_rate_stays(tmp_path, monkeypatch):
    seen = rates(monkeypatch)
    fit_pictures(tmp_path, learning_rate=0.02)
    assert set(seen) == {0.02}


def test_patience_ends_a_training_whose_rate_still_falls(tmp_path):
    _, history = fit(
        tmp_path, data=splits(wrong=1.0, validation=24), epochs=60, patience=2, schedule="cosine"
    )
    accuracy = history["validation_accuracy"].tolist()
    assert len(accuracy) < 60
    assert len(accuracy) - 1 - int(np.argmax(accuracy)) == 2


def test_a_start_gives_the_body_and_leaves_the_head(tmp_path):
    source, _ = fit_pictures(tmp_path / "source", convolutional(5))
    start = weights.body(source, "head.")
    assert start.fingerprint == weights.fingerprint(source)
    net, other = convolutional(1), convolutional(1)
    start.into(net)
    for name, weight in net.state_dict().items():
        expected = other if name.startswith("head.") else source
        assert torch.equal(weight, expected.state_dict()[name]), name
    assert not torch.equal(source.head.weight, net.head.weight)


def test_training_begins_at_the_start_it_is_given(tmp_path):
    source, _ = fit_pictures(tmp_path / "source", convolutional(5), epochs=8)
    start = weights.body(source, "head.")
    still = {"epochs": 1, "learning_rate": 1e-12}

    def kernel(folder, **options):
        net, history = fit_pictures(tmp_path / folder, **still, **options)
        return net.body[0].weight.detach(), history

    begun, history = kernel("begun", start=start)
    torch.testing.assert_close(begun, source.body[0].weight, rtol=0, atol=1e-9)
    assert history.attrs["started_from"] == weights.fingerprint(source)
    fresh, plain = kernel("fresh")  # what a start that does nothing would look like
    assert float((fresh - source.body[0].weight).detach().abs().max()) > 0.01
    assert list(plain.attrs) == ["seconds"]


def test_a_start_counts_once_however_often_training_is_killed(tmp_path, monkeypatch):
    start = weights.body(convolutional(5), "head.")
    expected, history = fit_pictures(tmp_path / "whole", start=start, **FULL)
    interrupt(monkeypatch, 2, 1)
    with pytest.raises(KilledError):
        fit_pictures(tmp_path / "parts", start=start, **FULL)
    monkeypatch.undo()
    net, again = fit_pictures(tmp_path / "parts", start=start, **FULL)
    assert same(net, expected)
    assert again.equals(history)
    assert again.attrs["started_from"] == history.attrs["started_from"]


def test_a_start_is_a_copy():
    source = convolutional(5)
    start = weights.body(source, "head.")
    kept = start.weights["body.0.weight"].clone()
    with torch.no_grad():
        source.body[0].weight.zero_()
    assert torch.equal(start.weights["body.0.weight"], kept)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"schedule": "linear"}, "unknown schedule 'linear'"),
        ({"augment": True, "data": DATA, "net": network()}, "only images can be cropped"),
        ({"start": weights.body(network(), "4.")}, "weights of other names or shapes"),
    ],
)
def test_refused_trainings_of_images(tmp_path, options, message):
    with pytest.raises(ThermoError, match=message):
        fit_pictures(tmp_path, **options)
