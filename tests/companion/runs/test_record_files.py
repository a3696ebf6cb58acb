"""Result records: whole or not there, and the same to the bit after reading."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion.runs.provenance import provenance
from companion.runs.records import (
    CURVES,
    FORMAT,
    REQUIRED,
    RESULT,
    read_chapter,
    read_record,
    record_folder,
    to_json,
    write_record,
)
from thermo_utils import ThermoError, files, thermodynamic_curve
from thermo_utils.files import write_atomically

ATTRS = {"total": 10**12 + 1, "total_abs_sum": 0.1 + 0.2, "seconds": 1 / 3}


def curves():
    tau = np.array([0.1, 0.2, 1 / 3, 7.0])
    fast = thermodynamic_curve(tau, [9 * 10**11, 7, 3, 0], [0.3, 0.2, 1e-17, 0], 10**12, 1 / 3)
    full = fast.assign(accuracy=[0.9, 1 / 3, 0.1, 0.1])
    full.attrs, fast.attrs = {**ATTRS, "baseline_accuracy": 2 / 3}, dict(ATTRS)
    return {"full": full, "renormalized": fast}


def result(**changed):
    stages = {"full": {"attrs": curves()["full"].attrs}, "renormalized": {"attrs": ATTRS}}
    filled = dict.fromkeys(set(REQUIRED) - {"format", "curves_sha256"}, 0)
    return {**filled, "stages": stages, **changed}


def test_round_trip_to_the_bit(tmp_path):
    write_record(tmp_path / "new" / "folder", result(metrics={"x": 0.1 + 0.2}), curves())
    record = read_record(tmp_path / "new" / "folder")
    assert record.result["metrics"] == {"x": 0.1 + 0.2}
    assert record.result["format"] == FORMAT
    for name, curve in curves().items():
        back = record.curve(name)
        pd.testing.assert_frame_equal(back, curve, check_exact=True)
        assert back.attrs == curve.attrs
    assert sorted(p.name for p in record.folder.iterdir()) == [CURVES, RESULT]


@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=20))
def test_any_float_survives_both_files(tmp_path_factory, values):
    folder = tmp_path_factory.mktemp("record")
    table = pd.DataFrame({"tau": values, "accuracy": values})
    finite = [v for v in values if math.isfinite(v)]
    write_record(folder, result(metrics=finite), {"full": table})
    record = read_record(folder)
    assert record.curves["tau"].tolist() == values
    assert record.result["metrics"] == finite


def test_unknown_method(tmp_path):
    write_record(tmp_path, result(), curves())
    with pytest.raises(ThermoError, match="unknown method 'ful': did you mean 'full'"):
        read_record(tmp_path).curve("ful")


def test_undefined_numbers_become_null(tmp_path):
    nan = float("nan")
    features = [{"kind": "peak", "beta": nan, "tau": np.float64(0.5), "n": np.int64(3)}]
    write_record(
        tmp_path,
        result(features=features, thresholds={"full": (nan, math.inf)}, match=np.bool_(True)),
        curves(),
    )
    text = (tmp_path / RESULT).read_text()
    assert "NaN" not in text
    assert "Infinity" not in text
    back = read_record(tmp_path).result
    assert back["features"] == [{"kind": "peak", "beta": None, "tau": 0.5, "n": 3}]
    assert back["thresholds"] == {"full": [None, None]}
    assert back["match"] is True


def test_json_takes_what_results_are_made_of():
    value = {"a": (1, 2.5, None, True), "b": np.float32(0.5), "c": Path("x") / "y", "d": "é"}
    assert json.loads(to_json(value)) == {"a": [1, 2.5, None, True], "b": 0.5, "c": "x/y", "d": "é"}
    with pytest.raises(TypeError):
        to_json({"a": object()})


def test_no_record(tmp_path):
    assert read_record(tmp_path) is None
    assert read_record(tmp_path / "nowhere") is None
    write_record(tmp_path, result(), curves())
    for name in (CURVES, RESULT):
        text = (tmp_path / name).read_bytes()
        (tmp_path / name).unlink()
        assert read_record(tmp_path) is None
        (tmp_path / name).write_bytes(text)
    assert read_record(tmp_path) is not None


def crash_on(monkeypatch, name):
    real = os.replace

    def replace(source, target):
        if Path(target).name == name:
            raise KeyboardInterrupt
        real(source, target)

    monkeypatch.setattr(files.os, "replace", replace)


def test_killed_between_the_two_files(tmp_path, monkeypatch):
    crash_on(monkeypatch, RESULT)
    with pytest.raises(KeyboardInterrupt):
        write_record(tmp_path, result(), curves())
    assert read_record(tmp_path) is None  # curves alone are no record
    monkeypatch.undo()
    write_record(tmp_path, result(), curves())
    changed = curves()
    changed["full"]["accuracy"] /= 2
    crash_on(monkeypatch, RESULT)
    with pytest.raises(KeyboardInterrupt):
        write_record(tmp_path, result(), changed)
    assert read_record(tmp_path) is None  # new curves beside an old result are none either
    assert sorted(p.name for p in tmp_path.iterdir()) == [CURVES, RESULT]


def test_killed_before_anything_was_replaced_keeps_the_old_record(tmp_path, monkeypatch):
    write_record(tmp_path, result(seed=1), curves())
    crash_on(monkeypatch, CURVES)
    with pytest.raises(KeyboardInterrupt):
        write_record(tmp_path, result(seed=2), curves())
    assert read_record(tmp_path).result["seed"] == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == [CURVES, RESULT]


def test_values_json_cannot_hold_leave_the_old_record(tmp_path):
    write_record(tmp_path, result(seed=1), curves())
    with pytest.raises(TypeError):
        write_record(tmp_path, result(seed=object()), curves())
    assert read_record(tmp_path).result["seed"] == 1


def test_atomic_write(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, "old")
    assert oct(path.stat().st_mode)[-3:] == "644"
    monkeypatch.setattr(files.os, "fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "damaged"),
        ("", "damaged"),
        ("[]", "not of format"),
        ("null", "not of format"),
        ('{"format": 99}', "not of format"),
        (json.dumps({"format": FORMAT}), "lacks model, dataset"),
    ],
)
def test_damaged_and_foreign_records(tmp_path, text, message):
    write_record(tmp_path, result(), curves())
    (tmp_path / RESULT).write_text(text)
    with pytest.raises(ThermoError, match=message):
        read_record(tmp_path)


def test_bytes_that_are_no_text(tmp_path):
    write_record(tmp_path, result(), curves())
    (tmp_path / RESULT).write_bytes(b"\xff\xfe")
    with pytest.raises(ThermoError, match="damaged"):
        read_record(tmp_path)
    write_record(tmp_path, result(), curves())
    (tmp_path / CURVES).write_bytes(b"\xff\xfe")
    assert read_record(tmp_path) is None


def test_touched_curves_are_not_trusted(tmp_path):
    write_record(tmp_path, result(), curves())
    path = tmp_path / CURVES
    path.write_text(path.read_text().replace("0.9", "0.8", 1))
    assert read_record(tmp_path) is None


def test_incomplete_results_are_not_written(tmp_path):
    incomplete = result()
    del incomplete["seed"]
    with pytest.raises(ThermoError, match="lacks seed"):
        write_record(tmp_path / "a", incomplete, curves())
    assert not (tmp_path / "a").exists()


def test_provenance():
    facts = provenance()
    assert set(facts) == {"python", "packages", "device", "git_commit"}
    assert facts["packages"]["torch"]
    assert facts["packages"]["numpy"] == np.__version__
    assert facts["device"]
    json.dumps(facts)


def test_provenance_outside_a_checkout(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert provenance()["git_commit"] is None


def test_seeds_of_a_chapter_are_read_together(tmp_path):
    for seed in (10, 2, 0):
        folder = record_folder(tmp_path, "small", "mlp-cifar10", seed)
        settings = {"epochs": 3, "options": {"a": (1, 2)}, "seed": seed, "differs": str(seed)}
        write_record(folder, result(seed=seed, settings=settings), curves())
    other = record_folder(tmp_path, "small", "mlp-cifar10", 1)
    write_record(other, result(seed=1, settings={"epochs": 4, "seed": 1}), curves())
    (record_folder(tmp_path, "small", "mlp-cifar10", 3)).mkdir()
    found = read_chapter(tmp_path, "small", "mlp-cifar10")
    assert [record.result["seed"] for record in found] == [0, 2, 10]
    assert read_chapter(tmp_path, "small", "cnn-cifar10") == []


def test_a_chapter_may_begin_with_any_seed(tmp_path):
    folder = record_folder(tmp_path, "demo", "x", 7)
    write_record(folder, result(seed=7, settings={"seed": 7}), curves())
    assert [record.folder for record in read_chapter(tmp_path, "demo", "x")] == [folder]
