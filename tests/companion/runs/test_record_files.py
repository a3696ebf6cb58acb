"""Result records: whole or not there, the same to the bit after reading, and never a lie."""

from __future__ import annotations

import itertools
import json
import math
import multiprocessing
import os
import shutil
import subprocess
import time
from dataclasses import fields
from pathlib import Path

import hypothesis
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion.runs import curve_rules, records, schema
from companion.runs.provenance import provenance
from companion.runs.records import (
    BLOCKS,
    CURVES,
    FORMAT,
    NEXT,
    NEXT_BLOCKS,
    RESULT,
    examined,
    read_chapter,
    read_record,
    record_folder,
    sha256,
    to_json,
    write_record,
)
from companion.runs.settings import Settings
from tests.companion.pages.conftest import made
from thermo_utils import ThermoError, files, grids, thermodynamic_curve
from thermo_utils.curves import Kind
from thermo_utils.files import write_atomically
from thermo_utils.thermodynamics import CURVE_COLUMNS

ROOT = Path(__file__).parents[3]


def curves():
    return made()[1]


def halved():
    """Other curves, in which it is not known who was lost."""
    changed = curves()
    changed["full"]["accuracy"] /= 2
    changed["full"][["lost", "gained"]] = np.nan
    return changed


def with_blocks(tables):
    """The same curves, with all examples in two blocks, a third of them in the first."""
    for table in tables.values():
        taus = [0.0, *table["tau"][::4]]
        active = np.array([table.attrs["total"], *table["active"][::4]], dtype=int)
        sums = np.array([table.attrs["total_abs_sum"], *table["abs_sum"][::4]])
        first = active // 3
        table.attrs["blocks"] = {
            "tau": taus,
            "active": np.stack([first, active - first], axis=1).tolist(),
            "abs_sum": np.stack([sums / 3, sums - sums / 3], axis=1).tolist(),
        }
    return tables


def result(**changed):
    facts = made(**changed)[0]
    del facts["curves_sha256"], facts["format"]
    return facts


@pytest.fixture
def folder(tmp_path):
    """Where the record of `result` belongs."""
    return tmp_path / "small" / "mlp-cifar10"


@pytest.fixture
def there(folder):
    """The folder with a record in it."""
    write_record(folder, result(), curves())
    return folder


def test_round_trip_to_the_bit(folder):
    facts = result()
    facts["metrics"]["x"] = 0.1 + 0.2
    write_record(folder, facts, curves())
    record = read_record(folder)
    assert record.result["metrics"] == facts["metrics"]
    assert record.result["format"] == FORMAT
    for name, table in curves().items():
        back = record.curve(name)
        pd.testing.assert_frame_equal(back, table, check_exact=True, check_dtype=False)
        assert back.attrs == table.attrs
    assert sorted(p.name for p in record.folder.iterdir()) == [CURVES, RESULT]


@hypothesis.settings(max_examples=20)
@given(st.lists(st.floats(allow_nan=False), min_size=20, max_size=20))
def test_any_float_survives_both_files(tmp_path_factory, values):
    folder = tmp_path_factory.mktemp("record") / "small" / "mlp-cifar10"
    finite = [v for v in values if math.isfinite(v)]
    tables = curves()
    tables["full"]["dF_dbeta"] = values
    write_record(folder, result(more=finite), tables)
    record = read_record(folder)
    assert record.curve("full")["dF_dbeta"].tolist() == values
    assert record.result["more"] == finite


def test_unknown_method(there):
    with pytest.raises(ThermoError, match="unknown method 'ful': did you mean 'full'"):
        read_record(there).curve("ful")


def test_undefined_numbers_become_null(folder):
    nan = float("nan")
    features = [
        {"method": "full", "kind": "peak", "beta": nan, "tau": np.float64(0.5), "prominence": nan}
    ]
    facts = result(features=features, more=(nan, math.inf, np.int64(3)), match=np.bool_(True))
    write_record(folder, facts, curves())
    text = (folder / RESULT).read_text()
    assert "NaN" not in text
    assert "Infinity" not in text
    back = read_record(folder).result
    nulls = {"beta": None, "prominence": None}
    assert back["features"] == [{"method": "full", "kind": "peak", "tau": 0.5, **nulls}]
    assert back["more"] == [None, None, 3]
    assert back["match"] is True


def test_json_takes_what_results_are_made_of():
    value = {"a": (1, 2.5, None, True), "b": np.float32(0.5), "c": Path("x") / "y", "d": "é"}
    assert json.loads(to_json(value)) == {"a": [1, 2.5, None, True], "b": 0.5, "c": "x/y", "d": "é"}
    with pytest.raises(TypeError):
        to_json({"a": object()})


def test_no_record(tmp_path, there):
    assert read_record(tmp_path) is None
    assert read_record(tmp_path / "nowhere") is None
    (there / RESULT).unlink()
    assert read_record(there) is None  # the first run was killed between the two files


def test_without_its_curves_it_is_damaged(there):
    (there / CURVES).unlink()
    with pytest.raises(ThermoError, match=CURVES):
        read_record(there)


def crash_on(monkeypatch, name):
    real = os.replace

    def replace(source, target):
        if Path(target).name == name:
            raise KeyboardInterrupt
        real(source, target)

    monkeypatch.setattr(files.os, "replace", replace)


@pytest.mark.parametrize("before", [True, False], ids=["replaced", "first"])
@pytest.mark.parametrize("name", [NEXT, CURVES, RESULT])
def test_killed_at_any_file_it_is_the_old_record_or_the_new(folder, monkeypatch, name, before):
    old, new = result(match=False), result(match=True)
    if before:
        write_record(folder, old, curves())
    changed = halved()
    with monkeypatch.context() as patch:
        crash_on(patch, name)
        with pytest.raises(KeyboardInterrupt):
            write_record(folder, new, changed)
    found = read_record(folder)
    if name == RESULT:  # both files were there, if not in place
        assert found.result["match"]
        pd.testing.assert_frame_equal(
            found.curve("full")[["accuracy"]], changed["full"][["accuracy"]]
        )
    else:
        assert (found is not None) == before
        assert found is None or not found.result["match"]
    write_record(folder, new, changed)  # the next run
    assert read_record(folder).result["match"]
    assert sorted(p.name for p in folder.iterdir()) == [CURVES, RESULT]


NAMES = [NEXT, NEXT_BLOCKS, CURVES, BLOCKS, RESULT]


@pytest.mark.parametrize("before", [True, False], ids=["replaced", "first"])
@pytest.mark.parametrize("name", NAMES)
def test_blocks_are_always_those_of_the_curves(folder, monkeypatch, name, before):
    old, new = with_blocks(curves()), with_blocks(halved())
    new["full"].attrs["blocks"]["abs_sum"][1] = [*new["full"].attrs["blocks"]["abs_sum"][1][::-1]]
    if before:
        write_record(folder, result(), old)
    with monkeypatch.context() as patch:
        crash_on(patch, name)
        with pytest.raises(KeyboardInterrupt):
            write_record(folder, result(), new)
    found, expected = read_record(folder), new if NAMES.index(name) > 2 else old
    if not before and NAMES.index(name) <= 2:
        assert found is None
        return
    for method, table in expected.items():
        kept, back = table.attrs["blocks"], found.blocks(method)
        assert list(back) == ["tau", "block", "active", "abs_sum"]
        for column in ("active", "abs_sum"):
            wide = back.pivot(index="tau", columns="block", values=column)
            assert wide.index.tolist() == kept["tau"]
            assert wide.to_numpy().tolist() == kept[column]
    write_record(folder, result(), curves())  # the next run, which keeps none
    assert read_record(folder).blocks("full") is None
    assert sorted(p.name for p in folder.iterdir()) == [CURVES, RESULT]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda kept: kept["active"][2].reverse(), None),  # as good as any other
        (lambda kept: kept["active"][2].__setitem__(0, 1), "add up"),
        (lambda kept: kept["abs_sum"][0].__setitem__(1, 1.0), "add up"),
        (lambda kept: kept["tau"].__setitem__(3, 0.123), "not those of the curve"),
        (lambda kept: kept["active"][2].__setitem__(0, -1), "below zero"),
        (lambda kept: kept["abs_sum"][2].__setitem__(0, math.nan), "no number"),
    ],
)
def test_blocks_that_lie_are_not_written(folder, change, message):
    tables = with_blocks(curves())
    change(tables["full"].attrs["blocks"])
    if message is None:
        write_record(folder, result(), tables)
        return
    with pytest.raises(ThermoError, match=message):
        write_record(folder, result(), tables)
    assert not folder.exists()


def test_damaged_blocks_are_noticed(folder):
    write_record(folder, result(), with_blocks(curves()))
    path = folder / BLOCKS
    path.write_text(path.read_text().replace("full", "renormalized", 1))
    with pytest.raises(ThermoError, match=BLOCKS):
        read_record(folder)
    path.unlink()
    with pytest.raises(ThermoError, match=BLOCKS):
        read_record(folder)


def test_records_of_the_first_format_are_read(there):
    facts = json.loads((there / RESULT).read_text())
    table = pd.read_csv(there / CURVES).drop(columns=["lost", "gained"])
    text = table.to_csv(index=False)
    (there / CURVES).write_text(text)
    for number in (2, 1):
        facts |= {"format": number, "curves_sha256": sha256(text)}
        (there / RESULT).write_text(json.dumps(facts))
        if number == 2:
            with pytest.raises(ThermoError, match="lost, gained"):
                read_record(there)
    record = read_record(there)
    assert "lost" not in record.curve("full")
    assert record.blocks("full") is None


@pytest.mark.parametrize("name", records.GONE)
def test_a_setting_that_is_gone_tells_no_records_apart(there, name):
    before = read_record(there).result["settings"]
    facts = json.loads((there / RESULT).read_text())
    facts["settings"][name] = 0
    (there / RESULT).write_text(json.dumps(facts))
    assert read_record(there).result["settings"] == before


def test_a_reader_meets_a_writer(there, monkeypatch):
    changed = halved()
    content = records.content

    def meanwhile(path):
        found = content(path)
        if path.name == RESULT:  # everything is replaced between the reader's two files
            monkeypatch.setattr(records, "content", content)
            write_record(there, result(match=True), changed)
        return found

    monkeypatch.setattr(records, "content", meanwhile)
    assert read_record(there).result["match"]


def test_two_records_written_in_turn_are_no_damage(there, monkeypatch):
    content, passes = records.content, itertools.count(1)

    def meanwhile(path):  # twice the reader finds the files of one result and the other's curves
        if path.name != RESULT or next(passes) > 2:
            return content(path)
        monkeypatch.setattr(records, "content", content)
        write_record(there, result(match=False), curves())
        found = content(path)
        write_record(there, result(match=True), halved())
        monkeypatch.setattr(records, "content", meanwhile)
        return found

    monkeypatch.setattr(records, "content", meanwhile)
    assert read_record(there).result["match"]
    assert next(passes) > 3


def test_a_writer_killed_at_any_moment_leaves_a_record(there):
    versions = [curves(), halved()]

    def rewrite():
        for number in itertools.count():
            write_record(there, result(more=number % 2), versions[number % 2])

    first = {round(table["full"]["accuracy"].iloc[0], 6): k for k, table in enumerate(versions)}
    write_record(there, result(more=0), versions[0])
    for delay in np.linspace(0.02, 0.1, 8):
        writer = multiprocessing.get_context("fork").Process(target=rewrite)
        writer.start()
        try:
            end = time.monotonic() + delay
            while time.monotonic() < end:
                read_record(there)  # nor does a reader meanwhile find anything else
        finally:
            writer.kill()
            writer.join()
        found = read_record(there)
        assert found.result["more"] == first[round(found.curve("full")["accuracy"].iloc[0], 6)]
    write_record(there, result(), curves())
    assert {CURVES, RESULT} <= {p.name for p in there.iterdir()}


def test_times_of_a_moment_ago_prove_nothing(there, monkeypatch):
    """A whole write between two looks, in one tick of the clock and with the old file's number."""
    read, state = records.content, [(1, time.time_ns(), 1)]
    monkeypatch.setattr(records, "TICK_S", 5.0)  # a slow disk takes more than a tenth

    def overtaken(path):
        monkeypatch.setattr(records, "content", read)
        found = read(path)
        write_record(there, result(more=1), halved())
        return found

    monkeypatch.setattr(records, "content", overtaken)
    monkeypatch.setattr(records, "_state", lambda _: state)
    assert read_record(there).result["more"] == 1


def test_values_json_cannot_hold_leave_the_old_record(there):
    before = (there / RESULT).read_bytes()
    with pytest.raises(TypeError):
        write_record(there, result(more=object()), curves())
    assert (there / RESULT).read_bytes() == before


def test_atomic_write(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, "old")
    assert oct(path.stat().st_mode)[-3:] == "644"
    monkeypatch.setattr(files.os, "fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


DEEP = b"[" * 100_000 + b"]" * 100_000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "damaged"),
        (b"", "damaged"),
        (b"\xff\xfe", "damaged"),
        (DEEP, "nested too deeply"),
        (b'{"format": 1, "more": ' + DEEP + b"}", "nested too deeply"),
        (b'{"format": 1, "more": ' + b"[" * 200 + b"]" * 200 + b"}", "nested too deeply"),
        (b'{"format": 1, "more": NaN}', "damaged"),
        (b'{"format": 1, "more": 1e999}', "damaged"),
        (b'{"format": 1, "more": "\\ud800"}', "damaged"),
        (b'{"format": 1, "seed": ' + b"9" * 5000 + b"}", "damaged"),
        (b"[]", "not of format"),
        (b"null", "not of format"),
        (b'{"format": 99}', "not of format"),
        (b'{"format": 1}', "lacks model, dataset"),
    ],
    ids=lambda value: value[:22] if isinstance(value, bytes) else "",
)
def test_damaged_and_foreign_records(there, content, message):
    (there / RESULT).write_bytes(content)
    with pytest.raises(ThermoError, match=message) as caught:
        read_record(there)
    assert str(there / RESULT) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


LIES = {
    "seed of another folder": ("seed", 1),
    "model of another folder": ("model", "cnn"),
    "profile of another folder": ("profile", "paper"),
    "seed as text": ("seed", "0"),
    "seed as a boolean": ("seed", False),
    "seed below zero": ("seed", -1),
    "seed beyond all generators": ("settings.seed", 2**31),
    "other settings": ("settings.dataset", "flowers102"),
    "settings that are a list": ("settings", []),
    "a setting of null": ("settings.batch_size", None),
    "an option that is no mapping": ("settings.options", "none"),
    "accuracy above one": ("metrics.test_accuracy", 1.5),
    "another accuracy than that of the evaluation": ("metrics.test_accuracy", 0.57),
    "accuracy below zero": ("history.0.validation_accuracy", -0.1),
    "more epochs than there were": ("metrics.epochs", 3),
    "no training": ("history", []),
    "time as text": ("timings.train", "414"),
    "time below zero": ("timings.full", -1.0),
    "undefined time": ("timings.speedup", None),
    "missing threshold": ("thresholds", {"accuracy": None, "full": None}),
    "threshold of another kind": ("thresholds.accuracy.kind", "peak"),
    "unknown kind": ("thresholds.full.kind", "cliff"),
    "threshold as text": ("thresholds.renormalized.tau", "0.31"),
    "sparsity above one": ("thresholds.full.beta", 1.01),
    "feature of no method": ("features.0.method", "accuracy"),
    "share above one": ("data.most_frequent", 10.0),
    "part of the data below zero": ("data.train", -1),
    "synthetic data elsewhere": ("synthetic", True),
    "match as text": ("match", "yes"),
    "remarks that are text": ("differs", "half of the images"),
    "remarks that are numbers": ("differs", [1]),
    "no stages": ("stages", {}),
    "no activations": ("stages.full.attrs.total", 0),
    "device of no name": ("provenance.device", 7),
    "versions that are a list": ("provenance.packages", ["torch"]),
    "no hash": ("curves_sha256", "abc"),
}


def put(value, path, new):
    """A copy of a nested value with one leaf replaced."""
    name, _, rest = path.partition(".")
    key = int(name) if isinstance(value, list) else name
    copy = list(value) if isinstance(value, list) else dict(value)
    copy[key] = put(value[key], rest, new) if rest else new
    return copy


@pytest.mark.parametrize(("path", "lie"), LIES.values(), ids=list(LIES))
def test_a_lie_is_found_read_or_written(there, path, lie):
    facts = json.loads((there / RESULT).read_text())
    (there / RESULT).write_text(json.dumps(put(facts, path, lie)))
    with pytest.raises(ThermoError, match=path.split(".")[-1]) as caught:
        read_record(there)
    assert str(there / RESULT) in str(caught.value)
    if path != "curves_sha256":  # which is filled in
        before = (there / RESULT).read_bytes()
        with pytest.raises(ThermoError):
            write_record(there, put(result(), path, lie), curves())
        assert (there / RESULT).read_bytes() == before


def test_what_is_not_known_may_be_there(there):
    facts = json.loads((there / RESULT).read_text())
    facts["stages"]["full"] |= {"remark": [1, {}], "data": "0" * 64, "threads": 2}
    (there / RESULT).write_text(json.dumps(facts | {"weather": "fair"}))
    assert read_record(there).result["weather"] == "fair"


def test_a_message_holds_nothing_a_terminal_obeys(there):
    facts = json.loads((there / RESULT).read_text())
    facts["settings"]["model"] = "\x1b[2J\r" + "x" * 9999
    (there / RESULT).write_text(json.dumps(facts))
    with pytest.raises(ThermoError, match="model") as caught:
        read_record(there)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1000


def nan(frame, column):
    frame[column] = frame[column].astype(float)
    frame.loc[3, column] = np.nan
    return frame


CROOKED = {
    "undefined threshold": lambda f: nan(f, "tau"),
    "undefined sparsity": lambda f: nan(f, "beta"),
    "undefined free energy": lambda f: nan(f, "free_energy"),
    "undefined slope": lambda f: nan(f, "dF_dtau"),
    "undefined accuracy": lambda f: nan(f, "accuracy"),
    "infinite entropy": lambda f: f.replace({"entropy": {f["entropy"][3]: math.inf}}),
    "another order": lambda f: f[::-1],
    "a threshold twice": lambda f: pd.concat([f.head(1), f]),
    "accuracy in percent": lambda f: f.assign(accuracy=100 * f["accuracy"]),
    "sparsity of other counts": lambda f: f.assign(beta=f["beta"] / 2),
    "counts below zero": lambda f: f.assign(active=-f["active"]),
    "half an activation": lambda f: f.assign(active=f["active"] + 0.5),
    "words": lambda f: f.assign(entropy="high"),
    "numbers with underscores": lambda f: f.assign(temperature="1_0"),
    "no accuracy": lambda f: f.drop(columns="accuracy"),
    "no entropy": lambda f: f.drop(columns="entropy"),
    "no rows": lambda f: f.head(0),
}


@pytest.mark.parametrize("bend", CROOKED.values(), ids=list(CROOKED))
def test_a_crooked_curve_is_found_read_or_written(there, bend):
    tables = curves()
    tables["full"] = bend(tables["full"])
    with pytest.raises(ThermoError, match=CURVES):
        write_record(there, result(), tables)
    parts = [table.assign(method=method) for method, table in tables.items()]
    text = pd.concat(parts, ignore_index=True).to_csv(index=False)
    facts = json.loads((there / RESULT).read_text())
    (there / RESULT).write_text(json.dumps(facts | {"curves_sha256": sha256(text)}))
    (there / CURVES).write_text(text)
    with pytest.raises(ThermoError, match=CURVES):
        read_record(there)


@pytest.mark.parametrize("name", ["full", "renormalized"])
def test_a_curve_has_the_rows_of_its_grid(folder, name):
    facts, tables = result(), curves()
    facts["stages"]["renormalized"] |= {"tau_step": 0.1, "tau_max": 2.0}
    for method, taus in zip(("full", "renormalized"), grids.grids(0.1, 2.0), strict=True):
        tables[method] = on_grid(taus, tables[method])
    write_record(folder, facts, tables)
    assert read_record(folder).curve(name)["tau"].tolist() == tables[name]["tau"].tolist()
    whole = tables[name]
    for wrong in (whole.drop(index=4), whole.iloc[:-1], on_grid(1.01 * whole["tau"], whole)):
        tables[name] = wrong
        with pytest.raises(ThermoError, match=rf"{name}: (\d+ rows instead|ends at)"):
            write_record(folder, facts, tables)


def on_grid(taus, table):
    """A curve like another one at other thresholds."""
    taus = np.asarray(taus)
    active = np.round(1000 * np.exp(-taus))
    sums = np.where(active > 0, active * (1 + taus), 0.0)
    again = thermodynamic_curve(taus, active, sums, 1000, 1000.0)
    again.attrs = table.attrs
    if "accuracy" in table:
        lost = np.round(5 * taus).astype(int)
        again["accuracy"] = 0.56 - lost / 1000
        again["lost"], again["gained"] = lost, 0
    return again


LOST = {
    "half an example": (lambda t: t.assign(lost=t["lost"] + 0.5), "no counts"),
    "fewer than none": (lambda t: t.assign(lost=t["lost"] - 13, gained=-10), "no counts"),
    "some unknown": (lambda t: t.assign(gained=[np.nan, *t["gained"][1:]]), "no counts"),
    "another accuracy": (lambda t: t.assign(gained=4), "does not follow"),
    "the two exchanged": (lambda t: t.assign(lost=t["gained"], gained=t["lost"]), "not follow"),
}


@pytest.mark.parametrize(("change", "message"), LOST.values(), ids=list(LOST))
def test_examples_lost_and_gained_make_the_accuracy(folder, change, message):
    tables = curves()
    attrs = tables["full"].attrs
    tables["full"] = change(tables["full"])
    tables["full"].attrs = attrs
    with pytest.raises((ThermoError, TypeError), match=f"{message}|safely cast"):
        write_record(folder, result(), tables)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(b"0.5", b"0.4", 1),
        lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: text[: len(text) // 2],
        lambda text: b"",
        lambda text: b"\xff\xfe",
    ],
    ids=["a digit", "line ends", "half", "nothing", "no text"],
)
def test_touched_curves_are_damage_not_absence(there, change):
    path = there / CURVES
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(ThermoError, match="damaged") as caught:
        read_record(there)
    assert str(path) in str(caught.value)


def test_files_that_cannot_be_read(there, tmp_path):
    (there / CURVES).unlink()
    (there / CURVES).mkdir()
    with pytest.raises(ThermoError, match=CURVES):
        read_record(there)
    (tmp_path / "file").write_text("")
    with pytest.raises(ThermoError, match="file"):
        read_record(tmp_path / "file" / "mlp-cifar10")


def test_a_clone_that_turns_line_ends_keeps_records(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    origin = tmp_path / "origin"
    folder = record_folder(origin / "results", "small", "mlp-cifar10")
    write_record(folder, result(), curves())
    shutil.copy(ROOT / ".gitattributes", origin)
    (origin / "text.csv").write_text("a\nb\n")

    def git(*words):
        name = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", *name, *words], cwd=tmp_path, check=True, capture_output=True)

    git("init", "origin")
    git("-C", "origin", "add", ".")
    git("-C", "origin", "commit", "-m", "a record")
    git("clone", "-c", "core.autocrlf=true", "origin", "copy")
    copy = tmp_path / "copy"
    assert b"\r\n" in (copy / "text.csv").read_bytes()  # such clones do turn them
    assert read_record(record_folder(copy / "results", "small", "mlp-cifar10")) is not None


def test_the_schema_names_what_the_rest_of_the_project_does():
    assert set(schema.Settings.model_fields) == {field.name for field in fields(Settings)}
    assert curve_rules.COLUMNS == CURVE_COLUMNS
    assert (curve_rules.FINER, curve_rules.BETWEEN) == (grids.FINER, grids.BETWEEN)
    assert (len(grids.TAIL), grids.TAIL[-1]) == curve_rules.TAIL
    kinds = {*schema.FeatureKind.__args__, "accuracy", "score"}
    assert kinds == set(Kind.__args__)


def test_incomplete_results_are_not_written(folder):
    incomplete = result()
    del incomplete["seed"]
    with pytest.raises(ThermoError, match="lacks seed"):
        write_record(folder, incomplete, curves())
    assert not folder.exists()


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


def write(results, seed, **changed):
    folder = record_folder(results, "small", "mlp-cifar10", seed)
    write_record(folder, result(seed=seed, **changed), curves())
    return folder


def test_seeds_of_a_chapter_are_read_together(tmp_path):
    for seed in (10, 2, 0):
        settings = {"options": {"a": (1, 2)}, "differs": [str(seed)]}
        write(tmp_path, seed, settings=settings)
    write(tmp_path, 1, settings={"epochs": 4})
    (record_folder(tmp_path, "small", "mlp-cifar10", 3)).mkdir()
    found = read_chapter(tmp_path, "small", "mlp-cifar10")
    assert [record.result["seed"] for record in found] == [0, 2, 10]
    assert read_chapter(tmp_path, "small", "cnn-cifar10") == []


def test_a_chapter_may_begin_with_any_seed(tmp_path):
    folder = write(tmp_path, 7)
    assert [record.folder for record in read_chapter(tmp_path, "small", "mlp-cifar10")] == [folder]


def test_damaged_seeds_are_all_named_and_the_others_found(tmp_path):
    folders = [write(tmp_path, seed) for seed in range(4)]
    (folders[1] / CURVES).write_text("")
    (folders[2] / RESULT).write_text("{")
    with pytest.raises(ThermoError) as caught:
        read_chapter(tmp_path, "small", "mlp-cifar10")
    good, bad = examined(tmp_path, "small", "mlp-cifar10")
    assert [record.result["seed"] for record in good] == [0, 3]
    assert len(bad) == 2
    for words, path in zip(bad, (folders[1] / CURVES, folders[2] / RESULT), strict=True):
        assert words.startswith(str(path))
        assert words in str(caught.value)


def test_a_seed_in_the_folder_of_another_is_refused(tmp_path):
    folder = write(tmp_path, 3)
    shutil.copytree(folder, folder.with_name("seed-4"))
    with pytest.raises(ThermoError, match="seed is 3"):
        read_record(folder.with_name("seed-4"))
