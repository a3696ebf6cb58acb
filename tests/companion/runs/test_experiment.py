"""A chapter: what it writes, what it never computes twice, and what a kill leaves behind."""

from __future__ import annotations

import json
import os
import shutil

import numpy as np
import pandas as pd
import pytest

from companion.data.specs import DATASETS
from companion.runs import experiment as module
from companion.runs import training
from companion.runs.experiment import Experiment, check_results
from companion.runs.records import REQUIRED, read_record
from companion.runs.stages import DONE, STAGES
from thermo_utils.errors import ThermoError
from thermo_utils.evaluation import renormalized
from thermo_utils.grids import uniform_grid
from thermo_utils.transitions import accuracy_threshold, critical_threshold

TINY = {
    "train_size": 200, "validation_size": 50, "test_size": 100, "epochs": 2, "batch_size": 50,
    "tau_step": 0.1, "tau_max": 1.5,
}  # fmt: skip


def tiny(results, **changed):
    return Experiment("mlp", "cifar10", results=results, **{"progress": False, **TINY, **changed})


def equal(left: Experiment, right: Experiment) -> None:
    """Same curves to the last bit, same history."""
    for method in ("renormalized", "full_evaluation"):
        ours, theirs = getattr(left, method)(), getattr(right, method)()
        pd.testing.assert_frame_equal(ours, theirs, check_exact=True)
    pd.testing.assert_frame_equal(left.train(), right.train(), check_exact=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A results folder with one finished chapter, and the experiment that wrote it."""
    run = tiny(tmp_path_factory.mktemp("made"))
    run.save()
    return run


@pytest.fixture
def finished(made, tmp_path):
    """A copy of it that a test may change."""
    return shutil.copytree(made.results, tmp_path / "results")


@pytest.fixture
def no_work(monkeypatch):
    """Any attempt to load data, train or evaluate fails the test."""

    def refuse(*args, **kwargs):
        raise AssertionError("this was to be recalled, not computed")

    for name in ("image_splits", "renormalized", "full_evaluation", "automatic_step"):
        monkeypatch.setattr(module, name, refuse)
    monkeypatch.setattr(training, "train", refuse)


class TestRecord:
    def test_is_complete(self, made):
        record = read_record(made.folder)
        assert set(REQUIRED) <= set(record.result)
        assert made.folder.name == "mlp-cifar10"
        assert sorted(p.name for p in made.folder.iterdir()) == ["curves.csv", "result.json"]

    def test_names_what_differs_from_the_paper(self, made):
        assert read_record(made.folder).result["differs"] == list(made.settings.differs)

    def test_is_json_for_every_reader(self, made):
        def refuse(constant):
            raise AssertionError(f"{constant} is not JSON")

        text = (made.folder / "result.json").read_text()
        json.loads(text, parse_constant=refuse)

    def test_says_what_was_run(self, made):
        result = read_record(made.folder).result
        assert (result["model"], result["dataset"], result["figure"]) == ("mlp", "cifar10", 2)
        assert (result["profile"], result["seed"], result["synthetic"]) == ("demo", 0, True)
        assert {k: result["settings"][k] for k in TINY} == TINY
        assert {result["data"][part] for part in ("train", "validation", "test")} == {200, 50, 100}
        assert len(result["history"]) == result["metrics"]["epochs"]
        assert sum(row["best"] for row in result["history"]) == 1
        assert result["layers"] == ["hidden.relu*"]
        assert set(result["stages"]) == set(STAGES)
        assert result["timings"]["speedup"] > 0

    def test_thresholds_follow_from_the_curves(self, made):
        record = read_record(made.folder)
        full, fast = record.curve("full"), record.curve("renormalized")
        again = {
            "accuracy": accuracy_threshold(full),
            "full": critical_threshold(full),
            "renormalized": critical_threshold(fast),
        }
        for method, threshold in again.items():
            stored = record.result["thresholds"][method]
            assert stored == (None if threshold is None else pytest.approx(threshold._asdict()))

    def test_grids(self, made):
        record = read_record(made.folder)
        full, fast = record.curve("full")["tau"], record.curve("renormalized")["tau"]
        np.testing.assert_array_equal(full, uniform_grid(0.1, 1.5))
        assert len(fast) == 10 * len(full)
        assert set(full) <= set(fast)

    def test_automatic_grid(self, tmp_path):
        run = tiny(tmp_path, tau_step=None, tau_max=None, epochs=1)
        full, fast = run.full_evaluation()["tau"], run.renormalized()["tau"]
        assert set(full) <= set(fast)
        assert full.iloc[-1] == fast.iloc[-1]
        assert 20 < len(full) < 120

    def test_baseline_is_the_accuracy_without_pruning(self, made):
        record = read_record(made.folder)
        full = record.curve("full")
        assert full.attrs["baseline_accuracy"] == record.result["metrics"]["test_accuracy"]
        assert full["accuracy"].between(0, 1).all()

    def test_unchanged_record_is_left_alone(self, finished):
        before = {p: p.stat().st_mtime_ns for p in finished.rglob("*") if p.is_file()}
        tiny(finished).save()
        assert {p: p.stat().st_mtime_ns for p in finished.rglob("*") if p.is_file()} == before

    def test_pages_of_a_chapter(self, made):
        assert made.provenance()["value"]["data"].startswith("synthetic")
        assert list(made.comparison().index) == ["accuracy", "full evaluation", "renormalized"]
        assert set(made.features()["method"]) <= {"full", "renormalized"}
        assert len(made.claims())
        assert made.timings().index[-1] == "ratio"
        assert made.timings().loc["training", "paper seconds"] == "not stated"
        assert "ReLU" in made.summary()["value"]["pruned"]

    def test_provenance_before_saving_is_refused(self, tmp_path):
        with pytest.raises(ThermoError, match="call save"):
            tiny(tmp_path).provenance()


class TestMemory:
    def test_a_record_needs_no_data_and_no_training(self, made, finished, no_work):
        shutil.rmtree(finished / ".work")
        again = tiny(finished)
        again.check_frozen()
        again.check_sources()
        equal(again, made)
        assert again.thresholds() == made.thresholds()
        assert again.save() == again.folder
        again.provenance()

    def test_another_grid_is_computed_without_training(self, finished, monkeypatch):
        monkeypatch.setattr(training, "train", None)
        again = tiny(finished, tau_step=0.15)
        assert list(again.full_evaluation()["tau"]) == list(uniform_grid(0.15, 1.5))
        again.save()
        record = read_record(finished / "demo" / "mlp-cifar10")
        assert record.result["settings"]["tau_step"] == 0.15
        assert len(record.curve("full")) == 10

    def test_another_grid_keeps_what_the_record_says_of_the_data(self, finished):
        path = finished / "demo" / "mlp-cifar10" / "result.json"
        result = json.loads(path.read_text())
        result["data"]["departures"] = ["a remark"]
        path.write_text(json.dumps(result))
        tiny(finished, tau_step=0.15).save()
        again = json.loads(path.read_text())
        assert again["data"] == result["data"]
        assert again["differs"] == [*result["differs"], "a remark"]

    def test_another_grid_after_the_weights_are_gone(self, made, finished):
        shutil.rmtree(finished / ".work")
        again = tiny(finished, tau_max=0.5)
        measured = ["tau", "active", "abs_sum", "free_energy", "accuracy"]
        pd.testing.assert_frame_equal(
            again.full_evaluation()[measured], made.full_evaluation()[measured].head(5),
            check_exact=True,
        )  # fmt: skip

    def test_another_seed_is_another_run(self, made):
        other = tiny(made.results, seed=1)
        for stage in STAGES:
            assert other.settings.key(stage) != made.settings.key(stage)
        with pytest.raises(ThermoError, match="no record"):
            other.check_frozen()

    def test_seeds_have_records_of_their_own(self, made, finished):
        other = tiny(finished, seed=1)
        other.save()
        assert read_record(other.folder).result["seed"] == 1
        assert read_record(tiny(finished).folder).result["seed"] == 0
        assert not other.train().equals(made.train())
        again = tiny(finished)
        assert [record.result["seed"] for record in again.siblings] == [1]
        assert [len(curves) for curves in again.bands().values()] == [2, 2]
        pd.testing.assert_frame_equal(again.bands()["full"][1], other.full_evaluation())

    def test_a_sibling_of_other_settings_is_none(self, finished):
        tiny(finished, seed=1, epochs=1).save()
        assert tiny(finished).siblings == []
        assert list(tiny(finished).seeds().index) == ["0"]

    def test_the_table_of_seeds(self, made, finished):
        other = tiny(finished, seed=2)
        other.save()
        table = tiny(finished).seeds()
        assert list(table.index) == ["0", "2", "mean", "sd", "sd, %"]
        pair = [run.full_evaluation().attrs["baseline_accuracy"] for run in (made, other)]
        assert table["accuracy"].head(2).tolist() == pair
        assert table.loc["sd", "accuracy"] == pytest.approx(np.std(pair, ddof=1))
        assert table.loc["sd, %", "accuracy"] == pytest.approx(
            100 * np.std(pair, ddof=1) / np.mean(pair)
        )
        tau = made.thresholds()["accuracy"].tau
        assert table.loc["0", "tau*, accuracy"] == tau

    def test_force_computes_again_and_agrees(self, made, finished, monkeypatch):
        calls = []
        train = training.train
        monkeypatch.setattr(training, "train", lambda *a, **k: calls.append(1) or train(*a, **k))
        before = (finished / "demo/mlp-cifar10/result.json").read_text()
        forced = tiny(finished, force=True)
        equal(forced, made)
        assert calls == [1]
        assert (finished / "demo/mlp-cifar10/result.json").read_text() == before
        forced.save()
        assert (finished / "demo/mlp-cifar10/result.json").read_text() != before

    def test_force_removes_nothing_before_it_computes(self, finished):
        kept = sorted(finished.rglob("*"))
        tiny(finished, force=True)
        assert sorted(finished.rglob("*")) == kept

    def test_force_does_not_take_the_record_for_data(self, finished, monkeypatch):
        monkeypatch.setattr(module.Settings, "synthetic", False)
        monkeypatch.setenv("THERMO_DATA", str(finished / "nowhere"))
        tiny(finished).check_sources()
        with pytest.raises(ThermoError, match="THERMO_DATA"):
            tiny(finished, force=True).check_sources()

    def test_frozen_without_a_record(self, tmp_path):
        with pytest.raises(ThermoError, match="no record"):
            tiny(tmp_path).check_frozen()

    def test_nothing_is_written_by_asking(self, tmp_path):
        run = tiny(tmp_path / "results")
        run.summary(), run.claims(), run.check_sources()
        assert not (tmp_path / "results").exists()


class _Killed(BaseException):
    """Stands for a signal: nothing in between may handle it."""


class TestKill:
    def kill(self, run: Experiment) -> None:
        with pytest.raises(_Killed):
            run.save()
        assert read_record(run.folder) is None

    def test_between_stages(self, made, tmp_path, monkeypatch):
        stages = ((training, "train"), (module, "renormalized"), (module, "full_evaluation"))
        for home, name in stages:
            with monkeypatch.context() as patch:
                patch.setattr(home, name, _raise)
                self.kill(tiny(tmp_path))
        run = tiny(tmp_path)
        equal(run, made)

    def test_during_training(self, made, tmp_path, monkeypatch):
        from companion.runs.training import _Classifier

        step = _Classifier.training_step

        def second_epoch(self, batch, index):
            if self.current_epoch == 1 and index == 2:
                raise _Killed
            return step(self, batch, index)

        with monkeypatch.context() as patch:
            patch.setattr(_Classifier, "training_step", second_epoch)
            self.kill(tiny(tmp_path))
        assert list(tmp_path.rglob("last.ckpt"))

        epochs = []
        started = _Classifier.on_train_epoch_start
        monkeypatch.setattr(
            _Classifier,
            "on_train_epoch_start",
            lambda self: epochs.append(self.current_epoch) or started(self),
        )
        run = tiny(tmp_path)
        equal(run, made)
        assert epochs == [1]
        assert not list(tmp_path.rglob("*.ckpt"))

    def test_after_training_before_it_is_marked_done(self, made, tmp_path, monkeypatch):
        with monkeypatch.context() as patch:
            patch.setattr(module.torch, "save", _raise)
            self.kill(tiny(tmp_path))
        equal(tiny(tmp_path), made)

    def test_during_the_sweep(self, made, tmp_path, monkeypatch):
        from thermo_utils.sweep_log import SweepLog

        append = SweepLog.append

        def fifth(self, row):
            if len(self._rows) == 4:
                raise _Killed
            append(self, row)

        with monkeypatch.context() as patch:
            patch.setattr(SweepLog, "append", fifth)
            self.kill(tiny(tmp_path))

        finished = []
        monkeypatch.setattr(
            SweepLog, "append", lambda self, row: finished.append(row["tau"]) or append(self, row)
        )
        run = tiny(tmp_path)
        equal(run, made)
        assert finished == list(uniform_grid(0.1, 1.5)[4:])

    def test_while_the_record_is_written(self, made, tmp_path, monkeypatch):
        from companion.runs import records as results

        write = results.write_atomically
        for name in (results.CURVES, results.RESULT):

            def killed(path, text, name=name):
                if path.name == name:
                    raise _Killed
                write(path, text)

            with monkeypatch.context() as patch:
                patch.setattr(results, "write_atomically", killed)
                self.kill(tiny(tmp_path))
        tiny(tmp_path).save()
        assert read_record(tmp_path / "demo" / "mlp-cifar10") is not None

    def test_a_failed_stage_is_not_taken_for_finished(self, tmp_path, monkeypatch):
        with monkeypatch.context() as patch:
            patch.setattr(module, "renormalized", _fail)
            with pytest.raises(RuntimeError, match="out of luck"):
                tiny(tmp_path).save()
        assert len(list((tmp_path / ".work").glob(f"*/{DONE}"))) == 1
        assert not (tmp_path / "demo").exists()


def _raise(*args, **kwargs):
    raise _Killed


def _fail(*args, **kwargs):
    raise RuntimeError("out of luck")


def test_the_renormalized_curve_does_not_depend_on_the_batches(made):
    from companion.data.tensors import batches

    curve = made.renormalized()
    for size in (1, 7, 100):
        again = renormalized(
            made.network.cpu(), batches(made.data.test, size), made.layers, curve["tau"],
            progress=False,
        )  # fmt: skip
        assert again["active"].sub(curve["active"]).abs().max() <= 1
        np.testing.assert_allclose(again["abs_sum"], curve["abs_sum"], rtol=1e-6)


def test_the_network_is_the_one_that_was_trained(made):
    from companion.data.tensors import batches
    from thermo_utils.evaluation import evaluate

    best = made.train().query("best")["validation_accuracy"].item()
    validation = batches(made.data.validation, 10)
    assert evaluate(made.network, validation) == pytest.approx(best)


def test_results_folder_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    for place in ("file", "file/below"):
        with pytest.raises(ThermoError, match="is a file; name another folder"):
            check_results(tmp_path / place)


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_results_folder_that_cannot_be_written_to(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(ThermoError, match="cannot be written to"):
        check_results(tmp_path / "results")


@pytest.mark.parametrize("dataset", DATASETS)
def test_titles(dataset, tmp_path):
    if DATASETS[dataset].kind == "image":
        run = Experiment("mlp", dataset, results=tmp_path)
        assert run.title == f"MLP on {DATASETS[dataset].title}"
