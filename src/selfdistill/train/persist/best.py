"""The network of the epoch that did best on the images held out."""

from torch import Tensor, nn

from selfdistill.train.persist.checkpoint import State


class Best:
    """A copy of the best epoch's weights, the first of those that did equally well.

    Chosen on held-out images, so that its accuracy on the test set is an honest one.
    """

    def __init__(self) -> None:
        self.epoch = 0  # from 1; 0 before any
        self.top1 = -1.0  # percent, of the images held out
        self.weights: dict[str, Tensor] = {}

    def offer(self, epoch: int, top1: float, network: nn.Module) -> None:
        """Keep an epoch's network if it did better than all before it."""
        if top1 > self.top1:
            self.epoch, self.top1 = epoch, top1
            self.weights = {key: value.detach().cpu().clone() for key, value in network.state_dict().items()}

    def state_dict(self) -> State:
        """Return the state for a checkpoint."""
        return {"epoch": self.epoch, "top1": self.top1, "weights": self.weights}

    def load_state_dict(self, state: State) -> None:
        """Go on where a state was taken."""
        self.epoch, self.top1, self.weights = state["epoch"], state["top1"], state["weights"]
