"""A run: what it records, what it never computes twice, and what a kill leaves behind."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import time

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from companion.data.tensors import Examples, Splits, batches
from companion.runs import classifier, outdated, weights
from companion.runs import experiment as chapters
from companion.runs import run as module
from companion.runs.experiment import Experiment, experiment
from companion.runs.once import Once
from companion.runs.records import CURVES, RESULT, read_record, write_record
from companion.runs.run import Run, check_results, names
from companion.runs.settings import Settings, settings
from companion.runs.stages import DONE, STAGES, Stage, Stages
from thermo_utils import (
    ThermoError,
    accuracy_threshold,
    critical_threshold,
    evaluate,
    full_evaluation,
    renormalized,
)
from thermo_utils.grids import grids
from thermo_utils.sweep_log import SweepLog

TINY = {
    "train_size": 200, "validation_size": 50, "test_size": 100, "epochs": 2, "batch_size": 50,
    "tau_step": 0.1, "tau_max": 1.5,
}  # fmt: skip


def tiny(results, *, seed=0, force=False, frozen=False, **changed) -> Run:
    return Run(
        settings("mlp", "cifar10", seed=seed, **{**TINY, **changed}), results,
        force=force, frozen=frozen,
    )  # fmt: skip


def curves(run: Run) -> dict[str, pd.DataFrame]:
    """Everything a chapter computes, and its network's training."""
    chapter = experiment(run, progress=False)
    return {
        "train": chapter.history,
        "renormalized": chapter.renormalized(),
        "full": chapter.full_evaluation(),
    }


def finish(run: Run):
    curves(run)
    return run.save()


def equal(left: dict[str, pd.DataFrame], right: dict[str, pd.DataFrame]) -> None:
    """The same to the last bit."""
    for stage, frame in left.items():
        pd.testing.assert_frame_equal(frame, right[stage], check_exact=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A results folder with one finished chapter."""
    run = tiny(tmp_path_factory.mktemp("made"))
    found = curves(run)
    return run, found, run.save()


@pytest.fixture
def finished(made, tmp_path):
    """A copy of its folder that a test may change."""
    return shutil.copytree(made[0].results, tmp_path / "results")


@pytest.fixture
def no_work(monkeypatch):
    """Any attempt to load data, train or evaluate fails the test."""

    def refuse(*args, **kwargs):
        raise AssertionError("this was to be recalled, not computed")

    for name in ("image_splits", "build", "train", "renormalized", "full_evaluation"):
        monkeypatch.setattr(chapters, name, refuse)
    monkeypatch.setattr(module, "automatic_step", refuse)


class TestOnce:
    def test_calls_its_function_once_and_only_when_asked(self):
        calls = []
        value = Once(lambda: calls.append(1) or calls)
        assert calls == []
        assert value() is value()
        assert calls == [1]

    @pytest.mark.parametrize("early", [True, False])
    def test_a_value_is_finished_before_anybody_sees_it(self, early):
        value = Once(lambda: [1])
        if early:
            value()
        value.then(lambda items: items.append(2))
        assert value() == [1, 2]
        assert value() == [1, 2]

    def test_a_definition_is_the_code_without_comments_and_layout(self):
        def one():
            return [1,
                    2]  # fmt: skip

        first = Once(one).definition

        def one():  # the same
            return [1, 2]

        second = Once(one).definition

        def one():
            return [1, 3]

        assert first == second != Once(one).definition
        assert Once(one, checked=False).definition is None
        assert Once(print).definition is None  # without a source


class TestRecord:
    def test_is_complete(self, made):
        run, _, record = made
        assert read_record(run.folder).result == record.result
        assert sorted(p.name for p in run.folder.iterdir()) == [
            "blocks.csv", "curves.csv", "result.json",
        ]  # fmt: skip

    def test_is_json_for_every_reader(self, made):
        def refuse(constant):
            raise AssertionError(f"{constant} is not JSON")

        json.loads((made[0].folder / "result.json").read_text(), parse_constant=refuse)

    def test_says_what_was_run(self, made):
        result = made[2].result
        assert (result["model"], result["dataset"], result["figure"]) == ("mlp", "cifar10", 2)
        assert (result["profile"], result["seed"], result["synthetic"]) == ("demo", 0, True)
        assert {k: result["settings"][k] for k in TINY} == TINY
        assert {result["data"][part] for part in ("train", "validation", "test")} == {200, 50, 100}
        assert len(result["history"]) == result["metrics"]["epochs"]
        assert sum(row["best"] for row in result["history"]) == 1
        assert result["layers"] == ["hidden.relu*"]
        assert set(result["stages"]) == set(STAGES)
        assert result["differs"] == list(made[0].settings.differs)
        assert "epochs 2 instead of 8" in result["differs"]
        times = result["timings"]
        assert times["speedup"] == times["full"] / times["renormalized"] > 0
        assert times["train"] == result["stages"]["train"]["seconds"]

    def test_thresholds_and_features_follow_from_the_curves(self, made):
        record = made[2]
        full, fast = record.curve("full"), record.curve("renormalized")
        again = {
            "accuracy": accuracy_threshold(full),
            "full": critical_threshold(full),
            "renormalized": critical_threshold(fast),
        }
        for method, threshold in again.items():
            stored = record.result["thresholds"][method]
            assert stored == (None if threshold is None else pytest.approx(threshold._asdict()))

    def test_one_detection_per_curve(self, made, tmp_path, monkeypatch):
        from companion.runs import derived, result

        looked = []
        detect = derived.find_transitions
        monkeypatch.setattr(
            derived, "find_transitions", lambda curve: looked.append(len(curve)) or detect(curve)
        )
        stages = {
            name: {**found.facts, "layers": ["hidden.relu*"]}
            for name, found in made[0]._stages.used().items()
        }
        result.result(made[0].settings, stages, {m: made[1][m] for m in ("full", "renormalized")})
        assert looked == [len(grid) for grid in grids(0.1, 1.5)]

    def test_grids(self, made):
        full, fast = made[2].curve("full")["tau"], made[2].curve("renormalized")["tau"]
        np.testing.assert_array_equal(full, grids(0.1, 1.5)[0])
        np.testing.assert_array_equal(fast, grids(0.1, 1.5)[1])
        assert set(full) <= set(fast)

    def test_automatic_grid(self, tmp_path, no_work, monkeypatch):
        monkeypatch.undo()
        run = tiny(tmp_path, tau_step=None, tau_max=None, epochs=1)
        found = curves(run)
        full, fast = found["full"]["tau"], found["renormalized"]["tau"]
        assert set(full) <= set(fast)
        assert fast.iloc[-1] == 32 * full.iloc[-1]
        assert 20 < len(full) < 120
        run.save()

        def refuse(*args, **kwargs):
            raise AssertionError("the record knows the grid")

        monkeypatch.setattr(module, "automatic_step", refuse)
        equal(curves(tiny(tmp_path, tau_step=None, tau_max=None, epochs=1)), found)

    def test_baseline_is_the_accuracy_without_pruning(self, made):
        full = made[2].curve("full")
        assert full.attrs["baseline_accuracy"] == made[2].result["metrics"]["test_accuracy"]
        assert full["accuracy"].between(0, 1).all()

    def test_unchanged_record_is_left_alone(self, finished):
        before = {p: p.stat().st_mtime_ns for p in finished.rglob("*") if p.is_file()}
        finish(tiny(finished))
        assert {p: p.stat().st_mtime_ns for p in finished.rglob("*") if p.is_file()} == before

    def test_is_refused_while_a_stage_is_missing(self, tmp_path):
        run = tiny(tmp_path)
        with pytest.raises(ThermoError, match="train and renormalized and full"):
            run.save()


class TestFrozen:
    """A record that is shown as it is, whatever the recipe has become."""

    @pytest.fixture
    def older(self, finished, monkeypatch):
        """A record of a recipe with other epochs and another grid than today's."""
        path = tiny(finished).folder
        record = read_record(path)
        facts = record.result
        facts["settings"] |= {"epochs": 7, "tau_step": 0.2}
        for stage in STAGES:
            facts["stages"][stage]["key"] = "of another time"
        del facts["stages"]["renormalized"]["tau_step"]
        write_record(path, facts, {m: record.curve(m) for m in ("full", "renormalized")})
        shutil.rmtree(finished / ".work")
        return finished

    def test_computes_nothing_and_says_what_is_old(self, older, made, no_work):
        with pytest.raises(ThermoError, match=r"epochs 7, now 2.*--frozen"):
            tiny(older)
        run = tiny(older, frozen=True)
        assert run.settings.epochs == 7
        assert [words.split(",")[0] for words in run.outdated()] == ["epochs 7", "tau_step 0.2"]
        before = (run.folder / "result.json").read_bytes()
        equal(curves(run), made[1])
        assert run.save().result["settings"]["epochs"] == 7
        assert (run.folder / "result.json").read_bytes() == before

    def test_a_record_of_today_is_not_old(self, finished, no_work):
        assert tiny(finished, frozen=True).outdated() == ()
        assert tiny(finished).outdated() == ()

    def test_of_an_older_format(self, finished, monkeypatch):
        monkeypatch.setattr(outdated, "FORMAT", 3)
        (words,) = tiny(finished, frozen=True).outdated()
        assert words.startswith("format 2, now 3")

    def test_nothing_is_frozen_and_forced(self, finished):
        with pytest.raises(ThermoError, match=r"frozen.*force"):
            tiny(finished, frozen=True, force=True)


class TestMemory:
    def test_a_record_needs_no_data_and_no_training(self, made, finished, no_work):
        shutil.rmtree(finished / ".work")
        again = tiny(finished)
        again.check_sources()
        equal(curves(again), made[1])
        assert again.save().folder == again.folder

    def test_another_grid_is_computed_without_training(self, finished, monkeypatch):
        monkeypatch.setattr(chapters, "train", None)
        record = finish(tiny(finished, tau_step=0.15))
        assert record.result["settings"]["tau_step"] == 0.15
        assert list(record.curve("full")["tau"]) == list(grids(0.15, 1.5)[0])

    def test_another_grid_keeps_what_the_record_says_of_the_data(self, made, finished, monkeypatch):
        monkeypatch.setattr(chapters, "train", None)
        again = finish(tiny(finished, tau_step=0.15)).result
        assert again["data"] == made[2].result["data"]
        assert again["history"] == made[2].result["history"]

    def test_another_grid_after_the_weights_are_gone(self, made, finished):
        shutil.rmtree(finished / ".work")
        measured = ["tau", "active", "abs_sum", "free_energy", "accuracy"]
        pd.testing.assert_frame_equal(
            curves(tiny(finished, tau_max=0.5))["full"][measured],
            made[1]["full"][measured].head(len(grids(0.1, 0.5)[0])),
            check_exact=True,
        )

    def test_another_seed_is_another_run(self, made):
        other = tiny(made[0].results, seed=1)
        for stage in STAGES:
            assert other.settings.key(stage) != made[0].settings.key(stage)
        with pytest.raises(ThermoError, match="no record"):
            tiny(made[0].results, seed=1, frozen=True)

    def test_seeds_have_records_of_their_own(self, made, finished):
        record = finish(tiny(finished, seed=1))
        assert record.result["seed"] == 1
        assert read_record(tiny(finished).folder).result["seed"] == 0
        assert record.result["history"] != made[2].result["history"]

    def test_force_computes_again_and_agrees(self, made, finished, monkeypatch):
        calls = []
        train = chapters.train
        monkeypatch.setattr(chapters, "train", lambda *a, **k: calls.append(1) or train(*a, **k))
        path = tiny(finished).folder / "result.json"
        before = path.read_text()
        forced = tiny(finished, force=True)
        equal(curves(forced), made[1])
        assert calls == [1]
        assert path.read_text() == before
        forced.save()
        assert path.read_text() != before

    def test_force_removes_nothing_before_it_computes(self, finished):
        kept = sorted(finished.rglob("*"))
        tiny(finished, force=True)
        assert sorted(finished.rglob("*")) == kept

    def test_force_does_not_take_the_record_for_data(self, finished, monkeypatch):
        monkeypatch.setattr(Settings, "synthetic", False)
        monkeypatch.setenv("THERMO_DATA", str(finished / "nowhere"))
        tiny(finished).check_sources()
        with pytest.raises(ThermoError, match="THERMO_DATA"):
            tiny(finished, force=True).check_sources()

    def test_nothing_is_written_by_asking(self, tmp_path):
        tiny(tmp_path / "results").check_sources()
        assert not (tmp_path / "results").exists()


class TestAnother:
    """What was made by another call is not passed off as this call's."""

    def call(self, run, network, layers=("0",), taus=None):
        data = run.once(_points)
        test = run.once(lambda: batches(_points().test, 50))
        coarse, fine = grids(0.1, 1.0) if taus is None else taus
        run.keep("train", _learn, network, data)
        run.keep("renormalized", renormalized, network, test, layers, fine, progress=False)
        run.keep("full", full_evaluation, network, test, layers, coarse, progress=False)

    def mine(self, results, **changed):
        own = {"epochs": 1, "batch_size": 50, **changed}
        return Run(Settings(model="mine", dataset="points", profile="demo", seed=0, **own), results)

    def test_a_network_of_ones_own(self, tmp_path):
        run = self.mine(tmp_path)
        self.call(run, run.once(_small))
        record = run.save()
        assert record.folder == tmp_path / "demo" / "mine-points"
        assert record.result["figure"] is None
        assert record.result["metrics"]["parameters"] == sum(
            p.numel() for p in _small().parameters()
        )

    @pytest.mark.parametrize("saved", [True, False])
    def test_another_network_is_refused(self, tmp_path, saved):
        run = self.mine(tmp_path)
        self.call(run, run.once(_small))
        if saved:
            run.save()
        again = self.mine(tmp_path)
        self.call(again, again.once(_small))
        again = self.mine(tmp_path)
        with pytest.raises(ThermoError, match="another network"):
            self.call(again, again.once(_large))

    def test_other_layers_and_thresholds_are_refused(self, tmp_path):
        run = self.mine(tmp_path)
        self.call(run, run.once(_small))
        with pytest.raises(ThermoError, match="other layers"):
            self.call(run, run.once(_small), layers=("1",))
        with pytest.raises(ThermoError, match="another grid"):
            self.call(run, run.once(_small), taus=grids(0.2, 1.0))

    def test_a_recalled_network_is_the_trained_one(self, tmp_path):
        run = self.mine(tmp_path)
        network = run.once(_small)
        self.call(run, network)
        trained = [p.detach().clone() for p in network().parameters()]
        for asked_before in (True, False):
            again = self.mine(tmp_path)
            network = again.once(_small)
            if asked_before:
                network()
            self.call(again, network)
            assert all(map(torch.equal, network().parameters(), trained))
            assert not network().training

    def test_a_network_that_is_there_already(self, tmp_path):
        run = self.mine(tmp_path)
        self.call(run, network := _small())
        again = self.mine(tmp_path)
        self.call(again, untrained := _small())
        assert all(map(torch.equal, untrained.parameters(), network.parameters()))

    def test_training_without_data_to_describe(self, tmp_path):
        run = self.mine(tmp_path)
        with pytest.raises(ThermoError, match="Splits"):
            run.keep("train", lambda network, data: _learn(network, _points()), _small(), [1])

    def test_an_unknown_stage(self, tmp_path):
        with pytest.raises(ThermoError, match="renormalized"):
            self.mine(tmp_path).keep("renormalised", renormalized)


def test_names():
    assert names(nn.ReLU) == ["ReLU"]
    assert names(["a.*", nn.ReLU]) == ["a.*", "ReLU"]
    assert names("a") == ["a"]


def _points() -> Splits:
    generator = torch.Generator().manual_seed(0)

    def part(n):
        x = torch.randn(n, 6, generator=generator)
        return Examples(x, (x[:, 0] > 0).long())

    return Splits(part(100), part(50), part(100), ("left", "right"), "points", "f")


def _small():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))


def _large():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2), nn.Identity())


def _learn(network, data):
    x, y = data.train[:]
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(5):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(x), y).backward()
        optimizer.step()
    accuracy = evaluate(network, batches(data.validation, 50))
    row = {"epoch": 1, "train_loss": 0.5, "validation_loss": 0.5}
    return pd.DataFrame([{**row, "validation_accuracy": accuracy, "best": True}])


class _Killed(BaseException):
    """Stands for a signal: nothing in between may handle it."""


class TestKill:
    def kill(self, run: Run) -> None:
        with pytest.raises(_Killed):
            finish(run)
        assert read_record(run.folder) is None

    def test_between_stages(self, made, tmp_path, monkeypatch):
        for name in ("train", "renormalized", "full_evaluation"):
            with monkeypatch.context() as patch:
                patch.setattr(chapters, name, _raise)
                self.kill(tiny(tmp_path))
        equal(curves(tiny(tmp_path)), made[1])

    def test_during_training(self, made, tmp_path, monkeypatch):
        step = classifier.Classifier.training_step

        def second_epoch(self, batch, index):
            if self.current_epoch == 1 and index == 2:
                raise _Killed
            return step(self, batch, index)

        with monkeypatch.context() as patch:
            patch.setattr(classifier.Classifier, "training_step", second_epoch)
            self.kill(tiny(tmp_path))
        assert list(tmp_path.rglob("last.ckpt"))

        epochs = []
        started = classifier.Classifier.on_train_epoch_start
        monkeypatch.setattr(
            classifier.Classifier,
            "on_train_epoch_start",
            lambda self: epochs.append(self.current_epoch) or started(self),
        )
        equal(curves(tiny(tmp_path)), made[1])
        assert epochs == [1]
        assert not list(tmp_path.rglob("*.ckpt"))

    def test_after_training_before_it_is_marked_done(self, made, tmp_path, monkeypatch):
        with monkeypatch.context() as patch:
            patch.setattr(weights, "save", _raise)
            self.kill(tiny(tmp_path))
        equal(curves(tiny(tmp_path)), made[1])

    def test_during_the_sweep(self, made, tmp_path, monkeypatch):
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
        equal(curves(tiny(tmp_path)), made[1])
        assert finished == list(grids(0.1, 1.5)[0][4:])

    @pytest.mark.parametrize("file", [CURVES, RESULT])
    def test_while_the_record_is_written(self, made, tmp_path, monkeypatch, file):
        from companion.runs import records

        write = records.write_atomically

        def killed(path, text):
            if path.name == file:
                raise _Killed
            write(path, text)

        with monkeypatch.context() as patch:
            patch.setattr(records, "write_atomically", killed)
            with pytest.raises(_Killed):
                finish(tiny(tmp_path))
        # Whether or not the record counts as there already, the same command ends with it.
        equal(curves(again := tiny(tmp_path)), made[1])
        again.save()
        found = read_record(again.folder)
        assert found.curves.equals(made[2].curves)

    def test_a_failed_stage_is_not_taken_for_finished(self, tmp_path, monkeypatch):
        with monkeypatch.context() as patch:
            patch.setattr(chapters, "renormalized", _fail)
            with pytest.raises(RuntimeError, match="out of luck"):
                finish(tiny(tmp_path))
        assert len(list((tmp_path / ".work").glob(f"*/{DONE}"))) == 1
        assert not (tmp_path / "demo").exists()

    def test_a_stage_is_marked_done_after_all_its_files(self, tmp_path, monkeypatch):
        from companion.runs import stages

        order = []
        writers = {name: getattr(stages, name) for name in ("write_atomically", "write_sealed")}
        for name, write in writers.items():

            def noted(path, content, write=write):
                order.append(path.name)
                write(path, content)

            monkeypatch.setattr(stages, name, noted)
        kept = Stages(tiny(tmp_path).settings, None, tmp_path, force=False)
        curve = pd.DataFrame({"tau": [0.1]})
        kept.compute("full", lambda folder: Stage({"attrs": {}}, curve))
        assert order == ["curve.csv", DONE]


def _raise(*args, **kwargs):
    raise _Killed


def _fail(*args, **kwargs):
    raise RuntimeError("out of luck")


class TestTwoProcesses:
    """Runs of one chapter at the same time."""

    def test_a_stage_is_computed_by_one_of_them_alone(self, tmp_path):
        context = multiprocessing.get_context("spawn")
        both = [context.Process(target=_slow_stage, args=(tmp_path,)) for _ in range(2)]
        for process in both:
            process.start()
        for process in both:
            process.join(60)
        assert [process.exitcode for process in both] == [0, 0]
        assert (tmp_path / "computed").read_text() == "x"
        assert sorted((tmp_path / "got").read_text()) == ["1", "1"]


def _slow_stage(folder):
    """Wait for the other process, then want the same stage at the same moment."""
    (folder / f"here-{os.getpid()}").touch()
    while len(list(folder.glob("here-*"))) < 2:
        time.sleep(0.01)
    kept = Stages(settings("mlp", "cifar10"), None, folder / "kept", force=False)

    def compute(_):
        with (folder / "computed").open("a") as file:
            file.write("x")
        time.sleep(0.5)
        return Stage({"attrs": {}}, pd.DataFrame({"tau": [1]}))

    found = kept.get("full", compute, lambda stage: None)
    with (folder / "got").open("a") as file:
        file.write(str(found.curve["tau"].item()))


def test_the_renormalized_curve_does_not_depend_on_the_batches(made):
    chapter: Experiment = experiment(tiny(made[0].results), progress=False)
    curve = chapter.renormalized()
    for size in (1, 7, 100):
        again = renormalized(
            chapter.network().cpu(), batches(chapter.data().test, size), chapter.layers,
            curve["tau"], progress=False,
        )  # fmt: skip
        assert again["active"].sub(curve["active"]).abs().max() <= 1
        np.testing.assert_allclose(again["abs_sum"], curve["abs_sum"], rtol=1e-6)


def test_the_network_is_the_one_that_was_trained(made):
    chapter = experiment(tiny(made[0].results), progress=False)
    best = chapter.history.query("best")["validation_accuracy"].item()
    validation = batches(chapter.data().validation, 10)
    assert evaluate(chapter.network(), validation) == pytest.approx(best)


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
