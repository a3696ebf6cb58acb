"""FE and RFE of small networks against loops written out by hand, and against each other."""

from __future__ import annotations

import copy
import itertools
import json
import tracemalloc
import types

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from thermo_utils import ThermoError, evaluate, full_evaluation, renormalized
from thermo_utils.devices import Resident
from thermo_utils.prefix import TRIED
from thermo_utils.targets import scores
from thermo_utils.thermodynamics import CURVE_COLUMNS

#: Untrained networks, which are judged by nobody here.
pytestmark = pytest.mark.filterwarnings("ignore:the unpruned network's accuracy")

TAUS = [0.05, 0.1, 0.2, 0.4, 0.8, 1.6]


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, 3)
    )


def examples(n=60, seed=1):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 6, generator=generator)
    return x, (x @ torch.randn(6, 3, generator=generator)).argmax(1)


def in_batches(sizes, n=60):
    x, y = examples(n)
    return list(zip(x.split(sizes), y.split(sizes), strict=True))


DATA = in_batches(20)


def fe(model, data=DATA, layers=nn.ReLU, taus=TAUS, **options):
    return full_evaluation(model, data, layers, taus, progress=False, **options)


def rfe(model, data=DATA, layers=nn.ReLU, taus=TAUS, **options):
    return renormalized(model, data, layers, taus, progress=False, **options)


def hooks_of(model):
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


class Counting(nn.Module):
    """Counts its forward passes over the data."""

    def __init__(self, inner, stop_at=None):
        super().__init__()
        self.inner = inner
        self.calls = 0
        self.stop_at = stop_at

    def forward(self, x):
        self.calls += 1
        if self.stop_at is not None and self.calls >= self.stop_at:
            raise KeyboardInterrupt
        return self.inner(x)


# -- what the numbers are ------------------------------------------------------------------------


@pytest.mark.parametrize("inclusive", [True, False])
def test_full_evaluation_is_the_loop_by_hand(inclusive):
    model = network().eval()
    x, y = examples()
    curve = fe(model, inclusive=inclusive)
    assert tuple(curve.columns) == (*CURVE_COLUMNS, "accuracy", "lost", "gained")

    def run(tau):
        kept, h = [], x
        for layer in model:
            h = layer(h)
            if isinstance(layer, nn.ReLU):
                h = torch.where(h >= tau if inclusive else h > tau, h, torch.zeros(()))
                kept.append(h)
        count = sum(int((k != 0).sum()) for k in kept)
        return count, sum(float(k.double().sum()) for k in kept), int((h.argmax(1) == y).sum()) / 60

    with torch.no_grad():
        total, mass, baseline = run(0.0)
        for row in curve.itertuples():
            active, abs_sum, accuracy = run(row.tau)
            assert row.active == active
            assert row.abs_sum == pytest.approx(abs_sum, rel=1e-12)
            assert row.accuracy == accuracy
            assert row.rho == active / total
    assert curve.attrs["total"] == total
    assert curve.attrs["total_abs_sum"] == pytest.approx(mass, rel=1e-12)
    assert curve.attrs["baseline_accuracy"] == baseline
    assert curve.attrs["samples"] == 60
    assert curve.attrs["seconds"] > 0
    assert type(curve.attrs["total"]) is int


@pytest.mark.parametrize(("inclusive", "active"), [(True, [4, 3, 1]), (False, [3, 1, 0])])
@pytest.mark.parametrize("method", [fe, rfe])
def test_values_exactly_on_the_grid(method, inclusive, active):
    values = torch.tensor([[0.1, -0.25, 0.25, 3.0, 0.0]])
    model, data = nn.Sequential(nn.Identity()), [(values, torch.tensor([3]))]
    curve = method(model, data, layers="0", taus=[0.1, 0.25, 3.0], inclusive=inclusive)
    assert curve["active"].tolist() == active


def test_renormalized_is_the_stored_activations():
    model = network().eval()
    stored = []
    with torch.no_grad():
        h = examples()[0]
        for layer in model:
            h = layer(h)
            if isinstance(layer, nn.ReLU):
                stored.append(h[h != 0].double().numpy())
    stored = np.concatenate(stored)
    curve = rfe(model)
    assert tuple(curve.columns) == CURVE_COLUMNS
    for row in curve.itertuples():
        assert row.active == (stored >= np.float32(row.tau)).sum()
        kept = stored[stored >= np.float32(row.tau)]
        assert row.abs_sum == pytest.approx(kept.sum(), rel=1e-12)
    assert curve.attrs["total"] == stored.size
    assert curve["active"].is_monotonic_decreasing
    assert curve["abs_sum"].is_monotonic_decreasing


@settings(max_examples=25)
@given(
    st.integers(0, 1000),
    st.sampled_from(["1", "4", "0", "5"]),
    st.lists(st.floats(1e-4, 4.0), min_size=1, max_size=8, unique=True),
    st.sampled_from([torch.float32, torch.float64, torch.bfloat16]),
)
def test_with_one_layer_both_are_identical(seed, layer, taus, dtype):
    model = network(seed).to(dtype)
    data = [(x.to(dtype), y) for x, y in DATA]
    full, fast = (method(model, data, layers=layer, taus=sorted(taus)) for method in (fe, rfe))
    pd.testing.assert_frame_equal(
        full.drop(columns=["accuracy", "lost", "gained"]), fast, check_exact=True, check_names=True
    )
    for name in ("total", "total_abs_sum"):
        assert full.attrs[name] == fast.attrs[name]


def test_with_several_layers_the_first_agrees_and_later_ones_do_not():
    model = network()
    first = rfe(model, layers="1")
    both, fast = fe(model), rfe(model)
    second = rfe(model, layers="4")
    assert (fast["active"] == first["active"] + second["active"]).all()
    pruned_second = both["active"] - first["active"]
    assert (pruned_second != second["active"]).any()


@settings(max_examples=25)
@given(st.lists(st.integers(1, 20), min_size=1, max_size=10), st.randoms())
def test_any_split_and_order_gives_the_same_curve(sizes, random):
    model = network().double().eval()  # rows do not depend on the batch they are in
    x, y = examples()
    x = x.double()
    sizes = [*sizes, 60]
    bounds = np.minimum(np.cumsum([0, *sizes]), 60)
    parts = [(x[a:b], y[a:b]) for a, b in itertools.pairwise(bounds) if b > a]
    random.shuffle(parts)
    whole = rfe(model, [(x, y)])
    split = rfe(model, parts)
    # Matrix products may round differently in another batch, by one unit in the last place.
    assert (whole["active"] == split["active"]).all()
    np.testing.assert_allclose(whole["abs_sum"], split["abs_sum"], rtol=1e-13)
    assert evaluate(model, parts) == evaluate(model, [(x, y)])


def test_split_and_order_of_given_activations_change_no_bit():
    model = nn.Sequential(nn.Identity())
    x = examples()[0]
    whole = rfe(model, [(x, None)], layers="0")
    split = rfe(model, [(part, None) for part in reversed(x.split(7))], layers="0")
    pd.testing.assert_frame_equal(whole, split, check_exact=True)


def test_baseline_is_plain_accuracy():
    model = network().eval()
    x, y = examples()
    expected = int((model(x).argmax(1) == y).sum()) / 60
    assert evaluate(model, DATA) == expected
    assert fe(model).attrs["baseline_accuracy"] == expected


def test_nothing_survives():
    curve = fe(network(), taus=[0.1, 1e3])
    assert curve["active"].tolist()[1] == 0
    assert curve["beta"].tolist()[1] == 1
    assert np.isnan(curve["free_energy"].iloc[1])
    assert np.isnan(rfe(network(), taus=[0.1, 1e3])["free_energy"].iloc[1])


def test_zeros_count_when_asked_for():
    model = network()
    for method in (fe, rfe):
        assert method(model, count_zeros=True).attrs["total"] == 60 * (16 + 12)


# -- state of the model --------------------------------------------------------------------------


def mixed_modes(model):
    model.train()
    model[2].eval()
    return [m.training for m in model.modules()]


@pytest.mark.parametrize("method", [fe, rfe])
def test_modes_weights_and_gradients_are_left_alone(method):
    model = network()
    modes = mixed_modes(model)
    before = copy.deepcopy(model.state_dict())
    plain = method(model)
    assert [m.training for m in model.modules()] == modes
    assert hooks_of(model) == 0
    assert all(
        torch.equal(a, b) for a, b in zip(before.values(), model.state_dict().values(), strict=True)
    )
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert torch.is_grad_enabled()
    # Dropout was off: evaluating in eval mode gives the same.
    pd.testing.assert_frame_equal(plain, method(model.eval()))


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("method", [fe, rfe, lambda m, d: evaluate(m, d)])
def test_everything_is_restored_after_an_exception(method, error):
    model = network()
    modes = mixed_modes(model)

    def data():
        yield DATA[0]
        raise error

    with pytest.raises(error):
        method(model, data())
    assert [m.training for m in model.modules()] == modes
    assert hooks_of(model) == 0
    assert not torch.is_inference_mode_enabled()


@pytest.mark.parametrize("method", [fe, rfe])
def test_unknown_layer_leaves_no_trace(method):
    model = network().train()
    with pytest.raises(ThermoError, match="relu9"):
        method(model, layers=["1", "relu9"])
    assert hooks_of(model) == 0
    assert model.training


# -- data ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [fe, rfe])
def test_every_form_of_data_gives_the_same(method):
    model = network()
    expected = method(model)

    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = model

        def forward(self, *, values):
            return types.SimpleNamespace(logits=self.net(values))

    x, y = examples()
    forms = [
        (model, iter(DATA)),
        (model, (pair for pair in DATA)),
        (model, [list(pair) for pair in DATA]),
        (model, DataLoader(TensorDataset(x, y), batch_size=20)),
        (model, [((a,), b) for a, b in DATA]),
        (Named(), [{"values": a, "labels": b} for a, b in DATA]),
        (Named(), [({"values": a}, b) for a, b in DATA]),
    ]
    for form, data in forms:
        curve = method(form, data)
        pd.testing.assert_frame_equal(curve, expected, check_exact=True)


def test_several_inputs():
    class Sum(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = network()

        def forward(self, a, b):
            return (self.net(a + b), "rest")

    data = [((x, torch.zeros_like(x)), y) for x, y in DATA]
    pd.testing.assert_frame_equal(fe(Sum(), data), fe(network()))


def test_mappings_lose_their_labels_so_no_loss_is_computed():
    class Picky(nn.Module):
        act = nn.Identity()

        def forward(self, **inputs):
            assert set(inputs) == {"x"}
            return {"logits": self.act(inputs["x"])}

    model = Picky()
    model.layer = model.act
    batch = {"x": torch.eye(3), "labels": torch.tensor([0, 1, 0])}
    assert evaluate(model, [batch]) == pytest.approx(2 / 3)
    assert "labels" in batch


def test_a_class_per_position_is_scored_position_by_position():
    given_scores = torch.zeros(2, 3, 4)
    given_scores[..., 1] = 1
    targets = torch.tensor([[1, 1, 0], [2, -100, -100]])
    assert evaluate(nn.Identity(), [(given_scores, targets)]) == 2 / 4


def test_batches_of_different_size_count_by_their_targets():
    data = [(torch.eye(3), torch.tensor([0, 1, 2])), (torch.eye(3)[:1], torch.tensor([1]))]
    assert evaluate(nn.Identity(), data) == 3 / 4


def test_nothing_is_recorded_for_gradients():
    class Asked(nn.Module):
        def forward(self, x):
            assert not torch.is_grad_enabled()
            return x

    assert evaluate(Asked(), [(torch.eye(3), torch.tensor([0, 1, 2]))]) == 1
    assert torch.is_grad_enabled()


@pytest.mark.parametrize(
    "output",
    [torch.ones(4, 3, dtype=torch.int64), torch.ones(4), None, (), {"logits": 3}],
    ids=["whole numbers", "one dimension", "nothing", "empty", "a number"],
)
def test_what_holds_no_scores(output):
    with pytest.raises(ThermoError):
        scores(output)


def test_ignored_targets_do_not_count():
    data = [(torch.eye(3), torch.tensor([0, -100, 0]))]
    assert evaluate(nn.Identity(), data) == 0.5


def test_targets_may_be_missing_for_the_renormalized_curve():
    model = network()
    expected = rfe(model)
    for data in ([x for x, _ in DATA], [(x,) for x, _ in DATA], [(x, None) for x, _ in DATA]):
        pd.testing.assert_frame_equal(rfe(model, data), expected)
    with pytest.raises(ThermoError, match="targets"):
        fe(model, [x for x, _ in DATA])


X = torch.randn(4, 6)


@pytest.mark.parametrize(
    ("model", "data", "message"),
    [
        (network(), [], "data"),
        (network(), iter([]), "data"),
        (network(), [(X, torch.full((4,), -100))], "data"),
        (network(), [(X, torch.zeros(4, 3, dtype=torch.int64))], r"\(4, 3\)"),
        (network(), [(X, torch.zeros(3, dtype=torch.int64))], r"\(3,\).*\(4, 3\)"),
        (network(), [(X, torch.zeros(4, 1, dtype=torch.int64))], r"\(4, 1\)"),
        (network(), [(X, torch.zeros(4), torch.zeros(4, dtype=torch.int64))], "3 parts"),
        (
            nn.Sequential(nn.ReLU(), nn.Linear(6, 1)),
            [(X, torch.zeros(4, dtype=torch.int64))],
            "one score per class",
        ),
        (
            nn.Sequential(nn.ReLU(), nn.Flatten(0)),
            [(X, torch.zeros(4, dtype=torch.int64))],
            r"Tensor.*\(24,\)",
        ),
        (
            nn.Sequential(nn.ReLU(), nn.LSTM(6, 2), nn.ReLU()),
            [(X, torch.zeros(4, dtype=torch.int64))],
            None,
        ),
    ],
)
def test_refusals_of_full_evaluation(model, data, message):
    with pytest.raises(ThermoError if message else TypeError, match=message):
        fe(model, data)
    assert hooks_of(model) == 0


def test_model_without_scores():
    class Silent(nn.Module):
        def __init__(self):
            super().__init__()
            self.act = nn.ReLU()

        def forward(self, x):
            self.act(x)
            return {"hidden": x}

    with pytest.raises(ThermoError, match=r"dict.*logits"):
        fe(Silent(), layers="act")
    assert len(rfe(Silent(), layers="act")) == len(TAUS)


@pytest.mark.parametrize("method", [fe, rfe])
def test_bad_activation_names_the_layer(method):
    model = network()
    with torch.no_grad():
        model[3].bias[0] = float("nan")
    with pytest.raises(ThermoError, match=r"layer '4': .*NaN"):
        method(model)
    assert hooks_of(model) == 0


@pytest.mark.parametrize("method", [fe, rfe])
def test_layer_that_never_runs(method):
    model = network()
    model.spare = nn.Linear(2, 2)
    model.forward = types.MethodType(lambda self, x: self[5](self[1](self[0](x))[:, :12]), model)
    with pytest.raises(ThermoError, match="'spare'"):
        method(model, layers=["1", "spare"])


@pytest.mark.parametrize("method", [fe, rfe])
def test_all_activations_zero(method):
    model = nn.Sequential(nn.Linear(6, 3), nn.ReLU())
    with torch.no_grad():
        model[0].weight.zero_()
        model[0].bias.fill_(-1)
    with pytest.raises(ThermoError):
        method(model)


@pytest.mark.parametrize(
    ("taus", "message"),
    [
        ([-0.1, 0.1], r"taus\[0\] = -0\.1"),
        ([0.2, 0.1], r"taus\[1\] = 0\.1.*taus\[0\] = 0\.2"),
        ([0.1, 0.1], r"taus\[1\] = 0\.1"),
        ([0.1, np.nan], r"taus\[1\] = nan"),
        ([0.1, np.inf], r"taus\[1\] = inf"),
        ([], r"\(0,\)"),
        ([[0.1, 0.2]], r"\(1, 2\)"),
        (0.1, r"\(\)"),
        ("abc", "'abc'"),
    ],
)
@pytest.mark.parametrize("method", [fe, rfe])
def test_grids_that_are_none(method, taus, message):
    model = Counting(network())
    with pytest.raises(ThermoError, match=message):
        method(model, taus=taus)
    assert model.calls == 0


def test_grid_may_be_any_array():
    model = network()
    expected = rfe(model)
    for taus in (np.array(TAUS), torch.tensor(TAUS, dtype=torch.float64), tuple(TAUS)):
        pd.testing.assert_frame_equal(rfe(model, taus=taus), expected)


def test_number_of_passes():
    model = Counting(network())
    rfe(model)
    assert model.calls == len(DATA)
    model.calls = 0
    fe(model)
    assert model.calls == len(DATA) * (len(TAUS) + 1)


def test_renormalized_needs_no_more_memory_for_more_data():
    model = network()

    def most(passes):
        data = (batch for _ in range(passes) for batch in DATA)
        tracemalloc.start()
        try:
            rfe(model, data)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    most(1)  # what is made once: tables, compiled kernels
    assert most(100) < most(2) + (64 << 10) < 64 << 20


class Reread:
    """Data that count how often they are read."""

    def __init__(self, data):
        self.data = data
        self.reads = 0

    def __iter__(self):
        self.reads += 1
        return iter(self.data)


def test_data_kept_on_a_device_are_read_once(monkeypatch):
    model, expected = network(), fe(network())
    for budget, reads in ((1 << 20, 1), (1000, 1 + len(TAUS))):
        data = Reread(DATA)
        monkeypatch.setattr(
            "thermo_utils.evaluation.keep_on_device",
            lambda data, device, budget=budget: Resident(data, torch.device("cpu"), budget),
        )
        pd.testing.assert_frame_equal(fe(model, data), expected, check_exact=True)
        assert data.reads == reads


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_data_are_read_once_and_the_curve_is_the_same():
    model, data = network().cuda(), Reread(DATA)
    curve = fe(model, data)
    assert data.reads == 1
    assert (
        curve["active"].tolist() == fe(model, [(x.cuda(), y) for x, y in DATA])["active"].tolist()
    )
    one, fast = (method(model, layers="1") for method in (fe, rfe))
    pd.testing.assert_frame_equal(one.drop(columns="accuracy"), fast, check_exact=True)


# -- interrupted sweeps --------------------------------------------------------------------------


def test_an_interrupted_sweep_goes_on(tmp_path):
    path = tmp_path / "deep" / "sweep.jsonl"
    expected = fe(network())
    interrupted = Counting(network(), stop_at=len(DATA) * 4 + 2)  # in the fourth threshold
    with pytest.raises(KeyboardInterrupt):
        fe(interrupted, checkpoint=path)
    assert hooks_of(interrupted) == 0
    rest = Counting(network())
    curve = fe(rest, checkpoint=path)
    assert rest.calls == len(DATA) * (1 + 3)  # the unpruned pass and the last three
    pd.testing.assert_frame_equal(curve, expected, check_exact=True)
    again = Counting(network())
    pd.testing.assert_frame_equal(fe(again, checkpoint=path), expected, check_exact=True)
    assert again.calls == len(DATA)
    wider = Counting(network())
    fe(wider, checkpoint=path, taus=[*TAUS, 2.0])
    assert wider.calls == len(DATA) * 2
    spent = sum(json.loads(line).get("seconds", 0) for line in path.read_text().splitlines())
    assert fe(wider, checkpoint=path, taus=[*TAUS, 2.0]).attrs["seconds"] > spent > 0


def test_interrupted_after_thirty_of_fifty_goes_on_at_the_next(tmp_path):
    taus = np.arange(1, 51) / 50
    expected = fe(network(), taus=taus)
    trial = 2 * TRIED  # whether what the unpruned pass left gives the same
    interrupted = Counting(network(), stop_at=len(DATA) * (1 + 30) + trial + 1)
    with pytest.raises(KeyboardInterrupt):
        fe(interrupted, taus=taus, checkpoint=tmp_path / "sweep")
    rest = Counting(network())
    curve = fe(rest, taus=taus, checkpoint=tmp_path / "sweep")
    assert rest.calls == len(DATA) * (1 + 20) + trial
    pd.testing.assert_frame_equal(curve, expected, check_exact=True)


def test_a_cut_last_line_is_done_again(tmp_path):
    path = tmp_path / "sweep.jsonl"
    expected = fe(Counting(network()), checkpoint=path)
    text = path.read_text()
    for cut in (1, 5, 60):
        path.write_text(text[:-cut])
        model = Counting(network())
        curve = fe(model, checkpoint=path)
        assert model.calls == len(DATA) * 2
        pd.testing.assert_frame_equal(curve, expected, check_exact=True)
    path.write_text(text[:20])  # not even the header survived
    pd.testing.assert_frame_equal(fe(Counting(network()), checkpoint=path), expected)
    assert len(path.read_text().splitlines()) == len(TAUS) + 1


def relabelled(change):
    """The same inputs with other targets."""
    return [(x, change(y)) for x, y in DATA]


def wrong_in_another_way(y):
    """One target that was missed is another one that is missed: accuracy stays."""
    predicted = network().eval()(examples()[0]).argmax(1)
    missed = next(i for i in range(20) if DATA[0][1][i] != predicted[i])
    if not torch.equal(y, DATA[0][1]):
        return y
    y = y.clone()
    y[missed] = ({0, 1, 2} - {int(y[missed]), int(predicted[missed])}).pop()
    return y


def swapped(y):
    """Two targets of examples with one prediction change places: accuracy and counts stay."""
    if not torch.equal(y, DATA[0][1]):
        return y
    predicted = network().eval()(DATA[0][0]).argmax(1)
    i, j = next(
        (i, j)
        for i, j in itertools.combinations(range(20), 2)
        if predicted[i] == predicted[j] and y[i] != y[j]
    )
    y = y.clone()
    y[[i, j]] = y[[j, i]]
    return y


@pytest.mark.parametrize("change", [wrong_in_another_way, swapped])
def test_these_targets_have_the_same_accuracy(change):
    assert evaluate(network(), relabelled(change)) == evaluate(network(), DATA)
    (before, after) = (torch.cat([y for _, y in data]) for data in (DATA, relabelled(change)))
    assert 1 <= int((before != after).sum()) <= 2


def test_how_targets_are_stored_and_batched_does_not_matter_to_a_checkpoint(tmp_path):
    path = tmp_path / "sweep.jsonl"
    model = nn.Sequential(nn.Identity())
    expected = fe(model, layers="0", checkpoint=path)
    before = path.read_text()
    data = [(x, y.to(torch.int16)) for x, y in in_batches(7)]
    pd.testing.assert_frame_equal(fe(model, data, layers="0", checkpoint=path), expected)
    assert path.read_text() == before, "nothing was measured again"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"model": network(5)}, "total_abs_sum"),
        ({"data": DATA[:2]}, "samples"),
        ({"layers": "1"}, "layers"),
        ({"inclusive": False}, "inclusive"),
        ({"count_zeros": True}, "count_zeros"),
        ({"data": relabelled(lambda y: (y + 1) % 3)}, "targets"),
        ({"data": relabelled(wrong_in_another_way)}, "targets"),
        ({"data": relabelled(swapped)}, "targets"),
    ],
)
def test_a_checkpoint_of_another_sweep_is_refused(tmp_path, change, named):
    path = tmp_path / "sweep.jsonl"
    fe(network(), checkpoint=path)
    before = path.read_text()
    with pytest.raises(ThermoError, match=rf"sweep\.jsonl.*{named}"):
        fe(**{"model": network(), "checkpoint": path, **change})
    assert path.read_text() == before


@pytest.mark.parametrize("text", ["notes", "notes\n", "[1]\n", '{"a": 1}\n', "", "\n", "\x00\xff"])
def test_a_file_that_is_no_checkpoint_is_never_overwritten(tmp_path, text):
    path = tmp_path / "file"
    path.write_text(text, encoding="latin-1")
    if not text:
        assert len(fe(network(), checkpoint=path)) == len(TAUS)
        return
    with pytest.raises(ThermoError, match="file"):
        fe(network(), checkpoint=path)
    assert path.read_text(encoding="latin-1") == text
    with pytest.raises(ThermoError, match=str(tmp_path)):
        fe(network(), checkpoint=tmp_path)


def test_checkpoint_lines_are_plain_json(tmp_path):
    path = tmp_path / "sweep.jsonl"
    curve = fe(network(), checkpoint=path)
    header, *rows = map(json.loads, path.read_text().splitlines())
    assert header["sweep"]["layers"] == ["1", "4"]
    assert [row["tau"] for row in rows] == TAUS
    assert [row["abs_sum"] for row in rows] == curve["abs_sum"].tolist()
