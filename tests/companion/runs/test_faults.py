"""Damaged files, full disks, other data: the same numbers in the end, or a word on why not."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys

import pytest
import torch

from companion.cli import main
from companion.runs import classifier
from companion.runs import experiment as chapters
from companion.runs.experiment import experiment
from companion.runs.kept import DamagedError, read_sealed, write_sealed
from companion.runs.records import read_record
from companion.runs.run import Run
from companion.runs.settings import settings
from tests.companion.data.mirrors import make_mirror
from thermo_utils import ThermoError
from thermo_utils.sweep_log import SweepLog

TINY = {
    "train_size": 200, "validation_size": 50, "test_size": 100, "epochs": 2, "batch_size": 50,
    "tau_step": 0.1, "tau_max": 1.0,
}  # fmt: skip
DAMAGE = {
    "cut in half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "emptied": lambda path: path.write_bytes(b""),
    "removed": lambda path: path.unlink(),
    "garbage": lambda path: path.write_bytes(os.urandom(path.stat().st_size)),
    "one bit": lambda path: path.write_bytes(flipped(path.read_bytes())),
}
#: One kind of damage runs always, all of them with the slow tests.
damages = pytest.mark.parametrize(
    "damage", [pytest.param(d, marks=pytest.mark.slow if d != "one bit" else ()) for d in DAMAGE]
)


def flipped(content: bytes) -> bytes:
    """The content with one bit changed, in the middle."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def tiny(results, **changed) -> Run:
    return Run(settings("mlp", "cifar10", **{**TINY, **changed}), results)


def finish(run: Run):
    chapter = experiment(run, progress=False)
    chapter.renormalized()
    chapter.full_evaluation()
    return run.save()


def numbers(record) -> tuple:
    """Everything of a record that is no wall time."""
    stages = record.result["stages"]
    return (
        record.curves.to_csv(), record.result["history"], record.result["data"],
        record.result["thresholds"], [stage.get("weights") for stage in stages.values()],
    )  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    run = tiny(tmp_path_factory.mktemp("made"))
    return run, numbers(finish(run))


@pytest.fixture
def kept(made, tmp_path):
    """The stages of a finished chapter, without its record."""
    results = shutil.copytree(made[0].results, tmp_path / "results")
    shutil.rmtree(results / "demo")
    return results


class TestFinishedStages:
    @damages
    @pytest.mark.parametrize(
        ("stage", "file"),
        [
            ("train", "weights.pt"), ("train", "stage.json"),
            ("renormalized", "curve.csv"), ("renormalized", "stage.json"),
            ("full", "curve.csv"), ("full", "stage.json"), ("full", "sweep.jsonl"),
        ],
    )  # fmt: skip
    def test_the_same_command_ends_with_the_same_numbers(
        self, made, kept, stage, file, damage, capsys
    ):
        (path,) = kept.glob(f".work/{stage}-*/{file}")
        DAMAGE[damage](path)
        assert numbers(finish(tiny(kept))) == made[1]
        said = capsys.readouterr().err
        if file != "sweep.jsonl" and (file, damage) != ("stage.json", "removed"):
            assert "damaged" in said
            assert stage in said
            assert list(kept.glob(f".work/{stage}-*.damaged/"))

    def test_whole_stages_are_recalled(self, made, kept, monkeypatch, capsys):
        for name in ("image_splits", "build", "train", "renormalized", "full_evaluation"):
            monkeypatch.setattr(chapters, name, None)
        assert numbers(finish(tiny(kept))) == made[1]
        assert capsys.readouterr().err == ""


class _KilledError(Exception):
    """Stands for a signal."""


class TestUnfinishedStages:
    def interrupted_training(self, results, monkeypatch):
        step = classifier.Classifier.training_step

        def second_epoch(self, batch, index):
            if self.current_epoch == 1:
                raise _KilledError
            return step(self, batch, index)

        with monkeypatch.context() as patch:
            patch.setattr(classifier.Classifier, "training_step", second_epoch)
            with pytest.raises(_KilledError):
                finish(tiny(results))

    @damages
    @pytest.mark.parametrize("file", ["last.ckpt", "best.ckpt"])
    def test_training(self, made, tmp_path, monkeypatch, file, damage, capfd):
        self.interrupted_training(tmp_path, monkeypatch)
        (path,) = tmp_path.glob(f".work/train-*/{file}")
        DAMAGE[damage](path)
        assert numbers(finish(tiny(tmp_path))) == made[1]
        if (file, damage) != (
            "last.ckpt",
            "removed",
        ):  # then it begins anew, as if for the first time
            assert "damaged" in capfd.readouterr().err

    @damages
    @pytest.mark.filterwarnings("ignore:.*damaged after:UserWarning")
    def test_a_sweep(self, made, tmp_path, monkeypatch, damage):
        append = SweepLog.append

        def sixth(self, row):
            if len(self._rows) == 5:
                raise _KilledError
            append(self, row)

        with monkeypatch.context() as patch:
            patch.setattr(SweepLog, "append", sixth)
            with pytest.raises(_KilledError):
                finish(tiny(tmp_path))
        (path,) = tmp_path.glob(".work/full-*/sweep.jsonl")
        DAMAGE[damage](path)
        assert numbers(finish(tiny(tmp_path))) == made[1]

    def test_a_checkpoint_that_would_run_code_does_not(self, made, tmp_path, monkeypatch):
        self.interrupted_training(tmp_path, monkeypatch)
        (path,) = tmp_path.glob(".work/train-*/last.ckpt")
        content = tmp_path / "hostile.pt"
        torch.save({"history": [], "run": _Touch(tmp_path / "hacked")}, content)
        write_sealed(path, content.read_bytes())
        assert numbers(finish(tiny(tmp_path))) == made[1]
        assert not (tmp_path / "hacked").exists()

    def test_going_on_with_another_number_of_threads(self, tmp_path, monkeypatch):
        self.interrupted_training(tmp_path, monkeypatch)
        before = torch.get_num_threads()
        torch.set_num_threads(before + 1)
        try:
            with pytest.raises(ThermoError, match=f"threads: {before}, now {before + 1}"):
                finish(tiny(tmp_path))
        finally:
            torch.set_num_threads(before)


class _Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


def test_the_hostile_object_is_one(tmp_path):
    pickle.loads(pickle.dumps(_Touch(tmp_path / "hacked")))
    assert (tmp_path / "hacked").exists()


class TestOtherData:
    @pytest.fixture
    def other(self, monkeypatch):
        """Whoever loads data gets others than before."""
        load = chapters.image_splits

        def loaded(*args, **kwargs):
            return load(*args, **{**kwargs, "seed": 99})

        monkeypatch.setattr(chapters, "image_splits", loaded)

    def test_curves_are_never_those_of_other_data_than_the_training(self, kept, other):
        for stage in ("renormalized", "full"):
            (folder,) = kept.glob(f".work/{stage}-*/")
            shutil.rmtree(folder)
        with pytest.raises(ThermoError, match="fingerprint"):
            finish(tiny(kept))
        assert not (kept / "demo").exists()

    def test_the_record_carries_one_fingerprint_for_all_stages(self, made):
        stages = read_record(made[0].folder).result["stages"]
        assert len({stages[s]["weights"] for s in ("train", "renormalized", "full")}) == 1
        data = {stages[s]["data"] for s in ("renormalized", "full")}
        assert data == {stages["train"]["data"]["fingerprint"]}
        for stage in stages.values():
            assert stage["made_with"]["threads"] == torch.get_num_threads()
            assert stage["made_with"]["torch"] == str(torch.__version__)

    def test_a_kept_curve_of_other_weights_is_computed_again(self, made, kept, capsys, monkeypatch):
        # The training is lost, and comes out otherwise the second time.
        (folder,) = kept.glob(".work/train-*/")
        shutil.rmtree(folder)
        train = chapters.train

        def other(network, *args, **kwargs):
            history = train(network, *args, **kwargs)
            with torch.no_grad():
                next(network.parameters()).mul_(1.5)
            return history

        monkeypatch.setattr(chapters, "train", other)
        record = finish(tiny(kept))
        stages = record.result["stages"]
        assert len({stages[s]["weights"] for s in stages}) == 1
        assert numbers(record)[0] != made[1][0]
        assert capsys.readouterr().err.count("other weights") == 2

    def test_a_record_is_not_mended_with_another_network(self, made, tmp_path, monkeypatch):
        results = shutil.copytree(made[0].results, tmp_path / "results")
        shutil.rmtree(results / ".work")
        train = chapters.train

        def other(network, *args, **kwargs):
            history = train(network, *args, **kwargs)
            history["train_loss"] += 1e-6
            return history

        monkeypatch.setattr(chapters, "train", other)
        chapter = experiment(tiny(results), progress=False)
        with pytest.raises(ThermoError, match="--force"):
            chapter.network()


class TestOtherFiles:
    """Real data: whose record it is, is told by the files of the mirror."""

    def real(self, results, **options):
        small = {"train_size": 60, "validation_size": 20, "test_size": 40, "epochs": 1}
        return Run(settings("mlp", "cifar10", "small", **small, tau_step=0.4), results, **options)

    @pytest.fixture
    def finished(self, tmp_path, monkeypatch):
        mirror = make_mirror(tmp_path / "mirror", sizes={"train": 100, "test": 40})
        monkeypatch.setenv("THERMO_DATA", str(mirror))
        run = self.real(tmp_path / "results")
        run.check_sources()
        record = finish(run)
        assert record.result["data"]["files"] is not None
        return tmp_path / "results"

    def test_the_same_files_elsewhere_are_the_same(self, finished, tmp_path, monkeypatch, capsys):
        shutil.move(tmp_path / "mirror", tmp_path / "moved")
        monkeypatch.setenv("THERMO_DATA", str(tmp_path / "moved"))
        self.real(finished).check_sources()
        assert capsys.readouterr().err == ""

    @pytest.mark.parametrize("recorded", [True, False])
    def test_a_replaced_file_is_noticed(self, finished, tmp_path, recorded):
        if not recorded:  # only the training was finished
            shutil.rmtree(finished / "small")
            for stage in ("renormalized", "full"):
                (folder,) = finished.glob(f".work/{stage}-*/")
                shutil.rmtree(folder)
        make_mirror(tmp_path / "mirror", sizes={"train": 100, "test": 40}, seed=7)
        run = self.real(finished)
        with pytest.raises(ThermoError, match="other files"):
            run.check_sources()
        if recorded:
            self.real(finished, frozen=True)
        else:
            with pytest.raises(ThermoError, match="fingerprint"):
                finish(run)

    def test_a_record_without_the_data_is_shown(self, finished, tmp_path):
        shutil.rmtree(tmp_path / "mirror" / "uoft-cs")
        self.real(finished).check_sources()

    def test_a_record_that_does_not_know_its_files_says_so(self, finished, capsys):
        run = self.real(finished)
        run._record.result["data"]["files"] = None
        run.check_sources()
        assert "THERMO_DATA" in capsys.readouterr().err


class TestOverrides:
    def test_a_run_with_overrides_has_a_folder_of_its_own(self, tmp_path):
        plain = Run(settings("mlp", "cifar10"), tmp_path)
        assert plain.folder == tmp_path / "demo" / "mlp-cifar10"
        folders = {tiny(tmp_path, epochs=e, seed=s).folder for e in (1, 2) for s in (0, 1)}
        assert len(folders) == 4
        assert all(plain.folder in folder.parents for folder in folders)
        assert tiny(tmp_path).folder == tiny(tmp_path).folder
        assert Run(settings("mlp", "cifar10", epochs=8), tmp_path).folder == plain.folder

    def test_every_override_is_a_difference(self):
        recipe = settings("mlp", "cifar10")
        differs = tiny("results").settings.differs
        for name, value in TINY.items():
            before = getattr(recipe, name)
            assert any(note.startswith(f"{name} {value} instead") for note in differs) == (
                value != before
            )
        assert "epochs 2 instead of 8" in differs
        assert "tau_step 0.1 instead of an automatic one" in differs
        real = settings("mlp", "cifar10", "small", test_size=5).differs
        assert "test_size 5 instead of all" in real

    def test_a_record_of_other_settings_is_not_replaced_unasked(self, made, tmp_path):
        folder = Run(settings("mlp", "cifar10"), tmp_path).folder
        shutil.copytree(made[0].folder, folder)
        before = {p.name: p.read_bytes() for p in folder.iterdir()}
        with pytest.raises(ThermoError, match=r"epochs 2, now 8.*--force"):
            Run(settings("mlp", "cifar10"), tmp_path)
        assert {p.name: p.read_bytes() for p in folder.iterdir()} == before
        Run(settings("mlp", "cifar10"), tmp_path, force=True)


def test_the_listing_shows_what_stands_for_no_chapter(made, capsys):
    run, _ = made
    assert main(["chapters", "--results", str(run.results)]) == 0
    listed, others = capsys.readouterr().out.split("\n\n")
    assert "seed" not in listed
    assert str(run.folder) in others
    assert "epochs 2 instead of 8" in others


def test_sealed_files(tmp_path):
    path = tmp_path / "file"
    write_sealed(path, b"content\n")
    assert read_sealed(path) == b"content\n"
    for damage in ("cut in half", "emptied", "garbage", "one bit"):
        write_sealed(path, b"content\n")
        DAMAGE[damage](path)
        with pytest.raises(DamagedError, match="file"):
            read_sealed(path)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 2 MB that a test may make larger."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system takes root")
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount a file system")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.slow
@pytest.mark.machine
@pytest.mark.parametrize("free", [0.3, 0.9, 1.5])
def test_a_full_disk(made, small_disk, free):
    filler = small_disk / "filler"
    filler.write_bytes(bytes(int((2 - free) * 1e6)))
    code = (
        "import sys; sys.path.insert(0, 'tests'); "
        "from tests.companion.runs.test_faults import tiny, finish; finish(tiny(sys.argv[1]))"
    )
    command = [sys.executable, "-c", code, str(small_disk / "results")]
    first = subprocess.run(command, capture_output=True, text=True, check=False)
    if first.returncode:
        assert "No space left" in first.stderr
    filler.unlink()
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    subprocess.run(command, check=True, capture_output=True)
    assert numbers(read_record(tiny(small_disk / "results").folder)) == made[1]
