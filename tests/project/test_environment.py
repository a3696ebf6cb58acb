"""The environment: every dependency pinned once, and the same way in every file that names them."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from companion.cli import _parser

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
#: What the companion promises to be built with.
PROMISED = (
    "jupyter-book", "jupytext", "papermill", "torch", "torchvision", "transformers", "datasets",
    "seaborn", "pandas",
)  # fmt: skip


def canonical(name: str) -> str:
    """The one spelling of a distribution's name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def lines(path: Path) -> list[str]:
    text = (line.split("#")[0].strip() for line in path.read_text().splitlines())
    return [line for line in text if line]


PINS = [line.partition("==") for line in lines(ROOT / "constraints.txt")]
VERSIONS = {canonical(name): version for name, _, version in PINS}
DIRECT = sorted({*PROJECT["dependencies"], *(name for extra in EXTRAS.values() for name in extra)})


@pytest.mark.parametrize("dependency", DIRECT)
def test_every_dependency_is_named_without_a_version_and_pinned(dependency):
    assert canonical(dependency) in VERSIONS


def test_every_package_imported_is_a_dependency():
    imported = set()
    for file in [*(ROOT / "thermo_utils").rglob("*.py"), *(ROOT / "companion").rglob("*.py")]:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module is not None:
                imported.add(node.module.split(".")[0])
    imported -= {*sys.stdlib_module_names, "companion", "thermo_utils"}
    owners = importlib.metadata.packages_distributions()
    named = {canonical(name) for name in DIRECT}
    assert {m for m in imported if not named & {canonical(o) for o in owners[m]}} == set()


def test_pins_are_exact_and_not_repeated():
    for name, equals, version in PINS:
        assert equals, f"{name} is not pinned with =="
        assert re.fullmatch(r"[0-9][0-9a-z.]*", version), (name, version)
    assert len(VERSIONS) == len(PINS)


def test_installed_versions_are_the_pinned_ones():
    installed = {canonical(d.name): d.version for d in importlib.metadata.distributions()}
    present = installed.keys() & VERSIONS.keys()
    assert "torch" in present
    # torch 2.14.1+cpu is torch 2.14.1 built for CPUs.
    differ = {n for n in present if installed[n].partition("+")[0] != VERSIONS[n]}
    assert {n: installed[n] for n in differ} == {}


def test_what_was_promised_is_a_dependency():
    assert set(PROMISED) <= {*PROJECT["dependencies"], *EXTRAS["book"]}


def test_conda_users_get_the_same_environment():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    *conda, pip = environment["dependencies"]
    assert conda == ["python=3.11", "pip"]
    assert PROJECT["requires-python"] == ">=3.11,<3.12"
    constraint, editable = pip["pip"]
    assert constraint.split() == ["--constraint", "constraints.txt"]
    made = re.search(
        r"pip install .*--constraint constraints\.txt --editable \"(.+)\"",
        (ROOT / "Makefile").read_text(),
    )
    assert made is not None
    assert editable.split() == ["--editable", made[1]]
    assert set(made[1][2:-1].split(",")) <= set(EXTRAS)


def test_citation_names_the_paper():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]
    paper = citation["preferred-citation"]
    assert paper["title"].startswith("Modeling Pruning as a Phase Transition")
    assert [author["family-names"] for author in paper["authors"]] == [
        "Mehmood", "Koltcov", "Surkov", "Ignatenko",
    ]  # fmt: skip
    assert (paper["journal"], paper["year"]) == ("Computers, Materials & Continua", 2026)
    assert (paper["volume"], paper["issue"], paper["start"]) == (86, 3, 99)


def test_commands_of_the_documentation_exist():
    actions = _parser()._subparsers._group_actions
    commands = set(actions[0].choices)
    pages = [ROOT / "README.md", ROOT / "Snakefile", *(ROOT / "notebooks").glob("*.md")]
    named = {
        name
        for page in pages
        for name in re.findall(r"^(?:\w+=\S+ +)*thermo (\w+)", page.read_text(), flags=re.MULTILINE)
    }
    assert {"run", "chapters", "analyze"} <= named
    assert named <= commands


def test_make_targets_of_the_documentation_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    for page in ("README.md", "CONTRIBUTING.md"):
        text = (ROOT / page).read_text()
        named = set(re.findall(r"(?:^|`)make ([a-z-]+)", text, flags=re.MULTILINE))
        assert named
        assert named <= targets
