"""Step and build contexts of a term, made by hand."""

import torch
from torch import Size, Tensor

from selfdistill.data.batch import Batch
from selfdistill.terms import BuildContext, LossTerm, ModelOutputs, Progress, StepContext


def clock(epoch: float = 0, epochs: float = 10, progress: float = 0) -> Progress:
    return Progress(*(torch.tensor(float(each)) for each in (epoch, epochs, progress)))


def step_context(
    logits: Tensor,
    labels: Tensor,
    *,
    embedding=None,
    features=None,
    views=None,
    classifier=None,
    classifier_weight=None,
    mix=None,
    index=None,
    extra=None,
    clock=clock(),  # noqa: B008  # it is never changed
    memory=None,
    classifiers=None,
) -> StepContext:
    """Make a step context with these logits; `views` are other passes by name: `ModelOutputs`, or their logits."""
    batch = Batch(torch.zeros(len(labels), 3, 2, 2), labels, index, mix, extra or {})
    shown = {
        name: each if isinstance(each, ModelOutputs) else ModelOutputs(each, None, {})
        for name, each in (views or {}).items()
    }
    more = {"memory": memory, "classifiers": classifiers or {}}
    return StepContext(batch, logits, embedding, features or {}, shown, classifier, classifier_weight, clock, **more)


def build_context(branch=None, views=None, **shapes) -> BuildContext:
    """Make a build context: shapes by tap, as in build_context(stage1=(4, 8, 6, 6), logits=(4, 10))."""
    named = {view: {name: Size(shape) for name, shape in each.items()} for view, each in (views or {}).items()}
    return BuildContext({name: Size(shape) for name, shape in shapes.items()}, named, branch)


def total(value) -> Tensor:
    """Return a loss value in one piece: the sum of its parts."""
    return value if isinstance(value, Tensor) else sum(value.values())


def only(method, name: str) -> LossTerm:
    """Return the method's term of this name."""
    return method.all_terms[name]
