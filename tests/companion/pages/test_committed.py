"""Which records came with the project: what git tracks, and nothing that was made beside it."""

from __future__ import annotations

import json
import subprocess

import pytest

from companion.pages.chapter import Page
from companion.runs.committed import (
    COMMITTED,
    LIST,
    came_with_the_project,
    committed_chapter,
    is_committed,
    read_list,
    replaced,
    tracked,
)
from companion.runs.records import read_record, sha256
from thermo_utils.errors import ThermoError


def seal(results):
    """List every record there is."""
    found = {
        path.parent.relative_to(results).as_posix(): sha256(path.read_bytes())
        for path in results.rglob("result.json")
    }
    (results / LIST).write_text(json.dumps(found))


@pytest.fixture
def results(tmp_path, written):
    """Two seeds that came with the project, and one that was run beside them."""
    folder = tmp_path / "results"
    chapter = folder / "small" / "mlp-cifar10"
    written(chapter, profile="small", seed=0)
    written(chapter / "seed-1", profile="small", seed=1)
    seal(folder)
    written(chapter / "seed-2", profile="small", seed=2)
    return folder


def test_the_list_is_what_git_tracks():
    if not (COMMITTED.parent / ".git").exists():
        pytest.skip("not a checkout")
    names = subprocess.run(
        ["git", "ls-files", "results"], cwd=COMMITTED.parent, capture_output=True, text=True
    ).stdout.split()
    records = {
        n.removeprefix("results/").removesuffix("/result.json")
        for n in names
        if n.endswith("/result.json")
    }
    assert set(read_list()) == records
    assert read_list() == tracked()
    assert replaced(COMMITTED, read_list()) == []


def test_what_was_made_beside_them_is_told_apart(results):
    assert [r.result["seed"] for r in committed_chapter("mlp-cifar10", results=results)] == [0, 1]
    for seed, folder in enumerate(["", "seed-1", "seed-2"]):
        record = read_record(results / "small" / "mlp-cifar10" / folder)
        assert came_with_the_project(record) == (seed < 2)


def test_a_record_in_the_place_of_one_is_not_one(results, written):
    written(results / "small" / "mlp-cifar10" / "seed-1", profile="small", seed=1, accuracy=0.93)
    assert [r.result["seed"] for r in committed_chapter("mlp-cifar10", results=results)] == [0]
    assert replaced(results, read_list(results)) == ["small/mlp-cifar10/seed-1"]
    (results / "small" / "mlp-cifar10" / "result.json").unlink()
    assert len(replaced(results, read_list(results))) == 2


def test_without_a_list_nothing_came_with_the_project(results):
    (results / LIST).unlink()
    assert read_list(results) == {}
    assert committed_chapter("mlp-cifar10", results=results) == []
    folder = results / "small" / "mlp-cifar10"
    assert not is_committed(folder, results, {})
    assert not came_with_the_project(read_record(folder))


@pytest.mark.parametrize("text", ["{", "[1]", "\xff"])
def test_a_damaged_list(results, text):
    (results / LIST).write_bytes(text.encode("latin-1"))
    with pytest.raises(ThermoError, match="git checkout"):
        read_list(results)


def test_a_chapters_page_has_the_seeds_of_its_own_kind(results):
    folder = results / "small" / "mlp-cifar10"
    assert [r.result["seed"] for r in Page(read_record(folder)).siblings] == [1]
    assert Page(read_record(folder / "seed-2")).siblings == []


def test_a_list_is_made_in_a_checkout(tmp_path):
    with pytest.raises(ThermoError, match="checkout"):
        tracked(tmp_path)
