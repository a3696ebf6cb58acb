"""``python -m benchmarks.pretraining``: does a network's own objective lift its accuracy?

GPT-2, T5, ELECTRA and ViT are made for large amounts of data without labels. Here the body of each
is pretrained on nothing but the inputs of its training part, then trained as its recipe says. The
chapter's record tells what the same training from random weights comes to.
"""

from __future__ import annotations

import argparse
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

from benchmarks.command import exit_code
from companion.data.tensors import Splits, batches
from companion.networks import build
from companion.pages.pretraining import FILE, FORMAT, pretrainable, read_pretraining
from companion.runs.experiment import experiment
from companion.runs.provenance import provenance
from companion.runs.records import read_record, to_json
from companion.runs.run import Run
from companion.runs.settings import Settings, settings
from companion.runs.training import train
from thermo_utils import evaluate
from thermo_utils.errors import ThermoError, unknown
from thermo_utils.files import write_atomically

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
    body = network.transformer

    def loss(inputs: dict[str, Tensor]) -> Tensor:
        states = body(**inputs).last_hidden_state[:, :-1]
        counted = inputs["attention_mask"][:, 1:].bool()
        logits = nn.functional.linear(states[counted], body.wte.weight)
        return nn.functional.cross_entropy(logits, inputs["input_ids"][:, 1:][counted])

    return Objective(body, loss)


def hidden_spans(network: Any) -> Objective:
    """T5: the encoder misses spans of tokens, the decoder says them where they stand.

    The tokenizers made here have no sentinels for spans, so the decoder reads the whole text, as in
    the variant that T5's paper calls BERT-style.
    """
    body = network.t5
    padding, scale = body.config.pad_token_id, body.config.d_model**-0.5

    def loss(inputs: dict[str, Tensor]) -> Tensor:
        ids, mask = inputs["input_ids"], inputs["attention_mask"]
        starts = torch.rand(ids.shape) < TOKENS / SPAN
        hidden = starts.clone()
        for shift in range(1, SPAN):
            hidden[:, shift:] |= starts[:, :-shift]
        hidden &= mask.bool()
        hidden[:, 0] = True  # never none at all
        states = body(
            input_ids=ids.masked_fill(hidden, padding), attention_mask=mask,
            decoder_input_ids=network.shifted(ids), decoder_attention_mask=mask,
        ).last_hidden_state  # fmt: skip
        # Scaled as T5 does where the weights of embedding and head are the same.
        logits = nn.functional.linear(scale * states[hidden], body.shared.weight)
        return nn.functional.cross_entropy(logits, ids[hidden])

    return Objective(body, loss)


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
        states = generator.electra(
            input_ids=ids.masked_fill(hidden, padding), attention_mask=mask
        ).last_hidden_state
        # Where nothing is hidden, scores of every token would only take time.
        logits = generator.generator_lm_head(generator.generator_predictions(states[hidden]))
        guessed = nn.functional.cross_entropy(logits, ids[hidden])
        drawn = torch.distributions.Categorical(logits=logits.detach()).sample()
        replaced = ids.masked_scatter(hidden, drawn)
        judged = discriminator(
            input_ids=replaced, attention_mask=mask, labels=(replaced != ids).float()
        )
        return guessed + DISCRIMINATOR * judged.loss

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
    """Accuracies of one network that was pretrained, to be held against its chapter's.

    Parameters
    ----------
    given : Settings
        Of a chapter.
    results : Path
        Folder of the records; the chapter's tells what the network comes to without.
    epochs : int
        Of pretraining.

    Returns
    -------
    dict
        As :class:`companion.pages.pretraining.Entry` says.

    Raises
    ------
    ThermoError
        If there is no record of the chapter, or the data are not those that it was made from.
    """
    run = Run(given, results)
    record = read_record(run.folder)
    if record is None:
        raise ThermoError(
            f"there is no record in {run.folder} to hold it against: run the chapter first, "
            f"thermo run {given.model} {given.dataset} --profile {given.profile}"
        )
    run.check_sources()
    chapter = experiment(run)
    data = chapter.data()
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
    return {
        "curves_sha256": record.result["curves_sha256"],
        "epochs": epochs,
        "losses": losses,
        "accuracy": evaluate(network, chapter.test()),
        "validation_accuracy": float(history["validation_accuracy"].max()),
        "seconds": seconds,
        "provenance": provenance(),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure chapters, all in one file; returns the exit code."""
    known = pretrainable()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pretraining", description=__doc__)
    parser.add_argument("chapters", nargs="*", help="such as gpt2-yelp (default: all eight)")
    parser.add_argument("--profile", default="demo", help="demo (default) or small")
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of records")
    parser.add_argument("--epochs", type=int, default=10, help="of pretraining (default 10)")
    given = parser.parse_args(arguments)

    def work() -> None:
        if given.epochs < 1:
            raise ThermoError(f"--epochs must be 1 or more, got {given.epochs}")
        for name in given.chapters:
            if name not in [c.name for c in known]:
                raise unknown("chapter", name, [c.name for c in known])
        path = given.results / given.profile / FILE
        for chapter in known:
            if given.chapters and chapter.name not in given.chapters:
                continue
            wanted = settings(chapter.model, chapter.dataset, given.profile)
            read_pretraining(path)  # nothing is measured for a file that could not take it
            entry = measured(wanted, given.results, given.epochs)
            chapters = {**(read_pretraining(path) or {}), chapter.name: entry}
            content = {"format": FORMAT, "profile": given.profile, "chapters": chapters}
            write_atomically(path, to_json(content) + "\n")

    return exit_code(work, resumes=False)


if __name__ == "__main__":
    sys.exit(main())
