"""Closed-form gradients of losses with respect to the classifier's input.

Each row is the gradient of the loss of one image; the gradient of the batch mean is 1/B of that. With logits
z = W f + b and p_T = softmax(z / T):

    cross-entropy                    (p_1 - onehot(y)) W
    T² KL(q || p_T), q held fixed    T (p_T - q) W
"""

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from selfdistill.data.requirements import SameClassImage
from selfdistill.errors import UserError
from selfdistill.functional import fuse_predictions, softmax_with_temperature
from selfdistill.method import Method
from selfdistill.methods.cs_kd import ClassConsistency
from selfdistill.methods.csd import ClassCenters
from selfdistill.terms import Memory
from selfdistill.terms.memory import as_pair


def gradients(
    method: Method, features: Tensor, labels: Tensor, weight: Tensor, bias: Tensor, memories: Mapping[str, Memory]
) -> tuple[Tensor, Tensor]:
    """Compute the gradients of the task loss and of the distillation losses. -> [N, D], [N, D].

    features [N, D], labels [N]; the classifier's weight [C, D] and bias [C]; `memories` by term, left unchanged.
    If the target is a random image of the same class, the result is the expectation over these images.
    Raises `UserError` if a loss of the method has no closed-form gradient here.
    """
    require_closed_form(method)
    logits, members = features @ weight.T + bias, _classmates(method, labels)
    task = method.weights["task"] * cross_entropy_gradient(logits, labels, weight)
    distillation = torch.zeros_like(task)
    for name, each in method.terms.items():
        term = cast("Term", each)  # `require_closed_form` accepts no other
        given = TargetInputs(logits, labels, members.to(logits.dtype), weight, bias, memories.get(name))
        distillation += method.weights[name] * kl_gradient(logits, _target(term, given), weight, term.temperature)
    return task, distillation


def cross_entropy_gradient(logits: Tensor, labels: Tensor, weight: Tensor) -> Tensor:
    """Gradient of cross-entropy. [N, C], [N], [C, D] -> [N, D]."""
    return (logits.softmax(dim=1) - F.one_hot(labels, logits.shape[1])) @ weight


def kl_gradient(logits: Tensor, target: Tensor, weight: Tensor, temperature: float) -> Tensor:
    """Gradient of T² KL from a target's probabilities. [N, C], [N, C], [C, D] -> [N, D]."""
    return temperature * (softmax_with_temperature(logits, temperature) - target) @ weight


def require_closed_form(method: Method) -> None:
    """Raise `UserError` if a loss of the method has no closed-form gradient here."""
    for name, term in method.terms.items():
        if not isinstance(term, ClassConsistency | ClassCenters):
            raise UserError(
                f"the gradient of {method.text} has no closed form here (term {name!r}); supported terms: "
                f"{', '.join(SUPPORTED)}"
            )
        if term.uses_progress or not getattr(term, "detach", True):
            raise UserError(f"the closed form of {method.text} holds for a detached target without warm-up; drop both")
    if method.task or method.mixing or method.erasing or method.control:
        raise UserError(f"the closed form of {method.text} holds for plain cross-entropy of plain images alone")


SUPPORTED = ("classmate", "center")  # names of the terms below
Term: TypeAlias = ClassConsistency | ClassCenters


class TargetInputs(NamedTuple):
    """Inputs of a target's probabilities."""

    logits: Tensor  # [N, C]
    labels: Tensor  # [N]
    members: Tensor  # [N, N] probability that image j (column) is drawn for image i (row)
    weight: Tensor  # [C, D]
    bias: Tensor  # [C]
    memory: Memory


def _from_classmates(term: ClassConsistency, given: TargetInputs) -> Tensor:
    """Average the predictions of the images that can be drawn. -> [N, C]."""
    return given.members @ softmax_with_temperature(given.logits, term.temperature)


def _from_centers(term: ClassCenters, given: TargetInputs) -> Tensor:
    """Fuse the prediction for the class center with the prediction for the image. -> [N, C]."""
    centers, _ = as_pair(given.memory)
    predicted = centers @ given.weight.T + given.bias
    options = (term.fusion, term.trust, term.temperature)
    return fuse_predictions(predicted[given.labels], given.logits, given.labels, *options)


def _target(term: Term, given: TargetInputs) -> Tensor:
    """Compute the target's probabilities. -> [N, C]."""
    if isinstance(term, ClassConsistency):
        return _from_classmates(term, given)
    return _from_centers(term, given)


def _classmates(method: Method, labels: Tensor) -> Tensor:
    """Compute the probability that image j (column) is drawn for image i (row). -> [N, N]."""
    same = labels[:, None] == labels
    need = method.needs.get("peer")
    if isinstance(need, SameClassImage) and not need.itself:
        same &= ~torch.eye(len(labels), dtype=torch.bool)
    return same / same.sum(dim=1, keepdim=True).clamp_min(1)
