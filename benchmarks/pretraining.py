"""``python -m benchmarks.pretraining``: does a network's own objective lift its accuracy?

GPT-2, T5, ELECTRA and ViT are made for large amounts of data without labels. Here the body of each
is pretrained on nothing but the inputs of its training part, then trained as its recipe says, and
held against the same training from random weights. The objectives and their losses are those of
``transformers``.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from tqdm import tqdm

from companion.data.tensors import Splits, batches
from companion.networks import build
from companion.pages.pretraining import FILE
from companion.pages.survives import read_facts
from companion.runs.chapters import CHAPTERS
from companion.runs.experiment import experiment
from companion.runs.provenance import provenance
from companion.runs.records import to_json
from companion.runs.run import Run
from companion.runs.settings import Settings, settings
from companion.runs.training import train
from thermo_utils import evaluate
from thermo_utils.errors import ThermoError, unknown
from thermo_utils.files import write_atomically
from thermo_utils.hits import IGNORE_INDEX

__all__ = ["OBJECTIVES", "Objective", "main", "measured", "pretrain"]

#: Share of the tokens that are hidden, and tokens in a row (T5); share of the patches (ViT).
TOKENS, SPAN, PATCHES = 0.15, 3, 0.5
#: The weight of ELECTRA's discriminator in the loss, as in its paper.
DISCRIMINATOR = 50.0


class Objective(NamedTuple):
    """What a body learns from.

    Attributes
    ----------
    trained : Module
        All that is trained, the network's own body among it.
    loss : callable
        Of inputs as the network takes them; draws from PyTorch's global generator.
    """

    trained: nn.Module
    loss: Callable[[Any], Tensor]


def next_token(network: Any) -> Objective:
    """GPT-2: the token after those read so far."""
    from transformers import GPT2LMHeadModel

    model = GPT2LMHeadModel(network.config)
    model.transformer = network.transformer
    model.tie_weights()

    def loss(inputs: dict[str, Tensor]) -> Tensor:
        counted = inputs["attention_mask"].bool()
        return model(**inputs, labels=_only(inputs["input_ids"], counted)).loss

    return Objective(model, loss)


def hidden_spans(network: Any) -> Objective:
    """T5: the encoder misses spans of tokens, the decoder says them where they stand.

    The tokenizers made here have no sentinels for spans, so the decoder reads the whole text, as in
    the variant that T5's paper calls BERT-style.
    """
    from transformers import T5ForConditionalGeneration

    body = network.t5
    model = T5ForConditionalGeneration(body.config)
    model.shared, model.encoder, model.decoder = body.shared, body.encoder, body.decoder
    model.tie_weights()
    padding = body.config.pad_token_id

    def loss(inputs: dict[str, Tensor]) -> Tensor:
        ids, mask = inputs["input_ids"], inputs["attention_mask"]
        starts = torch.rand(ids.shape) < TOKENS / SPAN
        hidden = starts.clone()
        for shift in range(1, SPAN):
            hidden[:, shift:] |= starts[:, :-shift]
        hidden &= mask.bool()
        hidden[:, 0] = True  # never none at all
        return model(
            input_ids=ids.masked_fill(hidden, padding), attention_mask=mask,
            decoder_input_ids=model.prepare_decoder_input_ids_from_labels(ids),
            decoder_attention_mask=mask,
            labels=_only(ids, hidden),
        ).loss  # fmt: skip

    return Objective(model, loss)


def replaced_tokens(network: Any) -> Objective:
    """ELECTRA: which tokens a small generator has replaced, which learns to guess hidden ones."""
    from transformers import ElectraForMaskedLM, ElectraForPreTraining

    config = network.config
    small = {name: getattr(config, name) // 2 for name in ("hidden_size", "intermediate_size")}
    generator = ElectraForMaskedLM(type(config).from_dict({**config.to_dict(), **small}))
    generator.electra.embeddings = network.electra.embeddings
    generator.tie_weights()
    discriminator = ElectraForPreTraining(config)
    discriminator.electra = network.electra
    padding = config.pad_token_id

    def loss(inputs: dict[str, Tensor]) -> Tensor:
        ids, mask = inputs["input_ids"], inputs["attention_mask"]
        hidden = (torch.rand(ids.shape) < TOKENS) & mask.bool()
        hidden[:, 0] = True
        guesses = generator(
            input_ids=ids.masked_fill(hidden, padding), attention_mask=mask,
            labels=_only(ids, hidden),
        )  # fmt: skip
        drawn = torch.distributions.Categorical(logits=guesses.logits[hidden].detach()).sample()
        replaced = ids.masked_scatter(hidden, drawn)
        judged = discriminator(
            input_ids=replaced, attention_mask=mask, labels=(replaced != ids).float()
        )
        return guesses.loss + DISCRIMINATOR * judged.loss

    return Objective(nn.ModuleList([generator, discriminator]), loss)


def hidden_patches(network: Any) -> Objective:
    """ViT: the pixels of patches that it does not see."""
    from transformers import ViTForMaskedImageModeling

    body, side = network.vit, network.config.patch_size
    model = ViTForMaskedImageModeling(
        type(network.config).from_dict({**network.config.to_dict(), "encoder_stride": side})
    )
    for name in ("patch_embeddings", "cls_token", "position_embeddings"):
        setattr(model.vit.embeddings, name, getattr(body.embeddings, name))
    model.vit.layers, model.vit.layernorm = body.layers, body.layernorm
    patches = (network.config.image_size // side) ** 2

    def loss(images: Tensor) -> Tensor:
        hidden = torch.rand(len(images), patches) < PATCHES
        return model(images, bool_masked_pos=hidden).loss

    return Objective(model, loss)


def _only(ids: Tensor, counted: Tensor) -> Tensor:
    """Labels of the counted positions."""
    return ids.masked_fill(~counted, IGNORE_INDEX)


OBJECTIVES: Mapping[str, Callable[[nn.Module], Objective]] = {
    "vit": hidden_patches,
    "electra": replaced_tokens,
    "t5": hidden_spans,
    "gpt2": next_token,
}


def pretrain(
    network: nn.Module, name: str, data: Splits, *, epochs: int, batch_size: int, seed: int
) -> list[float]:
    """Pretrain the body of a network by its own objective.

    Adam starts at 0.001 and falls to zero along half a cosine; dropout is the network's.

    Parameters
    ----------
    network : Module
        Changed in place; its head stays as it is.
    name : str
        Its short name, see `OBJECTIVES`.
    data : Splits
        The inputs of the training part are read, its targets are not.
    epochs, batch_size : int
        How long, and how many examples to the step.
    seed : int
        Of order, hiding and dropout.

    Returns
    -------
    list of float
        The mean loss of each epoch.

    Raises
    ------
    ThermoError
        If the network has no objective of its own.
    """
    if name not in OBJECTIVES:
        raise ThermoError(
            f"{name} has no objective of its own: take one of {', '.join(OBJECTIVES)}"
        )
    torch.manual_seed(seed)
    objective = OBJECTIVES[name](network)
    objective.trained.train()
    adam = torch.optim.Adam(objective.trained.parameters(), lr=0.001)
    loader = batches(data.train, batch_size, shuffle=True, seed=seed)
    steps = epochs * len(loader)
    falling = torch.optim.lr_scheduler.LambdaLR(
        adam, lambda step: (1 + math.cos(math.pi * step / steps)) / 2
    )
    history = []
    for epoch in range(epochs):
        losses = []
        for inputs, _ in tqdm(loader, desc=f"pretraining {epoch + 1}/{epochs}", unit="batch"):
            loss = objective.loss(inputs)
            adam.zero_grad()
            loss.backward()
            adam.step()
            falling.step()
            losses.append(float(loss.detach()))
        history.append(sum(losses) / len(losses))
    return history


def measured(given: Settings, results: Path, epochs: int) -> dict[str, Any]:
    """Accuracies of one network with pretraining and without.

    Parameters
    ----------
    given : Settings
        Of a chapter. The training without pretraining is the chapter's own.
    results : Path
        Folder in which trainings are looked up and kept.
    epochs : int
        Of pretraining.

    Returns
    -------
    dict
        Settings, losses of pretraining, and accuracies on validation and test data.
    """
    run = Run(given, results)
    run.check_sources()
    chapter = experiment(run)
    data, test = chapter.data(), chapter.test()
    before = {
        "validation_accuracy": float(chapter.history["validation_accuracy"].max()),
        "test_accuracy": evaluate(chapter.network(), test),
    }
    torch.manual_seed(given.seed)
    network = build(given.model, data.shape, **given.network_options)
    started = time.time()
    losses = pretrain(
        network, given.model, data, epochs=epochs, batch_size=given.batch_size, seed=given.seed
    )
    seconds = time.time() - started
    with tempfile.TemporaryDirectory() as folder:
        history = train(
            network, data, folder=folder, epochs=given.epochs, batch_size=given.batch_size,
            learning_rate=given.learning_rate, patience=given.patience, seed=given.seed,
            precision=given.precision, augment=given.augment, schedule=given.schedule,
        )  # fmt: skip
    after = {
        "validation_accuracy": float(history["validation_accuracy"].max()),
        "test_accuracy": evaluate(network, test),
    }
    return {
        "settings": dataclasses.asdict(given),
        "data": data.fingerprint,
        "test_examples": len(data.test),
        "epochs": epochs,
        "losses": losses,
        "seconds": seconds,
        "without": before,
        "with": after,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure chapters, all in one file; returns the exit code."""
    known = [c for c in CHAPTERS if c.model in OBJECTIVES]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pretraining", description=__doc__)
    parser.add_argument("chapters", nargs="*", help="such as gpt2-yelp (default: all eight)")
    parser.add_argument("--profile", default="demo", help="demo (default) or small")
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of records")
    parser.add_argument("--epochs", type=int, default=10, help="of pretraining (default 10)")
    given = parser.parse_args(arguments)
    try:
        if given.epochs < 1:
            raise ThermoError(f"--epochs must be 1 or more, got {given.epochs}")
        for name in given.chapters:
            if name not in [c.name for c in known]:
                raise unknown("chapter", name, [c.name for c in known])
        for chapter in known:
            if given.chapters and chapter.name not in given.chapters:
                continue
            wanted = settings(chapter.model, chapter.dataset, given.profile)
            content = measured(wanted, given.results, given.epochs)
            path = given.results / given.profile / FILE
            facts = read_facts(path) or {}
            facts[chapter.name] = {**content, "provenance": provenance()}
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, to_json(facts) + "\n")
    except (ThermoError, OSError) as error:
        print(f"benchmarks: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
