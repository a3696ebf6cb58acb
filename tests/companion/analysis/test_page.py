"""The page on ``thermo analyze``: its commands do what it says, and no option is missing."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from companion import cli
from companion.analysis.command import add_arguments
from companion.analysis.request import PRODUCTS
from thermo_utils.saving import load_safe

PAGE = (Path(__file__).parents[3] / "book" / "analyze.md").read_text()
COMMANDS = [
    line for block in re.findall(r"```bash\n(.*?)```", PAGE, re.S) for line in block.splitlines()
]


def test_every_option_is_on_the_page_and_no_other():
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    options = {word for action in parser._actions for word in action.option_strings}
    named = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", "".join(re.findall(r"`[^`\n]+`", PAGE))))
    assert named == options - {"-h", "--help"}


def test_every_file_is_on_the_page():
    assert all(f"`{name}`" in PAGE for name in PRODUCTS)


@pytest.fixture
def prepared(here):
    """What the page takes for granted."""
    import transformers
    from torchvision.models import resnet18

    from tests.companion.analysis.test_hugging_face import WORDS, sentences, tokenizer

    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    (here / "my_model.py").write_text(code)
    torch.manual_seed(0)
    torch.save(resnet18(num_classes=2).state_dict(), here / "resnet18.pt")
    rng = np.random.default_rng(0)
    for name in ("cats", "dogs"):
        (here / "photos" / name).mkdir(parents=True)
        for i in range(2):
            pixels = rng.integers(0, 255, (60, 80, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(here / "photos" / name / f"{i}.jpg")
    config = transformers.BertConfig(
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, id2label={0: "1", 1: "5"}, label2id={"1": 0, "5": 1},
    )  # fmt: skip
    transformers.BertForSequenceClassification(config).save_pretrained(here / "my-bert")
    tokenizer().save_pretrained(here / "my-bert")
    rows = [(text, 5 if good else 1) for text, good in sentences()]
    pd.DataFrame(rows, columns=["review", "stars"]).to_csv(here / "reviews.csv", index=False)


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn", "prepared")
def test_every_command_on_the_page_works(here, capsys):
    assert len(COMMANDS) == 5
    for command in COMMANDS:
        program, *words = shlex.split(command)
        assert program == "thermo"
        assert cli.main([*words, "--quiet"]) == 0, capsys.readouterr().err
    for folder in ("analysis", "careful", "quick", "photos-report", "reviews-report"):
        assert (here / folder / "report.html").is_file()
    safe = load_safe(here / "pruned.json")
    assert 0 <= safe.drop <= 0.005
    kept = torch.load(here / "pruned.pt", weights_only=False)
    assert f"tau={safe.tau!r}" in repr(kept)
    assert (here / "careful" / "per_layer.csv").is_file()
    assert pd.read_csv(here / "quick" / "layers.csv")["size"].tolist() == [300 * 128, 300 * 64]
