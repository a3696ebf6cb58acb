"""The house as a page of the book: its floors drawn from the imports, and a table of its modules.

The floors are those that ``make lint`` holds, read from ``pyproject.toml``; the arrows are what the
sources import. Imports for type checkers alone are left out, as the contract leaves them out.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path as Path2D

from companion.pages.tables import markdown
from companion.runs.provenance import ROOT
from thermo_utils.figures import ACCURACY, FULL, STYLE

__all__ = ["House", "draw", "floors_figure", "imported", "module_table", "read_house", "table"]

#: Packages from the top of the house down.
PACKAGES = ("companion", "thermo_utils")
#: An import against the floors.
WRONG = "#b00020"
#: Letters in a line of a box; its width, and the heights of its frame and of a line, in inches.
LETTERS, WIDTH, FRAME, LINE = 100, 5.6, 0.24, 0.15


@dataclass(frozen=True)
class House:
    """Modules, what they import, and the floors they should stand on.

    Parameters
    ----------
    floors : sequence of sequence of str
        Rooms (a module, or a package with all that is in it), from the top floor down. Rooms of
        one floor do not know each other.
    sources : mapping of str to str
        Text of every module, by dotted name; a package stands for its ``__init__``.
    """

    floors: Sequence[Sequence[str]]
    sources: Mapping[str, str]

    @cached_property
    def rooms(self) -> dict[str, list[str]]:
        """Modules by room, in the order of the floors."""
        rooms: dict[str, list[str]] = {room: [] for floor in self.floors for room in floor}
        for module in sorted(self.sources):
            rooms.setdefault(self._room(module), []).append(module)
        return rooms

    def _room(self, module: str) -> str:
        """The room a module is in; a module without a place of its own stands at its package's."""
        places = {room for floor in self.floors for room in floor}
        while module not in places and "." in module:
            module = module.rpartition(".")[0]
        return module

    @cached_property
    def arrows(self) -> Counter[tuple[str, str]]:
        """Imports between rooms: how often a module of the first imports one of the second.

        What a room imports of the other package counts as imported from that package as a whole.
        """
        arrows: Counter[tuple[str, str]] = Counter()
        for module, source in self.sources.items():
            for name in imported(source, self.sources):
                package = name.partition(".")[0]
                apart = module.partition(".")[0] != package
                start, end = self._room(module), package if apart else self._room(name)
                if start != end:
                    arrows[start, end] += 1
        return arrows

    @cached_property
    def against(self) -> set[tuple[str, str]]:
        """Arrows that do not lead to a floor below."""
        rank = {room: number for number, floor in enumerate(self.floors) for room in floor}
        return {(start, end) for start, end in self.arrows if rank[start] >= rank[end]}


def imported(source: str, modules: Mapping[str, str]) -> set[str]:
    """The modules that a module imports when it runs, now or later.

    Parameters
    ----------
    source : str
        Its text.
    modules : mapping
        The modules to look for, by dotted name.

    Returns
    -------
    set of str

    Examples
    --------
    >>> sorted(imported("from a import b, c", {"a": "", "a.b": ""}))
    ['a', 'a.b']
    """
    found = set()
    for node in _statements(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            inner = (f"{node.module}.{alias.name}" for alias in node.names)
            found |= {name if name in modules else node.module for name in inner}
    return found & modules.keys()


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """Everything below a node, but for what type checkers alone see."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        yield child
        yield from _statements(child)


def read_house(root: Path = ROOT) -> House:
    """Read the sources and the floors of a clone.

    Parameters
    ----------
    root : Path
        Its first folder.

    Returns
    -------
    House
        Every package stands on a floor of its own, above its rooms.
    """
    sources = {}
    for package in PACKAGES:
        for file in sorted((root / package).rglob("*.py")):
            parts = file.relative_to(root).with_suffix("").parts
            name = ".".join(part for part in parts if part != "__init__")
            sources[name] = file.read_text(encoding="utf-8")
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    layers = {
        contract["containers"][0]: contract["layers"]
        for contract in settings["tool"]["importlinter"]["contracts"]
        if contract["type"] == "layers"
    }
    floors: list[list[str]] = []
    for package in PACKAGES:
        floors.append([package])
        for layer in layers[package]:
            floors.append([f"{package}.{room.strip(' ()')}" for room in layer.split("|")])
    return House(floors, sources)


def floors_figure() -> Figure:
    """The floors of this project and the imports between them.

    Returns
    -------
    Figure
        A box per room with its modules, from the top floor down, and an arrow for what it imports.
    """
    return draw(read_house())


def draw(house: House) -> Figure:
    """Draw a house.

    Parameters
    ----------
    house : House
        Its floors and sources.

    Returns
    -------
    Figure
        Rooms of one floor share a band. Arrows on the right lead down; any on the left, in red,
        is against the floors. The number at an arrow is that of the imports.
    """
    texts = {room: _wrapped(room, modules) for room, modules in house.rooms.items()}
    heights = {room: FRAME + LINE * text.count("\n") for room, text in texts.items()}
    total = sum(heights.values()) + 0.1 * len(house.floors)
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(9.5, total), layout="constrained")
        axis.set(xlim=(-0.9 if house.against else -0.1, 8.6), ylim=(-total, 0.05))
        axis.axis("off")
        middle, top = {}, 0.0
        for number, floor in enumerate(house.floors):
            height = sum(heights[room] for room in floor)
            shade = "#eef2f8" if number % 2 else "#f8f8f8"
            axis.axhspan(-top - height - 0.05, -top + 0.05, color=shade, lw=0)
            for room in floor:
                middle[room] = -top - heights[room] / 2
                _box(axis, texts[room], middle[room], heights[room], head="." not in room)
                top += heights[room]
            top += 0.1
        for (start, end), count in sorted(house.arrows.items()):
            wrong = (start, end) in house.against
            _arrow(axis, middle[start], middle[end], count, total, wrong=wrong)
        plt.close(figure)
    return figure


def _wrapped(room: str, modules: Sequence[str]) -> str:
    """A room's name and the modules in it, in lines of some length."""
    inside = [module.removeprefix(f"{room}.") for module in modules if module != room]
    lines = [room.partition(".")[2] or room]
    for name in inside:
        word = name if name == inside[-1] else f"{name}, "
        if len(lines) == 1 or len(lines[-1]) + len(word) > LETTERS:
            lines.append("")
        lines[-1] += word
    return "\n".join(lines)


def _box(axis: Axes, text: str, middle: float, height: float, *, head: bool) -> None:
    """A room: its name, and the modules in smaller letters."""
    name, _, inside = text.partition("\n")
    if not head:
        style = "round,pad=0,rounding_size=0.06"
        axis.add_patch(
            FancyBboxPatch(
                (0.0, middle - height / 2 + 0.02), WIDTH, height - 0.04, boxstyle=style, fc="white",
                ec=ACCURACY, lw=0.8,
            )
        )  # fmt: skip
    top = middle + height / 2
    weight = "bold" if head else "normal"
    axis.text(0.1, top - FRAME / 2, name, va="center", fontsize=9.5, weight=weight, color="black")
    axis.text(
        0.25, top - FRAME + 0.01, inside, va="top", fontsize=7.2, color=ACCURACY, linespacing=1.35
    )


def _arrow(axis: Axes, start: float, end: float, count: int, total: float, *, wrong: bool) -> None:
    """An arc beside the boxes, the wider the farther, and its number unless it is one."""
    side, x, color = (-1.0, 0.0, WRONG) if wrong else (1.0, WIDTH, FULL)
    reach = x + side * (0.5 + 5.0 * abs(start - end) / total)
    corners = [(x, start - 0.03), (reach, start - 0.03), (reach, end + 0.03), (x, end + 0.03)]
    axis.add_patch(
        FancyArrowPatch(
            path=Path2D(corners, [Path2D.MOVETO, *[Path2D.CURVE4] * 3]),
            arrowstyle="-|>", mutation_scale=7, shrinkA=0, shrinkB=0, color=color,
            lw=0.6 + 0.35 * min(count, 30) ** 0.6, alpha=1.0 if wrong else 0.55,
        )
    )  # fmt: skip
    if count > 1:
        axis.text(
            x + 0.75 * (reach - x), (start + end) / 2, str(count), fontsize=7, color=color,
            ha="center", va="center", bbox={"fc": "white", "ec": "none", "pad": 0.4},
        )  # fmt: skip


def module_table() -> str:
    """The modules of this project, floor by floor, as Markdown."""
    return table(read_house())


def table(house: House) -> str:
    """The modules of a house: what each holds, its length, and what the rooms import.

    Parameters
    ----------
    house : House
        Its floors and sources.

    Returns
    -------
    str
        A table per package, as Markdown; the picture's arrows stand in it as words.
    """
    lines = {module: len(source.splitlines()) for module, source in house.sources.items()}
    parts = []
    for package in dict.fromkeys(module.partition(".")[0] for module in house.rooms):
        rows = []
        for room, modules in house.rooms.items():
            if room.partition(".")[0] != package:
                continue
            down = [f"{_short(end)} ({n})" for (start, end), n in _sorted(house) if start == room]
            imports = f" Imports {', '.join(down)}." if down else ""
            for module in modules:
                says = _summary(house.sources[module]) + (imports if module == modules[0] else "")
                rows.append((f"`{module}`", lines[module], says))
        inside = [module for module in lines if module.partition(".")[0] == package]
        size = f"{sum(lines[module] for module in inside):,} lines in {len(inside)} modules"
        parts.append(f"**{package}**: {size}.\n\n" + markdown(["module", "lines", "holds"], rows))
    return "\n\n".join(parts) + "\n"


def _sorted(house: House) -> list[tuple[tuple[str, str], int]]:
    """Arrows, those to the upper floors first."""
    order = {room: number for number, room in enumerate(house.rooms)}
    return sorted(house.arrows.items(), key=lambda arrow: [order[room] for room in arrow[0]])


def _short(room: str) -> str:
    return room.partition(".")[2] or room


def _summary(source: str) -> str:
    """The first sentence of a module's docstring, as Markdown."""
    first = (ast.get_docstring(ast.parse(source)) or "").partition("\n\n")[0]
    sentence = re.split(r"(?<=\.)\s+(?=[A-Z])", " ".join(first.split()))[0]
    sentence = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", sentence.replace("``", "`"))
    return sentence.replace("|", r"\|")
