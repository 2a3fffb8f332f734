"""SGD with a momentum for the task's gradient and another for the distillation's."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

TASK, MIMIC = "task_momentum", "mimic_momentum"
Gradients = Callable[[Tensor, list[Tensor]], list[Tensor | None]]


def gradients_of(loss: Tensor, trained: list[Tensor]) -> list[Tensor | None]:
    """The gradient of one of several losses []; None where there is none."""
    if not loss.requires_grad:
        return [None] * len(trained)
    return list(torch.autograd.grad(loss, trained, retain_graph=True, allow_unused=True))


class DualMomentumSGD(torch.optim.Optimizer):
    """The task's gradient with momentum - gap, the distillation's with momentum + gap, both added to the weights.

    Zhao et al., "DOT: A Distillation-Oriented Trainer", 2023 (https://arxiv.org/abs/2307.08436). A parameter that
    only one of the two reaches has the plain momentum. Weight decay goes with the task's gradient; where
    only distillation reaches a parameter, with that one, but for its first step.
    """

    def __init__(
        self, params: Iterable[Any], lr: float, momentum: float = 0.9, gap: float = 0.075, weight_decay: float = 0.0
    ):
        super().__init__(params, {"lr": lr, "momentum": momentum, "gap": gap, "weight_decay": weight_decay})
        self._grads: list[list[Tensor | None]] = []
        self.found_inf: Tensor | None = None  # [] 1 where the next step is not to be taken, as torch's own have it

    def backward(self, learn: Tensor, mimic: Tensor, gradients: Gradients = gradients_of) -> None:
        """Take the gradients of both losses [], for the next step; of several calls, their sum.

        `gradients` finds that of one loss for these parameters.
        """
        trained = [each for group in self.param_groups for each in group["params"]]
        new = [gradients(each, trained) for each in (learn, mimic)]
        old = self._grads or [[None] * len(trained)] * 2
        self._grads = [[_sum(*pair) for pair in zip(*each, strict=True)] for each in zip(old, new, strict=True)]

    def gradients(self) -> list[Tensor]:
        """All gradients that the next step will take."""
        return [each for of_a_loss in self._grads for each in of_a_loss if each is not None]

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # it takes no closure
        """Move every parameter by both of its momenta, unless `found_inf` says not to."""
        grads = zip(*self._grads, strict=True)
        for group in self.param_groups:
            for parameter in group["params"]:
                self._move(parameter, group, *next(grads))
        self._grads = []

    def _move(self, parameter: Tensor, group: dict[str, Any], task: Tensor | None, mimic: Tensor | None) -> None:
        gap = group["gap"] if task is not None and mimic is not None else 0.0
        decay, state = group["weight_decay"] * parameter, self.state[parameter]
        if mimic is not None and task is None and MIMIC in state:
            mimic = mimic + decay
        moves = []
        if task is not None:
            moves.append(self._followed(state, TASK, task + decay, group["momentum"] - gap))
        if mimic is not None:
            moves.append(self._followed(state, MIMIC, mimic, group["momentum"] + gap))
        for move in moves:
            parameter.sub_(self._or(group["lr"] * move, 0.0))

    def _followed(self, state: dict[str, Tensor], key: str, gradient: Tensor, momentum: float) -> Tensor:
        """The momentum of this key after a gradient; at first the gradient itself."""
        old = state.get(key)
        new = gradient if old is None else old * momentum + gradient
        state[key] = self._or(new, 0.0 if old is None else old)
        return state[key]

    def _or(self, new: Tensor, old: Tensor | float) -> Tensor:
        """The new value, or the old one where the step is not to be taken."""
        return new.clone() if self.found_inf is None else torch.where(self.found_inf == 0, new, old)


def _sum(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    return one + other if one is not None and other is not None else one if other is None else other
