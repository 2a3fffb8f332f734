"""Weights of terms by the size of their gradients, measured over the first epoch and then fixed.

As GradNorm (Chen et al., 2018, https://arxiv.org/abs/1711.02257) compares tasks at the last shared layer; weights are
set once here, so that a run has one objective from its second epoch on.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from selfdistill import distributed
from selfdistill.errors import UserError
from selfdistill.step import Distiller
from selfdistill.train.optim.stage_parameters import stage_parameters

MEASURED = 16  # steps, spread over the last quarter of the epoch: the share is that of the weights at its end


class GradientBalance:
    """Sets each term's weight so that its gradient is a given share of the task's.

    The gradients are those of the parameters of the last stage that both losses reach. A term's own weight holds in the
    first epoch, and for the whole run where it has no gradient in that epoch. `steps` is the number of steps of an
    epoch. Raises `UserError` for a method of the task alone and for a network without stages.
    """

    def __init__(self, distiller: Distiller, share: float, steps: int):
        self.distiller, self.share, self.steps = distiller, share, steps
        self.stages = [each for each in stage_parameters(distiller.student, distiller.anatomy)[:-1] if each]
        self.names = [name for name in distiller.terms if name != "task" and distiller.method.weights[name]]
        _require_terms(distiller, self.names, self.stages)
        self.places: dict[str, int] = {}  # by term, of its stage
        self.taken = 0
        self.norms = torch.zeros(len(self.names), 2, device=next(distiller.student.parameters()).device)
        self.fixed = False

    def measure(self, losses: dict[str, Tensor], scale: Tensor | float) -> None:
        """Add the norms of this step's gradients, of losses times `scale`, where the step is one to measure."""
        if self.fixed:
            return
        self.taken += 1
        if not self._is_measured(self.taken):
            return
        task = self.distiller.weight("task") * losses["task"] * scale
        for row, name in enumerate(self.names):
            term = torch.stack([loss for part, loss in losses.items() if self._belongs(part, name)]).sum() * scale
            norms = self._norms(name, task, term)
            if norms is not None:
                self.norms[row] += norms

    def fix(self) -> dict[str, float]:
        """Set the weights from the norms of the epoch; return those of all terms."""
        if not self.fixed:
            norms = distributed.all_reduce_sum(self.norms).tolist()
            for name, (task, term) in zip(self.names, norms, strict=True):
                if term > 0:
                    self.distiller.weights[name] = self.share * task / term
            self.fixed = True
        return dict(self.distiller.weights)

    def state_dict(self) -> dict[str, object]:
        """Return the state for a checkpoint."""
        weights = dict(self.distiller.weights) if self.fixed else {}
        return {"steps": self.taken, "norms": self.norms.cpu(), "weights": weights}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a state."""
        self.taken = state["steps"]
        self.norms.copy_(state["norms"])
        self.distiller.weights.update(state["weights"])
        self.fixed = bool(state["weights"])

    def _is_measured(self, step: int) -> bool:
        """Return true for the steps to measure: the last of the epoch, and others at equal distances before it."""
        every = max(1, self.steps // (4 * MEASURED))
        left = self.steps - step
        return left % every == 0 and left < max(self.steps / 4, 1)

    def _belongs(self, part: str, name: str) -> bool:
        return part.partition(".")[0] == name and self.distiller.weight(part) != 0

    def _norms(self, name: str, task: Tensor, term: Tensor) -> Tensor | None:
        """Return the norms of the gradients of the task and of a term at its stage [2]; None without a common one."""
        if name not in self.places:
            self.places[name] = max((k for k, each in enumerate(self.stages) if _reach(each, task, term)), default=-1)
        if self.places[name] < 0:
            return None
        parameters = self.stages[self.places[name]]
        return torch.stack([_norm(each, parameters) for each in (task, term)])


def _require_terms(distiller: Distiller, names: list[str], stages: list[list[nn.Parameter]]) -> None:
    if not names or distiller.method.control:
        raise UserError(f"--balance: {distiller.method.text} has no term beside the task to balance; leave it out")
    if not stages:
        raise UserError(
            f"--balance: {distiller.anatomy.model} has no stages, at which gradients could be compared; leave it out"
        )


def _gradients(loss: Tensor, parameters: Sequence[nn.Parameter]) -> list[Tensor]:
    """Return the gradients of the parameters that the loss reaches; frozen ones have none."""
    trained = [each for each in parameters if each.requires_grad]
    if not trained or not loss.requires_grad:
        return []
    found = torch.autograd.grad(loss, trained, retain_graph=True, allow_unused=True)
    return [each for each in found if each is not None]


def _reach(parameters: Sequence[nn.Parameter], *losses: Tensor) -> bool:
    return all(_gradients(each, parameters) for each in losses)


def _norm(loss: Tensor, parameters: Sequence[nn.Parameter]) -> Tensor:
    return torch.nn.utils.get_total_norm(_gradients(loss, parameters))
