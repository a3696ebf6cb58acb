"""The wheel: it holds all of both packages, and runs with the base dependencies alone."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pandas as pd
import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PACKAGES = ("thermo_utils", "companion")
#: Installed for the chapters, the book and the tests, and absent from the clean environment.
ABSENT = ("papermill", "jupytext", "datasets", "lightning", "transformers", "torchvision", "yaml",
          "pytest", "pip")  # fmt: skip
#: A user's own file: a small model and two batches.
OWN = """
import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
batches = [(torch.randn(32, 8), torch.randint(0, 3, (32,))) for _ in range(2)]
"""


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command as from a user's own shell, where no variable names the clone."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "THERMO"))}
    return subprocess.run(
        list(map(str, command)), cwd=cwd, env=environment, capture_output=True, text=True
    )


def needed(names: list[str]) -> dict[str, importlib.metadata.Distribution]:
    """The installed distributions that ``names`` need here, themselves included."""
    found: dict[str, importlib.metadata.Distribution] = {}
    waiting = [(Requirement(name), "") for name in names]
    seen = set()
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        for wanted in ("", *requirement.extras):
            if (requirement.name, wanted) in seen:
                continue
            seen.add((requirement.name, wanted))
            distribution = importlib.metadata.distribution(requirement.name)
            found[requirement.name] = distribution
            waiting += [(Requirement(r), wanted) for r in distribution.requires or []]
    return found


def link(distribution: importlib.metadata.Distribution, site: Path) -> None:
    """Show one installed distribution to the environment of ``site``."""
    for name in {file.parts[0] for file in distribution.files or []}:
        source, target = Path(str(distribution.locate_file(name))), site / name
        if name not in ("..", "__pycache__") and source.suffix != ".pth" and not target.exists():
            target.symlink_to(source)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The project, built from a copy: a build leaves files where it runs."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    built = run(
        sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index",
        "--wheel-dir", folder, source, cwd=folder,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def clean(wheel, tmp_path_factory) -> Path:
    """An environment with the wheel and what its base dependencies bring, and nothing else."""
    folder = tmp_path_factory.mktemp("clean")
    venv.create(folder)
    paths = sysconfig.get_paths("venv", vars={"base": str(folder), "platbase": str(folder)})
    for distribution in needed(PROJECT["dependencies"]).values():
        link(distribution, Path(paths["purelib"]))
    python = Path(paths["scripts"]) / "python"
    installed = run(
        sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index",
        wheel, cwd=folder,
    )  # fmt: skip
    assert installed.returncode == 0, installed.stderr
    return python.parent


def test_the_wheel_holds_every_file_of_both_packages(wheel):
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if not Path(name).parts[0].endswith("-info")}
    kept = {".py", ".csv", ".cu", ".html", ".typed"}
    files = {
        str(file.relative_to(ROOT))
        for package in PACKAGES
        for file in (ROOT / package).rglob("*")
        if file.suffix in kept
    }
    assert {Path(name).suffix for name in files} == kept
    assert held == files


def test_the_clean_environment_has_neither_the_clone_nor_the_extras(clean, tmp_path):
    code = f"""
import importlib.util, companion, thermo_utils
print([name for name in {ABSENT} if importlib.util.find_spec(name)])
print(companion.__file__, thermo_utils.__file__)
"""
    said = run(clean / "python", "-c", code, cwd=tmp_path)
    assert said.returncode == 0, said.stderr
    absent, files = said.stdout.splitlines()
    assert absent == "[]"
    for file in files.split():
        assert Path(file).is_relative_to(clean.parent)


def test_a_model_is_analyzed_with_the_base_dependencies_alone(clean, tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    said = run(clean / "thermo", "analyze", "own.py:model", "own.py:batches", cwd=tmp_path)
    assert said.returncode == 0, said.stderr
    curves = pd.read_csv(tmp_path / "analysis" / "curves.csv")
    assert set(curves["method"]) == {"full", "renormalized"}
    assert list((tmp_path / "analysis").glob("*.png")) + list((tmp_path / "analysis").glob("*.svg"))


@pytest.mark.parametrize("command", [("run", "mlp", "cifar10"), ("book",)])
def test_what_needs_the_extra_says_how_to_install_it(clean, tmp_path, command):
    said = run(clean / "thermo", *command, cwd=tmp_path)
    assert said.returncode == 2
    assert len(said.stderr.splitlines()) == 1
    assert "pip install" in said.stderr
    assert "[book]" in said.stderr
    assert list(tmp_path.iterdir()) == []
