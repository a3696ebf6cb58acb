"""GPT-2 of ``transformers``, as a classifier of texts that are padded on the right."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import GPT2ForSequenceClassification
from transformers.modeling_outputs import SequenceClassifierOutputWithPast

__all__ = ["GPT2Classifier"]


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
