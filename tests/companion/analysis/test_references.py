"""What a word refers to, and that a slip of the pen is told apart from a name on the hub."""

from __future__ import annotations

import sys

import pytest

from companion.analysis.references import (
    Reference,
    data_reference,
    load_object,
    model_reference,
    object_reference,
)
from thermo_utils import ThermoError


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "own.py").write_text("net = 1\n")
    (tmp_path / "texts.csv").write_text("text,label\n")
    (tmp_path / "weights.pt").write_bytes(b"")
    (tmp_path / "bert").mkdir()
    (tmp_path / "bert" / "config.json").write_text("{}")
    (tmp_path / "pictures" / "cat").mkdir(parents=True)
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "state.json").write_text("{}")


MODELS = {
    "own.py:net": "object",
    "torch.nn:ReLU": "object",
    "own:net": "object",
    "torchvision:resnet18": "torchvision",
    "resnet18": "torchvision",
    "bert": "transformers",
    "./bert": "transformers",
    "google-bert/bert-base-uncased": "transformers",
    "bert-base-uncased": "transformers",
}
DATA = {
    "own.py:net": "object",
    "texts.csv": "table",
    "./texts.csv": "table",
    "pictures": "images",
    "saved": "saved",
    "imdb": "datasets",
    "stanfordnlp/imdb": "datasets",
}
NO_MODELS = {
    "nowhere.py:net": "there is no file nowhere.py",
    "own.py": "own.py:NAME",
    "weights.pt": "FILE.py:NAME of a function that loads it",
    "pictures": "config.json",
    "no.such.module:net": "there is no module no",
    "own.py:": "FILE.py:NAME",
    ":net": "FILE.py:NAME",
    "own.py:a-b": "FILE.py:NAME",
    "some/where/bert": "there is no some/where/bert",
    "./nowhere": "there is no ./nowhere",
    "nowhere.safetensors": "there is no nowhere.safetensors",
    "a b": "there is no a b",
    "": "there is no",
}
NO_DATA = {
    "nowhere.csv": "there is no file or folder nowhere.csv",
    "nowhere/": "there is no file or folder",
    "./imdb": "there is no file or folder ./imdb",
    "own.py": "own.py:NAME",
    "weights.pt": "holds data",
    "nowhere.py:batches": "there is no file nowhere.py",
    "no-module:batches": "there is no file no-module",
}


@pytest.mark.parametrize(("word", "kind"), MODELS.items(), ids=list(MODELS))
def test_models(word, kind):
    assert model_reference(word).kind == kind


@pytest.mark.parametrize(("word", "kind"), DATA.items(), ids=list(DATA))
def test_data(word, kind):
    assert data_reference(word).kind == kind


@pytest.mark.parametrize(("word", "message"), NO_MODELS.items(), ids=list(NO_MODELS))
def test_no_models(word, message):
    with pytest.raises(ThermoError) as refused:
        model_reference(word)
    assert message in str(refused.value)


@pytest.mark.parametrize(("word", "message"), NO_DATA.items(), ids=list(NO_DATA))
def test_no_data(word, message):
    with pytest.raises(ThermoError) as refused:
        data_reference(word)
    assert message in str(refused.value)


def test_a_folder_of_parquet_files_is_a_data_set(tmp_path):
    (tmp_path / "parts" / "data").mkdir(parents=True)
    (tmp_path / "parts" / "data" / "test-0.parquet").write_bytes(b"")
    assert data_reference("parts").kind == "saved"


def test_the_file_of_an_object():
    assert object_reference("own.py:net").file.name == "own.py"
    assert object_reference("torch.nn:ReLU").file is None
    assert Reference("images", "pictures").file is None


def test_a_file_is_run_once(tmp_path, capsys):
    (tmp_path / "once.py").write_text("print('running'); a = 1; b = 2\n")
    assert (load_object("once.py:a"), load_object("once.py:b")) == (1, 2)
    assert capsys.readouterr().out == "running\n"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("network = 1", "did you mean 'network'"),
        ("import sys; sys.exit('no')", "could not import broken_{0}.py: SystemExit: no"),
        ("1 / 0", "ZeroDivisionError"),
        ("def (", "SyntaxError"),
        ("import no_such_package", "No module named 'no_such_package'"),
    ],
)
def test_objects_that_cannot_be_had(tmp_path, code, message):
    name = abs(hash((str(tmp_path), code)))
    (tmp_path / f"broken_{name}.py").write_text(code)
    with pytest.raises(ThermoError) as refused:
        load_object(f"broken_{name}.py:netwrk")
    assert message.format(name) in str(refused.value)
    assert "\n" not in str(refused.value)
