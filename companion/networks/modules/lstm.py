"""The LSTM, with a classifier of three layers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["LSTMClassifier"]


class LSTMClassifier(nn.Module):
    """Embedding, unidirectional LSTM, and a classifier of three layers on its last state.

    Parameters
    ----------
    classes : int
        Number of classes.
    vocabulary : int
        Number of token ids.
    padding : int
        Id of padding.
    embedding, hidden : int
        Widths of the embedding and of the LSTM.
    widths : tuple of int
        Widths of the first two layers of the classifier.
    dropout : float
        Dropout rate after each of them.
    """

    def __init__(
        self,
        classes: int,
        vocabulary: int,
        padding: int,
        embedding: int,
        hidden: int,
        widths: tuple[int, int],
        dropout: float,
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
