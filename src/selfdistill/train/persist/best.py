"""Weights of the epoch with the best validation accuracy."""

from torch import Tensor, nn

from selfdistill.train.persist.checkpoint import State


class Best:
    """A copy of the best epoch's weights; of equal epochs, the first.

    Selected on validation images, so that its test accuracy is unbiased.
    """

    def __init__(self) -> None:
        self.epoch = 0  # from 1; 0 before the first
        self.top1 = -1.0  # validation accuracy in percent
        self.weights: dict[str, Tensor] = {}

    def offer(self, epoch: int, top1: float, network: nn.Module) -> None:
        """Keep an epoch's weights if its validation accuracy is the best so far."""
        if top1 > self.top1:
            self.epoch, self.top1 = epoch, top1
            self.weights = {key: value.detach().cpu().clone() for key, value in network.state_dict().items()}

    def state_dict(self) -> State:
        """Return the state for a checkpoint."""
        return {"epoch": self.epoch, "top1": self.top1, "weights": self.weights}

    def load_state_dict(self, state: State) -> None:
        """Restore the state of a checkpoint."""
        self.epoch, self.top1, self.weights = state["epoch"], state["top1"], state["weights"]
