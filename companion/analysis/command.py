"""``thermo analyze``: its words, and what is done before the slow imports."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path

from companion.analysis.request import METRICS, Request, check

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give a parser the arguments of ``thermo analyze``.

    Parameters
    ----------
    parser : ArgumentParser
        Without arguments.
    """
    parser.add_argument(
        "model",
        help="FILE.py:NAME or MODULE:NAME of a module or of a function that returns one, a network "
        "of torchvision (resnet18), or a folder or name of a Hugging Face model",
    )
    parser.add_argument(
        "data",
        help="FILE.py:NAME or MODULE:NAME of an iterable of batches, a folder of images with a "
        "folder for each class, a table of texts (.csv, .tsv, .jsonl), or a data set: a folder "
        "that the datasets library has saved, or its name on the hub",
    )
    add = parser.add_argument_group("what to do").add_argument
    add("--layers", nargs="+", metavar="NAME",
        help="what to prune: names, patterns, types such as Linear, inputs such as Linear:input, "
        "functions such as relu() (default: all activation functions)")  # fmt: skip
    add("--metric", metavar="NAME",
        help=f"{', '.join(METRICS)}, or FILE.py:NAME of a function of outputs and targets or of "
        "a torchmetrics object (default: by what the network answers)")  # fmt: skip
    add("--better", choices=("higher", "lower"), help="for a metric of your own")
    add("--max-drop", type=float, metavar="D",
        help="how much worse the score may get (default 0.01; of perplexity and errors, a share "
        "of 0.01)")  # fmt: skip
    add("--relative", action="store_true", help="take --max-drop as a share of the score")
    add("--per-layer", action="store_true", help="also a table and a heat map layer by layer")
    add("--rfe-only", action="store_true", help="one unpruned pass, no score, no safe threshold")
    add("--tau-step", type=float, metavar="S", help="step of the grid (default: automatic)")
    add("--tau-max", type=float, metavar="T", help="end of the grid (default: automatic)")
    add("--keep", type=Path, metavar="FILE",
        help="write the network pruned at the safe threshold, and that as JSON beside it",
    )  # fmt: skip

    add = parser.add_argument_group("model").add_argument
    add("--weights", metavar="FILE", help="state dict, or weights such as IMAGENET1K_V1, for "
        "a network of torchvision (default: random)")  # fmt: skip
    add("--device", help="such as cpu or cuda (default: a GPU, except for Python objects)")
    add("--seed", type=int, default=0, help="of random weights and random examples (default 0)")

    add = parser.add_argument_group("data").add_argument
    add("--batch-size", type=int, default=Request.batch_size, metavar="N", help="default 32")
    add("--limit", type=int, metavar="N",
        help="examples at most: at random, of batches the first")  # fmt: skip
    add("--size", type=int, metavar="N", help="side of images in pixels (default: the network's)")
    add("--split", help="part of a data set (default: test or validation)")
    add("--config", help="configuration of a data set")
    for kind in ("text", "label", "image"):
        add(f"--{kind}-column", default=kind, metavar="NAME", help=f"default: {kind}")
    add("--tokenizer", metavar="FOLDER", help="for a network that brings none")

    add = parser.add_argument_group("output").add_argument
    add("-o", "--output", type=Path, default=Request.output, metavar="FOLDER",
        help="receives report.html and what is in it (default: analysis)")  # fmt: skip
    add("--force", action="store_true", help="replace what is there")
    add("--quiet", action="store_true", help="no progress")


def run(options: argparse.Namespace) -> None:
    """Do what was asked, and print what was found.

    Parameters
    ----------
    options : Namespace
        Parsed by a parser with these arguments.

    Raises
    ------
    ThermoError
        If it cannot be done. Most mistakes are found before torch is imported.
    """
    chosen = {field.name: getattr(options, field.name) for field in fields(Request)}
    if chosen["layers"] is not None:
        chosen["layers"] = tuple(chosen["layers"])
    request = Request(**chosen)
    model, data = check(request)
    examples = None
    if data.kind in ("images", "table"):
        from companion.analysis.examples import read_examples

        examples = read_examples(data, request)
    from companion.analysis.analysis import analyze

    print("\n".join(analyze(request, model, data, examples)))
