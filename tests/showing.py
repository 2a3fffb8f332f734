"""What a term sees, put together by hand."""

import torch
from torch import Tensor

from selfdistill.terms import Batch, Clock, Outputs, Seen, Term


def clock(epoch: float = 0, epochs: float = 10, progress: float = 0) -> Clock:
    return Clock(*(torch.tensor(float(each)) for each in (epoch, epochs, progress)))


def seen(logits: Tensor, labels: Tensor, *, embedding=None, features=None, views=None, classifier=None, **rest) -> Seen:
    """A step at which the student gave these logits; `views` are the logits of other passes by name."""
    batch = Batch(torch.zeros(len(labels), 3, 2, 2), labels, mix=rest.pop("mix", None))
    shown = {name: Outputs(each, None, {}) for name, each in (views or {}).items()}
    return Seen(
        batch,
        logits,
        embedding,
        features or {},
        shown,
        classifier,
        rest.pop("clock", clock()),
        rest.pop("memory", None),
    )


def only(method, name: str) -> Term:
    """The term of this name, as a method brings it."""
    return method.all_terms[name]
