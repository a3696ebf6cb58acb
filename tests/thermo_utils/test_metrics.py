"""Metrics against plain loops, scikit-like definitions and torchmetrics; what does not belong
together is refused."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torchmetrics
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torchmetrics.text import Perplexity

from thermo_utils import ThermoError, evaluate, find_safe_threshold, full_evaluation
from thermo_utils.metrics import NAMES, Metric, named, resolve
from thermo_utils.targets import IGNORE_INDEX


class Given(nn.Module):
    """Returns its input; its activations are those of a layer that passes on what it gets."""

    def __init__(self, wrap=None):
        super().__init__()
        self.act = nn.Identity()
        self.wrap = wrap

    def forward(self, x, **_):
        out = self.act(x)
        return out if self.wrap is None else self.wrap(out)


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def labels(*shape, classes, seed=1):
    return torch.randint(classes, shape, generator=torch.Generator().manual_seed(seed))


# -- values --------------------------------------------------------------------------------------


def counts(scores, targets):
    """True positives, predicted and true numbers of each class, one example at a time."""
    classes = scores.shape[1]
    table = np.zeros((classes, classes), int)
    for row, truth in zip(scores, targets, strict=True):
        table[int(truth), int(np.argmax(row.numpy()))] += 1
    return np.diag(table), table.sum(0), table.sum(1)


def reference(name, scores, targets):
    if name == "accuracy":
        return counts(scores, targets)[0].sum() / len(targets)
    if name == "top2":
        order = np.argsort(-scores.numpy(), axis=1)[:, :2]
        return np.mean([t in row for t, row in zip(targets.tolist(), order, strict=True)])
    if name == "perplexity":
        shares = np.exp(scores.numpy().astype(float))
        shares /= shares.sum(1, keepdims=True)
        own = [shares[i, t] for i, t in enumerate(targets)]
        return math.exp(-np.log(own).mean())
    hit, said, true = counts(scores, targets)
    met = said + true > 0
    if name == "f1":
        return (2 * hit[met] / (said + true)[met]).mean()
    return (hit[met] / (said + true - hit)[met]).mean()


@pytest.mark.parametrize("name", ["accuracy", "top2", "perplexity", "f1", "mean_iou"])
@settings(max_examples=15)
@given(st.integers(0, 99), st.integers(3, 6), st.integers(1, 30), st.integers(1, 9))
def test_values_and_batches(name, seed, classes, examples, size):
    scores, targets = drawn(examples, classes, seed=seed), labels(examples, classes=classes)
    data = list(zip(scores.split(size), targets.split(size), strict=True))
    expected = reference(name, scores, targets)
    assert evaluate(Given(), data, name) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("shapes", [((7,), (7,)), ((7, 1), (7,)), ((7,), (7, 1)), ((7, 3), (7, 3))])
def test_squared_error_is_never_broadcast(shapes):
    predicted, targets = drawn(*shapes[0]), drawn(*shapes[1], seed=2)
    expected = np.mean((predicted.numpy().ravel() - targets.numpy().ravel()) ** 2)
    data = [(predicted[:4], targets[:4]), (predicted[4:], targets[4:])]
    assert evaluate(Given(), data, "mse") == pytest.approx(expected)


def test_a_squared_error_far_from_zero_keeps_its_digits():
    targets = 1e6 + drawn(500).double()
    scorer = named("mse").start()
    scorer.add(batch(targets + 0.5, targets))
    assert scorer.value() == pytest.approx(0.25, rel=1e-9)
    assert scorer.chance() == pytest.approx(float(targets.var(correction=0)), rel=1e-6)


def batch(output, targets, inputs=None):
    from thermo_utils.targets import Batch

    return Batch(nn.Identity(), inputs, output, targets)


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        (torchmetrics.classification.MulticlassAccuracy(5, average="micro"), "accuracy"),
        (torchmetrics.classification.MulticlassF1Score(5, average="macro"), "f1"),
        (torchmetrics.classification.MulticlassJaccardIndex(5), "mean_iou"),
        (Perplexity(ignore_index=IGNORE_INDEX), "perplexity"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_objects_of_torchmetrics_give_the_named_metrics(metric, name):
    scores, targets = drawn(40, 6, 5), labels(40, 6, classes=5)
    data = list(zip(scores.split(7), targets.split(7), strict=True))
    better = named(name).higher_is_better
    ours = evaluate(Given(), data, name)
    assert evaluate(Given(), data, metric, higher_is_better=better) == pytest.approx(ours, rel=1e-5)
    with torch.no_grad():  # it is a copy that counts: the object is as it was
        assert not bool(metric.update_called)


def test_an_object_for_one_score_per_row():
    scores, targets = drawn(50), (drawn(50, seed=3) > 0).long()
    metric = torchmetrics.classification.BinaryAccuracy()
    for shaped in (scores, scores[:, None]):
        expected = float(((scores.sigmoid() > 0.5).long() == targets).float().mean())
        assert evaluate(Given(), [(shaped, targets)], metric) == pytest.approx(expected)


def test_a_function_gets_everything_at_once():
    x, y = drawn(30, 2), drawn(30, seed=5)
    seen = []

    def correlation(outputs, targets):
        seen.append((tuple(outputs.shape), tuple(targets.shape)))
        return np.corrcoef(outputs[:, 0], targets)[0, 1]

    data = list(zip(x.split(11), y.split(11), strict=True))
    value = evaluate(Given(), data, correlation, higher_is_better=True)
    assert value == pytest.approx(np.corrcoef(x[:, 0], y)[0, 1], rel=1e-6)
    assert seen == [((30, 2), (30,))]
    curve = full_evaluation(
        Given(), data, "act", [0.5], metric=correlation, higher_is_better=True, progress=False
    )
    assert curve["correlation"].notna().all()
    assert curve.attrs["metric"] == {"name": "correlation", "higher_is_better": True}


# -- which way is better -------------------------------------------------------------------------


class Copy(nn.Module):
    """Predicts its input, so that pruning at tau costs the squares of what is below."""

    def __init__(self):
        super().__init__()
        self.act = nn.Identity()

    def forward(self, x):
        return self.act(x)


def test_lower_is_better_where_it_is():
    x = (torch.arange(100) + 1) / 100
    data = [(x, x + 0.1 * (-1) ** torch.arange(100))]
    safe = find_safe_threshold(
        Copy(), data, "act", metric="mse", max_drop=0.01, taus=np.arange(1, 100) / 100,
        max_passes=12,
    )  # fmt: skip
    pruned = torch.where(x >= safe.tau, x, 0.0)
    error = float((pruned - data[0][1]).square().mean())
    assert safe.score == pytest.approx(error)
    assert 0 < safe.drop <= 0.01 < safe.passes.query("not safe")["drop"].min()
    assert safe.drop == pytest.approx(safe.score - safe.baseline)
    assert (safe.metric, safe.higher_is_better) == ("mse", False)
    assert safe.passes.columns.tolist() == ["tau", "beta", "mse", "drop", "safe"]
    relative = find_safe_threshold(
        Copy(), data, "act", metric="mse", max_drop=1.0, relative=True,
        taus=np.arange(1, 100) / 100, max_passes=12,
    )  # fmt: skip
    assert relative.tau == safe.tau  # the whole of 0.01 again


@pytest.mark.parametrize("metric", [lambda o, t: 0.0, torchmetrics.MeanMetric()])
def test_who_does_not_say_which_way_is_better_is_asked(metric):
    with pytest.raises(ThermoError, match="higher_is_better"):
        resolve(metric)


def test_resolving():
    assert resolve("top7").name == "top7"
    assert resolve(named("f1")).name == "f1"
    assert resolve(torchmetrics.MeanSquaredError()).name == "mean_squared_error"
    assert not resolve(torchmetrics.MeanSquaredError()).higher_is_better
    assert resolve(len, True).name == "len"
    for bad, message in (("acuracy", "'accuracy'"), ("top0", "top0"), (3, "int")):
        with pytest.raises(ThermoError, match=message):
            resolve(bad)
    with pytest.raises(ThermoError, match="accuracy: higher"):
        resolve("accuracy", False)
    for name in ("tau", "beta", "two words"):
        with pytest.raises(ThermoError, match=name):
            Metric(name, True, named("f1").start)


@pytest.mark.parametrize("name", NAMES)
def test_no_data(name):
    with pytest.raises(ThermoError, match="no data"):
        evaluate(Given(), [], name)


# -- chance --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [("accuracy", 0.5), ("top2", 0.8), ("perplexity", math.exp(1.0297)), ("mse", 1.36)],
)
def test_chance_is_what_a_constant_answer_gets(name, expected):
    targets = torch.tensor([0] * 5 + [1] * 3 + [2] * 2)
    if name == "mse":
        outputs, targets = torch.zeros(10), targets.float() + (targets == 2)
        expected = float(targets.var(correction=0))
    elif name == "perplexity":
        share = torch.tensor([0.5, 0.3, 0.2])
        outputs = share.log().repeat(10, 1)
    else:
        outputs = torch.tensor([2.0, 1.0, 0.0]).repeat(10, 1)
    scorer = named(name).start()
    scorer.add(batch(outputs, targets))
    assert scorer.chance() == pytest.approx(expected, rel=1e-3)
    if name != "mse":
        assert scorer.value() == pytest.approx(scorer.chance(), rel=1e-6)


def test_one_class_in_the_data_is_no_chance_of_one():
    scorer = named("accuracy").start()
    scorer.add(batch(torch.eye(4)[:1].repeat(5, 1), torch.zeros(5, dtype=torch.int64)))
    assert (scorer.value(), scorer.chance()) == (1.0, 0.25)


@pytest.mark.parametrize(
    ("metric", "data"),
    [
        ("accuracy", [(torch.eye(2), torch.tensor([1, 0]))]),
        ("mse", [(torch.zeros(8), torch.arange(8.0))]),
        ("perplexity", [(torch.zeros(8, 3), torch.arange(8) % 3)]),
        ("f1", [(torch.eye(3), torch.tensor([1, 2, 0]))]),
        ("mean_iou", [(torch.eye(3), torch.tensor([1, 2, 0]))]),
    ],
)
def test_no_threshold_is_safe_for_what_is_no_better_than_chance(metric, data):
    class Lifted(nn.Module):
        def __init__(self):
            super().__init__()
            self.act = nn.Identity()

        def forward(self, x):
            self.act(x + 1)
            return x

    with pytest.raises(ThermoError, match=f"unpruned network's {metric}"):
        find_safe_threshold(Lifted(), data, "act", metric=metric)
    with pytest.warns(UserWarning, match=f"unpruned network's {metric}"):
        curve = full_evaluation(Lifted(), data, "act", [0.5], metric=metric, progress=False)
    assert len(curve.attrs["warnings"]) == 1


# -- targets and scores --------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(5,), (2, 3)])
def test_classes_second_or_last(shape):
    scores = drawn(4, *shape, 7)
    targets = scores.argmax(-1)
    targets[0] = (targets[0] + 1) % 7
    second = scores.movedim(-1, 1)
    assert evaluate(Given(), [(scores, targets)]) == evaluate(Given(), [(second, targets)]) == 0.75
    for kept in (scores, second):
        data = [(kept, targets)]
        assert evaluate(Given(), data, named("accuracy", class_dim=kept.shape.index(7))) == 0.75


def test_where_both_could_hold_the_classes_it_has_to_be_said():
    scores = drawn(4, 5, 5)
    targets = scores.argmax(1)
    with pytest.raises(ThermoError, match="class_dim"):
        evaluate(Given(), [(scores, targets)])
    assert evaluate(Given(), [(scores, targets)], named("accuracy", class_dim=1)) == 1
    assert evaluate(Given(), [(scores, scores.argmax(2))], named("accuracy", class_dim=-1)) == 1
    # Hugging Face's classes are last.
    model = Given(lambda x: SimpleNamespace(logits=x))
    assert evaluate(model, [(scores, scores.argmax(2))]) == 1


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (torch.tensor([1, 2, 3, 1]), "subtract 1"),
        (torch.tensor([0, 1, -1, 2]), "-100"),
        (torch.tensor([0.0, 1.0, 2.0, 0.0]), "mse"),
        (torch.eye(3).repeat(2, 1)[:4], "argmax"),
        (torch.tensor([[0], [1], [2], [0]]), r"\(4, 1\)"),
        (["a", "b", "c", "a"], "str.*number the classes"),
        ([0, 1, 2, 0], r"torch\.tensor"),
        (np.array(["a", "b"]), "str"),
        (3, "int"),
    ],
)
@pytest.mark.parametrize("metric", ["accuracy", "perplexity", "f1"])
def test_targets_that_are_no_classes(metric, targets, message):
    with pytest.raises(ThermoError, match=message):
        evaluate(Given(), [(drawn(4, 3), targets)], metric)


def test_truth_values_and_arrays_are_classes():
    scores = torch.tensor([[2.0, 1.0], [0.0, 1.0]])
    assert evaluate(Given(), [(scores, torch.tensor([False, True]))]) == 1
    assert evaluate(Given(), [(scores, np.array([0, 1]))]) == 1


def test_what_counts_for_no_class_is_left_out_everywhere():
    scores, targets = drawn(20, 4), labels(20, classes=4)
    marked = torch.where(torch.arange(20) < 10, targets, IGNORE_INDEX)
    for name in ("accuracy", "top2", "perplexity", "f1", "mean_iou"):
        half = evaluate(Given(), [(scores[:10], targets[:10])], name)
        assert evaluate(Given(), [(scores, marked)], name) == pytest.approx(half, rel=1e-6)


def test_scores_of_nan():
    scores = drawn(6, 3)
    scores[2, 1] = math.nan
    targets = labels(6, classes=3)
    for name in ("accuracy", "f1", "mean_iou", "perplexity", "top2"):
        assert math.isnan(evaluate(Given(), [(scores, targets)], name))
        hidden = torch.nan_to_num(scores, nan=9.0)

        class Broken(nn.Module):
            def __init__(self):
                super().__init__()
                self.act = nn.Identity()

            def forward(self, x):
                return torch.where(self.act(x) == 9.0, math.nan, x)

        for method in (full_evaluation, find_safe_threshold):
            more = {"taus": [0.5]} if method is full_evaluation else {}
            with pytest.raises(ThermoError, match=f"{name} is nan"):
                method(Broken(), [(hidden, targets)], "act", metric=name, **more)


# -- sequences -----------------------------------------------------------------------------------


class NextToken(nn.Module):
    """Knows that the token after t is t + 1."""

    def __init__(self, vocabulary=11):
        super().__init__()
        self.act = nn.ReLU()
        self.vocabulary = vocabulary

    def forward(self, input_ids, attention_mask=None):
        following = F.one_hot((input_ids + 1) % self.vocabulary, self.vocabulary)
        return SimpleNamespace(logits=self.act(4 * following.float()))


class TinyLMHeadModel(NextToken):
    pass


TOKENS = (torch.arange(9) + torch.arange(6)[:, None]) % 11


def test_labels_that_are_the_tokens_are_shifted():
    model = NextToken()
    assert evaluate(model, [{"input_ids": TOKENS, "labels": TOKENS}]) == 1
    assert evaluate(model, [(TOKENS, TOKENS)]) == 1
    assert evaluate(model, [(TOKENS[:, :-1], TOKENS[:, 1:])]) == 1  # shifted already
    unshifted = named("accuracy", shift=False)
    assert evaluate(model, [(TOKENS, TOKENS)], unshifted) == 0
    expected = math.exp(-math.log(math.exp(4) / (math.exp(4) + 10)))
    assert evaluate(model, [(TOKENS, TOKENS)], "perplexity") == pytest.approx(expected, rel=1e-5)


def test_labels_of_part_of_the_tokens_are_shifted_too():
    part = TOKENS.clone()
    part[:, :4] = IGNORE_INDEX
    scorer = named("accuracy").start()
    model = NextToken()
    from thermo_utils.targets import Batch

    scorer.add(Batch(model, {"input_ids": TOKENS}, model(TOKENS), part))
    assert (scorer.value(), scorer.count) == (1.0, 6 * 5)


def test_a_causal_model_is_shifted_whatever_its_labels():
    others = (TOKENS + 3) % 11
    data = [{"input_ids": TOKENS, "labels": others}]
    by_hand = (TOKENS[:, :-1] + 1) % 11 == others[:, 1:]
    assert evaluate(TinyLMHeadModel(), data) == float(by_hand.float().mean())
    assert evaluate(NextToken(), data) == float((others == (TOKENS + 1) % 11).float().mean())
    data = [(TOKENS[:, :-1], TOKENS[:, 1:])]  # but not twice
    assert evaluate(TinyLMHeadModel(), data) == 1


def test_padding_does_not_count_unless_asked_for():
    mask = torch.ones_like(TOKENS)
    mask[:3, 5:] = 0
    ids = TOKENS.masked_fill(mask == 0, 0)
    batch = {"input_ids": ids, "attention_mask": mask, "labels": ids}
    assert evaluate(NextToken(), [batch]) == 1
    everything = evaluate(NextToken(), [batch], named("accuracy", mask=None))
    assert everything == float(((ids[:, :-1] + 1) % 11 == ids[:, 1:]).float().mean()) < 1


def test_the_mask_of_an_encoder_is_none_of_its_decoders_targets():
    class Seq2Seq(NextToken):
        config = SimpleNamespace(is_encoder_decoder=True)

        def forward(self, input_ids, attention_mask, decoder_input_ids):
            return super().forward(decoder_input_ids)

    mask = torch.zeros_like(TOKENS)
    mask[:, 0] = 1
    batch = {
        "input_ids": TOKENS, "attention_mask": mask, "decoder_input_ids": TOKENS,
        "labels": (TOKENS + 1) % 11,
    }  # fmt: skip
    wrong = batch["labels"].clone()
    wrong[:, 1:] = 0
    assert evaluate(Seq2Seq(), [batch]) == 1
    assert evaluate(Seq2Seq(), [batch | {"labels": wrong}]) < 1


def test_a_copying_network_does_not_get_full_marks_for_language():
    class Copying(nn.Module):
        def __init__(self):
            super().__init__()
            self.act = nn.ReLU()

        def forward(self, input_ids):
            return self.act(F.one_hot(input_ids, 11).float())

    assert evaluate(Copying(), [(TOKENS, TOKENS)]) == 0


# -- by class ------------------------------------------------------------------------------------


def test_hits_of_each_class():
    scores, targets = drawn(60, 4), labels(60, classes=4)
    data = list(zip(scores.split(25), targets.split(25), strict=True))
    curve = full_evaluation(Given(), data, "act", [0.5, 1.0], per_class=True, progress=False)
    found = curve.attrs["per_class"]
    assert found["examples"] == torch.bincount(targets, minlength=4).tolist()
    for tau, hits in zip([0.0, 0.5, 1.0], [found["unpruned"], *found["hits"]], strict=True):
        said = torch.where(scores.abs() >= tau, scores, 0.0).argmax(1)
        assert hits == [int(((said == c) & (targets == c)).sum()) for c in range(4)]
    assert [sum(hits) / 60 for hits in found["hits"]] == curve["accuracy"].tolist()
    with pytest.raises(ThermoError, match="f1"):
        full_evaluation(Given(), data, "act", [0.5], metric="f1", per_class=True)


def test_checkpoints_keep_another_metric_apart(tmp_path):
    data = [(drawn(20, 3), labels(20, classes=3))]
    path = tmp_path / "sweep"
    first = full_evaluation(
        Given(), data, "act", [0.5, 1.0], metric="f1", checkpoint=path, progress=False
    )
    again = full_evaluation(
        Given(), data, "act", [0.5, 1.0], metric="f1", checkpoint=path, progress=False
    )
    assert again["f1"].tolist() == first["f1"].tolist()
    with pytest.raises(ThermoError, match="sweep"):
        full_evaluation(Given(), data, "act", [0.5], checkpoint=path, progress=False)
