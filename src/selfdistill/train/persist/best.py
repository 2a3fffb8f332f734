"""Weights of the epoch with the best validation score."""

from torch import Tensor, nn

from selfdistill.train.persist.checkpoint import State


class Best:
    """A copy of the best epoch's weights; of equal epochs, the first.

    Selected on validation images, so that its test accuracy is unbiased.
    """

    def __init__(self) -> None:
        self.epoch = 0  # from 1; 0 before the first
        self.score = -1.0  # on validation images, in percent
        self.weights: dict[str, Tensor] = {}

    def offer(self, epoch: int, score: float, network: nn.Module) -> None:
        """Keep an epoch's weights if its validation score is the best so far."""
        if score > self.score:
            self.epoch, self.score = epoch, score
            self.weights = {key: value.detach().cpu().clone() for key, value in network.state_dict().items()}

    def state_dict(self) -> State:
        """Return the state for a checkpoint."""
        return {"epoch": self.epoch, "score": self.score, "weights": self.weights}

    def load_state_dict(self, state: State) -> None:
        """Restore the state of a checkpoint."""
        self.epoch, self.score, self.weights = state["epoch"], state["score"], state["weights"]
