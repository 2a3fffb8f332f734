"""A model that returns only its logits, as exported files do."""

from torch import Tensor, nn

from selfdistill.features.logits import logits_of

IMAGES = "images"  # name of the input of images


class LogitsOnly(nn.Module):
    """Wrapper that takes a model's inputs by position and returns only its logits.

    `names` are the keywords of several inputs; a single input has one name and is passed by position.
    """

    def __init__(self, model: nn.Module, names: tuple[str, ...] = (IMAGES,)):
        super().__init__()
        self.model, self.names = model, names

    def forward(self, *inputs: Tensor) -> Tensor:
        """Compute the logits. B rows in each input -> [B, C] or [B, C, H, W]."""
        if len(inputs) == 1:
            return logits_of(self.model(*inputs))
        return logits_of(self.model(**dict(zip(self.names, inputs, strict=True))))
