"""Loss scaling for float16, so that small gradients do not underflow."""

import torch
from torch import Tensor

INITIAL_SCALE, GROWTH_INTERVAL, MIN_SCALE = 2.0**16, 2000, 2.0**-10  # the first two as in torch's GradScaler


class LossScale:
    """Dynamic loss scale: halved after a gradient overflow, doubled after 2000 steps without one; no host sync."""

    def __init__(self, device: torch.device):
        self.scale = torch.tensor(INITIAL_SCALE, device=device)
        self.good = torch.zeros((), device=device)  # steps since the last change

    def update(self, finite: Tensor) -> None:
        """Update the scale after a step; `finite` [] is false if its gradient overflowed."""
        grow = finite & (self.good + 1 >= GROWTH_INTERVAL)
        self.scale = torch.where(finite, torch.where(grow, self.scale * 2, self.scale), self.scale / 2)
        self.good = torch.where(finite & ~grow, self.good + 1, 0.0)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the state for a checkpoint."""
        return {"scale": self.scale, "good": self.good}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore the state of a checkpoint."""
        self.scale, self.good = (state[key].to(self.scale.device) for key in ("scale", "good"))
