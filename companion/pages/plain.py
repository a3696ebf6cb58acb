"""A page's words without markup and formulas: what search results and descriptions show."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from docutils import nodes
from sphinx.addnodes import pending_xref

__all__ = ["plain_math", "plain_text", "words_by_section"]

#: Commands that stand for a sign.
SIGNS: Final = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "Delta": "Δ", "epsilon": "ε",
    "varepsilon": "ε", "eta": "η", "theta": "θ", "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν",
    "pi": "π", "rho": "ρ", "sigma": "σ", "Sigma": "Σ", "tau": "τ", "phi": "φ", "chi": "χ",
    "psi": "ψ", "omega": "ω", "Omega": "Ω", "partial": "∂", "infty": "∞", "nabla": "∇",
    "sum": "Σ", "int": "∫", "prod": "∏", "cdot": "·", "times": "×", "pm": "±", "mp": "∓",
    "le": "≤", "leq": "≤", "ge": "≥", "geq": "≥", "ne": "≠", "neq": "≠", "approx": "≈",
    "sim": "∼", "equiv": "≡", "propto": "∝", "ll": "≪", "gg": "≫", "in": "∈", "subset": "⊂",
    "to": "→", "rightarrow": "→", "Rightarrow": "⇒", "mapsto": "↦", "ldots": "…", "dots": "…",
    "cdots": "…", "prime": "′", "mid": "|", "vert": "|", "lvert": "|", "rvert": "|", "langle": "⟨",
    "rangle": "⟩", "quad": " ", "qquad": " ", "sqrt": "√", "star": "*", "ast": "*", "ell": "ℓ",
}  # fmt: skip
#: Commands that only change how their argument looks, or that are a matter of spacing.
SILENT: Final = re.compile(
    r"\\(?:mathrm|mathbf|mathit|mathcal|mathbb|mathsf|boldsymbol|text|textrm|textbf|textit"
    r"|operatorname|left|right|big|Big|bigl|bigr|Bigl|Bigr|displaystyle|textstyle|limits|nolimits"
    r"|hat|bar|tilde|overline)(?![A-Za-z])\*?"
)
#: Digits and signs that exist as raised and lowered ones.
RAISED: Final = dict(zip("0123456789+-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", strict=True))
LOWERED: Final = dict(zip("0123456789", "₀₁₂₃₄₅₆₇₈₉", strict=True))
FRACTION: Final = re.compile(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}")
SCRIPT: Final = re.compile(r"([_^])\s*(?:\{([^{}]*)\}|([0-9]))")
#: An argument that is not one of a fraction, whose braces are of no use any more.
ARGUMENT: Final = re.compile(r"(?<!frac)(?<![_^}])\{([^{}]*)\}")
ROOT: Final = re.compile(r"\\sqrt\s*\{([^{}]*)\}")
#: What holds no words that are read in a line: markup of its own, code, formulas set apart.
SKIPPED: Final = (
    nodes.raw, nodes.literal_block, nodes.doctest_block, nodes.comment, nodes.system_message,
    nodes.table, nodes.image, nodes.math_block, nodes.substitution_definition, nodes.target,
)  # fmt: skip


def plain_math(latex: str) -> str:
    r"""A formula in a line of text.

    Parameters
    ----------
    latex : str
        As it stands between dollars.

    Returns
    -------
    str
        Signs instead of commands; a command that is not known is its name. No backslash, brace or
        dollar is left.

    Examples
    --------
    >>> plain_math(r"F(\tau) = E + T S")
    'F(τ) = E + T S'
    >>> plain_math(r"\tau^* \le 10^{-3}"), plain_math(r"\frac{\mathrm{d}F}{\mathrm{d}\tau}")
    ('τ* ≤ 10⁻³', 'dF/dτ')
    """
    text = SILENT.sub("", latex)
    before = None
    while text != before:  # from the innermost braces outwards
        before = text
        text = SCRIPT.sub(_script, text)
        text = FRACTION.sub(lambda m: f"{_grouped(m[1])}/{_grouped(m[2])}", text)
        text = ROOT.sub(lambda m: f"√{_grouped(m[1])}", text)
        text = ARGUMENT.sub(r"\1", text)
    text = re.sub(r"\\([^A-Za-z{}|]|$)", " ", text)
    text = re.sub(r"\\([A-Za-z]+)(?=(\\?[^\W_])?)", _named, text)
    text = re.sub(r"[\\{}$&~]", "", re.sub(r"\^\s*([*′'])", r"\1", text))
    return re.sub(r"([∂∇√]) ", r"\1", " ".join(text.split()))


def _named(match: re.Match[str]) -> str:
    """A command's sign, or its name, apart from letters that follow."""
    return SIGNS.get(match[1]) or f"{match[1]}{' ' if match[2] else ''}"


def _script(match: re.Match[str]) -> str:
    """Digits raised or lowered, other signs in brackets if there are several."""
    inner = match[2] if match[2] is not None else match[3]
    table = RAISED if match[1] == "^" else LOWERED
    if inner and all(sign in table for sign in inner):
        return "".join(table[sign] for sign in inner)
    if inner in {"*", "\\ast", "\\star", "\\prime"}:
        return SIGNS.get(inner.removeprefix("\\"), inner)
    return f"{match[1]}{_grouped(inner)}"


def _grouped(inner: str) -> str:
    """In brackets, unless it is one thing, or a change of one."""
    one = re.fullmatch(
        r"\s*(?:d|\\partial)?\s*(?:\\?[A-Za-z]+|[0-9.]+)[⁰¹²³⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉*']*\s*", inner
    )
    return inner.strip() if one else f"({inner.strip()})"


def plain_text(node: nodes.Node) -> str:
    """The words of a part of a page, in one line.

    Parameters
    ----------
    node : docutils node

    Returns
    -------
    str
        Formulas as :func:`plain_math` writes them; without tables, code and images.
    """
    text = " ".join("".join(_words(node)).split())
    return re.sub(r" ([.,;:])(?= |$)", r"\1", text)


def _words(node: nodes.Node) -> Iterator[str]:
    if isinstance(node, nodes.math):
        yield plain_math(node.astext())
    elif isinstance(node, nodes.Text):
        yield node.astext()
    elif isinstance(node, pending_xref) and node.get("refdomain") == "cite":
        return  # a key of the bibliography, until Sphinx puts names in its place
    elif not isinstance(node, SKIPPED):
        for child in node.children:
            yield from _words(child)
        if isinstance(node, nodes.Element) and not isinstance(node, nodes.Inline):
            yield " "


def words_by_section(doctree: nodes.document) -> dict[str, list[str]]:
    """The words of a page, a piece at a time: titles, paragraphs, items, captions.

    Parameters
    ----------
    doctree : docutils document

    Returns
    -------
    dict of str to list of str
        Pieces by the anchor of their section, in the order of the page, each once; none is empty.
    """
    kinds = (nodes.title, nodes.paragraph, nodes.caption, nodes.term)
    found: dict[str, list[str]] = {}
    for node in doctree.findall(lambda n: isinstance(n, kinds)):
        above = list(_above(node))
        text = plain_text(node)
        if text and not any(isinstance(part, (*kinds, *SKIPPED)) for part in above):
            sections = [part for part in above if isinstance(part, nodes.section)]
            anchor = sections[0]["ids"][0] if sections else ""
            found.setdefault(anchor, []).append(text)
    return found


def _above(node: nodes.Node) -> Iterator[nodes.Element]:
    """What a node stands in, from the inside outwards."""
    while node.parent is not None:
        node = node.parent
        yield node
