"""A figure as a small SVG file: the same picture in a third of the bytes.

Matplotlib writes a digit for every bit, a style on every mark and a name for every part. A page
holds two pictures and must stay small, for it travels with the book.
"""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import Final

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.path import Path

__all__ = ["compact", "figure_svg"]

SVG: Final = "http://www.w3.org/2000/svg"
LINK: Final = "{http://www.w3.org/1999/xlink}href"
#: Distance in points below which nobody sees that a line takes a short cut, and from how many
#: commands on it is made to.
SEEN: Final = 0.2
MANY: Final = 24
#: From how many dots on they are written as one line.
SOME: Final = 4
#: How the outline of a letter is scaled, and where a letter stands in its line.
LETTER: Final = "scale(0.015625)"
#: The outline of a dot: a curve from a place straight below its middle, round and closed.
ROUND: Final = re.compile(r"M0 ([\d.]+)(?:c[^a-zA-Z]+)+z$")
MOVED: Final = re.compile(r"translate\((\S+?)(?: (\S+))?\)")


def figure_svg(figure: Figure, title: str) -> str:
    """A figure as SVG, with letters as outlines, so that it looks the same everywhere.

    Parameters
    ----------
    figure : Figure
        Drawn.
    title : str
        What a browser calls the file.

    Returns
    -------
    str
        The same figure gives the same text.
    """
    with (
        plt.rc_context(
            {"svg.hashsalt": "companion", "svg.fonttype": "path", "path.simplify_threshold": SEEN}
        ),
        io.StringIO() as file,
    ):
        figure.savefig(file, format="svg", metadata={"Date": None, "Title": title})
        return compact(file.getvalue())


def compact(text: str) -> str:
    """Drop from Matplotlib's SVG what is not seen.

    Places are kept to a hundredth of a point, and those of letters to a hundredth of their size.

    Parameters
    ----------
    text : str
        As Matplotlib writes it.

    Returns
    -------
    str
        SVG that shows the same.
    """
    root = ET.fromstring(text)
    for metadata in root.findall(f"{{{SVG}}}metadata"):
        root.remove(metadata)
    names = _short_names(root)
    for element in root.iter():
        element.tag = element.tag.removeprefix(f"{{{SVG}}}")
        element.text = (element.text or "").strip()
        element.tail = ""
        _shorten(element, names)
    marks = {element.get("id"): element for element in root.iter("path") if element.get("id")}
    for element in root.iter("g"):
        _common_style(element)
        _dots(element, marks)
    _without_empty(root)
    _repeated_lines(root, len(names))
    _without_unused(root)
    _classes(root)
    root.set("xmlns", SVG)
    return ET.tostring(root, encoding="unicode").replace(" />", "/>") + "\n"


def _short_names(root: ET.Element) -> dict[str, str]:
    """A short name for every part that another refers to."""
    used: dict[str, str] = {}
    for element in root.iter():
        for name in _references(element):
            used.setdefault(name, f"p{len(used)}")
    return used


def _references(element: ET.Element) -> Iterator[str]:
    if link := element.get(LINK):
        yield link[1:]
    for value in element.attrib.values():
        yield from re.findall(r"url\(#([^)]+)\)", value)


def _shorten(element: ET.Element, names: dict[str, str]) -> None:
    """Shorten the attributes of an element, in place."""
    old = dict(element.attrib)
    element.attrib.clear()
    letter = old.get("transform") == LETTER
    for key, value in old.items():
        if key == "id":
            if value in names:
                element.set("id", names[value])
        elif key == LINK:
            element.set("href", f"#{names[value[1:]]}")
        elif key == "style":
            element.set("style", re.sub(r"([:;]) ", r"\1", value))
        elif key == "d":
            element.set("d", _path(value if letter else _fewer(value), digits=0 if letter else 1))
        elif key == "transform" and (moved := MOVED.fullmatch(value)):
            # A letter in a line of them, in hundredths of its size.
            x, y = (_number(float(v or 0), 0) for v in moved.groups())
            element.attrib |= {k: v for k, v in (("x", x), ("y", y)) if v != "0"}
        elif key in ("x", "y"):
            element.set(key, _number(float(value), 1))
        elif key == "transform" and not letter:
            element.set(key, re.sub(r"(?<=translate\()(\S+) (\S+)(?=\))", _place, value))
        else:
            element.set(key, re.sub(r"url\(#([^)]+)\)", lambda m: f"url(#{names[m[1]]})", value))


def _fewer(d: str) -> str:
    """A long line or outline without the places that others already tell."""
    commands = re.sub("[^A-Za-z]", "", d)
    if len(commands) < MANY or not re.fullmatch("ML+z?", commands):
        return d  # a short path, or one with curves
    outline = Path(np.array(re.findall(r"[-\d.]+", d), dtype=float).reshape(-1, 2))
    outline.should_simplify, outline.simplify_threshold = True, SEEN
    cleaned = outline.cleaned(simplify=True)
    places = np.asarray(cleaned.vertices)[np.asarray(cleaned.codes) != Path.STOP]
    return "M" + "L".join(f"{x} {y} " for x, y in places) + commands[1:].lstrip("L")


def _path(d: str, digits: int) -> str:
    """A path in steps from one place to the next, which are shorter than the places."""
    text, last, here = "", "", (0.0, 0.0)
    for command, numbers in re.findall(r"([A-Za-z])([^A-Za-z]*)", d):
        values = [round(float(v), digits) for v in numbers.split()]
        places = list(zip(values[::2], values[1::2], strict=True))
        start = (0.0, 0.0) if command == "M" else here
        if command != last or command == "M":
            text += command if command == "M" else command.lower()
        for x, y in places:
            for step in (x - start[0], y - start[1]):
                number = _number(step, digits)
                text += number if text[-1].isalpha() or number[0] == "-" else f" {number}"
        last, here = command, places[-1] if places else here
    return text


def _place(found: re.Match[str]) -> str:
    return " ".join(_number(float(value), 1) for value in found.groups())


def _number(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}"
    if digits:
        text = text.rstrip("0").rstrip(".")
    text = text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text
    return "0" if text in ("-0", "", "-") else text


def _common_style(group: ET.Element) -> None:
    """Say once what all marks of a group look like."""
    styles = {mark.get("style") for mark in group}
    if len(group) > 1 and {mark.tag for mark in group} == {"use"} and len(styles) == 1:
        (style,) = styles
        if style is not None and group.get("style") is None:
            group.set("style", style)
            for mark in group:
                del mark.attrib["style"]


def _dots(group: ET.Element, marks: dict[str | None, ET.Element]) -> None:
    """Write many dots of one kind as the ends of a line that goes nowhere."""
    links = {mark.get("href", "") for mark in group}
    if len(group) < SOME or {mark.tag for mark in group} != {"use"} or len(links) != 1:
        return
    outline = marks[links.pop()[1:]].get("d", "")
    radius = ROUND.match(outline)
    if radius is None or "stroke-width" in group.get("style", ""):
        return
    # A place and a step of no length, whose round ends are a dot; an outline is a point wide.
    places = "".join(f"M{mark.get('x', '0')} {mark.get('y', '0')}h0" for mark in group)
    (color,) = re.findall("stroke:(#[0-9a-f]+)", group.get("style", ""))
    width = _number(2 * float(radius[1]) + 1, 1)
    style = f"fill:none;stroke:{color};stroke-width:{width};stroke-linecap:round"
    group[:] = [ET.Element("path", d=places, style=style)]
    del group.attrib["style"]


def _repeated_lines(root: ET.Element, names: int) -> None:
    """Write a line of letters that stands in several places once."""
    lines: dict[bytes, list[ET.Element]] = {}
    for group in root.iter("g"):
        if len(group) > 1 and "scale" in group.get("transform", ""):
            letters = [part for part in group if part.tag == "use"]
            lines.setdefault(b"".join(map(ET.tostring, letters)), []).append(group)
    written = ET.Element("defs")
    for number, groups in enumerate(found for found in lines.values() if len(found) > 1):
        line = ET.SubElement(written, "g", id=f"p{names + number}")
        line[:] = [part for part in groups[0] if part.tag == "use"]
        for group in groups:
            group[:] = [part for part in group if part.tag != "use"]
            ET.SubElement(group, "use", href=f"#p{names + number}")
    root.append(written)


def _classes(root: ET.Element) -> None:
    """Write a look, and a part of the figure that others are cut to, once: as a class."""
    names: dict[str, str] = {}
    for element in root.iter():
        rules = [element.attrib.pop("style", "")]
        if clip := element.attrib.pop("clip-path", ""):
            rules.append(f"clip-path:{clip}")
        classes = [names.setdefault(rule, f"c{len(names)}") for rule in rules if rule]
        if classes:
            element.set("class", " ".join(classes))
    (style,) = root.iter("style")
    style.text = (style.text or "") + "".join(f".{name}{{{rule}}}" for rule, name in names.items())


def _without_unused(root: ET.Element) -> None:
    """Drop the outlines that nothing refers to any more."""
    used = {element.get("href", "")[1:] for element in root.iter()}
    for holder in root.iter("defs"):
        holder[:] = [part for part in holder if part.tag != "path" or part.get("id") in used]


def _without_empty(element: ET.Element) -> None:
    """Take the parts of a group that says nothing into what holds it."""
    for child in list(element):
        _without_empty(child)
    parts: list[ET.Element] = []
    for child in element:
        parts += list(child) if child.tag == "g" and not child.attrib else [child]
    element[:] = parts
