"""A user's own file, and a runner of the command in a folder of its own."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from companion import cli
from tests.companion.analysis.own_file import OWN


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty current folder, and no network."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("THERMO_DATA", "THERMO_MODELS"):
        monkeypatch.delenv(name, raising=False)
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def own(here):
    """The name of a file with a model and data, new each time, for a file is run only once."""
    name = f"own_{abs(hash(here))}"
    (here / f"{name}.py").write_text(OWN)
    return f"{name}.py"


@pytest.fixture
def undrawn(monkeypatch):
    """Figures are empty: drawing takes longer than all the rest."""
    from matplotlib.figure import Figure

    from companion.analysis import analysis, charts

    monkeypatch.setattr(charts, "curves", lambda *_: Figure((1, 1)))
    monkeypatch.setattr(analysis, "heat_map", lambda *_: Figure((1, 1)))


@pytest.fixture
def analyze(here, capsys):
    """Run ``thermo analyze``; returns its exit code, what it printed, and the folder."""

    def run(*words, output="out"):
        code = cli.main(["analyze", *map(str, words), "-o", output, "--quiet"])
        said = capsys.readouterr()
        return SimpleNamespace(code=code, out=said.out, err=said.err, folder=here / output)

    return run
