"""Texts as a network takes them: the tokens of its own tokenizer, padded batch by batch."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from companion.analysis.examples import Examples, groups
from companion.analysis.models import Loaded
from companion.analysis.request import Request
from companion.checkpoints import locate, quiet_transformers
from companion.hub import cause, hub
from thermo_utils.errors import ThermoError
from thermo_utils.targets import IGNORE_INDEX

__all__ = ["text_batches"]

#: Tokenizers that know no longest text say so by a number beyond this.
UNLIMITED = 1_000_000
#: Share of unknown tokens from which a reader is told.
UNKNOWN = 0.1
#: Tokens of a text at most, where neither tokenizer nor network says so.
LONGEST = 512


def text_batches(
    examples: Examples,
    loaded: Loaded,
    request: Request,
    facts: dict[str, str],
    notes: list[str],
) -> list[dict[str, Any]]:
    """Batches of tokens, with targets where these come from the texts themselves.

    Parameters
    ----------
    examples : Examples
        Texts.
    loaded : Loaded
        The network; is told which token pads if it has to know and does not.
    request : Request
        Size of batches; name of a tokenizer.
    facts : dict of str to str
        Is told which tokenizer.
    notes : list of str
        Is told of texts that were cut.

    Returns
    -------
    list of dict

    Raises
    ------
    ThermoError
        If there is no tokenizer.
    """
    place = request.tokenizer or loaded.place
    if place is None:
        raise ThermoError(
            f"{examples.title} holds texts, and {loaded.title} brings no tokenizer: name a folder "
            "that has one with --tokenizer, or give batches as FILE.py:NAME"
        )
    tokenizer = _tokenizer(place)
    _let_pad(tokenizer, loaded, place)
    longest = _longest(tokenizer, getattr(loaded.network, "config", None))
    taken = _accepted(loaded.network)
    words = {isinstance(text, list) for text in examples.items}
    if len(words) > 1:
        raise ThermoError(f"{examples.title} holds some texts as lists of words: make all alike")
    by_word = loaded.task == "tokens" and not request.rfe_only
    labels = _WordLabels(examples, loaded) if by_word else None
    batches: list[dict[str, Any]] = []
    cut = padded = positions = 0
    for rows in groups(range(len(examples.items)), request.batch_size):
        encoded = tokenizer(
            [examples.items[row] for row in rows], padding=True, truncation=True,
            max_length=longest, is_split_into_words=words == {True}, return_tensors="pt",
        )  # fmt: skip
        batch = {name: encoded[name] for name in encoded if taken is None or name in taken}
        mask = encoded["attention_mask"]
        cut += int((mask.sum(1) >= longest).sum())
        padded, positions = padded + int((mask == 0).sum()), positions + mask.numel()
        if loaded.task == "next token":
            batch["labels"] = encoded["input_ids"].masked_fill(mask == 0, IGNORE_INDEX)
        elif labels is not None:
            batch["labels"] = labels.aligned(encoded, list(rows))
        batches.append(batch)
    _check_known(batches, tokenizer, place, notes)
    facts["tokenizer"] = f"{type(tokenizer).__name__} of {place}, at most {longest} tokens a text"
    if padded:
        facts["padding"] = (
            f"{padded / positions:.1%} of the positions are padding, whose activations count too; "
            "there is none with --batch-size 1"
        )
    if cut:
        notes.append(f"{cut:,} texts fill all {longest} tokens and may have been cut.")
    return batches


def _let_pad(tokenizer: Any, loaded: Loaded, place: str) -> None:
    """Let a tokenizer pad, and the network know with what."""
    if tokenizer.pad_token is None:
        if tokenizer.eos_token is None:
            raise ThermoError(f"the tokenizer of {place} can neither pad nor end a text: set one")
        tokenizer.pad_token = tokenizer.eos_token
    if loaded.task == "next token":  # padding before a text would move its positions
        tokenizer.padding_side = "right"
    config = getattr(loaded.network, "config", None)
    if config is not None and getattr(config, "pad_token_id", 0) is None:
        config.pad_token_id = tokenizer.pad_token_id  # a classifier looks for the last token


class _WordLabels:
    """A class number for the first token of every word, as token classifiers are scored."""

    def __init__(self, examples: Examples, loaded: Loaded) -> None:
        self._labels = examples.labels or []
        numbers = {name: number for number, name in (loaded.classes or {}).items()}
        names, self._number = examples.names, {}
        for row, (text, labels) in enumerate(zip(examples.items, self._labels, strict=True)):
            if not isinstance(text, list) or not isinstance(labels, list):
                raise ThermoError(
                    f"{loaded.title} labels words: give each text as a list of words and each "
                    "label as a list of as many (JSON lines, or a data set)"
                )
            if len(text) != len(labels):
                raise ThermoError(
                    f"{examples.title}, row {row + 1}: {len(text)} words and {len(labels)} labels"
                )
            for label in labels:
                name = names[label] if names is not None and isinstance(label, int) else label
                if name in numbers:
                    self._number[label] = numbers[name]
                elif isinstance(label, int) and 0 <= label < len(numbers) and names is None:
                    self._number[label] = label
                else:
                    raise ThermoError(
                        f"{examples.title}, row {row + 1}: no class of the network is called "
                        f"{name!r}: it has {', '.join(list(numbers)[:8])}"
                    )

    def aligned(self, encoded: Any, rows: list[int]) -> torch.Tensor:
        found = torch.full(encoded["input_ids"].shape, IGNORE_INDEX)
        for i, row in enumerate(rows):
            last = None
            for position, word in enumerate(encoded.word_ids(i)):
                if word is not None and word != last:
                    found[i, position] = self._number[self._labels[row][word]]
                last = word
        return found


def _tokenizer(place: str) -> Any:
    from transformers import AutoTokenizer

    where = locate(place)
    local = Path(where).exists()
    try:
        with hub(not local), quiet_transformers():
            tokenizer = AutoTokenizer.from_pretrained(where)
    except Exception as error:  # the clients of the hub raise a dozen kinds
        raise ThermoError(
            f"could not load the tokenizer of {place} ({cause(error)}): write it there with "
            "save_pretrained, or name another with --tokenizer"
        ) from error
    # Of a folder without any of its files, transformers makes a tokenizer that knows no word.
    files = {"tokenizer.json", *type(tokenizer).vocab_files_names.values()}
    if local and not any((Path(where) / file).is_file() for file in files):
        raise ThermoError(
            f"{place} holds no tokenizer: write it there with save_pretrained, or name another "
            "with --tokenizer"
        )
    return tokenizer


def _check_known(
    batches: list[dict[str, Any]], tokenizer: Any, place: str, notes: list[str]
) -> None:
    """Whether the tokenizer knows what it is given."""
    if tokenizer.unk_token_id is None:
        return
    special = torch.tensor([n for n in tokenizer.all_special_ids if n != tokenizer.unk_token_id])
    unknown = words = 0
    for batch in batches:
        tokens = batch["input_ids"]
        unknown += int((tokens == tokenizer.unk_token_id).sum())
        words += int((~torch.isin(tokens, special)).sum())
    if words and unknown == words:
        raise ThermoError(f"the tokenizer of {place} knows none of the words: name another")
    if unknown > UNKNOWN * words:
        notes.append(f"The tokenizer does not know {unknown / words:.0%} of the tokens.")


def _longest(tokenizer: Any, config: Any) -> int:
    if tokenizer.model_max_length < UNLIMITED:
        return int(tokenizer.model_max_length)
    positions = getattr(config, "max_position_embeddings", None)
    return min(int(positions), LONGEST) if isinstance(positions, int) else LONGEST


def _accepted(network: torch.nn.Module) -> set[str] | None:
    """Names that a network's `forward` takes, None if it takes any."""
    parameters: Mapping[str, inspect.Parameter] = inspect.signature(network.forward).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        open_ended = {"input_ids", "attention_mask", "token_type_ids"} & set(parameters)
        return open_ended or None
    return set(parameters)
