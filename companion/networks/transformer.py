"""What the networks of Hugging Face ``transformers`` share.

They come with the weights of a checkpoint, or in any size from scratch. The paper's dropout "on
fully connected layers" (Section 4.3) is applied to the outputs of the fully connected layers inside
the blocks and to the input of the classifier. Dropout of attention weights keeps the default of
each family, and can be set as an option.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from companion.networks.network import check_dropout
from thermo_utils.errors import ThermoError, unknown

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

__all__ = ["make_encoder", "make_transformer"]

#: Options of text generation and of other tasks, without effect on a classifier.
NO_EFFECT = {
    "add_cross_attention", "bos_token_id", "classifier_dropout", "encoder_stride", "eos_token_id",
    "is_decoder", "is_encoder_decoder", "pad_token_id", "pooler_act", "pooler_output_size",
    "summary_activation", "summary_first_dropout", "summary_last_dropout",
    "summary_proj_to_labels", "summary_type", "summary_use_proj", "tie_word_embeddings",
    "use_cache",
}  # fmt: skip


def make_transformer(
    model: Any,
    family: type[PreTrainedConfig],
    checkpoint: str | None,
    *,
    own: dict[str, Any],
    sizes: dict[str, Any],
    config: dict[str, Any],
) -> Any:
    """A network of a family, from a checkpoint or from scratch.

    Parameters
    ----------
    model : type
        Class of the network.
    family : type
        Class of its configuration.
    checkpoint : str or None
        Pretrained weights, see :func:`companion.checkpoints.locate`.
    own : dict
        Options of the configuration that hold in any case.
    sizes : dict
        Options that fit the network to the data. A checkpoint has its own, which must suffice.
    config : dict
        Options that a user may choose; not with a checkpoint.

    Returns
    -------
    Module
        Of class `model`.

    Raises
    ------
    ThermoError
        If an option is unknown or out of range, the checkpoint cannot be loaded, or it is too
        small for the vocabulary or the length.
    """
    if checkpoint is not None:
        from companion.checkpoints import load

        if config:
            raise ThermoError(
                f"checkpoint {checkpoint} fixes the network: drop {', '.join(config)}"
            )
        made = load(model.from_pretrained, checkpoint, **own)
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


def make_encoder(
    model: Any,
    family: type[PreTrainedConfig],
    checkpoint: str | None,
    *,
    classes: int,
    vocabulary: int,
    padding: int,
    max_length: int,
    dropout: float,
    config: dict[str, Any],
) -> Any:
    """A network with the options of BERT and its kin.

    Parameters
    ----------
    model, family, checkpoint, config
        As for :func:`make_transformer`.
    classes, vocabulary, padding, max_length : int
        Number of classes and of token ids, id of padding, tokens per text.
    dropout : float
        Rate after the fully connected layers of each block, after the embedding, and before the
        classifier.

    Returns
    -------
    Module
        Of class `model`.

    Raises
    ------
    ThermoError
        As :func:`make_transformer`.
    """
    own = {
        "hidden_dropout_prob": check_dropout(dropout), "classifier_dropout": dropout,
        "num_labels": classes, "pad_token_id": padding,
    }  # fmt: skip
    sizes = {"vocab_size": vocabulary, "max_position_embeddings": max_length}
    return make_transformer(model, family, checkpoint, own=own, sizes=sizes, config=config)


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
