"""T5 of ``transformers`` with a linear classifier."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from transformers import T5Model

__all__ = ["T5Classifier"]


class T5Classifier(nn.Module):
    """T5 that reads a text with its encoder, again with its decoder, and classifies the mean.

    Parameters
    ----------
    t5 : T5Model
        Encoder and decoder.
    classes : int
        Number of classes.
    dropout : float
        Dropout rate before the classifier.

    Notes
    -----
    The decoder gets the text shifted right by one, as in pre-training. Its final states are
    averaged over as many positions as the text has tokens, so padding does not matter.
    """

    def __init__(self, t5: T5Model, classes: int, dropout: float) -> None:
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
        states = self.t5(
            input_ids=input_ids,
            attention_mask=attention_mask,
            decoder_input_ids=self.shifted(input_ids),
            decoder_attention_mask=attention_mask,
        ).last_hidden_state
        weights = attention_mask.unsqueeze(-1).to(states.dtype)
        mean = (states * weights).sum(1) / weights.sum(1).clamp(min=1)
        return self.classifier(self.dropout(mean))

    def shifted(self, input_ids: Tensor) -> Tensor:
        """What the decoder reads: the ids ``(batch, length)`` moved right by one."""
        start = torch.full_like(input_ids[:, :1], self._start)
        return torch.cat([start, input_ids[:, :-1]], dim=1)
