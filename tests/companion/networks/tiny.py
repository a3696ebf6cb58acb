"""Every registered network in its smallest size, with batches that suit it."""

from __future__ import annotations

import torch
from torch import nn

from companion.networks import NETWORKS, build

SHAPES = {
    "image": {"classes": 4, "image_size": 32},
    "text": {"classes": 4, "vocabulary": 50, "padding": 0, "max_length": 12},
}


def tiny(model):
    """A tiny network whose normalisations have seen data, and two batches."""
    torch.manual_seed(0)
    reads = NETWORKS[model].reads
    dataset = "cifar10" if reads == "image" else "ag_news"
    options = NETWORKS[model].recipes[dataset, "demo"].options
    network = build(model, SHAPES[reads], **options)
    if reads == "image":
        batches = [torch.randn(16, 3, 32, 32) for _ in range(2)]
    else:
        ids = [torch.randint(1, 50, (16, 12)) for _ in range(2)]
        batches = [{"input_ids": i, "attention_mask": torch.ones_like(i)} for i in ids]
    network.train()
    for batch in batches:
        network(**batch) if isinstance(batch, dict) else network(batch)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):  # as after training
            nn.init.normal_(module.weight, 1.0, 0.3)
            nn.init.normal_(module.bias, 0.0, 0.3)
    return network.eval(), [(batch, torch.zeros(16, dtype=torch.int64)) for batch in batches]
