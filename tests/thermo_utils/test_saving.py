"""Saved curves and thresholds come back to the bit; a file that is not whole is refused."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from torch import nn

from thermo_utils import (
    ThermoError,
    find_safe_threshold,
    full_evaluation,
    renormalized,
    thermodynamic_curve,
)
from thermo_utils.saving import PARTS, load_curve, load_safe, save_curve, save_safe
from thermo_utils.search import SafeThreshold


def curve():
    found = thermodynamic_curve([0.1, 0.3, 0.7], [9, 4, 0], [5.5, 3.3, 0.0], 10, 5.7)
    found["kind"] = ["plain", 'with, comma and "quotes"', "two\nlines\r\nand a # mark"]
    found["safe"] = [True, False, True]
    found["lost"] = pd.Series([None, None, None], dtype=object)
    found.attrs = {
        "total": 2**70, "total_abs_sum": 0.1 + 0.2, "layers": ["a.b", "a.b:input"],
        "metric": {"name": "accuracy", "higher_is_better": True}, "baseline": math.nan,
        "warnings": [], "per_class": {"hits": [[1, 2], [0, 1]]}, "nothing": None, "one": 1.0,
    }  # fmt: skip
    return found


def same(a, b):
    """Equal, NaN to NaN and in type."""
    if isinstance(a, float) and isinstance(b, float):
        return a == b or (math.isnan(a) and math.isnan(b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


def test_a_curve_comes_back(tmp_path):
    save_curve(curve(), tmp_path / "curve.csv")
    found = load_curve(tmp_path / "curve.csv")
    assert_frame_equal(found, curve(), check_exact=True)
    assert found["free_energy"].isna().any()  # a NaN is a NaN, not a text or a zero
    assert list(found.dtypes) == list(curve().dtypes)
    assert all(value is None for value in found["lost"])
    assert same(found.attrs, curve().attrs)
    assert [p.name for p in tmp_path.iterdir()] == ["curve.csv"]


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(), st.integers(-(2**63), 2**63 - 1)), max_size=8))
def test_every_bit_of_every_number_comes_back(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("bits") / "curve.csv"
    floats, ints = (np.array([row[i] for row in rows], t) for i, t in enumerate((float, np.int64)))
    save_curve(pd.DataFrame({"x": floats, "n": ints}), path)
    found = load_curve(path)
    nan = np.isnan(floats)
    assert (np.isnan(found["x"]) == nan).all()
    assert (found["x"].to_numpy().view(np.int64) == floats.view(np.int64))[~nan].all()
    assert (found["n"].to_numpy() == ints).all()
    assert list(found.dtypes) == [np.float64, np.int64]


def test_what_evaluations_return_comes_back(tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3))
    x = torch.randn(96, 4)
    data = [(part, model(part).argmax(1)) for part in x.split(16)]
    taus = [0.1, 0.2, 0.5, 9.0]
    full = full_evaluation(
        model, data, nn.ReLU, taus, blocks=[0.2, 0.5], per_class=True, progress=False
    )
    shuffled = full_evaluation(model, _Shuffled(data), nn.ReLU, taus, progress=False)
    unpruned = renormalized(model, data, nn.ReLU, taus, blocks=[0.2], progress=False)
    assert shuffled["lost"].isna().all()
    for number, made in enumerate((full, shuffled, unpruned)):
        path = tmp_path / f"{number}.csv"
        save_curve(made, path)
        found = load_curve(path)
        assert_frame_equal(found, made, check_exact=True)
        assert same(found.attrs, json.loads(json.dumps(made.attrs)))  # but tuples are lists
    safe = find_safe_threshold(model, data, nn.ReLU)
    save_safe(safe, tmp_path / "safe.json")
    found = load_safe(tmp_path / "safe.json")
    assert_frame_equal(found.passes, safe.passes, check_exact=True)
    assert all(same(getattr(found, name), getattr(safe, name)) for name in PARTS)


class _Shuffled:
    """The same batches, in another order every time."""

    def __init__(self, data):
        self.data = data

    def __iter__(self):
        self.data = self.data[1:] + self.data[:1]
        return iter(self.data)


def test_numbers_of_numpy_in_attrs_come_back_as_pythons(tmp_path):
    frame = pd.DataFrame({"tau": [0.1]})
    frame.attrs = {"a": np.float64(0.1), "b": np.int64(3), "c": np.arange(2), "d": (1, -math.inf)}
    save_curve(frame, tmp_path / "c.csv")
    assert load_curve(tmp_path / "c.csv").attrs == {
        "a": 0.1, "b": 3, "c": [0, 1], "d": [1, -math.inf],
    }  # fmt: skip


def test_pandas_reads_the_file_too(tmp_path):
    frame = curve().drop(columns=["kind", "lost"])
    save_curve(frame, tmp_path / "curve.csv")
    found = pd.read_csv(tmp_path / "curve.csv", comment="#")
    assert_frame_equal(found, frame, check_exact=True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.assign(when=pd.Timestamp("2026-01-01")), "when"),
        (lambda c: c.assign(kind=["a", None, "b"]), "kind"),
        (lambda c: c.assign(mixed=["a", 1, "b"]), "mixed"),
        (lambda c: c.rename(columns={"tau": 3}), "3"),
        (lambda c: c.rename(columns={"tau": "beta"}), "beta"),
        (lambda c: c.astype({"tau": np.float32}), "tau"),
    ],
)
def test_what_would_not_come_back_is_refused(tmp_path, change, words):
    with pytest.raises(ThermoError, match=words):
        save_curve(change(curve()), tmp_path / "curve.csv")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", [object(), {1: 2}, {"deep": [object()]}, 1j])
def test_an_attribute_that_would_not_come_back_is_named(tmp_path, value):
    frame = curve()
    frame.attrs["odd"] = value
    with pytest.raises(ThermoError, match="odd"):
        save_curve(frame, tmp_path / "curve.csv")
    assert not list(tmp_path.iterdir())


def test_a_damaged_curve_is_refused(tmp_path):
    path = tmp_path / "curve.csv"
    save_curve(curve().drop(columns="kind"), path)
    whole = path.read_bytes()
    for at in range(0, len(whole), 7):
        path.write_bytes(whole[:at])
        with pytest.raises(ThermoError, match=r"curve\.csv"):
            load_curve(path)
    at = whole.index(b"\n0.1,") + 3
    path.write_bytes(whole[:at] + b"2" + whole[at + 1 :])
    with pytest.raises(ThermoError, match="changed"):
        load_curve(path)


@pytest.mark.parametrize("load", [load_curve, load_safe])
def test_foreign_files_are_refused(tmp_path, load):
    (tmp_path / "data.csv").write_text("tau,beta\n0.1,0.2\n")
    (tmp_path / "list.json").write_text("[1, 2]")
    (tmp_path / "facts.json").write_text('{"tau": 1}')
    (tmp_path / "empty").write_text("")
    (tmp_path / "picture").write_bytes(b"\x89PNG\xff\x00")
    for path in [*tmp_path.iterdir(), tmp_path, tmp_path / "missing"]:
        with pytest.raises(ThermoError, match=path.name):
            load(path)


def safe(**changes):
    passes = pd.DataFrame(
        {
            "tau": [0.0, 0.1, 0.2], "beta": [0.0, 0.3, 0.6], "perplexity": [9.1, 9.3, math.nan],
            "drop": [0.0, 0.1 + 0.1 + 0.1, math.nan], "safe": [True, True, False],
        }
    )  # fmt: skip
    parts = {
        "tau": 0.1, "beta": 0.3, "score": 9.3, "drop": 0.2, "baseline": 9.1,
        "metric": "perplexity", "higher_is_better": False, "layers": ("a", "b:input"),
        "warnings": ("mind the gap",), "passes": passes,
    }  # fmt: skip
    return SafeThreshold(**(parts | changes))


@pytest.mark.parametrize("changes", [{}, {"layers": (), "warnings": (), "score": math.nan}])
def test_a_safe_threshold_comes_back(tmp_path, changes):
    path = tmp_path / "safe.json"
    save_safe(safe(**changes), path)
    found = load_safe(path)
    for name in PARTS:
        assert same(getattr(found, name), getattr(safe(**changes), name)), name
    assert_frame_equal(found.passes, safe().passes, check_exact=True)
    assert repr(found) == repr(safe(**changes))
    json.loads(path.read_text(), parse_constant=pytest.fail)  # JSON as others read it


def test_all_of_a_safe_threshold_is_saved():
    assert {*PARTS, "passes"} == set(SafeThreshold.__dataclass_fields__)


@pytest.mark.parametrize(
    "change",
    [
        {"tau": "0.1"}, {"tau": None}, {"tau": True}, {"higher_is_better": 1}, {"metric": 3},
        {"layers": "relu"}, {"layers": [1]}, {"version": 2}, {"passes": {}}, {"passes": None},
        {"types": {"tau": "int64"}}, {"types": {"tau": "strange"}},
    ],
)  # fmt: skip
def test_a_damaged_threshold_is_refused(tmp_path, change):
    path = tmp_path / "safe.json"
    save_safe(safe(), path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ThermoError, match=r"safe\.json"):
        load_safe(path)


@pytest.mark.parametrize("save", [lambda p: save_curve(curve(), p), lambda p: save_safe(safe(), p)])
def test_saving_is_whole_or_not_at_all(tmp_path, save, monkeypatch):
    with pytest.raises(ThermoError, match="missing"):
        save(tmp_path / "missing" / "file")
    path = tmp_path / "file"
    path.write_text("what was there")
    monkeypatch.setattr("os.replace", lambda *a: (_ for _ in ()).throw(OSError(28, "disk full")))
    with pytest.raises(ThermoError, match="disk full"):
        save(path)
    assert path.read_text() == "what was there"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
