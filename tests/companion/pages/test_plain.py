"""Words of a page without markup: no formula's source is left in them."""

from __future__ import annotations

import docutils.core
import docutils.nodes
import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion.pages.plain import SIGNS, plain_math, plain_text, words_by_section

PAGE = r"""
A title
=======

The threshold :math:`\tau^*` of a *network*.

.. math:: F = E + T S

* an item with ``code``

.. code::

   hidden = 1

.. raw:: html

   <p>raw</p>

.. list-table::

   * - cell

Below
-----

.. figure:: x.svg
   :alt: not read

   The caption.
"""


@pytest.mark.parametrize(
    ("latex", "plain"),
    [
        (r"\tau", "τ"),
        (r"\beta^*", "β*"),
        (r"\tau^{\ast}", "τ*"),
        (r"\rho = M/N", "ρ = M/N"),
        (r"\Sigma_0", "Σ₀"),
        (r"10^{-3}", "10⁻³"),
        (r"e^{-\lambda\tau}", "e^(-λτ)"),
        (r"\frac{\tau^2}{2\sigma^2}", "τ²/(2σ²)"),
        (r"\frac{\partial F}{\partial\tau}", "∂F/∂τ"),
        (r"\frac{a + b}{\frac{c}{d}}", "(a + b)/(c/d)"),
        (r"\sqrt{2/\pi}", "√(2/π)"),
        (r"\ln\rho", "ln ρ"),
        (r"\ln(1 - \tau)", "ln(1 - τ)"),
        (r"\mathbf{1}\left[|a| \ge \tau\right]", "1[|a| ≥ τ]"),
        (r"10\,000", "10 000"),
        (r"\beta_\mathrm{FE}", "β_FE"),
    ],
)
def test_formulas_of_the_book(latex, plain):
    assert plain_math(latex) == plain


PIECES = st.sampled_from(
    [f"\\{name} " for name in SIGNS]
    + [
        "\\frac{",
        "\\mathrm{",
        "{",
        "}",
        "^{",
        "_{",
        "^",
        "_",
        "\\",
        "\\\\",
        "$",
        "&",
        "x",
        "2",
        " ",
    ]
)


@given(st.lists(PIECES, max_size=12).map("".join) | st.text(max_size=30))
def test_whatever_the_formula_no_source_is_left(latex):
    plain = plain_math(latex)
    assert not set(plain) & set("\\{}$")
    assert plain == " ".join(plain.split())


@given(st.text("abcxyz019+-=()<>|, .", max_size=30))
def test_what_has_no_commands_stays(text):
    assert plain_math(text) == " ".join(text.split())


def test_words_of_a_page_are_its_prose():
    doctree = docutils.core.publish_doctree(PAGE, settings_overrides={"raw_enabled": True})
    found = words_by_section(doctree)
    first = ["A title", "The threshold τ* of a network.", "an item with code"]
    assert found == {"": first, "below": ["Below", "The caption."]}
    assert plain_text(doctree) == " ".join([*first, *found["below"]])


def test_a_word_is_there_once():
    inner = docutils.nodes.paragraph("", "inner")
    outer = docutils.nodes.paragraph("", "", inner)
    page = docutils.nodes.section("", outer, ids=["here"])
    assert words_by_section(page) == {"here": ["inner"]}
