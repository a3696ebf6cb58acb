"""The icons that a site shows, out of all that its theme brings."""

from __future__ import annotations

import io

import pytest
from fontTools.ttLib import TTFont

from companion.pages.icons import icon_codes, icon_fonts, icon_names, trimmed_style
from companion.pages.theme import FAMILIES, FONTS, STYLE, THEME

SHEET = (THEME / STYLE).read_text()
FILES = {name: (THEME / FONTS / f"{name}.ttf").read_bytes() for name in FAMILIES}
PAGE = '<i class="fas fa-bars fa-lg"></i><i class="fab fa-github"></i>'
BARS, GITHUB, CAR = 0xF0C9, 0xF09B, 0xF1B9


def test_signs_of_pages_and_of_the_themes_own_rules():
    codes = icon_codes(SHEET, icon_names(PAGE))
    assert {BARS, GITHUB} <= codes
    assert CAR not in codes  # an icon that nothing names
    assert CAR in icon_codes(SHEET, ["car"])
    assert len(codes) < 40


def test_the_fonts_hold_these_signs_and_no_other():
    codes = icon_codes(SHEET, icon_names(PAGE))
    made = icon_fonts(FILES, codes)
    held = [set(TTFont(io.BytesIO(font)).getBestCmap()) for font in made.values()]
    assert set().union(*held) == codes
    assert sum(map(len, held)) == len(codes)
    assert sum(map(len, made.values())) < 20_000
    assert made == icon_fonts(FILES, codes)


def test_a_sign_that_no_font_holds_is_refused():
    with pytest.raises(ValueError, match="0xe999"):
        icon_fonts(FILES, [BARS, 0xE999])


def test_the_style_sheet_loses_what_is_not_used():
    style = trimmed_style(SHEET, icon_names(PAGE), {"fa-solid-900": "solid.woff"})
    assert ".fa-bars:" in style
    assert ".fa-car:" not in style
    assert "woff2" not in style
    assert style.count("@font-face") == style.count("solid.woff") == 1
    assert len(style) < len(SHEET) - 50_000
    # Rules of the theme that are of no icon stay as they are.
    assert style.count("--pst-color-") == SHEET.count("--pst-color-")


def test_another_style_sheet_is_refused():
    with pytest.raises(ValueError, match="Font Awesome"):
        trimmed_style("a{color:red}", [], {})
