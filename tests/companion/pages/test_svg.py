"""Small SVG files show what the large ones show."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET

import matplotlib.pyplot as plt
import numpy as np
import pytest

from companion.pages.svg import compact, figure_svg

SVG = "{http://www.w3.org/2000/svg}"


def places(d: str) -> np.ndarray:
    """Every place of an outline, whether it is told in steps or as it is."""
    found, here = [], np.zeros(2)
    for command, numbers in re.findall(r"([A-Za-z])([^A-Za-z]*)", d):
        values = np.array([float(v) for v in re.findall(r"-?(?:\d+\.?\d*|\.\d+)", numbers)])
        if command == "h":
            continue
        size = {"m": 2, "l": 2, "q": 4, "c": 6, "z": 2}[command.lower()]
        for piece in values.reshape(-1, size):
            piece = piece.reshape(-1, 2) + (here if command.islower() else 0)
            found += list(piece)
            here = piece[-1]
    return np.array(found)


def drawn() -> plt.Figure:
    figure, axes = plt.subplots(1, 2, figsize=(6, 3))
    x = np.linspace(0, 1, 400)
    axes[0].plot(x, np.sin(9 * x), color="#112233")
    axes[0].fill_between(x, x, x + np.abs(np.sin(40 * x)), color="#445566", alpha=0.3)
    axes[1].plot(x[::10], x[::10] ** 2, color="#778899", marker=".", ms=4)
    axes[1].set_xlabel("threshold aebdg")
    axes[0].set_xlabel("threshold aebdg")
    plt.close(figure)
    return figure


@pytest.fixture
def both() -> tuple[str, str]:
    with plt.rc_context({"svg.hashsalt": "a"}), io.StringIO() as file:
        drawn().savefig(file, format="svg", metadata={"Date": None})
        return file.getvalue(), compact(file.getvalue())


def outline(text: str, color: str) -> np.ndarray:
    """The longest outline of a colour."""
    root = ET.fromstring(text)
    rules = dict(re.findall(r"\.(c\d+)\{([^}]*)\}", "".join(root.itertext())))
    found = [
        element.get("d", "")
        for element in root.iter(f"{SVG}path")
        if color in element.get("style", "")
        or any(color in rules.get(name, "") for name in element.get("class", "").split())
    ]
    return places(max(found, key=len))


def test_it_is_much_smaller(both):
    before, after = both
    assert len(after) < len(before) / 2.5
    ET.fromstring(after)


def away(points: np.ndarray, line: np.ndarray) -> np.ndarray:
    """How far each point is from a line of straight pieces."""
    start, step = line[:-1], np.diff(line, axis=0)
    length = np.maximum((step**2).sum(axis=1), 1e-12)
    offset = points[:, None] - start
    share = np.clip((offset * step).sum(axis=2) / length, 0, 1)
    return np.linalg.norm(offset - share[..., None] * step, axis=2).min(axis=1)


@pytest.mark.parametrize("color", ["#112233", "#778899"])
def test_lines_run_through_the_same_places(both, color):
    before, after = (outline(text, color) for text in both)
    assert away(before, after).max() < 0.35
    assert away(after, before).max() < 0.35


def test_bands_keep_their_outlines(both):
    def band(text: str) -> np.ndarray:
        straight = re.findall(r'\bd="(M[^qQcC"]*[zZ]\s*)"', text)
        return max(map(places, straight), key=len)

    before, after = map(band, both)
    assert len(before) > 3 * len(after)
    closed = [np.vstack([outline, outline[:1]]) for outline in (before, after)]
    assert away(before, closed[1]).max() < 0.35
    assert away(after, closed[0]).max() < 0.35


def test_letters_keep_their_outlines(both):
    """Letters with holes are several outlines, each of which begins where it is told to."""
    outlines = [
        [places(d) for d in re.findall(r'<path[^>]*\bd="([^"]*)"[^>]*transform="scale', text)]
        for text in both
    ]
    assert len(outlines[0]) == len(outlines[1]) > 15
    for before, after in zip(*outlines, strict=True):
        np.testing.assert_allclose(after, before, atol=0.51)


def test_every_dot_is_there(both):
    _, after = both
    (dots,) = re.findall(r'd="((?:M[\d.]+ [\d.]+h0){2,})"', after)
    assert dots.count("h0") == 40


def test_every_reference_is_to_something(both):
    _, after = both
    names = set(re.findall(r'\bid="([^"]+)"', after))
    used = set(re.findall(r'href="#([^"]+)"', after)) | set(re.findall(r"url\(#([^)]+)\)", after))
    assert used == names
    classes = set(" ".join(re.findall(r'\bclass="([^"]+)"', after)).split())
    assert classes == set(re.findall(r"\.(c\d+)\{", after))


def test_the_same_figure_gives_the_same_text():
    assert figure_svg(drawn(), "a") == figure_svg(drawn(), "a")
    assert "<title>a &lt; b</title>" in figure_svg(drawn(), "a < b")
