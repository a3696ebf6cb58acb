"""Sampled renormalized curves against those of the whole set, on data with a known answer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset

from companion.data.tensors import Examples
from thermo_utils import ThermoError, Threshold, critical_threshold, renormalized
from thermo_utils.sampling import sampled_renormalized
from thermo_utils.strata import class_labels, stratified_order
from thermo_utils.thermodynamics import CURVE_COLUMNS

GRID = np.arange(1, 31) / 25


class Shown(nn.Module):
    """Its activations are its inputs."""

    def __init__(self):
        super().__init__()
        self.act = nn.Identity()

    def forward(self, x):
        return self.act(x)


def activations(kind, examples=8000, width=64, seed=0):
    """Examples of ten classes, each example and class with a scale of its own."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(examples) % 10
    scale = 1 + 0.1 * torch.randn(examples, 1, generator=generator) + 0.02 * y[:, None]
    if kind == "normal":
        x = torch.randn(examples, width, generator=generator) * 0.4
    else:
        x = torch.empty(examples, width).exponential_(generator=generator) / 2
    return Examples(x * scale.abs(), y)


def exact(data, taus=GRID):
    return renormalized(Shown(), [(data.inputs, data.targets)], "act", taus, progress=False)


def sampled(data, taus=GRID, model=None, layers="act", **options):
    """At most a tenth, unless a test says more."""
    options = {"max_share": 0.1, **options}
    return sampled_renormalized(model or Shown(), data, layers, taus, progress=False, **options)


class Reading(Dataset):
    """Remembers which items were read; has labels ready or not."""

    def __init__(self, size=1000, labels=True):
        x = torch.randn(size, 8, generator=torch.Generator().manual_seed(3))
        self.items = [(x[i], i % 4) for i in range(size)]
        self.read = []
        if labels:
            self.targets = [i % 4 for i in range(size)]

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        self.read.append(i)
        return self.items[i]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=12), st.integers(0, 99), st.integers(0, 400)
)
def test_every_stretch_of_the_order_holds_the_classes_in_proportion(sizes, seed, start):
    classes = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    order = stratified_order(classes.size, classes, seed)
    assert sorted(order) == list(range(classes.size))
    start %= classes.size
    for stop in range(start, classes.size + 1, 7):
        counts = np.bincount(classes[order[start:stop]], minlength=len(sizes))
        share = np.array(sizes) / classes.size
        # A stretch is within one example per class of a stretch of the unit interval.
        assert np.all(np.abs(counts - share * (stop - start)) <= 2 + 2 * share * len(sizes))


def test_members_of_small_classes_are_as_likely_as_all_others():
    classes = np.array([0] * 97 + [1, 2, 2])
    drawn = np.zeros(100)
    for seed in range(600):
        drawn[stratified_order(100, classes, seed)[:20]] += 1
    assert np.all(np.abs(drawn / 600 - 0.2) < 5 * np.sqrt(0.2 * 0.8 / 600))


def test_rounds_double_up_to_the_bound():
    data = Reading(16_000)
    curve = sampled(data, [0.5], confidence=0.9999)
    read = [r["examples"] for r in curve.attrs["rounds"]]
    assert read == [400, 800, 1600]
    assert len(data.read) == 1600


@pytest.mark.parametrize("seed", range(4))
def test_by_default_it_reads_on_until_it_is_sure_or_nothing_is_left(seed):
    """Where a tenth settles nothing, as here, the answer is still right."""
    data = activations("normal", 4000, 24)
    whole = critical_threshold(exact(data))
    tenth = sampled(data, seed=seed, confidence=0.99)
    assert not tenth.attrs["converged"]
    given = Shown(), data, "act", GRID
    curve = sampled_renormalized(*given, seed=seed, confidence=0.99, progress=False)
    assert curve.attrs["converged"]
    assert curve.attrs["examples"] > tenth.attrs["examples"]
    if curve.attrs["share"] == 1:
        assert curve.attrs["tau"] == whole
    else:
        assert abs(curve.attrs["tau"].tau - whole.tau) <= GRID[1] - GRID[0] + 1e-9


@pytest.mark.parametrize("labels", [True, False])
def test_reads_no_more_than_its_share_and_nothing_twice(labels):
    data = Reading(labels=labels)
    curve = sampled(data, max_share=0.05)
    assert curve.attrs["examples"] == len(data.read) == len(set(data.read)) <= 50
    assert curve.attrs["share"] == len(data.read) / 1000
    assert curve.attrs["classes"] == (4 if labels else 0)
    if labels:
        drawn = np.bincount([i % 4 for i in data.read], minlength=4)
        assert np.ptp(drawn) <= 2


def test_the_curve_is_that_of_the_examples_drawn():
    data = activations("normal", 2000)
    curve = sampled(data, seed=4)
    drawn = stratified_order(2000, data.targets.numpy(), 4)[: curve.attrs["examples"]].tolist()
    same = exact(Examples(data.inputs[drawn], data.targets[drawn]))
    columns = list(CURVE_COLUMNS)
    assert curve[columns].equals(same[columns])
    assert curve.attrs["total"] == same.attrs["total"]
    assert curve.attrs["total_abs_sum"] == same.attrs["total_abs_sum"]
    assert list(curve) == [*columns, "free_energy_error"]


def test_same_seed_same_bits_whatever_the_threads_and_the_state_of_the_generators():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(64, 300), nn.ReLU(), nn.Linear(300, 200), nn.ReLU())
    data, threads = activations("normal"), torch.get_num_threads()
    curves = []
    try:
        for count in (1, 2, 3):
            torch.manual_seed(count)
            torch.set_num_threads(count)
            before = torch.get_rng_state()
            curves.append(sampled(data, model=net, layers=nn.ReLU, seed=5))
            assert torch.equal(before, torch.get_rng_state())
    finally:
        torch.set_num_threads(threads)
    for curve in curves[1:]:
        assert curve.equals(curves[0])
        assert {**curve.attrs, "seconds": 0} == {**curves[0].attrs, "seconds": 0}
    other = sampled(data, model=net, layers=nn.ReLU, seed=6)
    assert not other["active"].equals(curves[0]["active"])


@pytest.mark.parametrize("kind", ["normal", "exponential"])
def test_whoever_reads_everything_gets_the_exact_answer(kind):
    data = activations(kind, 300)
    curve, whole = sampled(data, max_share=1.0, confidence=0.999), exact(data)
    assert curve[list(CURVE_COLUMNS)].equals(whole)
    assert curve.attrs["examples"] == 300
    assert curve.attrs["tau"] == critical_threshold(whole)
    assert curve.attrs["converged"]
    assert curve.attrs["confidence"] == 1
    assert (curve["free_energy_error"].dropna() == 0).all()


@pytest.mark.parametrize("step", [0.04, pytest.param(0.01, marks=pytest.mark.slow)])
def test_confidence_is_the_share_of_seeds_that_come_within_tolerance(step):
    data = activations("normal", 16_000, 48)
    taus = np.arange(1, round(1.2 / step) + 1) * step
    truth = critical_threshold(exact(data, taus))
    curves = [sampled(data, taus, seed=seed, batch_size=1000) for seed in range(16)]
    claimed = np.array([c.attrs["confidence"] for c in curves])
    right = np.array(
        [c.attrs["tau"] is not None and abs(c.attrs["tau"].tau - truth.tau) <= step * 1.001
         for c in curves]
    )  # fmt: skip
    done = np.array([c.attrs["converged"] for c in curves])
    assert np.array_equal(done, claimed >= 0.95)
    assert all(c.attrs["share"] <= 0.1 for c in curves)
    # Binomial scatter, three standard deviations.
    scatter = 3 * np.sqrt((claimed * (1 - claimed)).sum()) / len(curves)
    assert right.mean() >= claimed.mean() - scatter
    assert right[done].sum() >= 0.95 * done.sum() - 3 * np.sqrt(0.05 * max(done.sum(), 1))


def test_a_larger_tolerance_is_reached_with_fewer_examples():
    data = activations("normal", 16_000, 48)
    taus = np.arange(1, 101) / 80
    one, many = (sampled(data, taus, tolerance=tolerance, seed=1) for tolerance in (1, 12))
    assert many.attrs["converged"]
    assert many.attrs["examples"] < one.attrs["examples"]
    assert many.attrs["confidence"] > one.attrs["confidence"]


def test_no_feature_is_claimed_with_confidence_where_there_is_none():
    data = activations("exponential")
    assert critical_threshold(exact(data)) is None
    curves = [sampled(data, seed=seed) for seed in range(8)]
    assert not any(c.attrs["converged"] and c.attrs["tau"] for c in curves)


def test_a_curve_that_is_clearly_featureless_converges_to_none():
    steps = np.linspace(0, 5, 5000, dtype=np.float32) + 1e-3
    weight = np.exp(-steps) / np.exp(-steps).sum()
    values = torch.from_numpy(np.repeat(steps, np.round(weight * 10_000).astype(int)))
    data = Examples(values.repeat(8000, 1)[:, ::7].contiguous(), torch.arange(8000) % 10)
    curve = sampled(data, np.arange(2, 31) / 10)
    assert critical_threshold(exact(data, np.arange(2, 31) / 10)) is None
    assert curve.attrs["tau"] is None
    assert curve.attrs["converged"]
    assert np.isnan(curve.attrs["interval"]).all()


def test_what_is_reported():
    data = activations("normal", 16_000)
    curve = sampled(data, batch_size=7)
    attrs = curve.attrs
    assert isinstance(attrs["tau"], Threshold)
    assert attrs["tau"].tau in GRID
    assert attrs["tau"].kind == "peak"
    row = curve[curve["tau"] == attrs["tau"].tau].iloc[0]
    assert attrs["tau"].beta == row["beta"]
    low, high = attrs["interval"]
    assert low <= attrs["tau"].tau <= high
    assert attrs["rounds"][-1]["examples"] == attrs["examples"]
    assert attrs["rounds"][-1]["confidence"] == attrs["confidence"]
    assert attrs["converged"] == (attrs["confidence"] >= 0.95)
    assert attrs["seconds"] > 0
    error = np.abs(curve["free_energy"] - exact(data)["free_energy"]) / curve["free_energy_error"]
    assert np.median(error) < 4


def test_the_error_of_f_is_that_of_repeated_samples():
    data = activations("normal", 4000)
    curves = [sampled(data, seed=seed) for seed in range(24)]
    spread = np.std([c["free_energy"] for c in curves], axis=0)
    claimed = np.sqrt(np.mean([c["free_energy_error"] ** 2 for c in curves], axis=0))
    assert np.all((claimed[:20] / spread[:20] > 0.65) & (claimed[:20] / spread[:20] < 1.5))


def test_batches_do_not_change_the_result():
    data = activations("normal", 3000)
    curves = [sampled(data, batch_size=size) for size in (1, 7, 500)]
    assert all(c.equals(curves[0]) for c in curves)


def test_mappings_texts_and_lists():
    class Sum(Shown):
        def forward(self, ids, mask):
            return self.act(ids.float() * mask)

    items = [
        {"ids": torch.arange(1, 2 + i % 5), "labels": i % 3} for i in range(400)
    ]  # of different lengths

    def pad(batch):
        width = max(len(item["ids"]) for item in batch)
        ids = torch.zeros(len(batch), width, dtype=torch.int64)
        for row, item in zip(ids, batch, strict=True):
            row[: len(item["ids"])] = item["ids"]
        return {"ids": ids, "mask": ids > 0, "labels": torch.tensor([i["labels"] for i in batch])}

    curve = sampled(items, [0.5, 1.5, 2.5], model=Sum(), collate=pad, max_share=0.5)
    assert curve.attrs["classes"] == 3
    assert curve.attrs["layers"] == ["act"]
    assert curve.attrs["total"] == pytest.approx(600, rel=0.15)
    tensors = {"ids": torch.ones(60, 4), "mask": torch.ones(60, 4)}
    curve = sampled(Examples(tensors, torch.arange(60) % 2), [0.5], model=Sum(), max_share=0.5)
    assert curve.attrs["total"] == 30 * 4


def test_where_labels_are_found():
    x, y = torch.zeros(6, 2), torch.tensor([2, 0, 1, 1, 0, 2])
    known = y.tolist()
    named = Reading(6)
    named.targets = known

    class Columns(list):
        column_names = ("label",)

    assert class_labels(Examples(x, y)).tolist() == known
    assert class_labels(TensorDataset(x, y)).tolist() == known
    assert class_labels(named).tolist() == known
    assert class_labels(list(zip(x, y, strict=True))).tolist() == known
    assert class_labels([{"a": 1, "labels": k} for k in known]).tolist() == known
    assert class_labels(Subset(TensorDataset(x, y), [5, 1])).tolist() == [2, 0]
    assert class_labels(TensorDataset(x)) is None
    assert class_labels(TensorDataset(x, x)) is None
    assert class_labels(Reading(6, labels=False)) is None
    assert class_labels(list(x)) is None


def test_given_labels_stratify():
    data = Reading(labels=False)
    groups = np.arange(1000) // 500
    curve = sampled(data, labels=groups, max_share=0.02)
    assert curve.attrs["classes"] == 2
    assert sum(i < 500 for i in data.read) in (9, 10, 11)


def test_the_model_is_left_as_it_was():
    net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 2)).train()
    sampled(Reading(), model=net, layers=nn.ReLU)
    assert net.training
    assert net[2].training
    assert not any(m._forward_hooks for m in net.modules())


@pytest.mark.parametrize("size", [10, 11, 20, 45, 170])
def test_a_handful_of_examples_is_enough_for_a_curve_but_for_no_confidence(size):
    curve = sampled(activations("normal", size))
    assert curve.attrs["examples"] == size // 10
    assert not curve.attrs["converged"]
    assert len(curve) == len(GRID)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"confidence": 1.0}, "read everything with renormalized"),
        ({"confidence": 95}, "between 0 and 1"),
        ({"max_share": 10}, "not percent"),
        ({"max_share": 0.0}, "above 0"),
        ({"max_share": 1e-5}, "raise max_share"),
        ({"tolerance": -1}, "tolerance must be a whole number, 0 or more"),
        ({"tolerance": 0.5}, "tolerance must be a whole number"),
        ({"batch_size": 0}, "batch_size must be a whole number, 1 or more"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"labels": [1, 2]}, "do not fit 1000 examples: give one whole number each"),
        ({"labels": np.zeros(1000)}, "type float64 do not fit"),
        ({"taus": [0.0, 0.1]}, "must be positive"),
        ({"layers": "ac"}, "no layer matches 'ac'"),
    ],
)
def test_bad_options_are_refused_before_anything_is_read(options, message):
    data = Reading()
    with pytest.raises(ThermoError, match=message):
        sampled(data, **options)
    assert not data.read


def test_data_that_cannot_be_sampled_are_refused():
    data = activations("normal", 100)
    loader = DataLoader(TensorDataset(data.inputs, data.targets), 10)
    for bad in (loader, iter([]), {"a": 1}):
        with pytest.raises(ThermoError, match=r"cannot be sampled.*loader\.dataset"):
            sampled(bad)
    with pytest.raises(ThermoError, match="data set is empty"):
        sampled([])
    with pytest.raises(ThermoError, match="are zero"):
        sampled(Examples(torch.zeros(100, 3), data.targets))
