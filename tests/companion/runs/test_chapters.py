"""The chapters: the paper's twenty, and those of networks that are not in the paper."""

from __future__ import annotations

import subprocess
import sys

import pytest

from companion.data.specs import DATASETS
from companion.networks import NETWORKS
from companion.runs.chapters import CHAPTERS, Chapter, chapter, chapter_title
from companion.runs.settings import settings
from thermo_utils import ThermoError


def test_no_library_is_loaded():
    code = """
import sys
import companion.runs, companion.runs.chapters, companion.runs.settings
companion.runs.settings.settings("bert", "yelp")
print([name for name in ("torch", "pandas", "transformers") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_twenty_chapters_with_the_papers_figures_in_order():
    assert [c.figure for c in CHAPTERS] == list(range(2, 22))
    assert len({c.name for c in CHAPTERS}) == 20
    images, texts = {"cifar10", "flowers102"}, {"ag_news", "yelp"}
    vision = {"mlp", "cnn", "resnet18", "mobilenet_v2", "vit"}
    language = {"lstm", "bert", "electra", "t5", "gpt2"}
    assert {(c.model, c.dataset) for c in CHAPTERS} == {
        (model, dataset)
        for models, datasets in ((vision, images), (language, texts))
        for model in models
        for dataset in datasets
    }


@pytest.mark.parametrize("expected", CHAPTERS, ids=lambda c: c.name)
def test_lookup(expected):
    assert chapter(expected.model, expected.dataset) == expected
    assert expected.name == f"{expected.model}-{expected.dataset}"


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda c: c.name)
def test_titles(chapter):
    network, data = chapter.title.split(" on ")
    assert network == NETWORKS[chapter.model].title
    assert data == DATASETS[chapter.dataset].title
    assert chapter_title(chapter.name) == chapter.title


def test_names_that_are_not_registered_stand_for_themselves():
    assert Chapter("mine", "cifar10").title == chapter_title("mine-cifar10") == "mine on CIFAR-10"
    assert Chapter("mlp", "digits").title == "MLP on digits"
    assert Chapter("mine", "cifar10").figure is None


@pytest.mark.parametrize(
    ("model", "dataset", "message"),
    [
        ("resnet", "cifar10", "unknown model 'resnet': did you mean 'resnet18'"),
        ("mlp", "cifar", "unknown dataset 'cifar': did you mean 'cifar10'"),
        ("mlp", "yelp", "mlp has no chapter on yelp: take cifar10 or flowers102"),
        ("", "", "unknown model ''"),
        (None, "cifar10", "unknown model 'None'"),
    ],
)
def test_unknown_chapters(model, dataset, message):
    for look in (chapter, settings):
        with pytest.raises(ThermoError, match=message):
            look(model, dataset)
