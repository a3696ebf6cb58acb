"""Network classes behind :mod:`companion.networks.transformer` (Section 4.2).

All read ``input_ids`` and ``attention_mask`` of shape ``(batch, length)``, ``int64``, padded on the
right (the Vision Transformer: pixels), and no output depends on how much padding there is.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import GPT2ForSequenceClassification, T5Model, ViTForImageClassification
from transformers.modeling_outputs import SequenceClassifierOutputWithPast

__all__ = ["GPT2Classifier", "LSTMClassifier", "T5Classifier", "ViTClassifier"]


class ViTClassifier(ViTForImageClassification):
    """Vision Transformer that accepts images of any size.

    Images are resized to the size the network was made for, so the input stays as small as the
    dataset's. Forward takes ``pixel_values`` of shape ``(batch, 3, height, width)``.
    """

    def forward(self, pixel_values: Tensor, **kwargs: Any) -> Any:
        size = self.config.image_size
        sides = (size, size) if isinstance(size, int) else tuple(size)
        if tuple(pixel_values.shape[-2:]) != sides:
            pixel_values = nn.functional.interpolate(
                pixel_values, size=sides, mode="bicubic", align_corners=False, antialias=True
            )
        return super().forward(pixel_values, **kwargs)


class GPT2Classifier(GPT2ForSequenceClassification):
    """GPT-2 that scores the last token the attention mask counts.

    The parent looks for the last token that is not padding, which goes wrong when a text ends
    with the token that also pads. Only that one position is scored, so the pruned scores are those
    of the text and not of its padding.
    """

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, **kwargs: Any
    ) -> SequenceClassifierOutputWithPast:
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        states = self.transformer(input_ids, attention_mask=attention_mask, **kwargs)[0]
        positions = torch.arange(input_ids.shape[1], device=input_ids.device)
        last = (positions * attention_mask.ne(0)).argmax(dim=1)
        rows = torch.arange(len(input_ids), device=input_ids.device)
        return SequenceClassifierOutputWithPast(logits=self.score(states[rows, last]))


class T5Classifier(nn.Module):
    """T5 that reads a text with its encoder, again with its decoder, and classifies the mean.

    Parameters
    ----------
    t5 : T5Model
        Encoder and decoder.
    classes : int
        Number of classes.
    dropout : float, default 0.3
        Dropout rate before the classifier.

    Notes
    -----
    The decoder gets the text shifted right by one, as in pre-training. Its final states are
    averaged over as many positions as the text has tokens, so padding does not matter.
    """

    def __init__(self, t5: T5Model, classes: int, dropout: float = 0.3) -> None:
        super().__init__()
        self.t5 = t5
        start = t5.config.decoder_start_token_id
        self._start = int(t5.config.pad_token_id or 0) if start is None else int(start)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(t5.config.d_model, classes)

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Class scores, shape ``(batch, classes)``, of ids and mask ``(batch, length)``."""
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        start = torch.full_like(input_ids[:, :1], self._start)
        shifted = torch.cat([start, input_ids[:, :-1]], dim=1)
        states = self.t5(
            input_ids=input_ids,
            attention_mask=attention_mask,
            decoder_input_ids=shifted,
            decoder_attention_mask=attention_mask,
        ).last_hidden_state
        weights = attention_mask.unsqueeze(-1).to(states.dtype)
        mean = (states * weights).sum(1) / weights.sum(1).clamp(min=1)
        return self.classifier(self.dropout(mean))


class LSTMClassifier(nn.Module):
    """Embedding, unidirectional LSTM, and a classifier of three layers on its last state.

    Parameters
    ----------
    classes : int
        Number of classes.
    vocabulary : int
        Number of token ids.
    padding : int, default 0
        Id of padding.
    embedding, hidden : int, default 128
        Widths of the embedding and of the LSTM.
    widths : tuple of int, default (128, 64)
        Widths of the first two layers of the classifier.
    dropout : float, default 0.3
        Dropout rate after each of them.

    Examples
    --------
    >>> LSTMClassifier(classes=4, vocabulary=100)(torch.ones(2, 7, dtype=torch.int64)).shape
    torch.Size([2, 4])
    """

    def __init__(
        self,
        classes: int,
        vocabulary: int,
        padding: int = 0,
        embedding: int = 128,
        hidden: int = 128,
        widths: tuple[int, int] = (128, 64),
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, embedding, padding_idx=padding)
        self.lstm = nn.LSTM(embedding, hidden, batch_first=True)
        # An open forget gate carries the start of a long text to the end from the first step on;
        # without it, training often never leaves chance level.
        nn.init.ones_(self.lstm.get_parameter("bias_hh_l0")[hidden : 2 * hidden])
        self.classifier = nn.Sequential()
        before = hidden
        for number, width in enumerate(widths, start=1):
            self.classifier.add_module(f"linear{number}", nn.Linear(before, width))
            self.classifier.add_module(f"relu{number}", nn.ReLU())
            self.classifier.add_module(f"dropout{number}", nn.Dropout(dropout))
            before = width
        self.classifier.add_module("linear3", nn.Linear(before, classes))

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Class scores, shape ``(batch, classes)``, of ids and mask ``(batch, length)``."""
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        lengths = attention_mask.sum(1).clamp(min=1)
        # Nothing after the longest text of the batch reaches a last state: skip it.
        states, _ = self.lstm(self.embedding(input_ids[:, : int(lengths.max())]))
        rows = torch.arange(len(input_ids), device=input_ids.device)
        return self.classifier(states[rows, lengths - 1])
