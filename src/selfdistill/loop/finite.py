"""Checks of a custom loop: losses and running statistics must be finite."""

import torch
from torch import Tensor

from selfdistill.loop import validate
from selfdistill.step import Distiller, Step

CHECK_EVERY = 16  # calls between checks on a GPU, each of which is a host sync; on a CPU each call is checked


class FiniteCheck:
    """Raises `UserError` for losses and running statistics that are not finite."""

    def __init__(self, step: Distiller):
        self.step, self.calls = step, 0
        self.finite: Tensor | None = None  # [] whether all losses since the last check were

    def before(self, device: torch.device) -> None:
        """Check the running statistics: in training when a check is due, and always before validation."""
        self.calls += 1
        if self._is_due(device) or not self.step.student.training:
            validate.require_statistics(self.step)

    def after(self, result: Step) -> None:
        """Check the losses of a call, and of the calls since the last check.

        Under float16 autocast nothing is checked: a gradient scaler skips steps that overflow.
        """
        losses = torch.stack([*result.losses.values()]).detach()
        kind = losses.device.type
        if torch.is_autocast_enabled(kind) and torch.get_autocast_dtype(kind) == torch.float16:
            return
        now = losses.isfinite().all()
        self.finite = now if self.finite is None else self.finite & now
        if self._is_due(losses.device):
            finite, self.finite = self.finite, None
            if not finite:
                validate.require_finite_losses(result.losses, result.logits, self.step.method)

    def _is_due(self, device: torch.device) -> bool:
        return device.type == "cpu" or self.calls % CHECK_EVERY == 0
