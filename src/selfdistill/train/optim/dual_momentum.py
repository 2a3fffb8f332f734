"""SGD with separate momenta for the gradients of the task and of distillation."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

TASK, MIMIC = "task_momentum", "mimic_momentum"
Gradients = Callable[[Tensor, list[Tensor]], list[Tensor | None]]


def gradients_of(loss: Tensor, trained: list[Tensor]) -> list[Tensor | None]:
    """Compute the gradient of one loss [] for each parameter; None for those that the loss does not reach."""
    if not loss.requires_grad:
        return [None] * len(trained)
    reached = [each for each in trained if each.requires_grad]  # others are frozen
    found = dict(zip(reached, torch.autograd.grad(loss, reached, retain_graph=True, allow_unused=True), strict=True))
    return [found.get(each) for each in trained]


class DualMomentumSGD(torch.optim.Optimizer):
    """SGD that applies the task gradient with momentum - gap and the distillation gradient with momentum + gap.

    Zhao et al., "DOT: A Distillation-Oriented Trainer", 2023 (https://arxiv.org/abs/2307.08436). A parameter that
    only one of the two losses reaches has the plain momentum. Weight decay is added to the task gradient; where
    only distillation reaches a parameter, to the distillation gradient, except at the first step.
    """

    def __init__(
        self, params: Iterable[Any], lr: float, momentum: float = 0.9, gap: float = 0.075, weight_decay: float = 0.0
    ):
        super().__init__(params, {"lr": lr, "momentum": momentum, "gap": gap, "weight_decay": weight_decay})
        self._grads: list[list[Tensor | None]] = []
        self.found_inf: Tensor | None = None  # [] 1 to skip the next step, as in torch's fused optimizers

    def backward(self, learn: Tensor, mimic: Tensor, gradients: Gradients = gradients_of) -> None:
        """Compute the gradients of both losses [] for the next step; several calls accumulate them.

        `gradients` computes the gradients of one loss for a list of parameters.
        """
        trained = [each for group in self.param_groups for each in group["params"]]
        new = [gradients(each, trained) for each in (learn, mimic)]
        old = self._grads or [[None] * len(trained)] * 2
        self._grads = [[_sum(*pair) for pair in zip(*each, strict=True)] for each in zip(old, new, strict=True)]

    def gradients(self) -> list[Tensor]:
        """Return all gradients that the next step will apply."""
        return [each for loss_grads in self._grads for each in loss_grads if each is not None]

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # it takes no closure
        """Update every parameter by both momenta, unless `found_inf` is set."""
        grads = zip(*self._grads, strict=True)
        for group in self.param_groups:
            for parameter in group["params"]:
                self._update(parameter, group, *next(grads))
        self._grads = []

    def _update(self, parameter: Tensor, group: dict[str, Any], task: Tensor | None, mimic: Tensor | None) -> None:
        gap = group["gap"] if task is not None and mimic is not None else 0.0
        decay, state = group["weight_decay"] * parameter, self.state[parameter]
        if mimic is not None and task is None and MIMIC in state:
            mimic = mimic + decay
        updates = []
        if task is not None:
            updates.append(self._update_momentum(state, TASK, task + decay, group["momentum"] - gap))
        if mimic is not None:
            updates.append(self._update_momentum(state, MIMIC, mimic, group["momentum"] + gap))
        for update in updates:
            parameter.sub_(self._unless_skipped(group["lr"] * update, 0.0))

    def _update_momentum(self, state: dict[str, Tensor], key: str, gradient: Tensor, momentum: float) -> Tensor:
        """Update the momentum stored under `key` and return it; it starts as the first gradient."""
        old = state.get(key)
        new = gradient if old is None else old * momentum + gradient
        state[key] = self._unless_skipped(new, 0.0 if old is None else old)
        return state[key]

    def _unless_skipped(self, new: Tensor, old: Tensor | float) -> Tensor:
        """Return the new value, or the old one if the step is skipped."""
        return new.clone() if self.found_inf is None else torch.where(self.found_inf == 0, new, old)


def _sum(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    return one + other if one is not None and other is not None else one if other is None else other
