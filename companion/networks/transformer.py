"""The transformers and the LSTM of the paper (Section 4.2).

Transformers are the classes of Hugging Face ``transformers``, either with the weights of
a checkpoint or in any size from scratch. The layers that are pruned in them stand in
:mod:`companion.networks.network`.

The paper's dropout of 0.3 "on fully connected layers" (Section 4.3) is applied to the outputs of
the fully connected layers inside the blocks and to the input of the classifier. Dropout of
attention weights keeps the default of each family, and can be set as an option.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from transformers import (
    BertConfig,
    BertForSequenceClassification,
    ElectraConfig,
    ElectraForSequenceClassification,
    GPT2Config,
    PreTrainedConfig,
    T5Config,
    T5Model,
    ViTConfig,
)

from companion import checkpoints
from companion.networks.modules.classifiers import (
    GPT2Classifier,
    LSTMClassifier,
    T5Classifier,
    ViTClassifier,
)
from thermo_utils.errors import ThermoError, unknown

__all__ = ["bert", "electra", "gpt2", "lstm", "t5", "vit"]

#: Options of text generation and of other tasks, without effect on a classifier.
NO_EFFECT = {
    "add_cross_attention", "bos_token_id", "classifier_dropout", "encoder_stride", "eos_token_id",
    "is_decoder", "is_encoder_decoder", "pad_token_id", "pooler_act", "pooler_output_size",
    "summary_activation", "summary_first_dropout", "summary_last_dropout",
    "summary_proj_to_labels", "summary_type", "summary_use_proj", "tie_word_embeddings",
    "use_cache",
}  # fmt: skip


def vit(
    classes: int,
    image_size: int,
    *,
    checkpoint: str | None = None,
    dropout: float = 0.3,
    trainable_blocks: int = 4,
    **config: Any,
) -> ViTClassifier:
    """Vision Transformer.

    Parameters
    ----------
    classes : int
        Number of classes.
    image_size : int
        Side of the images in pixels. Without a checkpoint, the network is made for it.
    checkpoint : str, optional
        Pretrained weights, see :func:`companion.checkpoints.locate`. Images are resized to
        the checkpoint's size.
    dropout : float, default 0.3
        Rate after the fully connected layers of each block, and after the embedding.
    trainable_blocks : int, default 4
        With a checkpoint, this many of the last blocks are trained, together with the final
        normalisation and the classifier; the rest stays fixed. Without one, all is trained.
    **config
        Options of ``ViTConfig``, such as ``hidden_size``, ``patch_size``; not with a checkpoint.

    Returns
    -------
    ViTClassifier
        Prune it at `VIT_LAYERS`.

    Raises
    ------
    ThermoError
        If an option is unknown or out of range, or the checkpoint cannot be loaded.

    Examples
    --------
    >>> import torch
    >>> tiny = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32}
    >>> network = vit(10, 32, num_hidden_layers=1, patch_size=8, **tiny)
    >>> network(torch.zeros(2, 3, 32, 32)).logits.shape
    torch.Size([2, 10])
    """
    if trainable_blocks < 0:
        raise ThermoError(f"trainable_blocks must be zero or more, got {trainable_blocks}")
    own = {"hidden_dropout_prob": _rate(dropout), "num_labels": classes}
    model: ViTClassifier = _make(
        ViTClassifier, ViTConfig, checkpoint, own, {"image_size": image_size}, config
    )
    if checkpoint is not None:
        blocks = list(model.vit.layers)
        model.requires_grad_(False)
        for part in (*blocks[max(0, len(blocks) - trainable_blocks) :], model.vit.layernorm):
            part.requires_grad_(True)
        model.classifier.requires_grad_(True)
    return model


def bert(
    classes: int,
    *,
    vocabulary: int,
    padding: int,
    max_length: int,
    checkpoint: str | None = None,
    dropout: float = 0.3,
    **config: Any,
) -> BertForSequenceClassification:
    """BERT.

    Parameters
    ----------
    classes : int
        Number of classes.
    vocabulary, padding, max_length : int
        Number of token ids, id of padding, tokens per text; as in
        :class:`companion.data.tensors.Splits`.
    checkpoint : str, optional
        Pretrained weights, see :func:`companion.checkpoints.locate`.
    dropout : float, default 0.3
        Rate after the fully connected layers of each block, after the embedding, and before the
        classifier.
    **config
        Options of ``BertConfig``, such as ``hidden_size``; not with a checkpoint.

    Returns
    -------
    BertForSequenceClassification
        Prune it at `BERT_LAYERS`.

    Raises
    ------
    ThermoError
        If an option is unknown or out of range, the checkpoint cannot be loaded, or it is too
        small for the vocabulary or the length.

    Examples
    --------
    >>> import torch
    >>> tiny = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32}
    >>> network = bert(4, vocabulary=50, padding=0, max_length=8, num_hidden_layers=1, **tiny)
    >>> network(torch.ones(2, 8, dtype=torch.int64)).logits.shape
    torch.Size([2, 4])
    """
    return _encoder(
        BertForSequenceClassification, BertConfig, classes, vocabulary, padding, max_length,
        checkpoint, dropout, config,
    )  # fmt: skip


def electra(
    classes: int,
    *,
    vocabulary: int,
    padding: int,
    max_length: int,
    checkpoint: str | None = None,
    dropout: float = 0.3,
    **config: Any,
) -> ElectraForSequenceClassification:
    """ELECTRA's discriminator.

    Parameters and errors are those of :func:`bert`, options those of ``ElectraConfig``; the
    classifier has a dense layer of its own.

    Returns
    -------
    ElectraForSequenceClassification
        Prune it at `ELECTRA_LAYERS`.
    """
    return _encoder(
        ElectraForSequenceClassification, ElectraConfig, classes, vocabulary, padding, max_length,
        checkpoint, dropout, config,
    )  # fmt: skip


def gpt2(
    classes: int,
    *,
    vocabulary: int,
    padding: int,
    max_length: int,
    checkpoint: str | None = None,
    dropout: float = 0.3,
    **config: Any,
) -> GPT2Classifier:
    """GPT-2; texts are padded on the right.

    Parameters and errors are those of :func:`bert`, options those of ``GPT2Config``
    (``n_embd``, ``n_layer``, ``n_head``, ...). GPT-2 has no dropout before its classifier.

    Returns
    -------
    GPT2Classifier
        Prune it at `GPT2_LAYERS`.
    """
    own = {
        "resid_pdrop": _rate(dropout), "embd_pdrop": dropout, "num_labels": classes,
        "pad_token_id": padding, "use_cache": False,
    }  # fmt: skip
    # bos and eos only serve text generation; their defaults lie outside a small vocabulary.
    sizes = {
        "vocab_size": vocabulary, "n_positions": max_length, "bos_token_id": padding,
        "eos_token_id": padding,
    }  # fmt: skip
    return _make(GPT2Classifier, GPT2Config, checkpoint, own, sizes, config)


def t5(
    classes: int,
    *,
    vocabulary: int,
    padding: int,
    max_length: int,
    checkpoint: str | None = None,
    dropout: float = 0.3,
    **config: Any,
) -> T5Classifier:
    """T5 with a linear classifier on the mean of its final decoder states.

    Parameters and errors are those of :func:`bert`, options those of ``T5Config`` (``d_model``,
    ``num_layers``, ...). T5 has one dropout rate for everything, attention included. Its positions
    are relative, so `max_length` bounds nothing.

    Returns
    -------
    T5Classifier
        Prune it at `T5_LAYERS`.
    """
    own = {"dropout_rate": _rate(dropout), "use_cache": False}
    sizes = {"vocab_size": vocabulary, "pad_token_id": padding, "decoder_start_token_id": padding}
    return T5Classifier(_make(T5Model, T5Config, checkpoint, own, sizes, config), classes, dropout)


def lstm(
    classes: int, *, vocabulary: int, padding: int, max_length: int, **options: Any
) -> LSTMClassifier:
    """LSTM of any length of text.

    Parameters
    ----------
    classes, vocabulary, padding, max_length : int
        As for :func:`bert`; the length bounds nothing.
    **options
        ``embedding``, ``hidden``, ``widths``, ``dropout`` of :class:`LSTMClassifier`.

    Returns
    -------
    LSTMClassifier
        Prune it at `LSTM_LAYERS`.

    Raises
    ------
    ThermoError
        If an option is unknown or out of range.
    """
    allowed = ("embedding", "hidden", "widths", "dropout")
    for name in options:
        if name not in allowed:
            raise unknown("lstm option", name, allowed)
    widths = tuple(options.get("widths", (1, 1)))
    if len(widths) != 2:
        raise ThermoError(f"widths must be two numbers, for a classifier of three layers: {widths}")
    for value in (options.get("embedding", 1), options.get("hidden", 1), *widths):
        if not isinstance(value, int) or value < 1:
            raise ThermoError(f"lstm widths must be whole numbers above 0, got {value!r}")
    _rate(options.get("dropout", 0.0))
    return LSTMClassifier(classes, vocabulary, padding, **options)


def _encoder(
    model: Any, family: Any, classes: int, vocabulary: int, padding: int, max_length: int,
    checkpoint: str | None, dropout: float, config: dict[str, Any],
) -> Any:  # fmt: skip
    own = {
        "hidden_dropout_prob": _rate(dropout), "classifier_dropout": dropout,
        "num_labels": classes, "pad_token_id": padding,
    }  # fmt: skip
    sizes = {"vocab_size": vocabulary, "max_position_embeddings": max_length}
    return _make(model, family, checkpoint, own, sizes, config)


def _make(
    model: Any,
    family: type[PreTrainedConfig],
    checkpoint: str | None,
    own: dict[str, Any],
    sizes: dict[str, Any],
    config: dict[str, Any],
) -> Any:
    """A model with the options `own`, from a checkpoint or made for `sizes` and `config`."""
    if checkpoint is not None:
        if config:
            raise ThermoError(
                f"checkpoint {checkpoint} fixes the network: drop {', '.join(config)}"
            )
        made = checkpoints.load(model.from_pretrained, checkpoint, **own)
        _check_fits(checkpoint, made.config, sizes)
        return made
    allowed = [
        field.name
        for field in dataclasses.fields(family)
        if field.name in vars(family)["__annotations__"]  # not inherited
        and field.name not in NO_EFFECT | own.keys() | sizes.keys()
    ]
    for name in config:
        if name not in allowed:
            raise unknown(f"{family.model_type} option", name, allowed)
    try:
        return model(family(**own, **sizes, **config))
    except Exception as error:  # validation errors of the hub client share no base class
        cause = " ".join(str(error).split())
        raise ThermoError(f"{family.model_type} cannot be made with {config}: {cause}") from error


def _check_fits(checkpoint: str, made: PreTrainedConfig, sizes: dict[str, Any]) -> None:
    if sizes.get("vocab_size", 0) > getattr(made, "vocab_size", 0):
        raise ThermoError(
            f"checkpoint {checkpoint} knows {made.vocab_size} token ids, the texts have "
            f"{sizes['vocab_size']}: tokenise them with the tokenizer of the checkpoint"
        )
    length = sizes.get("max_position_embeddings", sizes.get("n_positions", 0))
    if length and length > made.max_position_embeddings:
        raise ThermoError(
            f"checkpoint {checkpoint} reads at most {made.max_position_embeddings} tokens, the "
            f"texts have {length}: choose a smaller max_length"
        )


def _rate(dropout: float) -> float:
    if not 0 <= dropout < 1:
        raise ThermoError(f"dropout must be at least 0 and below 1, got {dropout}")
    return dropout
