"""The house: what the Architecture page draws and tables of it, and what the page names."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_hex
from matplotlib.patches import FancyArrowPatch

from companion.pages.architecture import (
    House,
    draw,
    floors_figure,
    imported,
    module_table,
    read_house,
    table,
)

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "book" / "architecture.md").read_text()


def arrows(figure) -> list[FancyArrowPatch]:
    return [patch for patch in figure.axes[0].patches if isinstance(patch, FancyArrowPatch)]


@st.composite
def houses(draw_from):
    """Floors with rooms, and for each room the rooms below that it imports."""
    sizes = draw_from(st.lists(st.integers(1, 3), min_size=2, max_size=5))
    floors = [[f"p.f{i}r{j}" for j in range(size)] for i, size in enumerate(sizes)]
    below = {
        room: draw_from(st.sets(st.sampled_from(under))) if under else set()
        for i, floor in enumerate(floors)
        for under in [[room for later in floors[i + 1 :] for room in later]]
        for room in floor
    }
    return floors, below


def house(floors, imports) -> House:
    sources = {
        room: "\n".join(f"import {name}" for name in sorted(names))
        for room, names in imports.items()
    }
    return House(floors, sources)


@given(houses(), st.data())
def test_one_import_that_does_not_lead_down_shows_and_no_other(drawn, data):
    floors, below = drawn
    assert house(floors, below).against == set()
    high = data.draw(st.integers(0, len(floors) - 1))
    low = data.draw(st.integers(high, len(floors) - 1))
    start = data.draw(st.sampled_from(floors[low]))
    end = data.draw(st.sampled_from([room for room in floors[high] if room != start] or ["none"]))
    if end == "none":
        return
    wrong = house(floors, below | {start: {*below[start], end}})
    assert wrong.against == {(start, end)}
    assert sum(wrong.arrows.values()) == sum(map(len, below.values())) + 1


def test_an_import_against_the_floors_has_a_colour_of_its_own():
    right = {"p.a": {"p.b"}, "p.b": set(), "p.c": set()}
    floors = [["p.a"], ["p.b", "p.c"]]
    (down,) = arrows(draw(house(floors, right)))
    first, second = arrows(draw(house(floors, right | {"p.c": {"p.b"}})))
    colours = [to_hex(arrow.get_edgecolor()) for arrow in (down, first, second)]
    assert colours[0] == colours[1] != colours[2]
    left, right_side = (np.median(arrow.get_path().vertices[:, 0]) for arrow in (second, down))
    assert left < 0 < right_side


def test_modules_of_a_package_count_together_and_other_packages_as_a_whole():
    sources = {
        "p": "", "p.a": "", "p.a.x": "import p.b.u\nimport p.a.y", "p.a.y": "import p.b.u, p.b.v",
        "p.b": "", "p.b.u": "import q.z", "p.b.v": "", "q": "", "q.z": "",
    }  # fmt: skip
    built = House([["p"], ["p.a"], ["p.b"], ["q"], ["q.z"]], sources)
    assert built.rooms["p.a"] == ["p.a", "p.a.x", "p.a.y"]
    assert built.arrows == {("p.a", "p.b"): 3, ("p.b", "q"): 1}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import a.b", {"a.b"}),
        ("from a import b, value", {"a.b", "a"}),
        ("from a.b import value", {"a.b"}),
        ("import numpy", set()),
        ("def later():\n    from a.b import value", {"a.b"}),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import a.b", set()),
    ],
)
def test_imports_are_found_wherever_they_run(source, found):
    assert imported(source, {"a": "", "a.b": ""}) == found


def test_every_module_is_drawn_and_in_the_table():
    built = read_house()
    files = [*(ROOT / "thermo_utils").rglob("*.py"), *(ROOT / "companion").rglob("*.py")]
    assert len(built.sources) == len(files)
    lines = {module: len(text.splitlines()) for module, text in built.sources.items()}
    rows = re.findall(r"^\| `([\w.]+)` \| (\d+) \|", module_table(), flags=re.MULTILINE)
    assert {module: int(number) for module, number in rows} == lines
    words = set(re.findall(r"\w+", " ".join(t.get_text() for t in floors_figure().axes[0].texts)))
    assert {module.rpartition(".")[2] for module in built.sources} <= words


def test_the_table_names_the_imports_of_a_room():
    text = table(house([["p.a"], ["p.b"]], {"p.a": {"p.b"}, "p.b": set()}))
    (row,) = [line for line in text.splitlines() if line.startswith("| `p.a`")]
    assert "b (1)" in row


def test_no_import_is_against_the_floors():
    built = read_house()
    assert built.arrows
    assert built.against == set()


def names_on_the_page() -> list[str]:
    """Dotted names in code letters: of modules, and of what is in them."""
    return sorted(set(re.findall(r"`((?:thermo_utils|companion)\.[\w.]+\w)(?:\(\))?`", PAGE)))


@pytest.mark.parametrize("name", names_on_the_page())
def test_what_the_page_names_exists(name):
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            found = getattr(found, part)
        return
    raise AssertionError(name)


def test_files_on_the_page_exist():
    files = re.findall(r"`((?:companion|thermo_utils|notebooks|results|tests|book)/[^`]*)`", PAGE)
    assert files
    assert [file for file in files if not list(ROOT.glob(file))] == []
