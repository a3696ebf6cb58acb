"""A file such as a user has: a network and data."""

from __future__ import annotations

__all__ = ["OWN"]

#: A network that knows its data, and the same data in every form that is taken.
OWN = """
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

print("running the file")
torch.manual_seed(0)
network = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 3))
points = torch.randn(90, 6)
targets = network(points).argmax(1)
batches = list(zip(points.split(30), targets.split(30)))
unlabelled = [points]
number = 3
text = "batches"
dataset = TensorDataset(points, targets)
loader = DataLoader(dataset, batch_size=30)
generator = (batch for batch in batches)

def make(): return network
def fail(): raise RuntimeError("over\\nlines")
def stream(): yield from batches
def endless():
    while True: yield from batches
def share_right(outputs, targets): return (outputs.argmax(1) == targets).double().mean()

class Fails(nn.Module):
    def __init__(self):
        super().__init__()
        self.act = nn.ReLU()
    def forward(self, x):
        x = self.act(x)
        return x @ torch.ones(99, 3)

fails = Fails()

class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = network[0], network[4]
    def forward(self, x):
        x = torch.relu(self.first(x))
        return self.last(torch.relu(x - 0.1))

functional = Functional()

def within():
    class Local(nn.Sequential): pass
    return Local(*network)
"""
