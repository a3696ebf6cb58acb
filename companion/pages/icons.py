"""The few icons that a site uses, out of the font and the style sheet that its theme brings.

The theme loads all of Font Awesome: a script of 1.5 MB, three fonts, and a rule for every icon.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping
from typing import Final

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont

__all__ = ["icon_codes", "icon_fonts", "icon_names", "trimmed_style"]

#: An icon's name in a page or a script; styles of the whole family are no icons.
NAME: Final = re.compile(r"\bfa-([a-z][a-z0-9-]*)")
#: A rule of an icon: its names, and the sign of the font.
RULE: Final = re.compile(
    r'((?:\.fa-[a-z0-9-]+:{1,2}before,?)+)\{(?:--fa:|content:)"([^"]+)"[^{}]*\}'
)
FACE: Final = re.compile(r"@font-face\{[^{}]*/(fa-[a-z]+-[0-9]+)\.woff2[^{}]*\}")
SOURCE: Final = re.compile(r"src:[^;{}]*")
#: Signs that rules of other parts name.
PRIVATE: Final = re.compile(r"\\(f[0-9a-f]{3})|([\uf000-\uf8ff])")


def icon_names(text: str) -> set[str]:
    """Names of icons in a page or a script.

    Parameters
    ----------
    text : str

    Returns
    -------
    set of str

    Examples
    --------
    >>> sorted(icon_names('<i class="fa-solid fa-bars"></i>'))
    ['bars', 'solid']
    """
    return set(NAME.findall(text))


def icon_codes(style: str, names: Iterable[str]) -> set[int]:
    r"""Code points of the signs that a site shows.

    Parameters
    ----------
    style : str
        The theme's style sheet.
    names : iterable of str
        Icons that pages and scripts name.

    Returns
    -------
    set of int
        Of these, and of those that other rules of the style sheet name.

    Examples
    --------
    >>> style = '.fa-x:before{content:"\\f00d"}.fa-bars:before{content:"\\f0c9"}b{c:"\\f0f3"}'
    >>> [hex(code) for code in sorted(icon_codes(style, ["bars"]))]
    ['0xf0c9', '0xf0f3']
    """
    wanted = set(names)
    signs = [RULE.sub("", style)]
    signs += [rule[2] for rule in RULE.finditer(style) if wanted & icon_names(rule[1])]
    return {
        int(escaped, 16) if escaped else ord(sign)
        for text in signs
        for escaped, sign in PRIVATE.findall(text)
    }


def trimmed_style(style: str, names: Iterable[str], fonts: Mapping[str, str]) -> str:
    r"""The theme's style sheet without rules and fonts of icons that no page shows.

    Parameters
    ----------
    style : str
        The theme's style sheet.
    names : iterable of str
        Icons that pages and scripts name.
    fonts : mapping of str to str
        Addresses of the fonts that hold them, by the name of the theme's font that they are from.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If the style sheet is built in another way than this module knows.

    Examples
    --------
    >>> face = "@font-face{font-family:A;src:url(a/fa-solid-900.woff2)}"
    >>> style = face + '.fa-bars:before{content:"\\f0c9"}.fa-x:before{content:"\\f00d"}b{}'
    >>> print(trimmed_style(style, ["bars"], {"fa-solid-900": "i.woff"}))
    @font-face{font-family:A;src:url(i.woff) format("woff")}.fa-bars:before{content:"\f0c9"}b{}
    """
    if not RULE.search(style) or not FACE.search(style):
        raise ValueError("the theme's style sheet holds no Font Awesome as it did")

    def face(match: re.Match[str]) -> str:
        address = fonts.get(match[1])
        return "" if address is None else SOURCE.sub(f'src:url({address}) format("woff")', match[0])

    wanted = set(names)
    kept = RULE.sub(lambda rule: rule[0] if wanted & icon_names(rule[1]) else "", style)
    return FACE.sub(face, kept)


def icon_fonts(fonts: Mapping[str, bytes], codes: Iterable[int]) -> dict[str, bytes]:
    """Fonts of a few signs.

    Parameters
    ----------
    fonts : mapping of str to bytes
        TrueType fonts by name, looked through in this order.
    codes : iterable of int
        Code points of the signs.

    Returns
    -------
    dict of str to bytes
        WOFF, without fonts that hold none of them; the same for the same signs.

    Raises
    ------
    ValueError
        If a sign is in no font.
    """
    missing, made = set(codes), {}
    for name, content in fonts.items():
        font = TTFont(io.BytesIO(content), recalcTimestamp=False)
        found = missing & set(font.getBestCmap())
        if found:
            subsetter = Subsetter(Options(layout_features=[], name_IDs=[], notdef_outline=True))
            subsetter.populate(unicodes=found)
            subsetter.subset(font)
            font.flavor = "woff"
            written = io.BytesIO()
            font.save(written)
            made[name] = written.getvalue()
        missing -= found
    if missing:
        raise ValueError(f"no font holds the icons {sorted(map(hex, missing))}")
    return made
