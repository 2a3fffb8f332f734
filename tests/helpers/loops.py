"""Batches, and steps of a plain loop."""

import torch

from selfdistill.step import memory
from tests.helpers.networks import CLASSES

ALL = "scd() + lightskd() + csd()"
ROWS = 8


def batch(seed, rows=ROWS, size=16):
    draws = torch.Generator().manual_seed(seed)
    return torch.randn(rows, 3, size, size, generator=draws), torch.randint(0, CLASSES, (rows,), generator=draws)


IMAGES, LABELS = batch(0)


def steps(teach, optimizer, count, start=0, call=None):
    losses = []
    for seed in range(start, start + count):
        loss = (call or teach)(*batch(seed))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return losses


def sgd(teach):
    return torch.optim.SGD(teach.parameters(), lr=0.05, momentum=0.9)


def memories(teach):
    return list(memory.leaves(teach.memories))
