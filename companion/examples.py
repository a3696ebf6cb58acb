"""Networks and data that the page *Your own model* shows itself on, trained in a minute.

None is in the paper, and none needs a download: data are generated, or, at the profile ``small``,
read from the local mirror that the chapters read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from thermo_utils.errors import ThermoError, unknown

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["EXAMPLES", "Example", "load"]

#: Examples for training, validation (not used) and test, by profile.
SIZES: Final = {"demo": (2_000, 100, 400), "small": (10_000, 100, 1_000)}
#: Examples a step in training and a batch in evaluation.
STEP, BATCH = 50, 100
#: Tokens of a text.
LENGTH = 40


class Example(NamedTuple):
    """What somebody brings.

    Attributes
    ----------
    network : Module
        Trained, in train mode.
    batches : list
        Test data, as the network takes them, with targets.
    metric : str
        What it is judged by.
    synthetic : bool
        Whether the data were generated.
    """

    network: nn.Module
    batches: list[Any]
    metric: str
    synthetic: bool


def load(name: str, profile: str = "demo", seed: int = 0) -> Example:
    """Make and train one of the examples.

    Parameters
    ----------
    name : str
        One of `EXAMPLES`.
    profile : {"demo", "small"}
        Generated data, or the real ones in ``THERMO_DATA``.
    seed : int, default 0
        Of data and network.

    Returns
    -------
    Example

    Raises
    ------
    ThermoError
        If there is no such example or profile, or the real data are not there.
    """
    if name not in EXAMPLES:
        raise unknown("example", name, EXAMPLES)
    if profile not in SIZES:
        raise unknown("profile", profile, SIZES)
    import torch

    if seed < 0:
        raise ThermoError(f"seed must be 0 or more, got {seed}")
    torch.manual_seed(seed)
    data = {"synthetic": profile == "demo", "sizes": SIZES[profile], "seed": seed}
    return Example(*EXAMPLES[name](data), synthetic=profile == "demo")


def _torchvision(data: dict[str, Any]) -> tuple[nn.Module, list[Any], str]:
    """A small EfficientNet on images of 32 x 32 pixels."""
    import torch
    from torch.nn.functional import cross_entropy
    from torchvision.models.efficientnet import EfficientNet, MBConvConfig

    from companion.data.tensors import image_splits

    splits = image_splits("cifar10", **data)
    blocks = [
        MBConvConfig(1, 3, 1, 16, 16, 1),
        MBConvConfig(4, 3, 2, 16, 24, 2),
        MBConvConfig(4, 3, 2, 24, 40, 2),
    ]
    network = EfficientNet(blocks, dropout=0.1, num_classes=10, last_channel=128)
    train, test = splits.train, splits.test

    def loss(index: Tensor) -> Tensor:
        images, classes = train[index]
        return cross_entropy(network(images), classes)

    _train(network, len(train), loss, epochs=8)
    parts = torch.arange(len(test)).split(BATCH)
    return network, [test[part] for part in parts], "accuracy"


def _hugging_face(data: dict[str, Any]) -> tuple[nn.Module, list[Any], str]:
    """A small DistilBERT that tells the topics of news apart."""
    from transformers import DistilBertConfig, DistilBertForSequenceClassification

    splits = _news(data, "wordpiece")
    shape: dict[str, Any] = {
        "vocab_size": splits.vocabulary, "max_position_embeddings": LENGTH, "dim": 64,
        "n_layers": 3, "n_heads": 4, "hidden_dim": 256, "pad_token_id": splits.padding,
        "num_labels": len(splits.class_names),
    }  # fmt: skip
    config = DistilBertConfig(**shape)
    network = DistilBertForSequenceClassification(config)
    train = {**splits.train.inputs, "labels": splits.train.targets}
    _train_on(network, train, epochs=4)
    return network, _batches({**splits.test.inputs, "labels": splits.test.targets}), "accuracy"


def _language_model(data: dict[str, Any]) -> tuple[nn.Module, list[Any], str]:
    """A small Llama that predicts the next word of the news."""
    from transformers import LlamaConfig, LlamaForCausalLM

    splits = _news(data, "words")
    config = LlamaConfig(
        vocab_size=splits.vocabulary, hidden_size=64, intermediate_size=192, num_hidden_layers=3,
        num_attention_heads=4, max_position_embeddings=LENGTH, pad_token_id=splits.padding,
        bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    network = LlamaForCausalLM(config)

    def with_labels(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        padded = inputs["attention_mask"] == 0
        return {**inputs, "labels": inputs["input_ids"].masked_fill(padded, -100)}

    _train_on(network, with_labels(splits.train.inputs), epochs=5)
    return network, _batches(with_labels(splits.test.inputs)), "perplexity"


#: All of them by name.
EXAMPLES: Final[dict[str, Callable[[dict[str, Any]], tuple[nn.Module, list[Any], str]]]] = {
    "torchvision": _torchvision,
    "hugging_face": _hugging_face,
    "language_model": _language_model,
}


def _news(data: dict[str, Any], tokenizer: str) -> Any:
    from companion.data.text import text_splits

    return text_splits(
        "ag_news", tokenizer=tokenizer, max_length=LENGTH, vocabulary_size=2_000, **data
    )


def _batches(columns: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    parts = {name: column.split(BATCH) for name, column in columns.items()}
    return [dict(zip(parts, cut, strict=True)) for cut in zip(*parts.values(), strict=True)]


def _train_on(network: nn.Module, columns: dict[str, Tensor], *, epochs: int) -> None:
    def loss(index: Tensor) -> Tensor:
        return network(**{name: column[index] for name, column in columns.items()}).loss

    _train(network, len(columns["labels"]), loss, epochs=epochs)


def _train(
    network: nn.Module, count: int, loss: Callable[[Tensor], Tensor], *, epochs: int
) -> None:
    """Adam, with a rate that falls in a straight line."""
    import torch

    network.train()
    steps = epochs * -(-count // STEP)
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.02, total_iters=steps)
    for index in _order(count, epochs):
        optimizer.zero_grad()
        loss(index).backward()
        optimizer.step()
        schedule.step()


def _order(count: int, epochs: int) -> Iterator[Tensor]:
    import torch

    for _ in range(epochs):
        yield from torch.randperm(count).split(STEP)
