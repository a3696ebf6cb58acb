"""Looking at everything a results folder holds."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from companion import cli
from companion.pages.check import check
from companion.pages.speed_files import read_measured
from companion.runs.variant_files import read_variants
from thermo_utils import ThermoError

COMMITTED = Path(__file__).parents[3] / "results"
NAME = Path("small", "mlp-cifar10")
#: Files that are counted, beside those of the benchmarks.
COUNTED = (
    "result.json", "variants.json", "scale.json", "guided.json", "sampled.json", "setups.json",
    "pretraining.json",
)  # fmt: skip


@pytest.fixture
def results(tmp_path):
    """A copy of what is committed of one chapter."""
    shutil.copytree(COMMITTED / NAME, tmp_path / NAME)
    (tmp_path / "small" / "benchmarks").mkdir()
    for name in ("mlp-cifar10.json", "growth.json"):
        shutil.copy(COMMITTED / "small" / "benchmarks" / name, tmp_path / "small" / "benchmarks")
    for name in ("guided.json", "sampled.json", "setups.json", "pretraining.json"):
        shutil.copy(COMMITTED / "small" / name, tmp_path / "small")
    return tmp_path


def change(path: Path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_everything_committed_is_good():
    count, bad = check(COMMITTED)
    assert bad == []
    assert count == sum(
        path.name in COUNTED or path.parent.name == "benchmarks"
        for path in COMMITTED.rglob("*.json")
    )


def test_nothing_is_good(tmp_path):
    assert check(tmp_path / "nowhere") == (0, [])


DAMAGE = {
    "small/mlp-cifar10/result.json": lambda path: change(path, seed="0"),
    "small/mlp-cifar10/seed-1/result.json": lambda path: change(path, seed=0),
    "small/mlp-cifar10/seed-2/curves.csv": Path.unlink,
    "small/mlp-cifar10/variants.csv": lambda path: path.write_text(path.read_text() + "\n"),
    "small/mlp-cifar10/variants.json": lambda path: path.write_bytes(b"[" * 100_000),
    "small/benchmarks/mlp-cifar10.json": lambda path: change(path, swept=0),
    "small/benchmarks/growth.json": lambda path: path.write_text("{}"),
    "small/guided.json": lambda path: change(path, profile="paper"),
    "small/sampled.json": lambda path: change(path, profile="paper"),
    "small/setups.json": lambda path: change(path, profile="paper"),
    "small/pretraining.json": lambda path: change(path, profile="paper"),
}


@pytest.mark.parametrize(("name", "damage"), DAMAGE.items(), ids=list(DAMAGE))
def test_each_kind_of_file(results, name, damage):
    damage(results / name)
    _, (line,) = check(results)
    assert line.startswith(str(results / name))
    assert len(line.splitlines()) == 1


@pytest.mark.parametrize(
    "values",
    [
        {"seconds": "long"}, {"step": 0.0}, {"full_examples": -1}, {"seed": 1}, {"model": "cnn"},
        {"profile": "paper"}, {"provenance": None}, {"variants_sha256": ""}, {"key": 1},
    ],
    ids=str,
)  # fmt: skip
def test_how_variants_were_made(results, values):
    change(results / NAME / "variants.json", **values)
    with pytest.raises(ThermoError, match=r"variants\.(json|csv)"):
        read_variants(results / NAME)


@pytest.mark.parametrize(
    "values",
    [
        {"options": {"profile": "paper", "thresholds": 50, "repetitions": 5}}, {"options": []},
        {"seconds": {}}, {"examples": "many"}, {"activations_per_example": 0.0},
        {"peak_bytes": {"plain": 1.5}}, {"sample": None}, {"provenance": {}},
    ],
    ids=str,
)  # fmt: skip
def test_what_was_measured(results, values):
    path = results / "small" / "benchmarks" / "mlp-cifar10.json"
    change(path, **values)
    with pytest.raises(ThermoError, match=r"mlp-cifar10\.json"):
        read_measured(path)


def test_rounds_are_those_of_every_procedure(results):
    path = results / "small" / "benchmarks" / "mlp-cifar10.json"
    seconds = json.loads(path.read_text())["seconds"]
    change(path, seconds=seconds | {"full": seconds["full"][1:]})
    with pytest.raises(ThermoError, match="rounds"):
        read_measured(path)


class TestCommand:
    def test_all_good(self, results, capsys):
        assert cli.main(["check", "--results", str(results)]) == 0
        assert f"{len([*results.rglob('*.json')])} files" in capsys.readouterr().out

    def test_a_line_for_each_that_is_not(self, results, capsys):
        damaged = [results / NAME / "curves.csv", results / NAME / "seed-2" / "curves.csv"]
        for path in damaged:
            path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
        assert cli.main(["check", "--results", str(results)]) == 2
        out, err = capsys.readouterr()
        assert [line.split(" is ")[0] for line in out.splitlines()] == list(map(str, damaged))
        assert f"2 of {len([*results.rglob('*.json')])}" in err

    def test_the_listing_reads_records_without_what_loads_slowly(self):
        code = (
            "import sys; from companion.cli import main; main(['chapters', *sys.argv[1:]]); "
            "sys.exit(bool({'numpy', 'pandas', 'torch', 'matplotlib'} & set(sys.modules)))"
        )
        command = [sys.executable, "-c", code, "--results", str(COMMITTED)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        listed = [line for line in done.stdout.splitlines() if re.match(r" +\d+  ", line)]
        assert sum("seed 0" in line for line in listed) == len(listed) == 20

    def test_the_listing_names_them_too(self, results, capsys):
        (results / NAME / "seed-1" / "curves.csv").write_text("")
        (results / "demo" / "cnn-cifar10").mkdir(parents=True)
        (results / "demo" / "cnn-cifar10" / "result.json").write_text("{")
        assert cli.main(["chapters", "--results", str(results)]) == 0
        _, mlp, *rest = capsys.readouterr().out.splitlines()
        assert "seed 0,2" in mlp
        assert "damaged" in next(line for line in rest if "cnn cifar10" in line)
        named = [line.split(" is ")[0] for line in rest[-2:]]
        assert named == [
            os.fspath(results / NAME / "seed-1" / "curves.csv"),
            os.fspath(results / "demo" / "cnn-cifar10" / "result.json"),
        ]

    def test_the_listing_obeys_no_text(self, tmp_path, written, capsys):
        folder = tmp_path / "small" / "mine-digits"
        written(folder, "mine", "digits", differs=["\x1b[2J\r\n\u202e" + 9999 * "x"])
        assert cli.main(["chapters", "--results", str(tmp_path)]) == 0
        *_, line = capsys.readouterr().out.splitlines()
        assert str(folder) in line
        assert line.isprintable()
        assert len(line) < 1000
