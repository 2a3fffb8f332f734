"""Loss scaling for float16, so that small gradients do not underflow."""

import torch
from torch import Tensor

FIRST, GROW_AFTER, LEAST = 2.0**16, 2000, 2.0**-10  # as torch's GradScaler has them; below the least, nothing helps


class LossScale:
    """Halved after a step whose gradient overflowed, doubled after many that did not; all on the device."""

    def __init__(self, device: torch.device):
        self.scale = torch.tensor(FIRST, device=device)
        self.good = torch.zeros((), device=device)  # steps since it was last changed

    def update(self, finite: Tensor) -> None:
        """Learn whether the gradient was finite, a boolean []."""
        grow = finite & (self.good + 1 >= GROW_AFTER)
        self.scale = torch.where(finite, torch.where(grow, self.scale * 2, self.scale), self.scale / 2)
        self.good = torch.where(finite & ~grow, self.good + 1, 0.0)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the state for a checkpoint."""
        return {"scale": self.scale, "good": self.good}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on where a state was taken."""
        self.scale, self.good = (state[key].to(self.scale.device) for key in ("scale", "good"))
