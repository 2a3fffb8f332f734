"""Gradients of losses with respect to the feature that the classifier reads, in closed form.

Each row is the gradient of its own image's loss; that of a batch's mean is a B-th of it. With logits z = W f + b and
p_T = softmax(z / T):

    cross-entropy                    (p_1 - onehot(y)) W
    T² KL(q || p_T), q held fixed    T (p_T - q) W
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from selfdistill.data.requirements import SameClassImage
from selfdistill.errors import UserError
from selfdistill.functional import softmax_with_temperature
from selfdistill.method import Method
from selfdistill.terms import Memory


def gradients(
    method: Method, features: Tensor, labels: Tensor, weight: Tensor, bias: Tensor, memories: Mapping[str, Memory]
) -> tuple[Tensor, Tensor]:
    """What the labels ask of each feature, and what imitation asks beside it. -> [N, D], [N, D].

    features [N, D], labels [N]; the classifier's weight [C, D] and bias [C]; `memories` by term, taken as they are.
    Where the target is another image of the class, drawn at random, this is the mean over all that can be drawn.
    Raises `UserError` for a method with a part whose gradient has no closed form here.
    """
    require_closed(method)
    logits, members = features @ weight.T + bias, _classmates(method, labels)
    learn = method.weights["task"] * of_labels(logits, labels, weight)
    mimic = torch.zeros_like(learn)
    for name, term in method.terms.items():
        given = Given(logits, labels, members.to(logits.dtype), weight, bias, memories.get(name))
        mimic += method.weights[name] * of_target(logits, TARGETS[name](term, given), weight, _temperature(term))
    return learn, mimic


def of_labels(logits: Tensor, labels: Tensor, weight: Tensor) -> Tensor:
    """Gradient of cross-entropy. [N, C], [N], [C, D] -> [N, D]."""
    return (logits.softmax(dim=1) - F.one_hot(labels, logits.shape[1])) @ weight


def of_target(logits: Tensor, target: Tensor, weight: Tensor, temperature: float) -> Tensor:
    """Gradient of T² KL from a target's probabilities. [N, C], [N, C], [C, D] -> [N, D]."""
    return temperature * (softmax_with_temperature(logits, temperature) - target) @ weight


def require_closed(method: Method) -> None:
    """Raise `UserError` for a method whose gradient has no closed form here."""
    for name, term in method.terms.items():
        if name not in TARGETS:
            raise UserError(
                f"no closed form is known for the gradient of {method.text} (term {name!r}); these terms have one: "
                f"{', '.join(TARGETS)}"
            )
        if term.uses_progress or not getattr(term, "detach", True):
            raise UserError(f"the closed form of {method.text} holds for a detached target without warm-up; drop both")
    if method.task or method.mixing or method.erasing or method.control:
        raise UserError(f"the closed form of {method.text} holds for plain cross-entropy of plain images alone")


class Given(NamedTuple):
    """What a target is made of."""

    logits: Tensor  # [N, C]
    labels: Tensor  # [N]
    members: Tensor  # [N, N] the probability of each image to be drawn for each
    weight: Tensor  # [C, D]
    bias: Tensor  # [C]
    memory: Memory


def _from_classmates(term: Any, given: Given) -> Tensor:
    """The mean prediction of the images that can be drawn. -> [N, C]."""
    return given.members @ softmax_with_temperature(given.logits, term.temperature)


def _from_centers(term: Any, given: Given) -> Tensor:
    """What the classifier says of the class's center, fused with what it says of the image. -> [N, C]."""
    centers, _ = given.memory
    said = centers @ given.weight.T + given.bias
    return term.target(said[given.labels], given.logits, given.labels)


TARGETS: Mapping[str, Callable[[Any, Given], Tensor]] = {"classmate": _from_classmates, "center": _from_centers}


def _classmates(method: Method, labels: Tensor) -> Tensor:
    """The probability of each image to be drawn for each. -> [N, N]."""
    same = labels[:, None] == labels
    need = method.needs.get("peer")
    if isinstance(need, SameClassImage) and not need.itself:
        same &= ~torch.eye(len(labels), dtype=torch.bool)
    return same / same.sum(dim=1, keepdim=True).clamp_min(1)


def _temperature(term: Any) -> float:
    return term.temperature
