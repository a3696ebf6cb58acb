"""The ``thermo`` command: what it prints, and that every mistake is one line and exit code 2."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time

import pytest

from companion import cli
from companion.runs.chapters import CHAPTERS
from thermo_utils import ThermoError


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """An empty current folder, no local data, and no network."""
    monkeypatch.chdir(tmp_path)
    for name in ("THERMO_DATA", "THERMO_MODELS", "PYTHONWARNINGS"):
        monkeypatch.delenv(name, raising=False)
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))


@pytest.fixture
def refused(tmp_path, capsys):
    """Run a command that must be refused with one line, and write nothing; returns the line."""

    def run(*words):
        before = sorted(tmp_path.rglob("*"))
        try:
            code = cli.main(list(map(str, words)))
        except SystemExit as end:  # how argparse leaves
            code = end.code
        output = capsys.readouterr()
        assert code == 2
        assert output.out == ""
        assert output.err.count("\n") == 1, output.err
        assert output.err.startswith("thermo")
        assert sorted(tmp_path.rglob("*")) == before
        return output.err

    return run


class TestChapters:
    def test_lists_twenty_with_the_figures_of_the_paper(self, capsys):
        assert cli.main(["chapters"]) == 0
        head, *rows = capsys.readouterr().out.splitlines()
        assert head.split() == ["figure", "chapter", "dataset", "demo", "small", "paper"]
        assert [int(row.split()[0]) for row in rows] == list(range(2, 22))
        assert [tuple(row.split()[1:3]) for row in rows] == [(c.model, c.dataset) for c in CHAPTERS]
        assert all(row.split()[-3:] == ["-", "-", "-"] for row in rows)

    def test_one_damaged_record_does_not_hide_the_others(self, tmp_path, capsys):
        folder = tmp_path / "results" / "demo" / "mlp-cifar10"
        folder.mkdir(parents=True)
        (folder / "result.json").write_text("{")
        (folder / "curves.csv").write_text("")
        assert cli.main(["chapters"]) == 0
        _, first, second, *_ = capsys.readouterr().out.splitlines()
        assert "damaged" in first
        assert "damaged" not in second

    def test_results_that_are_a_file(self, tmp_path, refused):
        (tmp_path / "file").write_text("")
        assert "file" in refused("chapters", "--results", "file")

    def test_reader_that_stops_reading(self):
        code = "import sys; from companion.cli import main; sys.exit(main(['chapters']))"
        read, write = os.pipe()
        os.close(read)
        done = subprocess.run(
            [sys.executable, "-c", code], stdout=write, stderr=subprocess.PIPE, check=False
        )
        os.close(write)
        assert (done.returncode, done.stderr) == (0, b"")


MISTAKES = {
    "model": (["ml", "cifar10"], "unknown model 'ml': did you mean 'mlp'"),
    "dataset": (["mlp", "cifar"], "unknown dataset 'cifar': did you mean 'cifar10'"),
    "pair": (["mlp", "yelp"], "mlp has no chapter on yelp: take cifar10 or flowers102"),
    "profile": (["mlp", "cifar10", "--profile", "dem"], "did you mean 'demo'"),
    "parameter": (["mlp", "cifar10", "-p", "epoch", "3"], "did you mean 'epochs'"),
    "type": (["mlp", "cifar10", "-p", "epochs", "many"], "epochs must be of type int, got 'many'"),
    "fraction": (["mlp", "cifar10", "-p", "epochs", "1.5"], "epochs must be of type int"),
    "zero": (["mlp", "cifar10", "-p", "epochs", "0"], "epochs must be 1 or more"),
    "negative": (["mlp", "cifar10", "-p", "learning_rate", "-1"], "more than 0"),
    "infinite": (["mlp", "cifar10", "-p", "tau_max", "1e999"], "finite"),
    "grid": (["mlp", "cifar10", "-p", "tau_step", "0.1"], "give both"),
    "precision": (["mlp", "cifar10", "-p", "precision", "16"], "precision"),
    "hash": (["mlp", "cifar10", "-p", "epochs", "{[]: 1}"], "epochs must be of type int"),
    "split": (["mlp", "cifar10", "-p", "split", "pooled-80-10"], "unknown split 'pooled-80-10'"),
    "truth": (["mlp", "cifar10", "-p", "augment", "yes"], "augment must be of type bool"),
    "texts": (["lstm", "yelp", "-p", "augment", "true"], "augment is for images"),
    "schedule": (["mlp", "cifar10", "-p", "schedule", "cosin"], "did you mean 'cosine'"),
    "transfer": (["mlp", "cifar10", "-p", "transfer", "flowers102"], "or take resnet18 or mobi"),
    "seed": (
        ["mlp", "cifar10", "--seed", "-1"],
        "seed must be a whole number from 0 to 2147483647",
    ),
    "seed of words": (["mlp", "cifar10", "--seed", "one"], "invalid int value: 'one'"),
    "seed by -p": (["mlp", "cifar10", "-p", "seed", "1"], "set seed by its own argument"),
    "force by -p": (["mlp", "cifar10", "-p", "force", "True"], "set force by its own argument"),
    "half a -p": (["mlp", "cifar10", "-p", "epochs"], "expected 2 arguments"),
    "no dataset": (["mlp"], "required: dataset"),
    "option": (["mlp", "cifar10", "--frist"], "unrecognized arguments: --frist"),
    "frozen": (["mlp", "cifar10", "--frozen"], "no record in results"),
    "frozen and forced": (["mlp", "cifar10", "--frozen", "--force"], "take one of them"),
}


@pytest.mark.parametrize(("words", "expected"), MISTAKES.values(), ids=list(MISTAKES))
def test_mistakes_of_run(refused, words, expected):
    assert expected in refused("run", *words)


def test_mistakes_of_the_command(refused):
    assert "required: COMMAND" in refused()
    assert "invalid choice: 'runn'" in refused("runn", "mlp", "cifar10")
    for jobs in ("0", "-1", "two"):
        assert f"'{jobs}' is no number of processes" in refused("book", "--jobs", jobs)


def test_results_below_a_file(tmp_path, refused):
    (tmp_path / "file").write_text("")
    for place in ("file", "file/below"):
        assert "file" in refused("run", "mlp", "cifar10", "--results", place)


@pytest.mark.parametrize(
    ("word", "value"),
    [("true", True), ("True", True), ("false", False), ("False", False), ("official", "official")],
)
def test_values_of_parameters(monkeypatch, word, value):
    seen = {}

    def prepared(options, overrides, **_):
        seen.update(overrides)
        raise ThermoError("seen")

    monkeypatch.setattr(cli, "_prepared", prepared)
    assert cli.main(["run", "mlp", "cifar10", "-p", "given", word, "-p", "epochs", "3"]) == 2
    assert seen == {"given": value, "epochs": 3}


@pytest.mark.parametrize("profile", ["small", "paper"])
def test_data_out_of_reach(refused, monkeypatch, profile):
    started = time.monotonic()
    assert "could not load CIFAR-10" in refused("run", "mlp", "cifar10", "--profile", profile)
    monkeypatch.setenv("THERMO_DATA", "nowhere")
    line = refused("run", "mlp", "cifar10", "--profile", profile)
    assert "THERMO_DATA points to nowhere, which is no folder" in line
    assert time.monotonic() - started < 10


def test_data_folder_without_the_dataset(tmp_path, refused, monkeypatch):
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("THERMO_DATA", "data")
    line = refused("run", "mlp", "flowers102", "--profile", "small")
    assert "dpdl-benchmark/oxford_flowers102" in line


def test_help_is_complete(capsys):
    for words in ([], ["run"], ["book"], ["notebook"], ["analyze"], ["chapters"]):
        with pytest.raises(SystemExit) as end:
            cli.main([*words, "--help"])
        assert end.value.code == 0
        assert "usage: thermo" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (KeyboardInterrupt(), 130, "thermo: interrupted; the same command goes on from here\n"),
        (OSError(28, "No space left on device"), 2, "thermo: [Errno 28] No space left on device\n"),
        (ModuleNotFoundError("no", name="seaborn"), 2, "thermo: seaborn is not installed: "),
        (cli.ThermoError("two\n  lines"), 2, "thermo: two lines\n"),
    ],
)
def test_what_ends_a_command(monkeypatch, capsys, error, code, message):
    def end(options):
        raise error

    monkeypatch.setattr(cli, "_chapters", end)
    assert cli.main(["chapters"]) == code
    output = capsys.readouterr().err
    assert output.startswith(message)
    assert output.count("\n") == 1


class TestNotebook:
    def test_that_does_not_exist(self, tmp_path, refused):
        assert "there is no notebook nowhere.md" in refused("notebook", "nowhere.md")
        assert "there is no notebook" in refused("notebook", tmp_path, "-o", "out.ipynb")

    def test_that_would_be_overwritten(self, tmp_path, refused):
        (tmp_path / "mine.ipynb").write_text("{}")
        assert "would be overwritten" in refused("notebook", "mine.ipynb")

    def test_that_is_none(self, tmp_path, refused):
        (tmp_path / "picture.ipynb").write_bytes(b"\x89PNG")
        assert "is no notebook" in refused("notebook", "picture.ipynb", "-o", "out.ipynb")


@pytest.mark.parametrize("words", [["--frozen"], []])
def test_only_a_page_from_a_record_is_made_without_looking_for_cycles(words, monkeypatch):
    seen = []
    monkeypatch.setattr(cli, "_run_chapter", lambda options: seen.append(gc.isenabled()))
    assert cli.main(["run", "mlp", "cifar10", *words]) == 0
    assert seen == [not words]
    assert gc.isenabled()
