"""Losses of a method's first steps on one batch, for networks that should give the same."""

import torch
from torch import nn

import selfdistill as sd
from tests.helpers.kinds import LABELS, extra

TIME = {"dataset_size": 8, "epochs": 4, "steps_per_epoch": 2}


def seeded(make, seed=0):
    """A network drawn from a seed, without dropout: what it drops depends on the shape of the batch."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = make()
    for each in model.modules():
        if isinstance(each, nn.Dropout):
            each.p = 0.0
    return model


def teach(text, make, inputs, seed=0):
    """A teach of a network and teachers of the same kind."""
    method = sd.methods.parse_method(text)
    networks = {role: seeded(make, 9) for role in method.teachers}
    return sd.teach(seeded(make, seed), method, inputs, networks=networks, **TIME)


def optimizer_of(taught):
    return torch.optim.SGD([each for each in taught.parameters() if each.requires_grad], lr=0.05, momentum=0.9)


def take_steps(taught, optimizer, inputs, count, call=None, labels=LABELS):
    """Losses by name of each of `count` steps."""
    found, call = [], taught if call is None else call
    for _ in range(count):
        optimizer.zero_grad()
        call(inputs, labels, **extra(inputs)).backward()
        optimizer.step()
        found.append(taught.losses)
    return found


def losses(text, make, inputs, count=2, labels=LABELS):
    """Losses by name of the first steps of a new teach."""
    taught = teach(text, make, inputs)
    return take_steps(taught, optimizer_of(taught), inputs, count, labels=labels)
