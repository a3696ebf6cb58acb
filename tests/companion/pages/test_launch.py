"""Buttons to edit and to run a page: with the right addresses, and none before there is one."""

from __future__ import annotations

import pytest

from companion.pages.launch import Repository, header_buttons, page_source, repository
from companion.runs.chapters import CHAPTERS
from companion.runs.provenance import ROOT
from thermo_utils.errors import ThermoError

OF = Repository("someone", "pruning", "a/b")


def addresses(page: str, suffix: str) -> dict[str, str]:
    return {
        button["label"]: button["url"]
        for group in header_buttons(page, suffix, OF)
        for button in group["buttons"]
    }


def test_of_a_chapter():
    github = "https://github.com/someone/pruning"
    assert addresses("chapters/mobilenet_v2-cifar10", ".ipynb") == {
        "repository-button": github,
        "edit-button": f"{github}/edit/a/b/notebooks/mobilenet_v2.md",
        "binder-button": "https://mybinder.org/v2/gh/someone/pruning/a%2Fb"
        "?urlpath=lab%2Ftree%2Fnotebooks%2Fmobilenet_v2.md",
        "colab-button": "https://colab.research.google.com/github/someone/pruning/blob/gh-pages"
        "/_sources/chapters/mobilenet_v2-cifar10.ipynb",
    }


@pytest.mark.parametrize("page", [f"chapters/{c.name}" for c in CHAPTERS] + ["method", "index"])
def test_every_source_exists(page):
    assert (ROOT / str(page_source(page))).is_file()


def test_prose_is_edited_and_not_run():
    assert set(addresses("method", ".md")) == {"repository-button", "edit-button"}


def test_what_was_run_on_a_machine_is_in_no_repository():
    assert set(addresses("runs/demo-mlp-cifar10", ".ipynb")) == {"repository-button"}


@pytest.mark.parametrize(
    "url", ["github.com/a/b", "https://gitlab.com/a/b", "https://github.com/a"]
)
def test_an_address_of_another_kind_is_refused(url):
    with pytest.raises(ThermoError, match="OWNER/NAME"):
        repository(url)
